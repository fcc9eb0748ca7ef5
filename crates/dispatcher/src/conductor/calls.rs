//! Starting calls, and what follows from their outcomes.

use std::sync::Arc;

use baton_domain::handler::Task;
use baton_domain::scheduler::Ending;
use baton_domain::{CallStatus, Execution, ExecutionId, HandlerId, Seq, Verdict};
use baton_storage::{DeliveryRow, DeliveryState, FedDispatch};
use chrono::{DateTime, SubsecRound, Utc};
use tokio::time::Instant;

use super::order::{ASKED_AT_ONCE_BYTES, Called, Order, carry_out, unwanted};
use super::planning::body_of;
use super::{Conductor, Message, pace};
use crate::compiled::Ready;
use crate::recorder::{CallTimes, Change};
use crate::settings::{LEASE_MARGIN, UNRECORDED_MAX, delta};

/// What became of a call that was to be started.
enum Start {
    Begun,
    /// Its handler is called often enough for now.
    TooEarly,
    /// Its body has to be loaded first.
    WithoutBody,
    /// There is nothing to call, or not any more.
    Not,
}

impl Conductor {
    /// Starts as many calls as there are slots for.
    pub(super) fn start_calls(&mut self) {
        if self.unrecorded >= UNRECORDED_MAX || *self.tools.lease.borrow() < Instant::now() + LEASE_MARGIN {
            return;
        }
        let mut to_load = Vec::new();
        while self.calls < self.tools.settings.calls_max {
            let (live, settings, holds, owned) = (&self.live, &self.tools.settings, &self.holds, self.owned.len());
            let limit = |handler| {
                let spec = live.handler(handler).map(|h| &h.spec);
                let of_task = match spec.map(|spec| &spec.task) {
                    Some(Task::Script { .. }) => settings.handler_calls_max.min(settings.scripts_max),
                    _ => settings.handler_calls_max,
                };
                let limits = spec.map(|spec| spec.limits).unwrap_or_default();
                holds.calls(handler, pace::concurrency(limits, owned, of_task))
            };
            let Some((seq, handler)) = self.ready.pop(limit) else { break };
            match self.start_call(seq, handler) {
                Start::Begun => {}
                Start::TooEarly => self.ready.park(seq, handler),
                Start::Not => self.ready.release(handler),
                Start::WithoutBody => {
                    self.ready.release(handler);
                    if self.without_body.get(&seq).is_some_and(|waiting| waiting.len() == 1) {
                        to_load.push(seq);
                    }
                }
            }
        }
        if !to_load.is_empty() {
            self.load_bodies(&to_load);
        }
    }

    fn start_call(&mut self, seq: Seq, handler: HandlerId) -> Start {
        let Some(dispatch) = self.dispatches.get_mut(&seq) else { return Start::Not };
        let Some(object) = self.objects.get(&dispatch.key) else { return Start::Not };
        let Some(delivery) = object.queue.chain(seq).and_then(|chain| chain.delivery(handler)) else { return Start::Not };
        let attempt = delivery.attempts + 1;
        // The first attempt runs under the chain's generation, a retry as the handler is now.
        let generation = if attempt == 1 { &dispatch.under } else { &self.live };
        let Some(under) = generation.handler(handler) else {
            self.skip_gone(seq, handler);
            return Start::Not;
        };
        let Some(body) = &dispatch.body else {
            self.without_body.entry(seq).or_default().push(handler);
            return Start::WithoutBody;
        };
        // What the filter does not want must not use up the pace, so there it is asked here already.
        let limits = under.spec.limits;
        let is_asked = limits.per_second.is_some() && body.len() <= ASKED_AT_ONCE_BYTES;
        let wanted = !is_asked || unwanted(under, body).is_none();
        if wanted && !self.paces.admit(handler, limits, self.owned.len()) {
            return Start::TooEarly;
        }
        let is_events_first = !std::mem::replace(&mut dispatch.called, true);
        let order = Order {
            seq,
            partition: dispatch.partition,
            event_id: dispatch.event_id,
            events_id: Arc::clone(&dispatch.events_id),
            object_id: dispatch.object_id.clone(),
            under: Arc::clone(under),
            generation: generation.number(),
            attempt,
            is_events_first,
            body: body.clone(),
            not_after: *self.tools.lease.borrow() - LEASE_MARGIN,
        };
        if is_events_first {
            let waited = (Utc::now() - dispatch.received_at).to_std().unwrap_or_default();
            self.counted.first_call(waited);
        }
        self.calls += 1;
        *self.busy.entry(order.partition).or_default() += 1;
        let (caller, outbox) = (self.tools.caller.clone(), self.tools.outbox.clone());
        tokio::spawn(async move {
            let _ = outbox.send(Message::Called(Box::new(carry_out(&caller, order).await)));
        });
        Start::Begun
    }

    /// Bodies that had been put aside are here.
    pub(super) fn payloads_came(&mut self, wanted: &[Seq], brought: baton_storage::Result<Vec<FedDispatch>>) {
        match brought {
            Ok(rows) => {
                for row in rows {
                    self.set_body(row.seq, body_of(&row));
                }
            }
            Err(error) => tracing::warn!(%error, "bodies of events could not be loaded"),
        }
        let now = Utc::now();
        for seq in wanted {
            let Some(handlers) = self.without_body.remove(seq) else { continue };
            let Some(dispatch) = self.dispatches.get(seq) else { continue };
            if dispatch.body.is_some() {
                handlers.into_iter().for_each(|handler| self.ready.push(*seq, handler));
            } else {
                let key = Arc::clone(&dispatch.key);
                self.put_back_without_body((*seq, handlers), now);
                self.timers.set(now + delta(crate::settings::DATABASE_PAUSE.1), key);
            }
        }
    }

    /// Takes back deliveries that wait for a body.
    pub(super) fn put_back_without_body(&mut self, (seq, handlers): (Seq, Vec<HandlerId>), now: DateTime<Utc>) {
        let Some(object) = self.dispatches.get(&seq).and_then(|d| self.objects.get_mut(&d.key)) else { return };
        for handler in handlers {
            object.queue.put_back(seq, handler, now);
        }
    }

    pub(super) fn called(&mut self, called: Called) {
        self.calls -= 1;
        self.ready.release(called.handler);
        let partition = called.partition;
        let key = self.dispatches.get(&called.seq).map(|dispatch| Arc::clone(&dispatch.key));
        match &called.outcome {
            Some(outcome) => {
                self.note_outcome(called.seq, called.handler, outcome.verdict);
                if let Some(change) = self.settle(called) {
                    self.write(change);
                }
            }
            None => {
                if let Some(object) = key.as_ref().and_then(|key| self.objects.get_mut(key)) {
                    object.queue.put_back(called.seq, called.handler, Utc::now());
                }
            }
        }
        self.no_longer_busy(partition);
        if let Some(key) = key {
            self.start_ready(&key);
        }
    }

    /// What follows from an outcome, for the queue and for the tables.
    fn settle(&mut self, called: Called) -> Option<Change> {
        let Called { seq, handler, under, generation, is_events_first, outcome, .. } = called;
        let outcome = outcome?;
        if outcome.verdict == Verdict::Unwanted {
            self.skip(seq, handler, outcome.error.unwrap_or_default());
            return None;
        }
        let dispatch = self.dispatches.get_mut(&seq)?;
        let object = self.objects.get_mut(&dispatch.key)?;
        let attempt = object.queue.chain(seq)?.delivery(handler)?.attempts + 1;
        let ended_at = Utc::now().trunc_subsecs(6);
        let (ending, due) = judge(&under, attempt, outcome.verdict, ended_at);
        let execution = Execution {
            id: ExecutionId::generate(),
            event_id: dispatch.event_id,
            seq,
            events_id: dispatch.events_id.to_string(),
            object_id: dispatch.object_id.clone(),
            handler_id: handler,
            handler_name: under.spec.name.clone(),
            priority: under.spec.priority,
            generation,
            attempt,
            status: if ending == Some(Ending::Succeeded) { CallStatus::Success } else { CallStatus::Fail },
            started_at: outcome.started_at,
            duration_ms: i64::try_from(outcome.duration.as_millis()).unwrap_or(i64::MAX),
            error: outcome.error,
            response: outcome.response,
            retry_at: due,
        };
        self.counted.call(&under.spec.task, outcome.duration);
        log_call(&execution, self.counted.execution(&execution));
        let mut change = Change::new(dispatch.partition, Arc::clone(&dispatch.key));
        change.times = Some(CallTimes {
            duration: outcome.duration,
            waited: (outcome.started_at - dispatch.received_at).to_std().unwrap_or_default(),
            is_events_first,
        });
        if ending != Some(Ending::Succeeded) {
            change.unsuccessful.push(delivery_row(&execution, due, ended_at));
        } else if attempt > 1 {
            change.settled.push((seq, handler));
        }
        change.executions.push(execution);
        match (ending, due) {
            (None, Some(due)) => {
                object.queue.retry(seq, handler, due);
                self.timers.set(due, Arc::clone(&dispatch.key));
                if !std::mem::replace(&mut dispatch.retrying, true) {
                    change.started = Some((seq, dispatch.under.number()));
                }
            }
            (ending, _) => self.end(&mut change, seq, handler, ending.unwrap_or(Ending::Dead), true),
        }
        Some(change)
    }

    /// Ends a delivery, and with it what it stops and perhaps the chain.
    fn end(&mut self, change: &mut Change, seq: Seq, handler: HandlerId, ending: Ending, called: bool) {
        let Some(object) = self.dispatches.get(&seq).and_then(|d| self.objects.get_mut(&d.key)) else { return };
        let settled = object.queue.end(seq, handler, ending, called);
        for skipped in settled.skipped {
            let reason = format!("not called: handler {handler}, whose failure stops the chain, is dead");
            change.executions.extend(self.skipped(seq, skipped, 0, reason));
        }
        if let Some(chain) = settled.finished {
            change.finished = self.finished(&chain).and_then(|end| end.finished);
            self.forget(seq);
        }
    }

    /// Ends a delivery whose handler is not in the live generation any more.
    pub(super) fn skip_gone(&mut self, seq: Seq, handler: HandlerId) {
        let reason = format!("not tried again: the handler is not in generation {} any more", self.live.number());
        self.skip(seq, handler, reason);
    }

    /// Ends a delivery without a call.
    fn skip(&mut self, seq: Seq, handler: HandlerId, reason: String) {
        let Some(dispatch) = self.dispatches.get_mut(&seq) else { return };
        // Not called, but something of it is recorded from now on.
        dispatch.called = true;
        let delivery = self.objects.get(&dispatch.key).and_then(|object| object.queue.chain(seq)?.delivery(handler));
        let attempts = delivery.map_or(0, |delivery| delivery.attempts);
        let mut change = Change::new(dispatch.partition, Arc::clone(&dispatch.key));
        change.executions.extend(self.skipped(seq, handler, attempts, reason));
        change.settled.push((seq, handler));
        self.end(&mut change, seq, handler, Ending::Skipped, false);
        self.write(change);
    }

    /// The execution that says why a delivery was not called.
    fn skipped(&self, seq: Seq, handler: HandlerId, attempt: u32, reason: String) -> Option<Execution> {
        let dispatch = self.dispatches.get(&seq)?;
        let spec = dispatch.under.handler(handler).map(|h| &h.spec);
        let skipped = Execution {
            id: ExecutionId::generate(),
            event_id: dispatch.event_id,
            seq,
            events_id: dispatch.events_id.to_string(),
            object_id: dispatch.object_id.clone(),
            handler_id: handler,
            handler_name: spec.map_or_else(|| format!("handler {handler}"), |s| s.name.clone()),
            priority: spec.map_or(0, |s| s.priority),
            generation: self.live.number(),
            attempt,
            status: CallStatus::Skipped,
            started_at: Utc::now().trunc_subsecs(6),
            duration_ms: 0,
            error: Some(reason),
            response: None,
            retry_at: None,
        };
        self.counted.execution(&skipped);
        Some(skipped)
    }
}

/// How a delivery ends by this attempt, or when it is due again.
fn judge(under: &Ready, attempt: u32, verdict: Verdict, now: DateTime<Utc>) -> (Option<Ending>, Option<DateTime<Utc>>) {
    match verdict {
        Verdict::Succeeded => (Some(Ending::Succeeded), None),
        Verdict::Retry { after } if attempt < under.spec.retry.max_attempts => {
            let delay = under.spec.retry.delay(attempt, rand::random(), after);
            (None, Some((now + delta(delay)).trunc_subsecs(6)))
        }
        Verdict::Retry { .. } | Verdict::Failed => (Some(Ending::Dead), None),
        Verdict::Unwanted => (Some(Ending::Skipped), None),
    }
}

fn delivery_row(execution: &Execution, due: Option<DateTime<Utc>>, now: DateTime<Utc>) -> DeliveryRow {
    DeliveryRow {
        seq: execution.seq,
        handler_id: execution.handler_id,
        event_id: execution.event_id,
        events_id: execution.events_id.clone(),
        object_id: execution.object_id.clone(),
        handler_name: execution.handler_name.clone(),
        generation: execution.generation,
        state: if due.is_some() { DeliveryState::Retrying } else { DeliveryState::Dead },
        attempts: execution.attempt,
        next_attempt_at: due,
        last_error: execution.error.clone(),
        updated_at: now,
    }
}

fn log_call(execution: &Execution, outcome: &str) {
    tracing::debug!(
        event = %execution.event_id, handler = execution.handler_id.0, attempt = execution.attempt,
        generation = execution.generation.0, outcome, error = execution.error, "called"
    );
}
