//! The chain of one event: its handlers in stages, and how far each has come.

use std::collections::{BTreeMap, HashMap};

use baton_domain::handler::HandlerSpec;
use baton_domain::{CallStatus, EventStatus, Execution, HandlerId, Snapshot};
use baton_storage::{DeliveryState, StoredDelivery, StoredEvent};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::lanes::HeldBy;
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
    /// How often it is tried in all. Null for a handler that is not in the generation that the chain runs under.
    #[schema(required)]
    max_attempts: Option<u32>,
    /// When it is tried again.
    #[schema(required)]
    next_attempt_at: Option<DateTime<Utc>>,
    /// Null for a handler that is not in the generation that the chain runs under.
    #[schema(required)]
    on_failure: Option<OnFailure>,
    /// Null for a handler that is not in the generation that the chain runs under.
    #[schema(required)]
    lane: Option<String>,
    /// Who holds its lane while it waits; null where nobody does.
    #[schema(required)]
    held_by: Option<HeldBy>,
}

impl Stage {
    /// The lanes of the deliveries that wait.
    pub(super) fn waiting_lanes(&self) -> impl Iterator<Item = &str> {
        self.deliveries.iter().filter(|delivery| delivery.state == State::Waiting).filter_map(|delivery| delivery.lane.as_deref())
    }

    /// Says of the deliveries that wait who holds their lanes.
    pub(super) fn hold(&mut self, held: &HashMap<String, HeldBy>) {
        for delivery in self.deliveries.iter_mut().filter(|delivery| delivery.state == State::Waiting) {
            delivery.held_by = delivery.lane.as_ref().and_then(|lane| held.get(lane)).cloned();
        }
    }
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
            max_attempts: Some(handler.retry.max_attempts),
            lane: Some(handler.effective_lane()),
            ..self.unplanned(handler.id, handler.name.clone(), has_ended)
        }
    }

    fn unplanned(&self, id: HandlerId, name: String, has_ended: bool) -> Delivery {
        let (state, attempts, next_attempt_at) = self.state(has_ended);
        Delivery {
            handler_id: id.0,
            name,
            state,
            attempts,
            max_attempts: None,
            next_attempt_at,
            on_failure: None,
            lane: None,
            held_by: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use baton_domain::{EventId, ExecutionId, GenerationNumber, ObjectId, Seq};

    use super::*;

    fn execution(handler: i64, seq: i64, attempt: u32, status: CallStatus) -> Execution {
        Execution {
            id: ExecutionId::generate(),
            event_id: EventId::generate(),
            seq: Seq(seq),
            events_id: "clients.create".into(),
            object_id: ObjectId::from_json("1").unwrap(),
            handler_id: HandlerId(handler),
            handler_name: format!("handler {handler}"),
            priority: 7,
            generation: GenerationNumber(1),
            attempt,
            status,
            started_at: DateTime::UNIX_EPOCH,
            duration_ms: 1,
            error: None,
            response: None,
            retry_at: None,
        }
    }

    fn delivery(handler: i64, seq: i64, attempts: u32, state: DeliveryState) -> StoredDelivery {
        StoredDelivery {
            seq: Seq(seq),
            event_id: EventId::generate(),
            events_id: "clients.create".into(),
            object_id: ObjectId::from_json("1").unwrap(),
            handler_id: HandlerId(handler),
            handler_name: format!("handler {handler}"),
            generation: GenerationNumber(1),
            state,
            attempts,
            next_attempt_at: (state == DeliveryState::Retrying).then_some(DateTime::UNIX_EPOCH),
            last_error: None,
            updated_at: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn the_latest_thing_that_happened_counts() {
        use CallStatus::{Fail, Skipped, Success};
        use DeliveryState::{Dead, Retrying};
        let state = |deliveries: &[StoredDelivery], executions: &[Execution], has_ended| {
            let (state, attempts, next) = Past::of(HandlerId(1), deliveries, executions).state(has_ended);
            (state, attempts, next.is_some())
        };
        let failed = execution(1, 1, 1, Fail);
        assert_eq!(state(&[], &[], false), (State::Waiting, 0, false));
        assert_eq!(state(&[], &[], true), (State::Skipped, 0, false));
        assert_eq!(state(&[delivery(1, 1, 1, Retrying)], std::slice::from_ref(&failed), false), (State::Retrying, 1, true));
        assert_eq!(state(&[delivery(1, 1, 3, Dead)], std::slice::from_ref(&failed), true), (State::Dead, 3, false));
        assert_eq!(state(&[], &[failed.clone(), execution(1, 1, 2, Success)], true), (State::Succeeded, 2, false));
        // Its dead letter was taken to be replayed, then the replay succeeded beside what another dispatch had left.
        assert_eq!(state(&[], std::slice::from_ref(&failed), false), (State::Waiting, 1, false));
        assert_eq!(
            state(&[delivery(1, 1, 3, Dead)], &[failed.clone(), execution(1, 2, 1, Success)], true),
            (State::Succeeded, 1, false)
        );
        assert_eq!(state(&[delivery(2, 1, 3, Dead)], std::slice::from_ref(&failed), true), (State::Dead, 1, false));
        assert_eq!(state(&[], &[execution(1, 1, 3, Skipped)], true), (State::Skipped, 2, false));
    }

    #[test]
    fn handlers_of_another_generation_are_shown_too() {
        let event = StoredEvent {
            id: EventId::generate(),
            seq: Seq(1),
            events_id: "clients.create".into(),
            object_id: ObjectId::from_json("1").unwrap(),
            ordering_key: "client/1".into(),
            dt: String::new(),
            data: "{}".into(),
            received_at: DateTime::UNIX_EPOCH,
            status: EventStatus::Failed,
            generation: Some(GenerationNumber(1)),
            finished_at: None,
        };
        let executions = [execution(1, 1, 1, CallStatus::Success), execution(2, 1, 1, CallStatus::Fail)];
        let stages = chain(&event, None, &[delivery(2, 1, 1, DeliveryState::Dead)], &executions);
        let [Stage { priority: 7, deliveries }] = stages.as_slice() else { panic!("{stages:?}") };
        let states: Vec<_> = deliveries.iter().map(|d| (d.handler_id, d.state, d.on_failure, d.lane.clone())).collect();
        assert_eq!(states, [(1, State::Succeeded, None, None), (2, State::Dead, None, None)]);
    }
}
