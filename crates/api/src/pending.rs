//! What is saved and not live, kept until one of the two is another: every page of the console asks for it.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use baton_domain::{Changes, GenerationNumber, Snapshot};
use baton_storage::{EnabledVersions, Result, Store};

/// What is saved and not live.
#[derive(Debug)]
pub(crate) struct Pending {
    /// What it was made of.
    live: Option<GenerationNumber>,
    saved: EnabledVersions,
    /// What a restart of the Cache Manager would make live.
    pub(crate) changes: Changes,
}

impl Pending {
    /// How many handlers differ.
    pub(crate) fn count(&self) -> usize {
        self.changes.added.len() + self.changes.removed.len() + self.changes.changed.len()
    }
}

/// What was found last. It is told from what is out of date by asking the database, never by time or by a message: several processes may
/// save handlers, and nobody is to see less than was saved before.
#[derive(Debug, Default)]
pub(crate) struct PendingCache(ArcSwapOption<Pending>);

impl PendingCache {
    /// What is saved now and not in this generation.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn beside(&self, store: &Store, live: Option<&Snapshot>) -> Result<Arc<Pending>> {
        let number = live.map(|snapshot| snapshot.number);
        let saved = store.enabled_versions().await?;
        if let Some(kept) = self.0.load_full().filter(|kept| kept.live == number && kept.saved == saved) {
            return Ok(kept);
        }
        let handlers = store.enabled_handlers().await?;
        let live_handlers = live.map_or(&[][..], |snapshot| snapshot.handlers());
        let changes = Changes::between(live_handlers.iter().map(AsRef::as_ref), handlers.iter().map(|handler| &handler.spec));
        // Named after what was read, which may be newer than what was asked for first.
        let found = Arc::new(Pending { live: number, saved: EnabledVersions::of(&handlers), changes });
        self.0.store(Some(Arc::clone(&found)));
        Ok(found)
    }
}
