//! The chain of one event: its handlers in stages, and how far each has come.

use std::collections::BTreeMap;

use baton_domain::handler::HandlerSpec;
use baton_domain::{CallStatus, EventStatus, Execution, HandlerId, Snapshot};
use baton_storage::{DeliveryState, StoredDelivery, StoredEvent};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::words::OnFailure;

/// Handlers of equal priority, which run side by side.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Stage {
    priority: u16,
    deliveries: Vec<Delivery>,
}

/// One handler's part in an event.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Delivery {
    handler_id: i64,
    name: String,
    state: State,
    /// How often it was tried.
    attempts: u32,
    /// When it is tried again.
    #[schema(required)]
    next_attempt_at: Option<DateTime<Utc>>,
    /// Null for a handler that is not in the generation that the chain runs under.
    #[schema(required)]
    on_failure: Option<OnFailure>,
    /// Null for a handler that is not in the generation that the chain runs under.
    #[schema(required)]
    lane: Option<String>,
}

/// How far a delivery has come. `waiting`: not tried yet, or on its way again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = DeliveryState)]
pub(crate) enum State {
    Waiting,
    Retrying,
    Succeeded,
    Dead,
    Skipped,
}

/// The chain of an event. `snapshot` is the generation that it ran under, or the live one while it has not begun. Handlers that it was
/// delivered to under another generation are shown too.
pub(super) fn chain(
    event: &StoredEvent,
    snapshot: Option<&Snapshot>,
    deliveries: &[StoredDelivery],
    executions: &[Execution],
) -> Vec<Stage> {
    let planned = snapshot.map_or(&[][..], |snapshot| snapshot.chain(&event.events_id));
    let has_ended = !matches!(event.status, EventStatus::Pending | EventStatus::Retrying);
    let mut stages: BTreeMap<u16, Vec<Delivery>> = BTreeMap::new();
    for handler in planned {
        let past = Past::of(handler.id, deliveries, executions);
        stages.entry(handler.priority).or_default().push(past.delivery(handler, has_ended));
    }
    for (id, name, priority) in others(deliveries, executions) {
        if !planned.iter().any(|handler| handler.id == id) {
            let past = Past::of(id, deliveries, executions);
            stages.entry(priority).or_default().push(past.unplanned(id, name, has_ended));
        }
    }
    stages.into_iter().map(|(priority, deliveries)| Stage { priority, deliveries }).collect()
}

/// Every handler that something was done for: id, and name and priority as last known.
fn others(deliveries: &[StoredDelivery], executions: &[Execution]) -> Vec<(HandlerId, String, u16)> {
    let mut known: BTreeMap<HandlerId, (String, u16)> = BTreeMap::new();
    for delivery in deliveries {
        known.insert(delivery.handler_id, (delivery.handler_name.clone(), u16::MAX));
    }
    for execution in executions {
        known.insert(execution.handler_id, (execution.handler_name.clone(), execution.priority));
    }
    known.into_iter().map(|(id, (name, priority))| (id, name, priority)).collect()
}

/// What was done for one handler last.
struct Past<'a> {
    delivery: Option<&'a StoredDelivery>,
    execution: Option<&'a Execution>,
}

impl<'a> Past<'a> {
    fn of(id: HandlerId, deliveries: &'a [StoredDelivery], executions: &'a [Execution]) -> Self {
        let execution = executions.iter().filter(|e| e.handler_id == id).max_by_key(|e| (e.seq, e.attempt, e.started_at));
        let delivery = deliveries.iter().filter(|d| d.handler_id == id).max_by_key(|d| d.seq);
        // A later dispatch of the event, a replay, counts more than what an earlier one left behind.
        let delivery = delivery.filter(|d| execution.is_none_or(|e| e.seq <= d.seq));
        Self { delivery, execution }
    }

    /// State, attempts, and when it is tried again.
    fn state(&self, has_ended: bool) -> (State, u32, Option<DateTime<Utc>>) {
        match (self.delivery, self.execution) {
            (Some(delivery), _) => {
                let state = match delivery.state {
                    DeliveryState::Retrying => State::Retrying,
                    DeliveryState::Dead => State::Dead,
                };
                (state, delivery.attempts, delivery.next_attempt_at)
            }
            (None, Some(execution)) => {
                let state = match execution.status {
                    CallStatus::Success => State::Succeeded,
                    CallStatus::Skipped => State::Skipped,
                    CallStatus::Fail if has_ended => State::Dead,
                    // Its dead letter was taken to be replayed.
                    CallStatus::Fail => State::Waiting,
                };
                // A delivery that is skipped was not called this time.
                let attempts =
                    if execution.status == CallStatus::Skipped { execution.attempt.saturating_sub(1) } else { execution.attempt };
                (state, attempts, None)
            }
            (None, None) => (if has_ended { State::Skipped } else { State::Waiting }, 0, None),
        }
    }

    fn delivery(&self, handler: &HandlerSpec, has_ended: bool) -> Delivery {
        let on_failure = Some(handler.on_failure.into());
        Delivery {
            on_failure,
            lane: Some(handler.effective_lane()),
            ..self.unplanned(handler.id, handler.name.clone(), has_ended)
        }
    }

    fn unplanned(&self, id: HandlerId, name: String, has_ended: bool) -> Delivery {
        let (state, attempts, next_attempt_at) = self.state(has_ended);
        Delivery { handler_id: id.0, name, state, attempts, next_attempt_at, on_failure: None, lane: None }
    }
}
