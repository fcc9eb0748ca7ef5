//! The queue against a naive model of the rules, step by step, on random stories of one object.

mod naive;
mod promises;
mod steps;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use proptest::sample::Index;

use self::naive::{Fate, Happening, Model, Pair, Part};
use self::steps::{Step, Then, steps, steps_without_replan};
use super::super::{Chain, Delivery, DeliveryState, Ending, ObjectQueue, Settled};
use crate::ids::{HandlerId, Seq};

/// A queue and the model beside it.
#[derive(Default)]
struct Run {
    queue: ObjectQueue,
    model: Model,
    /// The events whose finished chains the queue has handed out, in that order.
    finished: Vec<i64>,
    /// The events that a new generation had no handlers for.
    without: Vec<i64>,
    published: i64,
}

fn instant(second: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(second)
}

fn ids((event, handler): Pair) -> (Seq, HandlerId) {
    (Seq(event), HandlerId(handler))
}

fn delivery(part: &Part) -> Delivery {
    Delivery {
        handler: HandlerId(part.handler),
        priority: part.priority,
        on_failure: part.on_failure,
        lane: Arc::from(format!("lane {}", part.lane)),
        attempts: 0,
        state: DeliveryState::Waiting,
    }
}

/// A delivery's state as the model sees it. Whether an overdue retry was due sooner or later makes no difference.
fn state(fate: &Fate, now: i64) -> DeliveryState {
    match (fate.ending, fate.under_way, fate.tries) {
        (Some(ending), _, _) => DeliveryState::Ended(ending),
        (None, true, _) => DeliveryState::Running,
        (None, false, 0) => DeliveryState::Waiting,
        (None, false, _) => DeliveryState::Retrying { due: instant(fate.due.max(now)) },
    }
}

impl Run {
    fn step(&mut self, step: &Step) {
        match step {
            Step::Plan(chain) => self.plan(chain),
            Step::Settle(which, then) => {
                let under_way = self.model.under_way();
                if !under_way.is_empty() {
                    self.settle(*which.get(&under_way), *then);
                }
            }
            Step::SkipAny(which) => {
                let unended: Vec<Pair> = self.model.deliveries().filter(|d| !d.fate.ended()).map(|d| d.pair).collect();
                if !unended.is_empty() {
                    self.settle(*which.get(&unended), Then::Skip);
                }
            }
            Step::Later(seconds) => self.model.tell(Happening::Clock(self.model.now() + i64::from(*seconds))),
            Step::Hold(handler) => self.model.tell(Happening::Held(*handler)),
            Step::Release(handler) => self.model.tell(Happening::Released(*handler)),
            Step::Takeover => self.take_over(),
            Step::Replan(chains) => self.replan(chains),
            Step::Nonsense(which) => self.nonsense(which),
        }
    }

    fn plan(&mut self, chain: &[Part]) {
        // Numbers have gaps: most events belong to other objects.
        self.published += 3;
        let back = self.queue.plan(Chain::new(Seq(self.published), chain.iter().map(delivery).collect()));
        assert!(back.is_none(), "a later chain is taken");
        self.model.tell(Happening::Planned(self.published, chain.to_vec()));
    }

    fn settle(&mut self, pair: Pair, then: Then) {
        let (seq, handler) = ids(pair);
        let now = self.model.now();
        let (ending, called) = match then {
            Then::Succeed => (Ending::Succeeded, true),
            Then::Die => (Ending::Dead, true),
            Then::Skip => (Ending::Skipped, false),
            Then::Retry(delay) => {
                self.queue.retry(seq, handler, instant(now + i64::from(delay)));
                return self.model.tell(Happening::Failed(pair, now + i64::from(delay)));
            }
            Then::PutBack => {
                self.queue.put_back(seq, handler, instant(now));
                return self.model.tell(Happening::PutBack(pair));
            }
        };
        let ended_before = self.model.ended(pair.0);
        let Settled { skipped, finished } = self.queue.end(seq, handler, ending, called);
        self.model.tell(Happening::Ended(pair, ending, called));
        let ended = self.model.ended(pair.0);
        let with_it: Vec<HandlerId> =
            ended.iter().filter(|h| **h != pair.1 && !ended_before.contains(h)).map(|&h| HandlerId(h)).collect();
        assert_eq!(skipped, with_it, "what was skipped with it");
        let over = self.model.deliveries().filter(|d| d.pair.0 == pair.0).all(|d| d.fate.ended());
        assert_eq!(finished.as_ref().map(|chain| chain.seq), over.then_some(seq), "finished with its last delivery");
        if let Some(chain) = finished {
            self.same_chain(&chain);
            self.finished.push(pair.0);
        }
    }

    /// The process is gone and another begins: calls under way are forgotten, and what was recorded is planned.
    fn take_over(&mut self) {
        for pair in self.model.under_way() {
            self.model.tell(Happening::PutBack(pair));
        }
        self.queue = ObjectQueue::default();
        for event in self.model.unfinished() {
            let mut deliveries = Vec::new();
            for seen in self.model.deliveries().filter(|d| d.pair.0 == event) {
                let attempts = seen.fate.tries;
                deliveries.push(Delivery { attempts, state: state(&seen.fate, self.model.now()), ..delivery(seen.part) });
            }
            assert!(self.queue.plan(Chain::new(Seq(event), deliveries)).is_none(), "an unfinished chain is taken");
        }
    }

    /// A new generation; each unstarted chain gets one of these chains in turn, or stays as it is where it gets `None`.
    fn replan(&mut self, chains: &[Option<Vec<Part>>]) {
        let unstarted = self.model.unstarted();
        let mut asked = Vec::new();
        let out = self.queue.replan(|seq| {
            asked.push(seq.0);
            let chain = chains[(asked.len() - 1) % chains.len()].as_ref()?;
            Some(chain.iter().map(delivery).collect())
        });
        assert_eq!(asked, unstarted, "only unstarted chains are planned anew");
        let mut without = Vec::new();
        for (event, chain) in unstarted.into_iter().zip(chains.iter().cycle()) {
            let Some(chain) = chain else { continue };
            if chain.is_empty() {
                without.push(event);
            }
            self.model.tell(Happening::Planned(event, chain.clone()));
        }
        assert_eq!(out.iter().map(|chain| chain.seq.0).collect::<Vec<_>>(), without, "chains without a handler are taken out");
        self.without.extend(without);
    }

    /// Messages about what is not there, or not under way.
    fn nonsense(&mut self, which: &Index) {
        let now = instant(self.model.now());
        let idle: Vec<Pair> = self.model.deliveries().filter(|d| !d.fate.under_way).map(|d| d.pair).collect();
        for pair in [(1, 1), (self.published, 99)].into_iter().chain((!idle.is_empty()).then(|| *which.get(&idle))) {
            let (seq, handler) = ids(pair);
            self.queue.retry(seq, handler, now);
            self.queue.put_back(seq, handler, now);
            if self.queue.chain(seq).and_then(|chain| chain.delivery(handler)).is_none_or(Delivery::ended) {
                let Settled { skipped, finished } = self.queue.end(seq, handler, Ending::Dead, true);
                assert!(skipped.is_empty() && finished.is_none(), "the end of what is not there");
            }
        }
        if let Some(last) = self.model.unfinished().last() {
            let late = Chain::new(Seq(last - i64::try_from(which.index(2)).unwrap()), vec![delivery(&steps::PLAIN)]);
            assert_eq!(self.queue.plan(late.clone()).map(|chain| chain.seq), Some(late.seq), "out of order");
        }
    }

    /// Asks both what may start, and starts it. Whose bit in `back` is set is handed back again.
    fn start(&mut self, back: u32) {
        let expected = self.model.may_run();
        let started = self.queue.start_ready(instant(self.model.now()), |handler| self.model.is_held(handler.0));
        assert_eq!(started, expected.iter().copied().map(ids).collect::<Vec<_>>(), "what may run");
        for &pair in &expected {
            self.model.tell(Happening::Started(pair));
        }
        self.nothing_waits_without_a_reason();
        for (place, &pair) in expected.iter().enumerate() {
            if back >> (place % 32) & 1 == 1 {
                self.settle(pair, Then::PutBack);
            }
        }
    }

    fn nothing_waits_without_a_reason(&self) {
        let now = instant(self.model.now());
        let Some(first) = self.queue.chains().next().filter(|_| self.queue.running() == 0) else { return };
        let has_reason = |d: &Delivery| match d.state {
            DeliveryState::Waiting => self.model.is_held(d.handler.0),
            DeliveryState::Retrying { due } => due > now || self.model.is_held(d.handler.0),
            DeliveryState::Running | DeliveryState::Ended(_) => false,
        };
        assert!(first.deliveries().iter().any(has_reason), "the first event waits for nothing: {first:?}");
    }

    fn same(&self) {
        let seqs: Vec<i64> = self.queue.chains().map(|chain| chain.seq.0).collect();
        assert_eq!(seqs, self.model.unfinished(), "the unfinished events");
        assert_eq!((self.queue.len(), self.queue.is_empty()), (seqs.len(), seqs.is_empty()));
        for chain in self.queue.chains() {
            self.same_chain(chain);
        }
        assert_eq!(self.queue.running() as usize, self.model.under_way().len(), "running");
        assert_eq!(self.queue.held_by_lane(), self.model.held_by_lane(), "held by a lane");
    }

    fn same_chain(&self, chain: &Chain) {
        let now = self.model.now();
        let normal = |state| match state {
            DeliveryState::Retrying { due } => DeliveryState::Retrying { due: due.max(instant(now)) },
            other => other,
        };
        let queued: Vec<_> = chain.deliveries().iter().map(|d| (d.handler.0, d.attempts, normal(d.state))).collect();
        let of_it = self.model.deliveries().filter(|d| d.pair.0 == chain.seq.0);
        let expected: Vec<_> = of_it.map(|d| (d.pair.1, d.fate.tries, state(&d.fate, now))).collect();
        assert_eq!(queued, expected, "event {}", chain.seq);
        assert_eq!(chain.status(), self.model.status(chain.seq.0), "event {}", chain.seq);
    }

    /// Lets every call end, until nothing is left. `dies` says at whose turn a call is the last and fails.
    fn finish(&mut self, dies: u32) {
        for handler in steps::HANDLERS {
            self.model.tell(Happening::Released(handler));
        }
        let mut calls = 0_u32;
        for _ in 0..=2 * self.model.deliveries().count() {
            self.start(0);
            let under_way = self.model.under_way();
            for pair in &under_way {
                calls += 1;
                self.settle(*pair, if dies >> (calls % 32) & 1 == 1 { Then::Die } else { Then::Succeed });
            }
            let later = |due: &i64| *due > self.model.now();
            let next_due = self.model.deliveries().filter(|d| !d.fate.ended()).map(|d| d.fate.due).filter(later).min();
            if let Some(due) = next_due.filter(|_| under_way.is_empty()) {
                self.model.tell(Happening::Clock(due));
            }
        }
        self.same();
        assert!(self.queue.is_empty(), "every event ends: {:?}", self.queue);
        assert_eq!(format!("{:?}", self.queue), format!("{:?}", ObjectQueue::default()), "nothing is kept of what has ended");
        let mut over = [self.finished.as_slice(), &self.without].concat();
        over.sort_unstable();
        assert_eq!(over, (1..=self.published / 3).map(|n| 3 * n).collect::<Vec<_>>(), "each event ends once");
    }
}

fn run(steps: &[(Step, u32)], dies: u32) -> Run {
    let mut run = Run::default();
    for (step, back) in steps {
        run.step(step);
        run.same();
        run.start(*back);
        run.same();
    }
    run.finish(dies);
    run
}

proptest! {
    #[test]
    fn what_may_start_is_exactly_what_the_rules_say(steps in steps(), dies: u32) {
        run(&steps, dies);
    }

    #[test]
    fn the_promises_hold_over_every_history(steps in steps_without_replan(), dies: u32) {
        promises::check(&run(&steps, dies).model);
    }
}
