//! Why a run was not done. What it had removed until then is gone all the same; the next run goes on with the rest.

use baton_storage::{Removed, StorageError};

/// Errors of a run, as its record shows them.
#[derive(Debug, thiserror::Error)]
pub enum CleanError {
    /// The program was asked to stop.
    #[error("the program was stopped before the run was done; {} rows had been removed", .0.rows())]
    Stopped(Removed),
    /// No sign of life reached the database for so long that the run was given to others.
    #[error("the run was given up for dead: its Cleaner could not reach the database in time")]
    TakenOver,
    /// The database.
    #[error("not done: {0}")]
    Storage(#[from] StorageError),
}
