//! What the API says about handlers, as far as the console shows it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use maud::{Markup, html};
use serde::Deserialize;

use super::last_runs::LastRun;

/// A saved handler.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Handler {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) event: String,
    pub(super) task: Task,
    /// `enabled`, `disabled`, `archived`.
    pub(super) status: String,
    pub(super) priority: u16,
    pub(super) on_failure: String,
    pub(super) timeout_ms: u64,
    pub(super) retry: Retry,
    pub(super) lane: String,
    /// The names count: values are never shown.
    pub(super) headers: BTreeMap<String, Option<String>>,
    /// A signing secret that was just generated.
    pub(super) secret: Option<String>,
    pub(super) secrets_valid: u32,
    #[serde(default)]
    pub(super) public_keys: Vec<String>,
    pub(super) notes: String,
    #[serde(default)]
    pub(super) filter: Option<String>,
    #[serde(default)]
    pub(super) limits: Limits,
    #[serde(default)]
    pub(super) auth: Option<Auth>,
    #[serde(default)]
    pub(super) tls: Option<Tls>,
    pub(super) version: i64,
    pub(super) updated_at: DateTime<Utc>,
    /// `live`, `changed`, `new`, `removed`, `off`.
    pub(super) live: String,
    pub(super) paused: bool,
    /// Where it was asked for.
    #[serde(default)]
    pub(super) last_execution: Option<LastRun>,
}

/// What a handler calls.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Task {
    Http {
        url: String,
    },
    Script {
        path: String,
        #[serde(default)]
        args: Vec<String>,
    },
}

/// How much it is called.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(super) struct Limits {
    pub(super) concurrency: Option<u16>,
    pub(super) per_second: Option<u16>,
}

/// Who Baton is to the receiver, without the secret.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Auth {
    /// `basic`, `oauth2`.
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) username: Option<String>,
    pub(super) token_url: Option<String>,
    pub(super) client_id: Option<String>,
    pub(super) scope: Option<String>,
    pub(super) audience: Option<String>,
    /// `header`, `body`.
    pub(super) credentials_in: Option<String>,
}

/// Whom Baton trusts there, without the key.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Tls {
    pub(super) ca: Option<String>,
    pub(super) client_certificate: Option<String>,
    pub(super) verify: bool,
}

impl Tls {
    /// That of a handler which says nothing of it.
    pub(super) fn usual() -> Self {
        Self { ca: None, client_certificate: None, verify: true }
    }
}

/// When a failed call is tried again.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct Retry {
    pub(super) max_attempts: u32,
    pub(super) first_delay_ms: u64,
    pub(super) max_delay_ms: u64,
}

/// How much of a target the table shows, and how much when it is pointed at, in characters.
const SHOWN_MAX: usize = 120;
const TITLE_MAX: usize = 400;

fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// A text that breaks behind its slashes first, and within a word only where it has to.
fn breakable(text: &str) -> Markup {
    html! { @for part in text.split_inclusive('/') { (part) @if part.ends_with('/') { wbr; } } }
}

impl Task {
    /// Type and place, as the table shows them.
    pub(super) fn shown(&self) -> Markup {
        match self {
            Self::Http { url } => {
                let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
                html! { span.kind { (scheme) } code title=(cut(url, TITLE_MAX)) { (breakable(&cut(rest, SHOWN_MAX))) } }
            }
            Self::Script { path, args } => {
                let line = std::iter::once(path).chain(args).map(String::as_str).collect::<Vec<_>>().join(" ");
                html! { span.kind { "script" } code title=(cut(&line, TITLE_MAX)) { (breakable(&cut(&line, SHOWN_MAX))) } }
            }
        }
    }
}
