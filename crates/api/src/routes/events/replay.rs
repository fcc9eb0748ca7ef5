//! Replay of one event: under today's handlers, or as it was.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use baton_domain::{EventId, GenerationNumber, HandlerId, Snapshot};
use baton_handler_cache::Hint;
use baton_storage::{StorageError, StoredEvent};
use chrono::Utc;

use super::TAG;
use super::shape::{EventReplayInput, ReplayUnder, Replayed};
use crate::problem::{Code, Problem};
use crate::request::{Id, NoParams, OptionalBody, QueryString, no_such};
use crate::state::ApiState;
use crate::words::EventStatus;

/// Sends an event on its way again, to all its handlers or to one.
///
/// It takes a new place in the order of its object, and runs under the generation that is live then, or under the one that it first ran
/// under.
#[utoipa::path(post, path = "/v1/events/{id}/replay", tag = TAG, params(("id" = uuid::Uuid, Path, description = "The event's id")),
    request_body(content = Option<EventReplayInput>, description = "To whom and under which handlers; to all that are live without"),
    responses((status = 202, body = Replayed, description = "The event is on its way again")))]
pub(super) async fn replay_event(
    State(state): State<ApiState>,
    Id(id): Id<EventId>,
    QueryString(NoParams {}): QueryString<NoParams>,
    OptionalBody(input): OptionalBody<EventReplayInput>,
) -> Result<(StatusCode, Json<Replayed>), Problem> {
    let EventReplayInput { handler_id, under } = input.unwrap_or_default();
    let stored = state.store.event(id).await?.ok_or_else(|| no_such::<EventId>(id))?;
    let generation = check(&state, &stored, handler_id.map(HandlerId), under).await?;
    match state.store.replay_event_under(id, handler_id.map(HandlerId), generation, Utc::now()).await {
        Ok(_) => state.cache.hints().send(Hint::Appended),
        Err(StorageError::NotFound) => return Err(no_such::<EventId>(id)),
        Err(StorageError::Conflict) => return Err(removed(generation)),
        Err(error) => return Err(error.into()),
    }
    let generation = generation.map(|number| number.0);
    let replayed = Replayed { id: id.0, status: EventStatus::Pending, handler_id, generation };
    Ok((StatusCode::ACCEPTED, Json(replayed)))
}

/// The generation that the replay is to run under, unless it is the live one; and that the handler gets the event there.
async fn check(
    state: &ApiState,
    event: &StoredEvent,
    handler_id: Option<HandlerId>,
    under: ReplayUnder,
) -> Result<Option<GenerationNumber>, Problem> {
    match under {
        ReplayUnder::Live => {
            if let Some(handler_id) = handler_id {
                let live = state.cache.refresh().await?;
                check_handler(live.as_deref(), handler_id, &event.events_id, "live")?;
            }
            Ok(None)
        }
        ReplayUnder::Original => {
            let number = state.store.original_generation(event).await?.ok_or_else(never_ran)?;
            let generation = state.store.generation(number).await?.ok_or_else(|| removed(Some(number)))?;
            if let Some(handler_id) = handler_id {
                check_handler(Some(&generation.snapshot), handler_id, &event.events_id, &format!("in generation {number}"))?;
            }
            Ok(Some(number))
        }
    }
}

/// A replay to a handler that would not get it is a mistake.
fn check_handler(snapshot: Option<&Snapshot>, id: HandlerId, events_id: &str, there: &str) -> Result<(), Problem> {
    match snapshot.and_then(|snapshot| snapshot.handler(id)) {
        None => Err(Problem::field("handler_id", format!("the handler {id} is not {there}, so the event would be skipped"))),
        Some(handler) if handler.event != events_id => {
            Err(Problem::field("handler_id", format!("the handler {id} is {there} for {}, not for {events_id}", handler.event)))
        }
        Some(_) => Ok(()),
    }
}

fn never_ran() -> Problem {
    let detail = "The event has not run under any generation, so there is nothing to repeat; replay it under `live`.";
    Problem::new(Code::NoOriginal, detail)
}

fn removed(generation: Option<GenerationNumber>) -> Problem {
    let which = generation.map_or_else(String::new, |number| format!(" {number}"));
    let detail = format!("The generation{which} that the event ran under was removed; replay it under `live`.");
    Problem::new(Code::NoOriginal, detail)
}
