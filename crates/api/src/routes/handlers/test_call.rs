//! A test call: the saved handler, once, with a sample event. Nothing of it is stored.

use axum::Json;
use axum::extract::State;
use baton_dispatcher::call::{Call, Opened, Target};
use baton_domain::handler::HandlerSpec;
use baton_domain::mask::mask_json;
use baton_domain::{CallStatus, EventId, Execution as Frame, ExecutionId, GenerationNumber, HandlerId, Outcome, Seq, Verdict};
use baton_domain::{NewEvent, event};
use baton_storage::Vault;
use chrono::{DateTime, Utc};

use super::TAG;
use crate::problem::{Code, Problem};
use crate::raw::raw;
use crate::request::{Id, NoParams, OptionalBody, QueryString, no_such};
use crate::routes::events::sample::{self, SampleInput};
use crate::routes::executions::{Execution, Sent};
use crate::state::ApiState;

/// What tells a receiver that a call is a test.
const TEST_HEADER: &str = "baton-test";
/// What a client is advised to wait when too many test calls run, in seconds.
const RETRY_SECONDS: u32 = 5;

/// Calls the saved handler once with a sample event.
///
/// The call is made at once, under no lane, without a retry, whatever the handler's filter and limits say, and is not kept in the log. It
/// carries the header `baton-test: 1`.
#[utoipa::path(post, path = "/v1/handlers/{id}/test", tag = TAG, request_body(content = Option<SampleInput>, description = "The event; a built-in sample without"),
    params(("id" = i64, Path, description = "The handler's id")),
    responses((status = 200, body = Execution, description = "How it went; `status` says whether the handler did it")))]
pub(super) async fn test_handler(
    State(state): State<ApiState>,
    Id(id): Id<HandlerId>,
    QueryString(NoParams {}): QueryString<NoParams>,
    OptionalBody(input): OptionalBody<SampleInput>,
) -> Result<Json<Execution>, Problem> {
    let saved = state.store.handler(id).await?.ok_or_else(|| no_such::<HandlerId>(id))?;
    let event = sample::event(&state, &saved.spec.event, input.unwrap_or_default()).await?;
    let Ok(_turn) = state.test_calls.try_acquire() else {
        return Err(Problem::new(Code::Overloaded, "Too many test calls run already; try again.").retry_after(RETRY_SECONDS));
    };
    let generation = state.cache.live().map(|live| live.number);
    let (outcome, sent) = call(&state, &saved.spec, &event, generation).await;
    let execution = Execution::of_test(frame(&saved.spec, event, generation), generation.map(|number| number.0), outcome);
    Ok(Json(execution.with(sent)))
}

/// How it went, and what was sent; nothing of a handler that no call can be made of.
async fn call(
    state: &ApiState,
    handler: &HandlerSpec,
    event: &NewEvent,
    generation: Option<GenerationNumber>,
) -> (Outcome, Option<Sent>) {
    let started_at = Utc::now();
    let target = match target(handler, &state.vault) {
        Ok(target) => target,
        Err(reason) => return (failed(reason, started_at), None),
    };
    let body = |data: &str| event::body(&event.events_id, &event.object_id, &event.dt, data);
    let call = Call {
        event_id: event.id,
        events_id: &event.events_id,
        object_id: &event.object_id,
        handler_id: handler.id,
        // A receiver sees 0 where there is no generation yet.
        generation: generation.unwrap_or(GenerationNumber(0)),
        attempt: 1,
        body: body(&event.data).into(),
    };
    let outcome = state.caller.call(&target, &call).await;
    let sent = Sent::of(handler, &call, outcome.started_at, raw(body(&mask_json(&event.data)))).with_header(TEST_HEADER, "1");
    (outcome, Some(sent))
}

/// The handler ready to be called, its secrets opened.
fn target(handler: &HandlerSpec, vault: &Vault) -> Result<Target, String> {
    let mut opened = Opened::of(handler, vault)?;
    opened.headers.push((TEST_HEADER.to_owned(), "1".to_owned()));
    Target::new(handler, opened)
}

fn failed(reason: String, started_at: DateTime<Utc>) -> Outcome {
    Outcome { verdict: Verdict::Failed, error: Some(reason), response: None, started_at, duration: std::time::Duration::ZERO }
}

/// What would be stored of the call, before it is known how it went.
fn frame(handler: &HandlerSpec, event: NewEvent, generation: Option<GenerationNumber>) -> Frame {
    Frame {
        id: ExecutionId::generate(),
        event_id: EventId(event.id.0),
        seq: Seq(0),
        events_id: event.events_id,
        object_id: event.object_id,
        handler_id: handler.id,
        handler_name: handler.name.clone(),
        priority: handler.priority,
        generation: generation.unwrap_or(GenerationNumber(0)),
        attempt: 1,
        status: CallStatus::Skipped,
        started_at: event.received_at,
        duration_ms: 0,
        error: None,
        response: None,
        retry_at: None,
    }
}
