//! Asking for a restart, and waiting for what comes of it.

use std::time::Duration;

use baton_domain::GenerationNumber;
use baton_handler_cache::{Hint, Hints};
use baton_storage::{RunState, ServiceRun, StorageError, Store};
use chrono::{DateTime, Utc};
use serde_json::json;
use tokio::time::{Instant, timeout_at};

use crate::SERVICE;
use crate::build::Request;

/// How often a run is looked at while no hint says that it ended.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Asks for a restart. One that is asked for while another waits in the queue is that other one.
///
/// # Errors
/// `Conflict` when something else waits in the queue; or when the database cannot be asked.
pub async fn request_restart(store: &Store, hints: &Hints, now: DateTime<Utc>) -> Result<ServiceRun, StorageError> {
    request(store, hints, Request::Restart, now).await
}

/// Asks for a generation with the content of an older one.
///
/// # Errors
/// `Conflict` when something else waits in the queue; or when the database cannot be asked.
pub async fn request_rollback(
    store: &Store,
    hints: &Hints,
    to: GenerationNumber,
    now: DateTime<Utc>,
) -> Result<ServiceRun, StorageError> {
    request(store, hints, Request::Rollback { to }, now).await
}

pub(crate) async fn request(
    store: &Store,
    hints: &Hints,
    request: Request,
    now: DateTime<Utc>,
) -> Result<ServiceRun, StorageError> {
    let run = store.request_run(SERVICE, &json!(request), now).await?;
    hints.send(Hint::RunRequested);
    Ok(run)
}

/// Waits until a run has ended, at most for `wait`; the run as it is then.
///
/// # Errors
/// `NotFound` when there is no such run; or when the database cannot be asked.
pub async fn wait_for_run(store: &Store, hints: &Hints, id: i64, wait: Duration) -> Result<ServiceRun, StorageError> {
    let deadline = Instant::now() + wait;
    let mut told = hints.subscribe();
    loop {
        let run = store.run(id).await?.ok_or(StorageError::NotFound)?;
        if matches!(run.state, RunState::Done | RunState::Failed) || Instant::now() >= deadline {
            return Ok(run);
        }
        let next_look = (Instant::now() + LOOK_EVERY).min(deadline);
        let ended = async { while !matches!(told.recv().await, Ok(Hint::RunFinished) | Err(_)) {} };
        // The look follows either way: by the hint, or by the time.
        let _ = timeout_at(next_look, ended).await;
    }
}
