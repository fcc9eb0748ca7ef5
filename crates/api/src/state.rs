//! What every request needs.

use std::ops::Deref;
use std::sync::Arc;

use baton_dispatcher::call::Caller;
use baton_domain::{GenerationNumber, Snapshot};
use baton_handler_cache::HandlerCache;
use baton_storage::{StorageError, Store, Vault};
use tokio::sync::Semaphore;

use crate::answers::Answers;
use crate::appender::Appender;
use crate::backlog::Backlog;
use crate::catalogue::CatalogueCache;
use crate::past::PastGenerations;
use crate::pending::PendingCache;
use crate::request::Params;
use crate::schemas::SchemaCache;

/// How many test calls run at once.
const TEST_CALLS_MAX: usize = 16;

/// What every request needs. Cheap to clone.
#[derive(Clone)]
pub struct ApiState(Arc<Shared>);

/// What an [`ApiState`] stands for; one for all requests.
pub struct Shared {
    pub(crate) store: Store,
    pub(crate) cache: HandlerCache,
    pub(crate) caller: Caller,
    pub(crate) vault: Vault,
    pub(crate) appender: Appender,
    pub(crate) backlog: Backlog,
    pub(crate) admin_token: String,
    pub(crate) cleaner_schedule: String,
    pub(crate) catalogue: CatalogueCache,
    pub(crate) past: PastGenerations,
    pub(crate) pending: PendingCache,
    pub(crate) schemas: Arc<SchemaCache>,
    pub(crate) test_calls: Arc<Semaphore>,
    pub(crate) answers: Answers,
}

/// What an [`ApiState`] is made of.
pub struct ApiParts {
    /// The database.
    pub store: Store,
    /// The live generation, and the hints that follow a write.
    pub cache: HandlerCache,
    /// Checks tasks when a handler is saved, and makes test calls.
    pub caller: Caller,
    /// Seals secrets and header values.
    pub vault: Vault,
    /// Stores events.
    pub appender: Appender,
    /// How many events may be unfinished before no more are taken in.
    pub backlog_max: u64,
    /// The bearer token of every call under `/v1`.
    pub admin_token: String,
    /// When the Cleaner runs, as the list of services shows it.
    pub cleaner_schedule: String,
}

impl ApiState {
    /// Puts the parts together, and starts to watch the backlog and the schemas: to be called within a runtime.
    #[must_use]
    pub fn new(parts: ApiParts) -> Self {
        let ApiParts { store, cache, caller, vault, appender, backlog_max, admin_token, cleaner_schedule } = parts;
        Self(Arc::new(Shared {
            backlog: Backlog::watch(store.clone(), backlog_max),
            catalogue: CatalogueCache::new(store.clone()),
            past: PastGenerations::default(),
            pending: PendingCache::default(),
            schemas: SchemaCache::watch(store.clone()),
            test_calls: Arc::new(Semaphore::new(TEST_CALLS_MAX)),
            answers: Answers::default(),
            admin_token,
            cleaner_schedule,
            store,
            cache,
            caller,
            vault,
            appender,
        }))
    }
}

impl Deref for ApiState {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl std::fmt::Debug for ApiState {
    /// Without the token and the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiState").finish_non_exhaustive()
    }
}

impl ApiState {
    /// The catalogue's id of an event type that a parameter names by its id or an older spelling.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn known_event(
        &self,
        params: &mut Params,
        name: &str,
        value: Option<String>,
    ) -> Result<Option<String>, StorageError> {
        let Some(value) = params.text(name, value) else { return Ok(None) };
        let catalogue = self.catalogue.with([value.as_str()]).await?;
        match catalogue.resolve(&value) {
            Ok(found) => Ok(Some(found.id.clone())),
            Err(reason) => {
                params.refuse(name, reason);
                Ok(None)
            }
        }
    }

    /// What was live under a number; from memory where it still is. `None` when it was removed.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn generation(&self, number: GenerationNumber) -> Result<Option<Arc<Snapshot>>, StorageError> {
        match self.cache.live() {
            Some(live) if live.number == number => Ok(Some(live)),
            _ => self.past.find(&self.store, number).await,
        }
    }
}
