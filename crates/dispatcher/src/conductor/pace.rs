//! Handlers that may not be called as often as there is something for them: limits of calls at once and of calls a second.
//!
//! A limit is meant for all dispatchers together. Each has the share of the partitions that it owns, which needs no talk between them; at
//! least one call at once, and whatever part of a call a second.

use std::collections::HashMap;
use std::time::Duration;

use baton_domain::HandlerId;
use baton_domain::connection::CallLimits;
use baton_domain::partition::PARTITIONS;
use governor::clock::{Clock, MonotonicClock};
use governor::{Quota, RateLimiter};
use tokio::time::Instant;

/// The part of a second's calls that may begin at once: what comes together is spread over the second.
const BURST_PART: f64 = 0.1;

type Limiter = RateLimiter<governor::state::NotKeyed, governor::state::InMemoryState, MonotonicClock>;

/// The handlers that are called at a pace.
#[derive(Default)]
pub(super) struct Paces {
    limiters: HashMap<HandlerId, (Share, Limiter)>,
    /// Handlers that wait, with the instant at which their next call may begin.
    parked: HashMap<HandlerId, Instant>,
}

/// How much of a handler's calls a second are this dispatcher's.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Share {
    per_second: u16,
    owned: usize,
}

impl Share {
    fn quota(self) -> Option<Quota> {
        let rate = f64::from(self.per_second) * self.owned as f64 / f64::from(PARTITIONS);
        let burst = std::num::NonZeroU32::new((rate * BURST_PART) as u32).unwrap_or(std::num::NonZeroU32::MIN);
        Some(Quota::with_period(Duration::try_from_secs_f64(1.0 / rate).ok()?)?.allow_burst(burst))
    }
}

/// The most calls at once of a handler with these limits, `most` at the most, where so many partitions are owned.
pub(super) fn concurrency(limits: CallLimits, owned: usize, most: usize) -> usize {
    let share = |all: u16| (usize::from(all) * owned / PARTITIONS as usize).max(1);
    limits.concurrency.map_or(most, |all| share(all).min(most))
}

impl Paces {
    /// Whether a call of a handler may begin now; if not, it is parked until one may.
    pub(super) fn admit(&mut self, handler: HandlerId, limits: CallLimits, owned: usize) -> bool {
        let Some(per_second) = limits.per_second else { return true };
        let share = Share { per_second, owned };
        let known = self.limiters.get(&handler).is_some_and(|(known, _)| *known == share);
        if !known {
            let Some(quota) = share.quota() else { return true };
            self.limiters.insert(handler, (share, RateLimiter::direct_with_clock(quota, MonotonicClock)));
        }
        let Some((_, limiter)) = self.limiters.get(&handler) else { return true };
        match limiter.check() {
            Ok(()) => true,
            Err(not_until) => {
                self.parked.insert(handler, Instant::now() + not_until.wait_time_from(MonotonicClock.now()));
                false
            }
        }
    }

    /// When the next handler that waits may be called.
    pub(super) fn next(&self) -> Option<Instant> {
        self.parked.values().min().copied()
    }

    /// The handlers that need not wait any more.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<HandlerId> {
        let due: Vec<_> = self.parked.iter().filter(|(_, at)| **at <= now).map(|(handler, _)| *handler).collect();
        for handler in &due {
            self.parked.remove(handler);
        }
        due
    }

    /// Forgets handlers that have no pace any more.
    pub(super) fn keep(&mut self, has_pace: impl Fn(HandlerId) -> bool) {
        self.limiters.retain(|handler, _| has_pace(*handler));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_at_once_are_shared_by_partitions_and_never_none() {
        let limits = CallLimits { concurrency: Some(8), per_second: None };
        assert_eq!(concurrency(limits, 64, 100), 8);
        assert_eq!(concurrency(limits, 32, 100), 4);
        assert_eq!(concurrency(limits, 5, 100), 1);
        assert_eq!(concurrency(limits, 64, 3), 3);
        assert_eq!(concurrency(CallLimits::default(), 32, 100), 100);
    }

    #[test]
    fn who_is_over_the_pace_waits_for_its_share_of_a_second() {
        let mut paces = Paces::default();
        let limits = CallLimits { concurrency: None, per_second: Some(20) };
        let begun = Instant::now();
        let admitted = (0..10).filter(|_| paces.admit(HandlerId(1), limits, 32)).count();
        // 20 a second, half of the partitions: one at once, then one every 100 ms.
        assert_eq!(admitted, 1);
        let next = paces.next().unwrap();
        assert!(next > begun && next <= Instant::now() + Duration::from_millis(100));
        assert_eq!(paces.take_due(begun), []);
        assert_eq!(paces.take_due(next), [HandlerId(1)]);
        assert_eq!(paces.next(), None);
        assert!((0..100).all(|_| paces.admit(HandlerId(2), CallLimits::default(), 64)));
    }

    #[test]
    fn another_share_is_another_pace() {
        let mut paces = Paces::default();
        let limits = CallLimits { concurrency: None, per_second: Some(1000) };
        let at_once = |paces: &mut Paces, owned| (0..200).filter(|_| paces.admit(HandlerId(1), limits, owned)).count();
        assert!((100..=120).contains(&at_once(&mut paces, 64)));
        assert!((50..=60).contains(&at_once(&mut paces, 32)));
        paces.keep(|_| false);
        assert!(paces.limiters.is_empty());
    }
}
