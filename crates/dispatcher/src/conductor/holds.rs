//! Handlers whose deliveries are held: by an open circuit breaker, or because an operator paused them.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use baton_domain::breaker::{Breaker, Change, OpenBreaker, PROBE_FIRST};
use baton_domain::scheduler::Delivery;
use baton_domain::{HandlerId, Seq, Verdict};
use chrono::{DateTime, Utc};

use super::Conductor;
use crate::compiled::Compiled;
use crate::settings::delta;

/// How many objects one step lets go, so that a long backlog does not hold up everything else.
const RELEASED_AT_ONCE: usize = 256;
/// How many objects are looked at for something to probe with.
const LOOKED_AT_FOR_PROBE: usize = 32;

/// What is held, and the objects that wait for it.
#[derive(Default)]
pub(super) struct Holds {
    breakers: HashMap<HandlerId, Breaker>,
    paused: HashSet<HandlerId>,
    waiting: HashMap<HandlerId, Waiting>,
    released: VecDeque<Arc<str>>,
}

/// Objects that would go on if a handler were not held, in the order in which they came to it.
#[derive(Default)]
struct Waiting {
    order: VecDeque<Arc<str>>,
    known: HashSet<Arc<str>>,
}

impl Waiting {
    fn add(&mut self, key: &Arc<str>) {
        if self.known.insert(Arc::clone(key)) {
            self.order.push_back(Arc::clone(key));
        }
    }

    fn pop(&mut self) -> Option<Arc<str>> {
        let key = self.order.pop_front()?;
        self.known.remove(&key);
        Some(key)
    }
}

impl Holds {
    /// Whether deliveries of a handler are held.
    pub(super) fn is_held(&self, handler: HandlerId) -> bool {
        self.paused.contains(&handler) || self.breakers.get(&handler).is_some_and(Breaker::is_open)
    }

    /// How many calls of a handler may be under way, `limit` at most.
    pub(super) fn calls(&self, handler: HandlerId, limit: usize) -> usize {
        self.breakers.get(&handler).map_or(limit, |breaker| breaker.calls(limit))
    }

    /// Whether there is something to do at once.
    pub(super) fn has_released(&self) -> bool {
        !self.released.is_empty()
    }

    /// When the next probe is due.
    pub(super) fn next_probe(&self) -> Option<DateTime<Utc>> {
        let not_paused = |(handler, _): &(&HandlerId, &Breaker)| !self.paused.contains(handler);
        self.breakers.iter().filter(not_paused).filter_map(|(_, breaker)| breaker.probe_at()).min()
    }

    /// The breakers that are open, by handler.
    pub(super) fn open_breakers(&self) -> Vec<OpenBreaker> {
        let since =
            |(handler, breaker): (&HandlerId, &Breaker)| Some(OpenBreaker { handler_id: *handler, since: breaker.open_since()? });
        let mut open: Vec<_> = self.breakers.iter().filter_map(since).collect();
        open.sort_by_key(|open| open.handler_id);
        open
    }

    fn release(&mut self, handler: HandlerId) {
        if let Some(waiting) = self.waiting.remove(&handler) {
            self.released.extend(waiting.order);
        }
    }
}

impl Conductor {
    /// What of an object may start now; remembers which held handlers it waits for. `except` is probed although its breaker is open.
    pub(super) fn ready_of(&mut self, key: &Arc<str>, except: Option<HandlerId>) -> Vec<(Seq, HandlerId)> {
        let Some(object) = self.objects.get_mut(key) else { return Vec::new() };
        let asked = RefCell::new(Vec::new());
        let holds = &self.holds;
        let started = object.queue.start_ready(Utc::now(), |handler| {
            let held = except != Some(handler) && holds.is_held(handler);
            if held {
                asked.borrow_mut().push(handler);
            }
            held
        });
        for handler in asked.into_inner() {
            self.holds.waiting.entry(handler).or_default().add(key);
        }
        started
    }

    /// Whether an event of this type would find all its handlers held, and has some.
    pub(super) fn all_held(&self, events_id: &str, only: Option<HandlerId>) -> bool {
        let mut chain = self.live.plan(events_id, only).into_iter().peekable();
        chain.peek().is_some() && chain.all(|delivery| self.holds.is_held(delivery.handler))
    }

    /// Lets a breaker know of an outcome.
    pub(super) fn note_outcome(&mut self, seq: Seq, handler: HandlerId, verdict: Verdict) {
        let change = match verdict {
            Verdict::Retry { .. } => self.holds.breakers.entry(handler).or_default().failed(seq, Utc::now()),
            // Most handlers have never failed, and need no breaker.
            Verdict::Unwanted => {
                // Nobody was asked: a probe has to find something else to ask with.
                if let Some(breaker) = self.holds.breakers.get_mut(&handler).filter(|breaker| breaker.is_open()) {
                    breaker.probe_later(Utc::now());
                }
                Change::None
            }
            Verdict::Succeeded | Verdict::Failed => self.holds.breakers.get_mut(&handler).map_or(Change::None, Breaker::reached),
        };
        match change {
            Change::None => {}
            Change::Opened => {
                tracing::warn!(handler = handler.0, "keeps failing: its deliveries are held, one probe at a time goes out");
                self.put_back_waiting(|_, of| of == handler);
            }
            Change::Closed => {
                tracing::info!(handler = handler.0, "is back: its deliveries go on");
                self.holds.release(handler);
            }
        }
        if self.holds.breakers.get(&handler).is_some_and(Breaker::is_idle) {
            self.holds.breakers.remove(&handler);
        }
    }

    /// Sends out the probes that are due.
    pub(super) fn probe(&mut self) {
        let now = Utc::now();
        let due = |breaker: &Breaker| breaker.probe_at().is_some_and(|at| at <= now);
        let Holds { breakers, paused, .. } = &self.holds;
        let handlers = breakers.iter().filter(|(handler, breaker)| due(breaker) && !paused.contains(handler));
        let handlers: Vec<_> = handlers.map(|(handler, _)| *handler).collect();
        for handler in handlers {
            let probing = (0..LOOKED_AT_FOR_PROBE).any(|_| self.probe_with_next(handler));
            let Some(breaker) = self.holds.breakers.get_mut(&handler) else { continue };
            if probing {
                breaker.probe_started();
            } else {
                breaker.probe_later(now + delta(PROBE_FIRST));
            }
        }
    }

    /// Tries the next object that waits for a held handler; says whether it had something to call.
    fn probe_with_next(&mut self, handler: HandlerId) -> bool {
        let Some(key) = self.holds.waiting.get_mut(&handler).and_then(Waiting::pop) else { return false };
        if self.objects.get(&key).is_none_or(|object| self.leaving.contains(&object.partition)) {
            // An object that is put away comes back to those that wait.
            self.wake(&key);
            return false;
        }
        let started = self.ready_of(&key, Some(handler));
        let found = started.iter().any(|(_, of)| *of == handler);
        for (seq, of) in started {
            self.ready.push(seq, of);
        }
        if !found && let Some(waiting) = self.holds.waiting.get_mut(&handler) {
            // A retry that is not due yet: it keeps its place among those that wait.
            waiting.add(&key);
        }
        found
    }

    /// Lets go some of the objects whose handler is no longer held.
    pub(super) fn let_go(&mut self) {
        for _ in 0..RELEASED_AT_ONCE {
            let Some(key) = self.holds.released.pop_front() else { return };
            self.start_ready(&key);
        }
    }

    /// A probe may have been taken back, by a handover or another generation, without an outcome.
    pub(super) fn look_after_probes(&mut self) {
        let now = Utc::now();
        for (handler, breaker) in &mut self.holds.breakers {
            let under_way = self.ready.is_busy(*handler) || self.without_body.values().flatten().any(|h| h == handler);
            if breaker.is_open() && breaker.probe_at().is_none() && !under_way {
                breaker.probe_later(now);
            }
        }
    }

    /// Holds what is paused and lets go what is not any more, after a change of the pauses or of the generation.
    pub(super) fn take_pauses(&mut self) {
        let pauses = Arc::clone(&self.tools.cache.pauses().borrow());
        let mut paused: HashSet<_> = self.live.specs().filter(|spec| pauses.hold(spec)).map(|spec| spec.id).collect();
        if !pauses.is_empty() {
            let older: HashMap<_, _> =
                self.dispatches.values().map(|dispatch| (dispatch.under.number(), &dispatch.under)).collect();
            let not_live =
                older.into_values().flat_map(|under| under.specs()).filter(|spec| self.live.handler(spec.id).is_none());
            paused.extend(not_live.filter(|spec| pauses.hold(spec)).map(|spec| spec.id));
        }
        let before = std::mem::replace(&mut self.holds.paused, paused);
        if before == self.holds.paused {
            return;
        }
        let newly: HashSet<_> = self.holds.paused.difference(&before).copied().collect();
        tracing::info!(paused = self.holds.paused.len(), "what is paused has changed");
        self.put_back_waiting(|_, handler| newly.contains(&handler));
        for handler in before {
            if !self.holds.is_held(handler) {
                self.holds.release(handler);
            }
        }
    }

    /// A chain under an older generation may have handlers that are not live: a pause holds them too.
    pub(super) fn hold_not_live(&mut self, under: &Compiled, deliveries: &[Delivery]) {
        let pauses = self.tools.cache.pauses();
        let pauses = pauses.borrow();
        if pauses.is_empty() || under.number() == self.live.number() {
            return;
        }
        let not_live = deliveries.iter().map(|delivery| delivery.handler).filter(|handler| self.live.handler(*handler).is_none());
        let held = not_live.filter(|handler| under.handler(*handler).is_some_and(|ready| pauses.hold(&ready.spec)));
        self.holds.paused.extend(held);
    }

    /// Another generation is live: a handler that was changed or is gone gets a fresh start.
    pub(super) fn forgive_changed(&mut self, before: &Compiled) {
        let changed = |id: HandlerId| match (before.handler(id), self.live.handler(id)) {
            (Some(old), Some(new)) => old.spec != new.spec,
            _ => true,
        };
        let forgiven: Vec<_> = self.holds.breakers.keys().copied().filter(|id| changed(*id)).collect();
        for handler in forgiven {
            self.holds.breakers.remove(&handler);
            self.holds.release(handler);
        }
    }
}
