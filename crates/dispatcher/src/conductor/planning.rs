//! Planning chains: which deliveries an event has, and what is already known of them.

use std::sync::Arc;

use baton_domain::scheduler::{Chain, Delivery, DeliveryState, Ending};
use baton_domain::{EventStatus, Seq, event};
use baton_storage::{FedDispatch, Finished, Progress, ProgressState};
use bytes::Bytes;
use chrono::Utc;

use super::reading::Brought;
use super::{Conductor, Dispatch, Object};
use crate::compiled::Compiled;
use crate::recorder::Change;
use crate::settings::TRACKED_OF_ONE_KEY;

impl Conductor {
    /// Takes a dispatch into memory and plans its chain; `false` when its key has no room, so that it is left in the database. `rest` says
    /// that it is read because its key lagged and has room now.
    pub(super) fn take(&mut self, row: &FedDispatch, brought: &Brought, rest: bool) -> bool {
        let known = self.dispatches.contains_key(&row.seq);
        if known || !self.owned.contains(&row.partition) || self.leaving.contains(&row.partition) {
            return true;
        }
        if self.feed.lags(&row.ordering_key) && !rest {
            return false;
        }
        if let Some(taken) = self.take_away(row, brought) {
            return taken;
        }
        if let Some(object) = self.objects.get(row.ordering_key.as_str())
            && object.queue.len() >= TRACKED_OF_ONE_KEY
            && let Some(last) = object.queue.chains().last().map(|chain| chain.seq)
        {
            self.feed.leave(&row.ordering_key, row.partition, last);
            return false;
        }
        self.plan(row, brought);
        true
    }

    /// Plans the chain of a dispatch: under the generation that is recorded for it, or else the live one, with what is recorded of it.
    pub(super) fn plan(&mut self, row: &FedDispatch, brought: &Brought) {
        let recorded = brought.progress.get(&row.seq).map_or(&[][..], Vec::as_slice);
        let began = row.generation.or_else(|| recorded.iter().map(|p| p.generation).min());
        let under = began.and_then(|number| brought.generations.get(&number)).unwrap_or(&self.live);
        let under = Arc::clone(under);
        let mut deliveries = under.plan(&row.events_id, row.handler_id);
        for delivery in &mut deliveries {
            restore(delivery, recorded);
        }
        self.hold_not_live(&under, &deliveries);
        self.hold(row, under, recorded);
        self.enqueue(row, Chain::new(row.seq, deliveries));
    }

    fn hold(&mut self, row: &FedDispatch, under: Arc<Compiled>, recorded: &[Progress]) {
        let key = self.objects.get_key_value(row.ordering_key.as_str()).map(|(key, _)| Arc::clone(key));
        let dispatch = Dispatch {
            key: key.unwrap_or_else(|| row.ordering_key.as_str().into()),
            partition: row.partition,
            event_id: row.event_id,
            events_id: row.events_id.as_str().into(),
            object_id: row.object_id.clone(),
            only: row.handler_id,
            received_at: row.received_at,
            pinned: row.generation == Some(under.number()),
            under,
            retrying: row.retrying,
            called: !recorded.is_empty(),
            body: None,
        };
        self.dispatches.insert(row.seq, dispatch);
        self.set_body(row.seq, body_of(row));
    }

    fn enqueue(&mut self, row: &FedDispatch, chain: Chain) {
        if chain.ended() {
            // Without a handler, or an owner before wrote every delivery but not the end.
            return self.finish(&chain);
        }
        let Some(key) = self.dispatches.get(&row.seq).map(|dispatch| Arc::clone(&dispatch.key)) else { return };
        for delivery in chain.deliveries() {
            if let DeliveryState::Retrying { due } = delivery.state {
                self.timers.set(due, Arc::clone(&key));
            }
        }
        let object = self.objects.entry(Arc::clone(&key));
        let object = object.or_insert_with(|| Object {
            partition: row.partition,
            queue: Default::default(),
            unwritten: 0,
            noted_idle: false,
        });
        if let Some(refused) = object.queue.plan(chain) {
            // Places come in order, so this cannot be; the event is found again by the next owner.
            tracing::error!(seq = refused.seq.0, key = &*key, "a dispatch came out of order and is left in the database");
            self.forget(refused.seq);
        }
        self.start_ready(&key);
    }

    /// Writes that a chain has ended, and forgets its dispatch.
    pub(super) fn finish(&mut self, chain: &Chain) {
        let Some(change) = self.finished(chain) else { return };
        self.write(change);
        self.forget(chain.seq);
    }

    /// What there is to write of a chain's end, added to by the caller.
    pub(super) fn finished(&self, chain: &Chain) -> Option<Change> {
        let dispatch = self.dispatches.get(&chain.seq)?;
        let status = chain.status();
        let generation = (!chain.deliveries().is_empty()).then(|| dispatch.under.number());
        self.counted.finished(status);
        let mut change = Change::new(dispatch.partition, Arc::clone(&dispatch.key));
        change.finished = Some(Finished {
            seq: chain.seq,
            event_id: dispatch.event_id,
            partition: dispatch.partition,
            events_id: dispatch.events_id.to_string(),
            status: if matches!(status, EventStatus::Pending | EventStatus::Retrying) { EventStatus::Failed } else { status },
            generation,
            finished_at: Utc::now(),
        });
        Some(change)
    }

    /// Forgets a dispatch; says whose it was to the feed, which may have left some of the same key in the database.
    pub(super) fn forget(&mut self, seq: Seq) {
        self.put_body_aside(seq);
        self.without_body.remove(&seq);
        let Some(dispatch) = self.dispatches.remove(&seq) else { return };
        let len = self.objects.get(&dispatch.key).map_or(0, |object| object.queue.len());
        if len < TRACKED_OF_ONE_KEY / 2 {
            self.feed.has_room(&dispatch.key);
        }
    }

    /// Another generation is live: chains that have not started run under it, and retries of handlers that it does not have end.
    pub(super) fn take_live_generation(&mut self) {
        let Some(snapshot) = self.tools.cache.live() else { return };
        if snapshot.number <= self.live.number() {
            return;
        }
        let before = std::mem::replace(&mut self.live, self.tools.shelf.compile(snapshot));
        self.forgive_changed(&before);
        self.paces.keep(|handler| self.live.handler(handler).is_some_and(|live| live.spec.limits.per_second.is_some()));
        self.take_pauses();
        let now = Utc::now();
        for (seq, handler) in self.ready.drain() {
            if let Some(object) = self.dispatches.get(&seq).and_then(|d| self.objects.get_mut(&d.key)) {
                object.queue.put_back(seq, handler, now);
            }
        }
        for seqs in std::mem::take(&mut self.without_body) {
            self.put_back_without_body(seqs, now);
        }
        let keys: Vec<_> = self.objects.keys().cloned().collect();
        for key in keys {
            self.replan(&key);
            self.skip_retries_without_handler(&key);
            self.start_ready(&key);
        }
    }

    fn replan(&mut self, key: &Arc<str>) {
        let Some(object) = self.objects.get_mut(key) else { return };
        let (live, dispatches) = (&self.live, &mut self.dispatches);
        let without_handler = object.queue.replan(|seq| {
            let dispatch = dispatches.get_mut(&seq).filter(|dispatch| !dispatch.pinned)?;
            dispatch.under = Arc::clone(live);
            Some(live.plan(&dispatch.events_id, dispatch.only))
        });
        for chain in without_handler {
            self.finish(&Chain::new(chain.seq, Vec::new()));
        }
    }

    fn skip_retries_without_handler(&mut self, key: &Arc<str>) {
        let Some(object) = self.objects.get(key) else { return };
        let gone = object.queue.chains().flat_map(|chain| {
            let retrying = |d: &&Delivery| matches!(d.state, DeliveryState::Retrying { .. });
            let gone = chain.deliveries().iter().filter(retrying).filter(|d| self.live.handler(d.handler).is_none());
            gone.map(|d| (chain.seq, d.handler))
        });
        for (seq, handler) in gone.collect::<Vec<_>>() {
            self.skip_gone(seq, handler);
        }
    }
}

/// What an owner before has recorded of a delivery.
fn restore(delivery: &mut Delivery, recorded: &[Progress]) {
    let Some(progress) = recorded.iter().find(|p| p.handler_id == delivery.handler) else { return };
    delivery.attempts = progress.attempts;
    delivery.state = match progress.state {
        ProgressState::Succeeded => DeliveryState::Ended(Ending::Succeeded),
        ProgressState::Skipped => DeliveryState::Ended(Ending::Skipped),
        ProgressState::Dead => DeliveryState::Ended(Ending::Dead),
        ProgressState::Retrying { next_attempt_at } => DeliveryState::Retrying { due: next_attempt_at },
    };
}

pub(super) fn body_of(row: &FedDispatch) -> Bytes {
    event::body(&row.events_id, &row.object_id, &row.dt, &row.data).into()
}
