//! How the last call of each handler of a page went.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use futures_util::future;
use maud::{Markup, html};
use serde::Deserialize;

use super::model::Handler;
use crate::client::{ApiClient, Paged, Result};
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

/// The last executions by handler; those that never ran are left out.
///
/// # Errors
/// What the API refuses with.
pub(super) async fn of(api: &ApiClient, handlers: &[Handler]) -> Result<HashMap<i64, LastRun>> {
    let asked = handlers.iter().map(async |handler| {
        let path = format!("/v1/executions?handler_id={}&limit=1", handler.id);
        let page: Paged<LastRun> = api.get(&path).await?;
        Ok(page.items.into_iter().next().map(|run| (handler.id, run)))
    });
    let found: Result<Vec<_>> = future::join_all(asked).await.into_iter().collect();
    Ok(found?.into_iter().flatten().collect())
}

/// When it was and how it went.
pub(super) fn shown(run: Option<&LastRun>) -> Markup {
    let Some(run) = run else { return html! { span.muted { "never" } } };
    let error = run.error.as_deref();
    match (run.status.as_str(), run.retry_at) {
        ("fail", Some(at)) => {
            html! { span.bad title=[error] { "failed " (time::ago(run.started_at)) ", retry " (time::ago(at)) } }
        }
        ("fail", None) => html! { span.bad title=[error] { "failed " (time::ago(run.started_at)) } },
        ("skipped", _) => html! { span.muted title=[error] { "skipped " (time::ago(run.started_at)) } },
        _ => html! { span.muted { (time::ago(run.started_at)) ", " (time::took(run.duration_ms)) } },
    }
}
