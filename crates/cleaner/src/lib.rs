//! The Cleaner: removes what is finished and older than it is to be kept, a little at a time.
//!
//! It is a service of the Task Scheduler: it runs on a schedule, and when somebody asks. Either is a row of its queue in the database. Several
//! may be there; the database lets one run at a time through. What may go, and what never does, is said by [`baton_storage::Sweep`].

mod clean;
mod error;
mod schedule;
mod service;

use baton_handler_cache::{Hint, Hints};
use baton_runtime::settings::Age;
use baton_storage::{ServiceRun, StorageError, Store};
use chrono::{DateTime, Utc};
use serde_json::json;

pub use clean::{CleanResult, Keep};
pub use error::CleanError;
pub use service::{Cleaner, CleanerSettings};

/// The name under which the Task Scheduler lists it.
pub const SERVICE: &str = "cleaner";
/// The same for people.
pub const TITLE: &str = "Cleaner";

/// Asks for a run. One that is asked for while another waits in the queue is that other one.
///
/// # Errors
/// When the database cannot be asked.
pub async fn request_clean(store: &Store, hints: &Hints, now: DateTime<Utc>) -> Result<ServiceRun, StorageError> {
    let run = store.request_run(SERVICE, &json!({}), now).await?;
    hints.send(Hint::RunRequested);
    Ok(run)
}

/// When it runs, in words: `every 1h`, or `on demand`.
#[must_use]
pub fn schedule(every: Age) -> String {
    if every.get().is_some() { format!("every {every}") } else { "on demand".into() }
}
