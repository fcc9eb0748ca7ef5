//! Forms that came when the session had ended: what was entered is carried through the sign-in, and sent by a click and in no other way.
//!
//! The form travels in fields of the sign-in. A signed cookie has the digest of what this browser was given to carry, so that nobody else can
//! plant a form there: neither a site that leads to the sign-in, nor who can reach the console without a token.

use axum::extract::Request;
use axum::http::{HeaderMap, Uri, header};
use axum_extra::extract::SignedCookieJar;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use maud::{Markup, html};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::components::cut::short;
use crate::failure::Failure;
use crate::form::{self, FORM_MAX, Fields};
use crate::session::{self, Session, console_cookie};
use crate::sign_in::own_page;
use crate::state::Console;
use crate::{HOME, csrf, layout};

const COOKIE: &str = "baton_kept";
/// How many forms a browser carries at once, one a tab.
const CARRIED_MAX: usize = 8;
/// What parts the digests in the cookie.
const PART: char = '.';
/// How many fields of a form are shown, and how much of each, in characters.
const SHOWN_MAX: usize = 60;
const VALUE_MAX: usize = 200;
/// Fields that say nothing to a reader.
const SILENT: [&str; 5] = [csrf::FIELD, "back", "version", "act", "cursor"];

/// A form that has not been carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Where it was sent: path and query, the console's own.
    to: String,
    /// Without the old session's token.
    fields: Fields,
    /// The page that it was on, as far as that is known.
    from: Option<String>,
    /// The digests that the browser has already.
    noted: Vec<String>,
}

/// A form in the fields of the sign-in, as they were sent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Carried {
    kept_to: String,
    kept_fields: String,
    kept_from: String,
}

/// What is known of a form before its body is read.
pub(crate) struct Asked {
    to: Option<String>,
    from: Option<String>,
    is_own: bool,
}

impl Asked {
    /// Of this request.
    pub(crate) fn of(request: &Request) -> Self {
        let to = request.uri().path_and_query().and_then(|place| own_page(place.as_str())).map(str::to_owned);
        Self { to, from: left_page(request.headers()), is_own: csrf::is_own(request.headers()) }
    }

    /// The form, if it comes from a page of the console: the browser says so, or it has the token of the session that has ended.
    pub(crate) fn kept(self, mut fields: Fields, ended: Option<&Session>) -> Option<Kept> {
        let is_own = self.is_own || ended.is_some_and(|session| csrf::is_right(session, form::token(&fields)));
        fields.retain(|(name, _)| name != csrf::FIELD);
        let to = self.to.filter(|_| is_own)?;
        Some(Kept { to, fields, from: self.from, noted: Vec::new() })
    }
}

/// The page on which a form was, as the browser names it.
fn left_page(headers: &HeaderMap) -> Option<String> {
    let page: Uri = headers.get(header::REFERER)?.to_str().ok()?.parse().ok()?;
    own_page(page.path_and_query()?.as_str()).map(str::to_owned)
}

impl Kept {
    /// The form of a request without a session, if it is one of the console's own pages.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) async fn of(console: &Console, request: Request) -> Result<Option<Self>, Failure> {
        let ended = session::signed(console, request.headers());
        let asked = Asked::of(&request);
        if !asked.is_own && ended.is_none() {
            return Ok(None);
        }
        let noted = noted(&SignedCookieJar::from_headers(request.headers(), console.key.clone()));
        let fields: Fields = form::parse(&form::body(request, FORM_MAX).await?)?;
        Ok(asked.kept(fields, ended.as_ref()).map(|kept| Self { noted, ..kept }))
    }

    fn encoded(&self) -> String {
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.fields).finish()
    }

    /// The page to go back to without it.
    pub(crate) fn back(&self) -> &str {
        let named = self.fields.iter().find(|(name, _)| name == "back").and_then(|(_, back)| own_page(back));
        named.or(self.from.as_deref()).unwrap_or(HOME)
    }

    /// The cookie that says what this browser carries.
    pub(crate) fn noted(&self, console: &Console) -> SignedCookieJar {
        let digest = digest(&self.to, &self.encoded());
        let mut all: Vec<_> = self.noted.iter().filter(|noted| **noted != digest).map(String::as_str).collect();
        all.push(&digest);
        let last = &all[all.len().saturating_sub(CARRIED_MAX)..];
        SignedCookieJar::new(console.key.clone()).add(console_cookie(COOKIE, last.join(&PART.to_string())))
    }

    /// The fields in which the sign-in carries it.
    pub(crate) fn carried(&self) -> Markup {
        html! {
            input type="hidden" name="kept_to" value=(self.to);
            input type="hidden" name="kept_fields" value=(self.encoded());
            @if let Some(from) = &self.from { input type="hidden" name="kept_from" value=(from); }
        }
    }

    /// The page that says what was not carried out, with the button that sends it now.
    pub(crate) fn asked_about(&self, session: &Session) -> Markup {
        let shown: Vec<_> =
            self.fields.iter().filter(|(name, value)| !value.is_empty() && !SILENT.contains(&name.as_str())).collect();
        let body = html! {
            main.alone #main {
                (layout::logo())
                h1 { "Not sent yet" }
                p { "You are signed in. What you sent before was not carried out: " b { (said(&self.to, &self.fields)) } "." }
                @if !shown.is_empty() {
                    details {
                        summary { "What you entered" }
                        dl.facts.entered {
                            @for (name, value) in shown.iter().take(SHOWN_MAX) {
                                dt { (name.replace('_', " ")) }
                                dd { @if is_secret(name) { "••••" } @else { (short(value, VALUE_MAX)) } }
                            }
                        }
                    }
                }
                form method="post" action=(self.to) {
                    (csrf::field(session))
                    @for (name, value) in &self.fields { input type="hidden" name=(name) value=(value); }
                    button.btn.primary { "Send it now" }
                }
                p { a.inline href=(self.back()) { "Go on without it" } }
            }
        };
        layout::document("Not sent yet", &body)
    }
}

impl Carried {
    /// The form, if this browser was given it to carry.
    pub(crate) fn kept(&self, jar: &SignedCookieJar) -> Option<Kept> {
        let to = own_page(&self.kept_to)?.to_owned();
        let noted = noted(jar);
        if !noted.contains(&digest(&to, &self.kept_fields)) {
            return None;
        }
        let fields = form::parse(self.kept_fields.as_bytes()).ok()?;
        Some(Kept { to, fields, from: own_page(&self.kept_from).map(str::to_owned), noted })
    }
}

fn noted(jar: &SignedCookieJar) -> Vec<String> {
    let cookie = jar.get(COOKIE);
    cookie.map(|cookie| cookie.value().split(PART).map(str::to_owned).collect()).unwrap_or_default()
}

fn digest(to: &str, fields: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::new().chain_update(to).chain_update(b"\0").chain_update(fields).finalize())
}

/// Whether the value of a field is not to be read over somebody's shoulder.
fn is_secret(name: &str) -> bool {
    ["secret", "password", "token", "key", "header_value"].iter().any(|word| name.contains(word))
        && !["token_url", "secret_change"].contains(&name)
}

/// What a form is about, in words.
fn said(to: &str, fields: &Fields) -> String {
    let path = to.split('?').next().unwrap_or(to);
    let of = |wanted: &str| fields.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    let saves = of("act").is_none_or(str::is_empty);
    let words: Vec<_> = path.trim_start_matches("/console/").split('/').collect();
    match *words {
        ["provisioning", "new"] if saves => format!("save the new handler {}", short(of("name").unwrap_or_default(), VALUE_MAX)),
        ["provisioning" | "scheduler", "restart"] => "restart the Cache Manager".into(),
        ["provisioning", id] if saves && id != "new" => format!("save handler {id}"),
        ["provisioning", _] => "show the form of a handler again".into(),
        ["provisioning", id, "toggle"] if to.ends_with("to=disabled") => format!("disable handler {id}"),
        ["provisioning", id, "toggle"] => format!("enable handler {id}"),
        ["provisioning", id, "priority"] => format!("change the priority of handler {id}"),
        ["provisioning", id, act @ ("move" | "delete" | "archive" | "test")] => format!("{act} handler {id}"),
        ["events", "explain"] => "explain an event".into(),
        ["events", id, "replay"] => format!("replay event {id}"),
        ["dead-letters", "replay"] => "replay selected dead letters".into(),
        ["dead-letters", "replay-all"] => "replay all dead letters of a search".into(),
        ["dead-letters", "jobs", _, "cancel"] => "cancel a job".into(),
        ["scheduler", "clean"] => "run the Cleaner".into(),
        ["scheduler", "generations", number, "rollback"] => format!("roll back to generation {number}"),
        ["scheduler", act @ ("pause" | "resume")] => format!("{act} deliveries"),
        _ => format!("the form of {path}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_carried_out_is_said_in_words_and_without_secrets() {
        let fields = vec![("name".to_owned(), "CRM".to_owned())];
        let tried = vec![("act".to_owned(), "preview".to_owned())];
        for (to, fields, words) in [
            ("/console/provisioning/new", &fields, "save the new handler CRM"),
            ("/console/provisioning/new", &tried, "show the form of a handler again"),
            ("/console/provisioning/7", &fields, "save handler 7"),
            ("/console/provisioning/7", &tried, "show the form of a handler again"),
            ("/console/provisioning/7/toggle?to=disabled", &fields, "disable handler 7"),
            ("/console/provisioning/7/delete?version=3", &fields, "delete handler 7"),
            ("/console/scheduler/restart", &fields, "restart the Cache Manager"),
            ("/console/scheduler/new-thing", &fields, "the form of /console/scheduler/new-thing"),
        ] {
            assert_eq!(said(to, fields), words, "{to}");
        }
        for (name, secret) in [
            ("secret", true),
            ("tls_key", true),
            ("header_value", true),
            ("name", false),
            ("token_url", false),
            ("secret_change", false),
        ] {
            assert_eq!(is_secret(name), secret, "{name}");
        }
    }
}
