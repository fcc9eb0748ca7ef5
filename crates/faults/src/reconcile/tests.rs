//! That the account sees what it is for.

use std::time::Duration;

use super::*;
use crate::workload::Kind;

/// An object whose events 0 and 1 go to CRM and mailer, 2 and 3 to the CRM alone; 7 nowhere.
const OBJECT: u64 = 1;

fn published(numbers: &[u64], start: Instant) -> Vec<Published> {
    let event = |n: &u64| Published {
        object: OBJECT,
        n: *n,
        kind: Kind::of(*n),
        refused: false,
        id: n.to_string(),
        born: start,
        acknowledged: start,
    };
    numbers.iter().map(event).collect()
}

/// Calls a second apart, as in `c0 m0 c1! c1`: lane and event, `!` for one that fails, `x` for one that is refused.
fn calls(line: &str, start: Instant) -> Vec<Seen> {
    let call = |(second, word): (usize, &str)| Seen {
        lane: if word.starts_with('c') { Lane::Crm } else { Lane::Mail },
        object: OBJECT,
        n: word[1..2].parse().unwrap(),
        at: start + Duration::from_secs(second as u64),
        begun: Some(start + Duration::from_secs(second as u64)),
        end: match &word[2..] {
            "!" => End::Open,
            "x" => End::Refused,
            _ => End::Succeeded,
        },
    };
    line.split_whitespace().enumerate().map(call).collect()
}

/// Lost, repeated with and without a reason, out of order, strange.
fn account(events: &[u64], line: &str, killed: &[u64]) -> [usize; 5] {
    let start = Instant::now() + Duration::from_secs(100);
    let faults: Vec<_> = killed.iter().map(|second| Fault::killed(start + Duration::from_secs(*second))).collect();
    let of = reconcile(&published(events, start), &Workload::standard(), &calls(line, start), &faults);
    assert_eq!(of.examples.is_empty(), of.lost + of.unexplained + of.out_of_order + of.strange == 0, "{:?}", of.examples);
    [of.lost, of.explained, of.unexplained, of.out_of_order, of.strange]
}

#[test]
fn a_complete_run_in_order_has_nothing_to_say() {
    assert_eq!(account(&[0, 1, 2, 7], "c0 m0 c1! c1 c2 m1! m1! m1", &[]), [0; 5]);
    assert_eq!(account(&[7], "", &[]), [0; 5]);
}

#[test]
fn an_event_that_did_not_arrive_everywhere_is_lost_once() {
    assert_eq!(account(&[0, 2], "c2", &[]), [1, 0, 0, 1, 0]);
    assert_eq!(account(&[0], "c0! m0!", &[]), [1, 0, 0, 0, 0]);
    assert_eq!(account(&[0, 2], "c0 c2", &[]), [1, 0, 0, 0, 0]);
}

#[test]
fn a_repeat_is_explained_by_a_fault_right_after_the_first_call_and_each_fault_explains_one() {
    assert_eq!(account(&[2], "c2 c2", &[]), [0, 0, 1, 0, 0]);
    assert_eq!(account(&[2], "c2 c2", &[0]), [0, 1, 0, 0, 0]);
    assert_eq!(account(&[2, 3], "c2 c3 c2 c3", &[1]), [0, 2, 0, 0, 0]);
    assert_eq!(account(&[2, 3], "c2 c3 c2 c3", &[5]), [0, 0, 2, 0, 0]);
    assert_eq!(account(&[2], "c2 c2 c2", &[0]), [0, 1, 1, 0, 0]);
    assert_eq!(account(&[2], "c2 c2 c2", &[0, 1]), [0, 2, 0, 0, 0]);
    // A repetition that fails is tried again like any other call.
    assert_eq!(account(&[2], "c2 c2! c2! c2", &[0]), [0, 1, 0, 0, 0]);
    assert_eq!(account(&[2], "c2 c2! c2 c2", &[0]), [0, 1, 1, 0, 0]);
}

#[test]
fn what_comes_before_an_earlier_event_is_done_is_out_of_order_also_when_it_fails() {
    assert_eq!(account(&[2, 3], "c3 c2", &[]), [0, 0, 0, 1, 0]);
    assert_eq!(account(&[2, 3], "c2! c3! c2 c3", &[]), [0, 0, 0, 1, 0]);
    // Another lane's retries do not count.
    assert_eq!(account(&[0, 2], "c0 m0! c2 m0", &[]), [0; 5]);
}

#[test]
fn what_nobody_published_and_what_came_to_something_else_is_strange() {
    assert_eq!(account(&[2], "c2 c5", &[]), [0, 0, 0, 0, 1]);
    assert_eq!(account(&[2], "c2 m2", &[]), [0, 0, 0, 0, 1]);
    assert_eq!(account(&[2], "c2x", &[]), [0, 0, 0, 0, 1]);
}

#[test]
fn a_life_ends_with_the_last_arrival_that_counts() {
    let start = Instant::now();
    let of = reconcile(&published(&[0, 7], start), &Workload::standard(), &calls("c0 m0! m0 c0", start), &[]);
    assert_eq!(of.lives, [(start, start + Duration::from_secs(2)), (start, start)]);
}

#[test]
fn a_call_that_was_begun_before_a_stall_may_arrive_right_after_it_and_only_then() {
    let start = Instant::now() + Duration::from_secs(100);
    let at = |second| start + Duration::from_secs(second);
    let unexplained = |begun, arrived| {
        let mut seen = calls("c2 c2", start);
        (seen[0].at, seen[1].at, seen[1].begun) = (at(10), at(arrived), begun);
        let faults = [Fault::stalled(at(2), at(16))];
        reconcile(&published(&[2], start), &Workload::standard(), &seen, &faults).unexplained
    };
    assert_eq!(unexplained(Some(at(1)), 16), 0);
    assert_eq!([unexplained(Some(at(1)), 18), unexplained(Some(at(16)), 16), unexplained(None, 16)], [1; 3]);
}
