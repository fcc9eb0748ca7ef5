//! The page.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use chrono::{Duration, SecondsFormat, Utc};
use futures_util::future;
use maud::{Markup, html};
use serde::Deserialize;

use super::PATH;
use super::model::{Account, HandlerStats, Minutes, Span, Step};
use super::scale::{number, whole};
use super::{breakers, handlers, plots};
use crate::client::Paged;
use crate::components::{empty, query, time};
use crate::failure::Failure;
use crate::form;
use crate::layout::{Section, Shell};
use crate::state::Console;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    span: String,
}

/// `GET /console/`
pub(super) async fn page(State(console): State<Console>, RawQuery(raw): RawQuery, shell: Shell) -> Result<Response, Failure> {
    let asked: Asked = form::parse(raw.unwrap_or_default().as_bytes())?;
    let span = Span::named(&asked.span);
    let api = &console.api;
    let (step, minutes) = span.step();
    // The step under way is the last one.
    let from = Utc::now() - Duration::minutes(span.minutes() - i64::from(minutes));
    let from = from.to_rfc3339_opts(SecondsFormat::Secs, true);
    let minutes_path = query::address("/v1/stats/minutes", [("from", from.as_str()), ("step", step)]);
    // Both tables from one answer, which the API makes from one look at what may be many rows.
    let most = handlers::SHOWN.to_string();
    let pairs = [("from", from.as_str()), ("order", "failures"), ("order", "duration"), ("limit", most.as_str())];
    let handlers_path = query::address("/v1/stats/handlers", pairs);
    let (account, all, handlers, (open, more)) = future::try_join4(
        api.get::<Account>("/v1/stats"),
        api.get::<Minutes>(&minutes_path),
        api.get::<Paged<HandlerStats>>(&handlers_path),
        breakers::named(api, &shell.breakers),
    )
    .await?;
    let content = html! {
        (head(span))
        div #live {
            (breakers::panel(&open, more))
            @if account.published == 0 { (first(&shell)) } @else {
                (tiles(&account, &all.total, span))
                (plots::all(&all.items, minutes))
                div.pair.tables {
                    (handlers::panel("Failing handlers", "No attempt failed in this time.", &handlers::failing(&handlers.items)))
                    (handlers::panel("Slowest handlers", "Nothing was called in this time.", &handlers::slowest(&handlers.items)))
                }
            }
        }
    };
    Ok(shell.page(Section::Overview, "Overview", &content))
}

fn head(span: Span) -> Markup {
    html! {
        div.head {
            h1 { "Overview" }
            span.grow {}
            nav.spans aria-label="Time" {
                @for of in Span::ALL {
                    a.btn href=(query::address(PATH, [("span", of.name())])) aria-current=[(of == span).then_some("true")] { (of.said()) }
                }
            }
            a.btn href=(query::address(PATH, [("span", span.name())])) { "Refresh" }
        }
    }
}

fn first(shell: &Shell) -> Markup {
    let act = html! { a.btn.primary href="/console/provisioning/new" { "New Handler" } };
    let sentence = if shell.cache.handlers == 0 {
        "Create a handler, restart the Cache Manager so that it goes live, and publish an event with POST /v1/events. What happens then is drawn here."
    } else {
        "Publish an event with POST /v1/events. What happens then is drawn here."
    };
    html! { section.panel { (empty::empty("Nothing has been published yet", sentence, &act)) } }
}

fn tiles(account: &Account, total: &Step, span: Span) -> Markup {
    let figures = &total.figures;
    let attempts = figures.success + figures.fail;
    let balance = format!(
        "= {} delivered + {} failed + {} unmatched + {} unfinished",
        whole(account.delivered),
        whole(account.failed),
        whole(account.unmatched),
        whole(account.unfinished())
    );
    let backlog = format!(
        "{} pending, {} retrying; {} deliveries held",
        whole(account.pending),
        whole(account.retrying),
        whole(account.held)
    );
    let oldest = account.oldest_pending_seconds.map_or("none".to_owned(), |seconds| time::span((seconds * 1000.0) as u64));
    let (first, then) = figures.first_call_ms.map_or(("–".to_owned(), "nothing was called".to_owned()), |first| {
        (milliseconds(first.p50), format!("p50; p99 is {}", milliseconds(first.p99)))
    });
    let share = figures.success_share.map_or("–".to_owned(), percent);
    html! {
        div.tiles {
            (tile("Events published, in all", &whole(account.published), &balance))
            (tile("Oldest pending", &oldest, &backlog))
            (tile(&format!("Publish to first call, {}", span.said()), &first, &then))
            (tile(&format!("Calls that succeeded, {}", span.said()), &share, &format!("{} of {}", whole(figures.success), whole(attempts))))
        }
    }
}

/// `4.9 ms`, `1.2 s`, `2 min 11 s`.
fn milliseconds(value: f64) -> String {
    if value < 1000.0 { format!("{} ms", number(value)) } else { time::took(value as i64) }
}

/// Never 100 % where something failed.
fn percent(share: f64) -> String {
    let hundredths = (share * 10_000.0).floor() / 100.0;
    format!("{hundredths} %")
}

fn tile(label: &str, figure: &str, more: &str) -> Markup {
    html! { section.panel.tile aria-label=(label) { div.label { (label) } div.figure { (figure) } small.muted { (more) } } }
}
