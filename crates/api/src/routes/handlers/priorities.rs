//! Priorities of several handlers at once: an order is changed whole or not at all.

use std::collections::HashSet;

use axum::Json;
use axum::extract::State;
use baton_domain::{FieldErrors, HandlerId};
use baton_storage::{NewPriority, Stale};
use chrono::Utc;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::problem::{Code, Problem};
use crate::request::{Body, NoParams, QueryString, objects};
use crate::state::ApiState;

use super::TAG;

/// The most handlers that one request puts in order.
const HANDLERS_MAX: usize = 2000;

/// New priorities.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PrioritiesInput {
    #[serde(deserialize_with = "objects")]
    #[schema(min_items = 1, max_items = 2000)]
    handlers: Vec<PriorityInput>,
}

/// A handler's new priority.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PriorityInput {
    /// Each handler once.
    #[schema(minimum = 1)]
    id: i64,
    #[schema(minimum = 1, maximum = 65535)]
    priority: i64,
    /// The version that is changed; where another one is stored, nothing is.
    #[schema(minimum = 1)]
    version: i64,
}

/// The handlers as they are saved now, in the order of the request.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Priorities {
    handlers: Vec<Priority>,
}

/// A handler's priority as it is saved.
#[derive(Debug, Serialize, ToSchema)]
struct Priority {
    id: i64,
    priority: u16,
    version: i64,
}

/// Changes the priorities of several handlers, all or none.
///
/// Each names the version that it changes. Where others have edited or deleted any of the handlers since, nothing is changed, and `errors`
/// names those.
#[utoipa::path(post, path = "/v1/handlers/priorities", tag = TAG, request_body = PrioritiesInput,
    responses((status = 200, body = Priorities, description = "All of them are changed")))]
pub(super) async fn set_priorities(
    State(state): State<ApiState>,
    QueryString(NoParams {}): QueryString<NoParams>,
    Body(input): Body<PrioritiesInput>,
) -> Result<Json<Priorities>, Problem> {
    let new = checked(&input.handlers)?;
    let stale = state.store.set_priorities(&new, Utc::now()).await?;
    if !stale.is_empty() {
        return Err(mismatch(&new, &stale));
    }
    let handlers = new.iter().map(|new| Priority { id: new.id.0, priority: new.priority, version: new.version + 1 });
    Ok(Json(Priorities { handlers: handlers.collect() }))
}

fn checked(input: &[PriorityInput]) -> Result<Vec<NewPriority>, Problem> {
    if !(1..=HANDLERS_MAX).contains(&input.len()) {
        return Err(Problem::field("handlers", format!("must be 1 to {HANDLERS_MAX} handlers, not {}", input.len())));
    }
    let (mut errors, mut seen, mut new) = (FieldErrors::default(), HashSet::new(), Vec::with_capacity(input.len()));
    for (at, PriorityInput { id, priority, version }) in input.iter().enumerate() {
        if *id < 1 {
            errors.push(format!("handlers[{at}].id"), "must be a handler's id, 1 or above");
        } else if !seen.insert(*id) {
            errors.push(format!("handlers[{at}].id"), format!("names handler {id} once more; each has one priority"));
        }
        if *version < 1 {
            errors.push(format!("handlers[{at}].version"), "must be the handler's version, 1 or above");
        }
        match u16::try_from(*priority) {
            Ok(priority) if priority > 0 => new.push(NewPriority { id: HandlerId(*id), priority, version: *version }),
            _ => errors.push(format!("handlers[{at}].priority"), "must be 1 to 65535"),
        }
    }
    errors.or(new).map_err(Problem::invalid)
}

/// Others were faster.
fn mismatch(new: &[NewPriority], stale: &[Stale]) -> Problem {
    let mut errors = FieldErrors::default();
    for (at, new) in new.iter().enumerate() {
        match stale.iter().find(|stale| stale.id == new.id) {
            Some(Stale { version: Some(version), .. }) => {
                errors.push(format!("handlers[{at}].version"), format!("the stored version of handler {} is {version}", new.id));
            }
            Some(Stale { version: None, .. }) => {
                errors.push(format!("handlers[{at}].id"), format!("there is no handler {}", new.id));
            }
            None => {}
        }
    }
    Problem::of(Code::VersionMismatch, errors).because(
        "Somebody has edited or deleted handlers since you read them, and no priority was changed. Read again, then edit.",
    )
}
