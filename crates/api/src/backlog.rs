//! A limit on unfinished events: beyond it nothing more is taken in.
//!
//! How many there are is read from the tallies, once a second and by one task; what this process has stored since is added to that. No
//! request counts rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use baton_storage::Store;
use tokio::time::{MissedTickBehavior, interval};

/// How often the tallies are read.
const READ_EVERY: Duration = Duration::from_secs(1);

/// How many events are unfinished, and how many may be. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Backlog(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    max: u64,
    /// As the tallies said last.
    read: AtomicU64,
    /// Stored by this process since.
    stored: AtomicU64,
    /// On their way into the database.
    entering: AtomicU64,
}

/// Room for events that are on their way into the database. Given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Room {
    counts: Arc<Counts>,
    events: u64,
}

impl Backlog {
    /// Starts the task that reads the tallies, which ends with the last clone.
    pub(crate) fn watch(store: Store, max: u64) -> Self {
        let counts = Arc::new(Counts::up_to(max));
        let watched = Arc::downgrade(&counts);
        tokio::spawn(async move {
            let mut reads = interval(READ_EVERY);
            reads.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                reads.tick().await;
                let Some(counts) = watched.upgrade() else { return };
                // Stored after this, it may be counted twice until the next read, but is never left out.
                let stored = counts.stored.load(Ordering::SeqCst);
                match store.unfinished_events().await {
                    Ok(unfinished) => counts.take(unfinished, stored),
                    Err(error) => tracing::debug!(%error, "the backlog could not be read"),
                }
            }
        });
        Self(counts)
    }

    /// Room for so many events, or `None` when the limit is reached. One batch may go beyond it.
    pub(crate) fn room(&self, events: usize) -> Option<Room> {
        let counts = &self.0;
        let events = events as u64;
        let entering = counts.entering.fetch_add(events, Ordering::SeqCst);
        let room = Room { counts: Arc::clone(counts), events };
        (counts.known() + entering < counts.max).then_some(room)
    }

    /// The limit.
    pub(crate) fn max(&self) -> u64 {
        self.0.max
    }
}

impl Counts {
    fn up_to(max: u64) -> Self {
        Self { max, read: AtomicU64::new(0), stored: AtomicU64::new(0), entering: AtomicU64::new(0) }
    }

    fn known(&self) -> u64 {
        self.read.load(Ordering::SeqCst) + self.stored.load(Ordering::SeqCst)
    }

    fn take(&self, unfinished: u64, stored: u64) {
        self.read.store(unfinished, Ordering::SeqCst);
        self.stored.fetch_sub(stored, Ordering::SeqCst);
        metrics::gauge!("baton_backlog_events").set(unfinished as f64);
    }
}

impl Room {
    /// So many of them are stored and new.
    pub(crate) fn stored(self, new: usize) {
        self.counts.stored.fetch_add(new as u64, Ordering::SeqCst);
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.counts.entering.fetch_sub(self.events, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_stored_and_on_its_way_counts() {
        let backlog = Backlog(Arc::new(Counts::up_to(10)));
        let first = backlog.room(4).unwrap();
        let second = backlog.room(7).unwrap();
        // 11 are on their way: one batch may go beyond the limit, no more.
        assert!(backlog.room(1).is_none());
        drop(second);
        first.stored(3);
        assert_eq!((backlog.0.known(), backlog.0.entering.load(Ordering::SeqCst)), (3, 0));
        backlog.room(2).unwrap().stored(2);
        // Read when 3 were stored; the others came after.
        backlog.0.take(8, 3);
        assert_eq!(backlog.0.known(), 10);
        assert!(backlog.room(1).is_none());
        backlog.0.take(4, 2);
        assert!(backlog.room(1).is_some());
    }
}
