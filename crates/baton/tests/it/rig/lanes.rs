//! Whether the calls of a lane were made in the order of publication.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, Instant};

use baton_testkit::Received;
use serde_json::Value;

/// How long a call of a process that was just killed may be on its way through the machine.
pub(crate) const ON_ITS_WAY: Duration = Duration::from_secs(2);

/// One call: of which event of its object, by the number that the publisher gave it, and how it was answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    pub number: u64,
    pub succeeded: bool,
    pub at: Instant,
}

/// The calls of one receiver by object, each in the order of arrival. Events have their number in `data.n`.
pub(crate) fn by_object(calls: &[Arc<Received>], path: &str) -> BTreeMap<String, Vec<Seen>> {
    let mut objects: BTreeMap<String, Vec<Seen>> = BTreeMap::new();
    for call in calls.iter().filter(|call| call.path == path) {
        let number = call.json()["data"]["n"].as_u64().expect("a number of the publisher's");
        let object = call.object_id.as_ref().map(Value::to_string).expect("an object");
        objects.entry(object).or_default().push(Seen { number, succeeded: call.succeeded(), at: call.at });
    }
    objects
}

/// Nothing was repeated after it had succeeded, nothing overtook what was being retried, nothing is missing: the calls are, event by
/// event in the order of publication, any number of failures and one success.
#[track_caller]
pub(crate) fn assert_in_order(object: &str, seen: &[Seen], expected: &[u64]) {
    let mut expected = expected.iter();
    let mut current = expected.next();
    for call in seen {
        assert_eq!(Some(&call.number), current, "object {object}: out of turn, {}", told(seen));
        if call.succeeded {
            current = expected.next();
        }
    }
    assert_eq!(current, None, "object {object}: never succeeded, {}", told(seen));
}

/// The same where a process was killed between `killed`'s two instants: the calls are those of the process that was killed, then those of
/// its successor, each in order. The successor begins no later than where the other ended, and repeats, once, only what that one had called
/// before its death. How many were repeated.
#[track_caller]
pub(crate) fn assert_in_order_but_for_repeats(
    object: &str,
    seen: &[Seen],
    expected: &[u64],
    killed: &RangeInclusive<Instant>,
) -> usize {
    let mut done: BTreeMap<u64, Instant> = BTreeMap::new();
    let mut repeated = BTreeSet::new();
    let mut turned_back = false;
    let mut before = 0;
    for call in seen {
        if call.number < before {
            assert!(!turned_back && call.at >= *killed.start(), "object {object}: turned back, {}", told(seen));
            turned_back = true;
        }
        before = call.number;
        match done.get(&call.number) {
            Some(first) => {
                let forced = *first <= *killed.end() + ON_ITS_WAY && call.at >= *killed.start();
                let forced = forced && repeated.insert(call.number);
                assert!(forced, "object {object}: {} was repeated for no reason, {}", call.number, told(seen));
            }
            None => {
                let next = expected.get(done.len());
                assert_eq!(Some(&call.number), next, "object {object}: out of turn, {}", told(seen));
                if call.succeeded {
                    done.insert(call.number, call.at);
                }
            }
        }
    }
    assert_eq!(done.len(), expected.len(), "object {object}: never succeeded, {}", told(seen));
    repeated.len()
}

/// The calls as a line of numbers, failures with a mark.
fn told(seen: &[Seen]) -> String {
    let calls = seen.iter().map(|call| format!("{}{}", call.number, if call.succeeded { "" } else { "!" }));
    format!("the calls were {}", calls.collect::<Vec<_>>().join(" "))
}

/// That the checks see what they are for.
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    /// Calls one second apart; `!` marks a failure.
    fn calls(line: &str, start: Instant) -> Vec<Seen> {
        let call = |(second, word): (usize, &str)| Seen {
            number: word.trim_end_matches('!').parse().unwrap(),
            succeeded: !word.ends_with('!'),
            at: start + Duration::from_secs(second as u64),
        };
        line.split(' ').enumerate().map(call).collect()
    }

    #[test]
    fn order_is_checked() {
        let start = Instant::now();
        let holds = |line: &str| catch_unwind(|| assert_in_order("1", &calls(line, start), &[0, 1, 3])).is_ok();
        assert!(holds("0 1 3") && holds("0! 0 1! 1! 1 3"));
        for line in ["0 1", "0 3 1", "0 0 1 3", "0! 1 0 3", "0 1 3!", "0 1 3 3", "0 1 2 3"] {
            assert!(!holds(line), "{line}");
        }
    }

    #[test]
    fn repeats_are_allowed_only_where_they_are_forced() {
        let start = Instant::now();
        let killed = |second: u64| start + Duration::from_secs(second)..=start + Duration::from_secs(second);
        let repeats = |line: &str, second| {
            catch_unwind(|| assert_in_order_but_for_repeats("1", &calls(line, start), &[0, 1, 3], &killed(second))).ok()
        };
        assert_eq!(repeats("0 1 3", 1), Some(0));
        assert_eq!(repeats("0 1 0 1 3", 2), Some(2));
        assert_eq!(repeats("0 1 1 3", 2), Some(1));
        assert_eq!(repeats("0 1! 0 1 3", 2), Some(1));
        // Before anything was killed; of what was called long after; twice; past a gap; with one missing.
        for (line, second) in
            [("0 1 0 1 3", 3), ("0 1 3 3", 5), ("0 1 0 1 0 1 3", 2), ("0 3 1 3", 2), ("0 1 0 1", 2), ("0 1 1 1 3", 2)]
        {
            assert_eq!(repeats(line, second), None, "{line}");
        }
        assert_eq!(repeats("0! 0! 0! 0! 0! 0! 0 0 1 3", 1), None);
    }
}
