//! The event catalogue in memory, so that publishing asks the database nothing.

use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use baton_domain::Catalogue;
use baton_storage::{Result, Store};
use tokio::sync::Mutex;

/// The catalogue as it was read last. Event types are only ever added, so that an old one is wrong in one way alone: it may lack some.
#[derive(Debug)]
pub(crate) struct CatalogueCache {
    store: Store,
    known: ArcSwap<Catalogue>,
    /// When the read of what is known began; `None` before the first. The lock makes many that miss the same id ask once.
    read: Mutex<Option<Instant>>,
}

impl CatalogueCache {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, known: ArcSwap::from_pointee(Catalogue::default()), read: Mutex::new(None) }
    }

    /// A catalogue in which everything that exists now can be found: the one in memory when it has all of `names`, else a fresh one.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn with<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Result<Arc<Catalogue>> {
        let known = self.known.load_full();
        if names.into_iter().all(|name| known.find(name).is_some()) {
            return Ok(known);
        }
        // Boxed, so that every publication need not carry the room for a query that hardly any makes.
        Box::pin(self.fresh()).await
    }

    /// The catalogue as it is now.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn fresh(&self) -> Result<Arc<Catalogue>> {
        let asked = Instant::now();
        let mut read = self.read.lock().await;
        if read.is_none_or(|read| read < asked) {
            let begun = Instant::now();
            let catalogue = self.store.catalogue().await?;
            self.known.store(Arc::new(catalogue));
            *read = Some(begun);
        }
        Ok(self.known.load_full())
    }
}
