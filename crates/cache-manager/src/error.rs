//! Why a build failed. A failed build changes nothing.

use baton_domain::{FieldErrors, GenerationNumber};
use baton_storage::StorageError;

/// Errors of a build, as the run's record shows them.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Handlers that cannot go live as they are saved.
    #[error("nothing was changed, handlers cannot go live as they are saved: {0}")]
    Refused(FieldErrors),
    /// The generation to go back to is not there.
    #[error("there is no generation {0}")]
    NoSuchGeneration(GenerationNumber),
    /// Others built generations at the same time, again and again.
    #[error("nothing was changed, other builds took every number that was tried; restart again")]
    Overtaken,
    /// No sign of life reached the database for so long that the run was given to others.
    #[error("the run was given up for dead: its Cache Manager could not reach the database in time")]
    TakenOver,
    /// What was asked for cannot be read.
    #[error("the request of the run cannot be read: {0}")]
    BadRequest(#[source] serde_json::Error),
    /// The database.
    #[error("nothing was changed: {0}")]
    Storage(#[from] StorageError),
}
