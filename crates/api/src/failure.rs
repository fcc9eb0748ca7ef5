//! What the crates below report, as problems.

use baton_handler_cache::CacheError;
use baton_storage::StorageError;

use crate::problem::{Code, Problem};

/// What a client is advised to wait when the database does not answer, in seconds.
pub(crate) const RETRY_UNAVAILABLE_SECONDS: u32 = 2;

impl From<StorageError> for Problem {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Unavailable(source) => {
                tracing::warn!(error = &source as &dyn std::error::Error, "the database does not answer");
                unavailable()
            }
            StorageError::BadCursor => {
                Self::field("cursor", "is not one that this list gave out; leave it out for the first page")
            }
            StorageError::NotFound => Self::not_found("such thing any more"),
            StorageError::Conflict => {
                Self::new(Code::EditConflict, "It is being changed by another at the same time; try again.")
            }
            other => internal(&other),
        }
    }
}

impl From<CacheError> for Problem {
    fn from(error: CacheError) -> Self {
        match error {
            CacheError::Storage(error) => error.into(),
            other => internal(&other),
        }
    }
}

/// The database does not answer; the same request may succeed later.
pub(crate) fn unavailable() -> Problem {
    Problem::new(Code::Unavailable, "The database does not answer at the moment; try again.")
        .retry_after(RETRY_UNAVAILABLE_SECONDS)
}

/// An error of Baton's own: the log says what, the answer does not.
pub(crate) fn internal(error: &(dyn std::error::Error + 'static)) -> Problem {
    tracing::error!(error, "a request failed");
    Problem::new(Code::Internal, "Baton could not do this; its log says why.")
}
