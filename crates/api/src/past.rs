//! Generations that are not live any more, kept for who looks at what ran under them: reading one anew takes longer than all else that the
//! page of an event needs, and one has thousands of them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use baton_domain::{GenerationNumber, Snapshot};
use baton_storage::{Result, Store};

/// How many are kept. Each has all of its handlers.
const KEPT_MAX: usize = 2;

/// Those that were asked for last, with the checksums that the database has of them.
#[derive(Debug, Default)]
pub(crate) struct PastGenerations(Mutex<VecDeque<(String, Arc<Snapshot>)>>);

impl PastGenerations {
    /// The generation with this number; `None` when it was removed.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn find(&self, store: &Store, number: GenerationNumber) -> Result<Option<Arc<Snapshot>>> {
        let Some(now) = store.generation_checksum(number).await? else { return Ok(None) };
        let is_it = |(checksum, kept): &&(String, Arc<Snapshot>)| kept.number == number && *checksum == now;
        if let Some((_, kept)) = self.with(|all| all.iter().find(is_it).cloned()) {
            return Ok(Some(kept));
        }
        let Some(stored) = store.generation(number).await? else { return Ok(None) };
        let read = Arc::new(stored.snapshot);
        self.with(|all| {
            all.retain(|(_, kept)| kept.number != number);
            all.push_front((stored.checksum, Arc::clone(&read)));
            all.truncate(KEPT_MAX);
        });
        Ok(Some(read))
    }

    fn with<T>(&self, look: impl FnOnce(&mut VecDeque<(String, Arc<Snapshot>)>) -> T) -> T {
        // The list is whole whenever the lock is free, whatever has happened to its last holder.
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use baton_domain::Changes;
    use baton_storage::{GenerationCause, NewGeneration, StoreSettings};
    use baton_testkit::TestDatabase;

    use super::*;

    #[tokio::test]
    async fn what_was_asked_for_last_is_read_once() {
        let database = TestDatabase::sqlite().await;
        let store = Store::connect(&StoreSettings { url: database.url().into(), max_connections: 1 }).await.unwrap();
        store.migrate().await.unwrap();
        let changes = Changes::default();
        for number in 1..=3 {
            let snapshot = Snapshot::new(GenerationNumber(number), chrono::Utc::now(), []);
            let cause = GenerationCause::Restart;
            let new = NewGeneration { snapshot: &snapshot, changes: &changes, took_ms: 1, cause, rolled_back_to: None };
            store.insert_generation(&new).await.unwrap();
        }
        let past = PastGenerations::default();
        let find = async |number| past.find(&store, GenerationNumber(number)).await.unwrap();
        let first = find(1).await.unwrap();
        assert_eq!(first.number, GenerationNumber(1), "all three have the same checksum");
        assert!(Arc::ptr_eq(&first, &find(1).await.unwrap()));
        assert!(find(2).await.is_some_and(|second| second.number == GenerationNumber(2)));
        assert!(Arc::ptr_eq(&first, &find(1).await.unwrap()));
        assert!(find(3).await.is_some() && find(4).await.is_none());
        assert!(!Arc::ptr_eq(&first, &find(1).await.unwrap()), "no more than two are kept");
    }
}
