//! One call on its way: what it takes along, and what it comes back with.

use std::sync::Arc;

use baton_domain::{EventId, GenerationNumber, HandlerId, ObjectId, Outcome, PartitionId, Seq, Verdict};
use bytes::Bytes;
use chrono::Utc;
use tokio::time::Instant;

use crate::call::{Call, Caller};
use crate::compiled::Ready;

/// The largest event of which a filter is asked in between, in bytes of its body.
pub(super) const ASKED_AT_ONCE_BYTES: usize = 16 * 1024;

/// A call that ended.
pub(crate) struct Called {
    pub(super) seq: Seq,
    pub(super) handler: HandlerId,
    pub(super) partition: PartitionId,
    /// The handler as it was called.
    pub(super) under: Arc<Ready>,
    pub(super) generation: GenerationNumber,
    /// Whether nothing had been called for the event before.
    pub(super) is_events_first: bool,
    /// `None` when it was not made: the lease was over before it could begin.
    pub(super) outcome: Option<Outcome>,
}

/// What a task that calls needs of its own.
pub(super) struct Order {
    pub(super) seq: Seq,
    pub(super) partition: PartitionId,
    pub(super) event_id: EventId,
    pub(super) events_id: Arc<str>,
    pub(super) object_id: ObjectId,
    pub(super) under: Arc<Ready>,
    pub(super) generation: GenerationNumber,
    pub(super) attempt: u32,
    pub(super) is_events_first: bool,
    pub(super) body: Bytes,
    /// When it is too late to begin: another dispatcher may own the partition by then.
    pub(super) not_after: Instant,
}

/// Makes the call, unless the handler's filter does not want it.
pub(super) async fn carry_out(caller: &Caller, order: Order) -> Called {
    let Order { seq, partition, event_id, events_id, object_id, under, generation, attempt, is_events_first, body, not_after } =
        order;
    let handler = under.spec.id;
    let not_called = |verdict, reason| Outcome {
        verdict,
        error: Some(reason),
        response: None,
        started_at: Utc::now(),
        duration: std::time::Duration::ZERO,
    };
    let outcome = match &under.target {
        // Much may have happened between the decision and this task's turn: the process may have been stopped in between.
        Ok(_) if Instant::now() > not_after => None,
        Ok(target) => match asked(&under, &body).await {
            Some((verdict, reason)) => Some(not_called(verdict, reason)),
            None => {
                let call = Call {
                    event_id,
                    events_id: &events_id,
                    object_id: &object_id,
                    handler_id: handler,
                    generation,
                    attempt,
                    body,
                };
                Some(caller.call(target, &call).await)
            }
        },
        Err(reason) => Some(not_called(Verdict::Retry { after: None }, reason.clone())),
    };
    Called { seq, handler, partition, under, generation, is_events_first, outcome }
}

/// The same where it takes no time from others: asking it of a large event takes a while.
async fn asked(under: &Arc<Ready>, body: &Bytes) -> Option<(Verdict, String)> {
    if under.filter.is_none() || body.len() <= ASKED_AT_ONCE_BYTES {
        return unwanted(under, body);
    }
    let (of, event) = (Arc::clone(under), body.clone());
    let asking = tokio::task::spawn_blocking(move || unwanted(&of, &event));
    asking
        .await
        .unwrap_or_else(|_| Some((Verdict::Retry { after: None }, "its filter could not be asked: Baton is stopping".to_owned())))
}

/// Why an event is not given to a handler: its filter does not want it, or cannot be asked of it.
pub(super) fn unwanted(under: &Ready, body: &[u8]) -> Option<(Verdict, String)> {
    match under.filter.as_ref()?.wants(body) {
        Ok(true) => None,
        Ok(false) => Some((
            Verdict::Unwanted,
            format!("not called: its filter does not want this event ({})", under.spec.filter.as_deref().unwrap_or_default()),
        )),
        // Neither call nor skip would be right: it is kept where an operator sees it and can replay it.
        Err(reason) => Some((Verdict::Failed, format!("not called: its filter cannot be asked of this event: {reason}"))),
    }
}
