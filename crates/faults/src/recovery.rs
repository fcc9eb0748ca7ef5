//! How long it took until events went through as before.

use std::time::Duration;

use tokio::time::Instant;

/// An event that takes longer than this is late.
const LATE: Duration = Duration::from_secs(1);
/// Lateness that pauses for less than this goes on.
const CALM: Duration = Duration::from_secs(1);
/// How long after a fault its consequences can begin to show: a lease has to run out first.
const SHOWS_WITHIN: Duration = Duration::from_secs(12);

/// The time from `from` until no event was late any more: until calls flow again, and the backlog's age is back below a second. `lives` are
/// from each event's birth, which is when its publisher first tried, to its last arrival. Zero when nothing was late.
pub(crate) fn recovery(from: Instant, lives: &[(Instant, Instant)]) -> Duration {
    let late = lives.iter().filter(|(born, done)| done.saturating_duration_since(*born) > LATE);
    let mut late: Vec<_> = late.map(|(born, done)| (*born + LATE, *done)).collect();
    late.sort_unstable();
    let mut end: Option<Instant> = None;
    for (start, stop) in late.into_iter().filter(|(_, stop)| *stop > from) {
        match end {
            Some(before) if start > before + CALM => break,
            None if start > from + SHOWS_WITHIN => break,
            _ => end = Some(end.map_or(stop, |before| before.max(stop))),
        }
    }
    end.map_or(Duration::ZERO, |end| end.saturating_duration_since(from))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lives in tenths of a second from the fault on, which is at 1000.
    fn took(lives: &[(u64, u64)]) -> u128 {
        let start = Instant::now();
        let at = |tenths| start + Duration::from_millis(tenths * 100);
        let lives: Vec<_> = lives.iter().map(|(born, done)| (at(*born), at(*done))).collect();
        recovery(at(1000), &lives).as_millis() / 100
    }

    #[test]
    fn nothing_late_needs_no_recovery() {
        assert_eq!(took(&[]), 0);
        assert_eq!(took(&[(990, 1000), (1000, 1010), (1005, 1014)]), 0);
        assert_eq!(took(&[(500, 990)]), 0, "what was late before does not count");
    }

    #[test]
    fn the_end_of_lateness_counts() {
        assert_eq!(took(&[(995, 1100), (1020, 1105), (1050, 1103)]), 105);
        assert_eq!(took(&[(800, 1020), (900, 1018)]), 20, "an outage that was under way");
        assert_eq!(took(&[(1000, 1020), (1015, 1040)]), 40, "lateness that goes on");
    }

    #[test]
    fn lateness_that_has_nothing_to_do_with_it_does_not_count() {
        assert_eq!(took(&[(1000, 1020), (1300, 1400)]), 20);
        assert_eq!(took(&[(1200, 1300)]), 0);
    }
}
