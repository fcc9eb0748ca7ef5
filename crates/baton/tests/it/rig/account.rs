//! The account of every event: published = delivered + failed + unmatched + retrying + pending.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::Api;

const COUNTS: [&str; 6] = ["published", "delivered", "failed", "unmatched", "pending", "retrying"];
/// How often the account is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The counts of an account, checked to balance: in all, for each event type, and the one as the sum of the others.
#[track_caller]
pub(crate) fn balanced(stats: &Value) -> [u64; 6] {
    let counts = |of: &Value| COUNTS.map(|name| of[name].as_u64().unwrap_or_else(|| panic!("no {name} in {of}")));
    let check = |of: &Value| {
        let [published, ended_or_under_way @ ..] = counts(of);
        assert_eq!(published, ended_or_under_way.iter().sum::<u64>(), "does not balance: {of}");
    };
    check(stats);
    let mut sum = [0; 6];
    for of in stats["by_event"].as_array().unwrap() {
        check(of);
        sum.iter_mut().zip(counts(of)).for_each(|(sum, count)| *sum += count);
    }
    assert_eq!(sum, counts(stats), "the whole is not the sum of its parts: {stats}");
    sum
}

/// Looks at the account again and again until all of `total` events have ended; how often it looked while some were under way. Checks at
/// every look that it balances, that it has everything that was acknowledged, and that nothing that has ended comes back.
pub(crate) async fn watch(api: Api, acknowledged: &AtomicU64, total: u64, deadline: Duration) -> (Value, usize) {
    let end = Instant::now() + deadline;
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut ended_before, mut under_way_looks) = (0, 0);
    loop {
        looks.tick().await;
        let at_least = acknowledged.load(Ordering::SeqCst);
        let stats = api.stats().await;
        let [published, delivered, failed, unmatched, ..] = balanced(&stats);
        assert!((at_least..=total).contains(&published), "{at_least} of {total} were acknowledged: {stats}");
        let ended = delivered + failed + unmatched;
        assert!(ended >= ended_before, "{ended_before} had ended: {stats}");
        ended_before = ended;
        if ended == total {
            return (stats, under_way_looks);
        }
        under_way_looks += usize::from(published > ended);
        assert!(Instant::now() < end, "waited {deadline:?} for {total} events to end: {stats}");
    }
}
