//! The account: what was acknowledged against what arrived.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tokio::time::Instant;

use crate::fault::Fault;
use crate::publisher::Published;
use crate::workload::{Lane, Workload};

/// How many examples of what went wrong are kept.
const EXAMPLES: usize = 5;

/// A call as it arrived.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    pub lane: Lane,
    pub object: u64,
    /// The place of its event among those of the object.
    pub n: u64,
    pub at: Instant,
    /// When its caller began it, to the second; where it says so.
    pub begun: Option<Instant>,
    pub end: End,
}

/// What a call came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It was answered with a 2xx.
    Succeeded,
    /// It was refused for good.
    Refused,
    /// It failed in a way that asks for another try, or was never answered.
    Open,
}

/// What the account says.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// Events that did not arrive everywhere they had to.
    pub lost: usize,
    /// Calls that were repeated after they had been final, and a fault explains it. What such a repetition needs in retries counts as one.
    pub explained: usize,
    /// The others.
    pub unexplained: usize,
    /// Calls that came before an earlier event of the object was done in that lane.
    pub out_of_order: usize,
    /// Calls of events that nobody published, or that came to nothing they should.
    pub strange: usize,
    /// From when to when the explained ones were made first, in seconds from their fault.
    pub explained_from: Option<(f64, f64)>,
    /// Some of all that, for a person.
    pub examples: Vec<String>,
    /// From each event's birth to its last arrival.
    pub lives: Vec<(Instant, Instant)>,
}

/// What of one object has to arrive in one lane.
#[derive(Default)]
struct Expected<'a> {
    events: Vec<&'a Published>,
}

/// Makes the account. `calls` are in the order of arrival.
pub(crate) fn reconcile(published: &[Published], workload: &Workload, calls: &[Seen], faults: &[Fault]) -> Account {
    let mut expected: BTreeMap<(Lane, u64), Expected<'_>> = BTreeMap::new();
    for event in published {
        for lane in workload.lanes_of(event.kind) {
            expected.entry((lane, event.object)).or_default().events.push(event);
        }
    }
    let mut arrived: HashMap<(Lane, u64), Vec<&Seen>> = HashMap::new();
    for call in calls {
        arrived.entry((call.lane, call.object)).or_default().push(call);
    }
    let mut account = Account::default();
    let mut incomplete = BTreeSet::new();
    let mut done: BTreeMap<(u64, u64), Instant> = published.iter().map(|e| ((e.object, e.n), e.acknowledged)).collect();
    for ((lane, object), mut expected) in expected {
        expected.events.sort_by_key(|event| event.n);
        let calls = arrived.remove(&(lane, object)).unwrap_or_default();
        let first = account.follow(lane, &expected.events, &calls, faults);
        for event in expected.events {
            match first.get(&event.n) {
                Some(at) => {
                    done.entry((object, event.n)).and_modify(|last| *last = (*last).max(*at));
                }
                None => {
                    incomplete.insert((object, event.n));
                    account.example(format!("event {} of object {object} never arrived at {}", event.n, lane.name()));
                }
            }
        }
    }
    for ((lane, object), calls) in arrived {
        account.strange += calls.len();
        account.example(format!("{} calls of object {object} at {}, which it has no business with", calls.len(), lane.name()));
    }
    account.lost = incomplete.len();
    account.lives = published.iter().filter_map(|e| Some((e.born, *done.get(&(e.object, e.n))?))).collect();
    account
}

impl Account {
    /// Follows the calls of one object in one lane; says when each event was done.
    fn follow(&mut self, lane: Lane, expected: &[&Published], calls: &[&Seen], faults: &[Fault]) -> BTreeMap<u64, Instant> {
        let known: BTreeMap<u64, bool> = expected.iter().map(|e| (e.n, e.refused && lane == Lane::Mail)).collect();
        let mut first: BTreeMap<u64, Instant> = BTreeMap::new();
        // How often each was called again, and whether the last of these calls asked for another try: that one belongs to it.
        let mut repeated: HashMap<u64, (usize, End)> = HashMap::new();
        let mut next = 0;
        for call in calls {
            let Some(refused) = known.get(&call.n) else {
                self.strange += 1;
                self.example(format!("event {} of object {} at {} was never acknowledged", call.n, call.object, lane.name()));
                continue;
            };
            if let Some(at) = first.get(&call.n) {
                let (times, last) = repeated.entry(call.n).or_insert((0, End::Succeeded));
                if *last != End::Open {
                    *times += 1;
                    self.repeat(call, *at, *times, faults);
                }
                *last = call.end;
                continue;
            }
            if expected.get(next).is_some_and(|due| due.n != call.n) {
                self.out_of_order += 1;
                let due = expected[next].n;
                self.example(format!("event {} of object {} came to {} before {due}", call.n, call.object, lane.name()));
            }
            if call.end == End::Open {
                continue;
            }
            if (call.end == End::Refused) != *refused {
                self.strange += 1;
                self.example(format!("event {} of object {} at {}: {:?}", call.n, call.object, lane.name(), call.end));
            }
            first.insert(call.n, call.at);
            while expected.get(next).is_some_and(|due| first.contains_key(&due.n)) {
                next += 1;
            }
        }
        first
    }

    /// A call after the one that was final. Each fault explains one.
    fn repeat(&mut self, call: &Seen, first: Instant, times: usize, faults: &[Fault]) {
        let from = faults.iter().map(|fault| signed(first, fault.at)).min_by(|a, b| a.abs().total_cmp(&b.abs()));
        if times <= faults.iter().filter(|fault| fault.explains(first, call)).count() {
            self.explained += 1;
            let from = from.unwrap_or_default();
            let (least, most) = self.explained_from.unwrap_or((from, from));
            self.explained_from = Some((least.min(from), most.max(from)));
            return;
        }
        self.unexplained += 1;
        let later = call.at.duration_since(first).as_secs_f64();
        let after = from.map(|s| format!(", which was made {s:+.2} s from the fault")).unwrap_or_default();
        let Seen { lane, object, n, .. } = call;
        self.example(format!(
            "event {n} of object {object} came to {} again, {later:.2} s after the call that was final{after}",
            lane.name()
        ));
    }

    fn example(&mut self, text: String) {
        if self.examples.len() < EXAMPLES {
            self.examples.push(text);
        }
    }
}

/// Seconds from `origin` to `at`.
fn signed(at: Instant, origin: Instant) -> f64 {
    at.saturating_duration_since(origin).as_secs_f64() - origin.saturating_duration_since(at).as_secs_f64()
}

#[cfg(test)]
mod tests;
