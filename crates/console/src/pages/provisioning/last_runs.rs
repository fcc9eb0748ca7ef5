//! How the last call of each handler of a page went.

use chrono::{DateTime, Utc};
use maud::{Markup, html};
use serde::Deserialize;

use crate::components::time;

/// The last execution of a handler.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct LastRun {
    status: String,
    started_at: DateTime<Utc>,
    duration_ms: i64,
    error: Option<String>,
    retry_at: Option<DateTime<Utc>>,
}

/// When it was and how it went.
pub(super) fn shown(run: Option<&LastRun>) -> Markup {
    let Some(run) = run else { return html! { span.muted { "never" } } };
    let error = run.error.as_deref();
    match (run.status.as_str(), run.retry_at) {
        ("fail", Some(at)) => {
            html! { span.bad title=[error] { "failed " (time::ago(run.started_at)) ", retry " (time::next(at)) } }
        }
        ("fail", None) => html! { span.bad title=[error] { "failed " (time::ago(run.started_at)) } },
        ("skipped", _) => html! { span.muted title=[error] { "skipped " (time::ago(run.started_at)) } },
        _ => html! { span.muted { (time::ago(run.started_at)) ", " (time::took(run.duration_ms)) } },
    }
}
