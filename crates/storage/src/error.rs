//! What can go wrong, by what the caller does differently.

/// The result of this crate.
pub type Result<T, E = StorageError> = std::result::Result<T, E>;

/// Why a method of [`crate::Store`] did nothing.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The database cannot be reached, is overloaded, is going away, or gave up this transaction for another. Try again later. Whether
    /// a commit took place is not known; every method says what a repetition does where it matters.
    #[error("the database is not available at the moment")]
    Unavailable(#[source] sqlx::Error),
    /// What was to be changed has been changed or made by another in the meantime.
    #[error("it has been changed by another in the meantime")]
    Conflict,
    /// There is nothing with this id.
    #[error("there is nothing with this id")]
    NotFound,
    /// This process no longer holds what it is writing about: its lease ran out, or a partition or run was given to another.
    #[error("this process has been taken over by another")]
    Fenced,
    /// A paging cursor that this list did not give out.
    #[error("the cursor is not one that this list gave out")]
    BadCursor,
    /// The database URL cannot be used, with the reason.
    #[error("the database URL cannot be used: {0}")]
    BadUrl(String),
    /// What is stored cannot be read back.
    #[error("what is stored cannot be read: {what}")]
    Corrupt {
        /// Where and why.
        what: String,
    },
    /// The migrations do not fit the database.
    #[error("the database cannot be migrated")]
    Migration(#[source] sqlx::migrate::MigrateError),
    /// Everything else: a mistake in Baton or a database that was altered.
    #[error("the database refused a statement")]
    Bug(#[source] sqlx::Error),
}

impl From<sqlx::Error> for StorageError {
    fn from(error: sqlx::Error) -> Self {
        if is_passing(&error) { Self::Unavailable(error) } else { Self::Bug(error) }
    }
}

impl StorageError {
    /// What is stored cannot be read back.
    pub(crate) fn corrupt(what: impl Into<String>) -> Self {
        Self::Corrupt { what: what.into() }
    }

    /// Whether a unique index refused it.
    pub(crate) fn is_unique_violation(&self) -> bool {
        matches!(self, Self::Bug(error) if error.as_database_error().is_some_and(|e| e.is_unique_violation()))
    }
}

/// Classes and codes of PostgreSQL that pass by themselves: connection exceptions, serialisation and deadlock, out of resources, lock not
/// available, a statement that was cancelled, a
/// transaction that was idle for too long, a server that shuts down or starts, a standby that is not yet the primary.
const PASSING_POSTGRES: [&str; 9] = ["08", "40", "53", "55P03", "57014", "57P", "25006", "25P03", "58030"];

/// Primary codes of SQLite that pass by themselves: busy, locked, an I/O error, full, cannot open.
const PASSING_SQLITE: [i32; 5] = [5, 6, 10, 13, 14];

fn is_passing(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::BeginFailed => true,
        sqlx::Error::Database(database) => {
            let code = database.code().unwrap_or_default();
            if database.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some() {
                // Extended codes carry the primary one in their lowest byte.
                code.parse::<i32>().is_ok_and(|code| PASSING_SQLITE.contains(&(code & 0xff)))
            } else {
                PASSING_POSTGRES.iter().any(|passing| code.starts_with(passing))
            }
        }
        _ => false,
    }
}
