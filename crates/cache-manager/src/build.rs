//! Building one generation.

use std::sync::Arc;
use std::time::Instant;

use baton_domain::handler::{HandlerSpec, Sealed};
use baton_domain::limits::GENERATION_HANDLERS_MAX;
use baton_domain::{Catalogue, Changes, FieldErrors, GenerationNumber, Snapshot};
use baton_storage::{GenerationCause as Cause, NewGeneration, Store, Vault};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::error::BuildError;

/// How often a number that others took is left to them before the build gives up.
const TRIES: u32 = 5;

/// What a run is asked to do; the parameters of its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(crate) enum Request {
    /// The very first build of an installation.
    Start,
    /// Make what is saved live.
    Restart,
    /// Make a generation with an older one's content.
    Rollback {
        /// The older one.
        to: GenerationNumber,
    },
}

/// What a restart or rollback answers, and the run's record keeps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RestartResult {
    /// The generation that is live now.
    pub generation: GenerationNumber,
    /// How many handlers it has.
    pub handlers: usize,
    /// What differs from the one before.
    pub changes: Changes,
    /// How long the build took, in milliseconds.
    pub took_ms: i64,
}

/// Builds and stores the next generation. It is live from then on: the database says so.
pub(crate) async fn build(
    store: &Store,
    vault: &Vault,
    request: Request,
    now: DateTime<Utc>,
) -> Result<(Arc<Snapshot>, RestartResult), BuildError> {
    let began = Instant::now();
    for _ in 0..TRIES {
        let live = store.live_generation().await?;
        if let (Request::Start, Some(live)) = (request, &live) {
            // Another instance was first. Nothing that was saved since goes live by this.
            return Ok(unchanged(live, began));
        }
        let handlers = wanted(store, request).await?;
        check(vault, &store.catalogue().await?, &handlers)?;
        let number = GenerationNumber(live.as_ref().map_or(0, |s| s.number.0) + 1);
        let snapshot = Snapshot::new(number, now, handlers);
        let specs = |s: &Snapshot| s.handlers().iter().map(|h| HandlerSpec::clone(h)).collect::<Vec<_>>();
        let changes = Changes::between(&live.as_ref().map(specs).unwrap_or_default(), &specs(&snapshot));
        let took_ms = began.elapsed().as_millis() as i64;
        let (cause, rolled_back_to) = match request {
            Request::Start => (Cause::Start, None),
            Request::Restart => (Cause::Restart, None),
            Request::Rollback { to } => (Cause::Rollback, Some(to)),
        };
        let new = NewGeneration { snapshot: &snapshot, changes: &changes, took_ms, cause, rolled_back_to };
        if store.insert_generation(&new).await? {
            let result = RestartResult { generation: number, handlers: snapshot.handlers().len(), changes, took_ms };
            return Ok((Arc::new(snapshot), result));
        }
    }
    Err(BuildError::Overtaken)
}

fn unchanged(live: &Snapshot, began: Instant) -> (Arc<Snapshot>, RestartResult) {
    let (handlers, took_ms) = (live.handlers().len(), began.elapsed().as_millis() as i64);
    let result = RestartResult { generation: live.number, handlers, changes: Changes::default(), took_ms };
    (Arc::new(live.clone()), result)
}

async fn wanted(store: &Store, request: Request) -> Result<Vec<HandlerSpec>, BuildError> {
    match request {
        Request::Start | Request::Restart => Ok(store.enabled_handlers().await?.into_iter().map(|h| h.spec).collect()),
        Request::Rollback { to } => {
            let older = store.generation(to).await?.ok_or(BuildError::NoSuchGeneration(to))?;
            Ok(older.snapshot.handlers().iter().map(|h| HandlerSpec::clone(h)).collect())
        }
    }
}

/// Checks that every handler could be called: a generation that goes live must not fail at its first event.
fn check(vault: &Vault, catalogue: &Catalogue, handlers: &[HandlerSpec]) -> Result<(), BuildError> {
    let mut errors = FieldErrors::default();
    if handlers.len() > GENERATION_HANDLERS_MAX {
        errors.push("handlers", format!("{} are enabled; a generation can have {GENERATION_HANDLERS_MAX}", handlers.len()));
    }
    for handler in handlers {
        let of = |field: &str| format!("handler {} ({}), {field}", handler.id, handler.name);
        if catalogue.find(&handler.event).is_none() {
            errors.push(of("event"), format!("'{}' is not in the event catalogue", handler.event));
        }
        let opens = |sealed: &Sealed| vault.open(sealed).is_ok();
        if !handler.headers.values().all(opens) {
            errors.push(
                of("headers"),
                "cannot be opened with BATON_SECRET_KEY; set them anew or start with the key they were saved with",
            );
        }
        if !handler.secrets.iter().all(|secret| opens(&secret.sealed)) {
            errors.push(
                of("secret"),
                "cannot be opened with BATON_SECRET_KEY; set it anew or start with the key it was saved with",
            );
        }
    }
    errors.or(()).map_err(BuildError::Refused)
}
