//! What is around every page: head, navigation, and what is live at the foot of it.

use std::collections::BTreeMap;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum_extra::extract::SignedCookieJar;
use chrono::{DateTime, Utc};
use futures_util::future;
use maud::{DOCTYPE, Markup, html};
use serde::Deserialize;

use crate::assets::{ICON, SCRIPT, STYLE};
use crate::client::Paged;
use crate::components::changes::Changes;
use crate::components::{icon, time};
use crate::csrf;
use crate::failure::Failure;
use crate::flash::{Flash, Forget};
use crate::session::Session;
use crate::state::Console;

/// A screen of the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    Overview,
    Provisioning,
    Events,
    Executions,
    DeadLetters,
    Scheduler,
}

/// Section, title and path, in the order of the navigation.
pub(crate) const SECTIONS: &[(Section, &str, &str)] = &[
    (Section::Overview, "Overview", "/console/"),
    (Section::Provisioning, "Provisioning", "/console/provisioning"),
    (Section::Events, "Events", "/console/events"),
    (Section::Executions, "Execution Logs", "/console/executions"),
    (Section::DeadLetters, "Dead letters", "/console/dead-letters"),
    (Section::Scheduler, "Task Scheduler", "/console/scheduler"),
];

/// Who asks for a page, and what is around it. An extractor.
pub(crate) struct Shell {
    pub(crate) session: Session,
    jar: SignedCookieJar,
    uri: String,
    flash: Option<Flash>,
    /// The live generation, as the API has it now.
    pub(crate) cache: Cache,
    dispatchers: usize,
    /// Handlers whose circuit breaker a dispatcher holds open, with the instant of the first.
    pub(crate) breakers: BTreeMap<i64, DateTime<Utc>>,
    /// What waits.
    backlog: Backlog,
}

/// `GET /v1/cache`, as far as pages show it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Cache {
    pub(crate) generation: Option<i64>,
    pub(crate) built_at: Option<DateTime<Utc>>,
    pub(crate) handlers: usize,
    pub(crate) pending: Changes,
    pub(crate) pending_count: usize,
}

#[derive(Deserialize)]
struct Service {
    name: String,
    instances: Vec<Instance>,
}

#[derive(Deserialize)]
struct Instance {
    alive: bool,
    breakers: Vec<Breaker>,
}

#[derive(Deserialize)]
struct Breaker {
    handler_id: i64,
    since: DateTime<Utc>,
}

/// `GET /v1/stats/backlog`, as far as pages show it: every page has it, and it is quick however much waits.
#[derive(Deserialize)]
struct Backlog {
    unfinished: u64,
    /// Up to [`DEAD_LETTERS_COUNTED`].
    dead_letters: u64,
    /// Whether everything is paused.
    paused: bool,
}

/// So many or more are counted as so many.
const DEAD_LETTERS_COUNTED: u64 = 1000;

impl FromRequestParts<Console> for Shell {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, console: &Console) -> Result<Self, Failure> {
        let session = Session::from_request_parts(parts, console).await?;
        let jar = SignedCookieJar::from_headers(&parts.headers, console.key.clone());
        let uri = parts.uri.to_string();
        let api = &console.api;
        let (cache, services, backlog) = future::join3(
            api.get::<Cache>("/v1/cache"),
            api.get::<Paged<Service>>("/v1/services"),
            api.get::<Backlog>("/v1/stats/backlog"),
        )
        .await;
        let services = services?.items;
        let dispatchers = services.iter().filter(|service| service.name == "dispatcher").flat_map(|service| &service.instances);
        let alive: Vec<_> = dispatchers.filter(|instance| instance.alive).collect();
        Ok(Self {
            flash: Flash::left(&jar),
            session,
            jar,
            uri,
            cache: cache?,
            dispatchers: alive.len(),
            breakers: open_breakers(alive.iter().flat_map(|instance| &instance.breakers)),
            backlog: backlog?,
        })
    }
}

fn open_breakers<'a>(told: impl Iterator<Item = &'a Breaker>) -> BTreeMap<i64, DateTime<Utc>> {
    let mut open = BTreeMap::new();
    for Breaker { handler_id, since } in told {
        let first = open.entry(*handler_id).or_insert(*since);
        *first = (*since).min(*first);
    }
    open
}

impl Shell {
    /// The page of a section.
    pub(crate) fn page(self, section: Section, title: &str, content: &Markup) -> Response {
        let body = html! {
            a.skip href="#main" { "Skip to the content" }
            (icon::sheet())
            div.shell {
                (self.side(section))
                main #main tabindex="-1" {
                    @if let Some(flash) = &self.flash { (flash.shown()) }
                    @if self.backlog.paused && section != Section::Scheduler { (paused()) }
                    (content)
                }
            }
        };
        (Forget(self.jar), document(title, &body)).into_response()
    }

    /// Whether any dispatcher runs.
    pub(crate) fn has_dispatcher(&self) -> bool {
        self.dispatchers > 0
    }

    /// The field that every form has.
    pub(crate) fn csrf(&self) -> Markup {
        csrf::field(&self.session)
    }

    /// Path and query of the page.
    pub(crate) fn address(&self) -> &str {
        &self.uri
    }

    fn side(&self, section: Section) -> Markup {
        html! {
            header.side {
                a.brand href="/console/" aria-label="Baton" { (mark()) span { "Baton" } }
                nav aria-label="Sections" {
                    @for (of, title, path) in SECTIONS {
                        a href=(path) aria-current=[(*of == section).then_some("page")] { (title) (self.badge(*of)) }
                    }
                }
                div.foot {
                    div.facts { (self.live()) }
                    form method="post" action="/console/sign-out" { (self.csrf()) button.link { "Sign out" } }
                }
            }
        }
    }

    fn badge(&self, section: Section) -> Markup {
        match section {
            Section::Provisioning if self.cache.pending_count > 0 => {
                html! { span.n.warn title="changes that are not live" { (self.cache.pending_count) span.unseen { " changes that are not live" } } }
            }
            Section::DeadLetters if self.backlog.dead_letters > 0 => {
                let many = if self.backlog.dead_letters < DEAD_LETTERS_COUNTED { "" } else { "+" };
                html! { span.n.bad { (self.backlog.dead_letters) (many) } }
            }
            _ => html! {},
        }
    }

    fn live(&self) -> Markup {
        let Cache { generation, built_at, handlers, .. } = &self.cache;
        html! {
            @match generation {
                Some(generation) => { div { "Generation " (generation) " is live" } }
                None => { div { "No generation yet" } }
            }
            @if let Some(built_at) = built_at { div { "built " (time::ago(*built_at)) ", " (count(*handlers, "handler")) } }
            div { (count(self.dispatchers, "dispatcher")) ", " (self.backlog.unfinished) " unfinished" }
        }
    }
}

/// What is said on every page but the one where it is ended.
fn paused() -> Markup {
    html! {
        div.said.warn {
            strong { "Everything is paused." } " Events are taken in and held in their order; no handler is called. "
            a href="/console/scheduler" { "Resume in the Task Scheduler" }
        }
    }
}

/// `1 handler`, `2 handlers`.
pub(crate) fn count(number: usize, of: &str) -> String {
    format!("{number} {of}{}", if number == 1 { "" } else { "s" })
}

/// A whole document with the scripts.
pub(crate) fn document(title: &str, body: &Markup) -> Markup {
    bare_document(title, &html! { script src=(SCRIPT.path()) defer {} }, body)
}

/// A whole document; `head` is added to its head.
pub(crate) fn bare_document(title: &str, head: &Markup, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Baton" }
                link rel="icon" href=(ICON.path()) type="image/svg+xml";
                link rel="stylesheet" href=(STYLE.path());
                (head)
            }
            body { (body) }
        }
    }
}

/// The mark and the name, on pages without navigation.
pub(crate) fn logo() -> Markup {
    html! { div.brand { (mark()) span { "Baton" } } }
}

fn mark() -> Markup {
    html! {
        svg.mark width="22" height="22" viewBox="0 0 22 22" aria-hidden="true" {
            rect x="3" y="9.5" width="16" height="3" rx="1.5" transform="rotate(-35 11 11)" {}
            circle cx="17.4" cy="6.6" r="2.6" {}
        }
    }
}
