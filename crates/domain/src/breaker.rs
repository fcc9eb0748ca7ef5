//! The circuit breaker of one handler: when it keeps failing, its deliveries are held, and one probe at a time finds out whether it is back.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::ids::{HandlerId, Seq};

/// How many failures in a row, each of another event than the one before, open a breaker. Retries of one event alone never do: its lane
/// holds what comes behind it anyway.
pub const FAILURES_TO_OPEN: u32 = 10;
/// The time from the opening to the first probe; it doubles with each probe that fails.
pub const PROBE_FIRST: Duration = Duration::from_secs(1);
/// The longest time between two probes.
pub const PROBE_LONGEST: Duration = Duration::from_secs(30);
/// How many calls a handler may have under way right after its breaker has closed; doubles with as many successes.
pub const CALLS_AFTER_CLOSING: usize = 2;

/// Where a breaker stands.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Closed { failures: u32, last_failed: Option<Seq> },
    Open { since: DateTime<Utc>, probe_at: DateTime<Utc>, wait: Duration, probing: bool },
}

/// What a call's outcome did to a breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing that matters outside.
    None,
    /// It opened: hold the handler's deliveries.
    Opened,
    /// It closed: let them go, slowly at first.
    Closed,
}

/// A breaker that is open, as a dispatcher tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenBreaker {
    /// The handler whose deliveries are held.
    pub handler_id: HandlerId,
    /// Since when.
    pub since: DateTime<Utc>,
}

/// The breaker of one handler.
#[derive(Debug, Clone)]
pub struct Breaker {
    state: State,
    /// How many calls may be under way; grows after a closing until it no longer matters.
    calls: usize,
    successes: usize,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { state: State::Closed { failures: 0, last_failed: None }, calls: usize::MAX, successes: 0 }
    }
}

impl Breaker {
    /// Whether the handler's deliveries are held.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    /// Since when it is open.
    #[must_use]
    pub fn open_since(&self) -> Option<DateTime<Utc>> {
        if let State::Open { since, .. } = self.state { Some(since) } else { None }
    }

    /// Whether it is as it was at the beginning, so that it need not be kept.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::Closed { failures: 0, .. }) && self.calls == usize::MAX
    }

    /// When the next probe is due: `None` while it is closed or a probe is under way.
    #[must_use]
    pub fn probe_at(&self) -> Option<DateTime<Utc>> {
        match self.state {
            State::Open { probe_at, probing: false, .. } => Some(probe_at),
            _ => None,
        }
    }

    /// A probe goes out.
    pub fn probe_started(&mut self) {
        if let State::Open { probing, .. } = &mut self.state {
            *probing = true;
        }
    }

    /// There was nothing to probe with, or it was not called: ask again at this instant.
    pub fn probe_later(&mut self, at: DateTime<Utc>) {
        if let State::Open { probe_at, probing, .. } = &mut self.state {
            (*probe_at, *probing) = (at, false);
        }
    }

    /// How many calls of the handler may be under way at once, at most `limit`.
    #[must_use]
    pub fn calls(&self, limit: usize) -> usize {
        self.calls.min(limit)
    }

    /// The handler was reached: it did what it should, or refused for good.
    pub fn reached(&mut self) -> Change {
        let before = std::mem::replace(&mut self.state, State::Closed { failures: 0, last_failed: None });
        if let State::Open { .. } = before {
            (self.calls, self.successes) = (CALLS_AFTER_CLOSING, 0);
            return Change::Closed;
        }
        if self.calls < usize::MAX {
            self.successes += 1;
            if self.successes >= self.calls {
                (self.calls, self.successes) = (self.calls.saturating_mul(2), 0);
            }
        }
        Change::None
    }

    /// A call of the handler for this event failed in a way that is worth a retry.
    pub fn failed(&mut self, seq: Seq, now: DateTime<Utc>) -> Change {
        match &mut self.state {
            State::Closed { failures, last_failed } => {
                if last_failed.replace(seq) != Some(seq) {
                    *failures += 1;
                }
                if *failures < FAILURES_TO_OPEN {
                    return Change::None;
                }
                self.state = State::Open { since: now, probe_at: now + delta(PROBE_FIRST), wait: PROBE_FIRST, probing: false };
                Change::Opened
            }
            State::Open { probe_at, wait, probing, .. } => {
                // Calls that were under way at the opening fail too; only a probe's failure says something new.
                if std::mem::take(probing) {
                    *wait = (*wait * 2).min(PROBE_LONGEST);
                    *probe_at = now + delta(*wait);
                }
                Change::None
            }
        }
    }
}

fn delta(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    fn opened() -> Breaker {
        let mut breaker = Breaker::default();
        for seq in 1..i64::from(FAILURES_TO_OPEN) {
            assert_eq!(breaker.failed(Seq(seq), at(0)), Change::None);
        }
        assert_eq!(breaker.failed(Seq(99), at(0)), Change::Opened);
        breaker
    }

    #[test]
    fn failures_of_many_events_in_a_row_open_it() {
        let breaker = opened();
        assert!(breaker.is_open());
        assert_eq!((breaker.open_since(), breaker.probe_at()), (Some(at(0)), Some(at(1))));
    }

    #[test]
    fn retries_of_one_event_do_not_open_it_and_a_success_starts_the_count_anew() {
        let mut breaker = Breaker::default();
        for _ in 0..100 {
            assert_eq!(breaker.failed(Seq(1), at(0)), Change::None);
        }
        for round in 0..10 {
            for seq in 1..i64::from(FAILURES_TO_OPEN) {
                assert_eq!(breaker.failed(Seq(round * 100 + seq), at(0)), Change::None);
            }
            assert_eq!(breaker.reached(), Change::None);
        }
        assert!(breaker.is_idle());
    }

    #[test]
    fn probes_go_out_one_at_a_time_and_less_often() {
        let mut breaker = opened();
        // What was under way at the opening changes nothing.
        assert_eq!(breaker.failed(Seq(7), at(0)), Change::None);
        assert_eq!(breaker.probe_at(), Some(at(1)));
        let mut now = at(1);
        let mut waits = Vec::new();
        for _ in 0..7 {
            breaker.probe_started();
            assert_eq!(breaker.probe_at(), None);
            assert_eq!(breaker.failed(Seq(1), now), Change::None);
            waits.push((breaker.probe_at().unwrap() - now).num_seconds());
            now = breaker.probe_at().unwrap();
        }
        assert_eq!(waits, [2, 4, 8, 16, 30, 30, 30]);
        breaker.probe_started();
        breaker.probe_later(at(500));
        assert_eq!(breaker.probe_at(), Some(at(500)));
    }

    #[test]
    fn after_a_success_calls_grow_back() {
        let mut breaker = opened();
        assert_eq!(breaker.reached(), Change::Closed);
        let mut limits = vec![breaker.calls(16)];
        for _ in 0..100 {
            breaker.reached();
            if limits.last() != Some(&breaker.calls(16)) {
                limits.push(breaker.calls(16));
            }
        }
        assert_eq!(limits, [2, 4, 8, 16]);
        assert!(!breaker.is_open());
    }
}
