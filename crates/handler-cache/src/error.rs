//! What can go wrong with the cache.

use baton_storage::StorageError;

/// Errors of the handler cache.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// `BATON_REDIS_URL` is not one that the client understands.
    #[error("BATON_REDIS_URL cannot be used: {0}")]
    BadUrl(#[source] redis::RedisError),
    /// Redis did not do what it was asked to; the database is asked instead.
    #[error("Redis: {0}")]
    Redis(#[from] redis::RedisError),
    /// What Redis holds under a generation's number is not that generation.
    #[error("what Redis holds as generation {number} cannot be used: {reason}")]
    Spoiled {
        /// The number that was asked for.
        number: i64,
        /// What is wrong with it.
        reason: String,
    },
    /// The database.
    #[error(transparent)]
    Storage(#[from] StorageError),
}
