//! What was sent in a call: rebuilt from its event and from the generation that its handler was taken from.

use std::collections::BTreeMap;

use baton_dispatcher::call::{Call, shown};
use baton_domain::handler::HandlerSpec;
use baton_domain::mask::mask_json;
use baton_domain::{CallStatus, Execution, event};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::problem::Problem;
use crate::raw::raw;
use crate::routes::handlers::Task;
use crate::state::ApiState;

/// What was sent.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Sent {
    /// What was called, as it was in the generation of the execution.
    task: Task,
    /// The headers of an HTTP call by lower-case name, but for those of the connection itself; the environment of a script. The
    /// operator's own values and signatures are masked.
    #[schema(example = json!({"webhook-id": "0192f0c1-0000-7000-8000-000000000001-5", "baton-attempt": "1"}))]
    headers: BTreeMap<String, String>,
    /// The body, or the script's standard input; credentials masked.
    #[schema(schema_with = crate::openapi::data)]
    body: Box<RawValue>,
}

impl Sent {
    /// What a call that begins at `at` sends, its body given with credentials masked.
    pub(crate) fn of(handler: &HandlerSpec, call: &Call<'_>, at: DateTime<Utc>, body: Box<RawValue>) -> Self {
        Self { task: (&handler.task).into(), headers: shown(handler, call, at).into_iter().collect(), body }
    }

    /// The same with another header, where there are any.
    pub(crate) fn with_header(mut self, name: &str, value: &str) -> Self {
        if matches!(self.task, Task::Http(_)) {
            self.headers.insert(name.to_owned(), value.to_owned());
        }
        self
    }
}

/// What was sent; `None` for what was skipped, and where event or generation are not kept any more.
///
/// # Errors
/// When the database does not answer.
pub(super) async fn sent(state: &ApiState, execution: &Execution) -> Result<Option<Sent>, Problem> {
    if execution.status == CallStatus::Skipped {
        return Ok(None);
    }
    let Some(event) = state.store.event(execution.event_id).await? else { return Ok(None) };
    let Some(snapshot) = state.generation(execution.generation).await? else { return Ok(None) };
    let Some(handler) = snapshot.handler(execution.handler_id) else { return Ok(None) };
    let call = Call {
        event_id: execution.event_id,
        events_id: &event.events_id,
        object_id: &event.object_id,
        handler_id: handler.id,
        generation: execution.generation,
        attempt: execution.attempt,
        // What is shown beside the body does not depend on it.
        body: Vec::new().into(),
    };
    let body = raw(event::body(&event.events_id, &event.object_id, &event.dt, &mask_json(&event.data)));
    Ok(Some(Sent::of(handler, &call, execution.started_at, body)))
}
