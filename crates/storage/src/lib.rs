//! All SQL of Baton: one [`Store`] on PostgreSQL and SQLite.
//!
//! Its methods are the transaction boundaries: each either did all that it says or nothing. Instants are passed in and kept to the
//! microsecond. Every statement text is a constant in the module that runs it (searches with optional filters are put together there),
//! so that a test can prepare them all on both databases.

mod append;
mod audit;
mod by_time;
mod catalogue;
mod conn;
mod db;
mod dead_letters;
mod delivered;
mod error;
mod event_schemas;
mod events;
mod executions;
mod feed;
mod generations;
mod handler_search;
mod handlers;
mod jobs;
mod minutes;
mod ownership;
mod paging;
mod pauses;
mod priorities;
mod progress;
mod record;
mod rekey;
mod replay;
mod retention;
mod schedule;
mod search;
mod service_runs;
mod sql;
mod stats;
mod tail;
mod tallies;
mod vault;

pub use append::Appended;
pub use audit::{Audit, Imbalance, StoredEnds, audit};
pub use db::{Store, StoreSettings};
pub use dead_letters::{DeadLetterSearch, DeliveryState, StoredDelivery};
pub use error::{Result, StorageError};
pub use event_schemas::{EventSchema, SchemaUse};
pub use events::{EventSearch, StoredEvent};
pub use executions::{EXAMINED_MAX, ExecutionSearch, LastExecution};
pub use feed::{FedDispatch, FeedQuery};
pub use generations::{GenerationCause, GenerationSummary, NewGeneration, StoredGeneration};
pub use handler_search::{HandlerOrder, HandlerSearch, HandlerSort};
pub use handlers::{EnabledVersions, NewHandler};
pub use jobs::{JOB_BATCH, Job, JobParams, JobState, Recovery};
pub use minutes::{COUNTS_WRITTEN_EVERY, CountedCall, Counts, HandlerCounts, HandlerRank, Span};
pub use ownership::{Instance, Work};
pub use paging::{Page, Paged};
pub use pauses::Pause;
pub use priorities::{NewPriority, Stale};
pub use progress::{EarlierDispatch, Progress, ProgressState};
pub use record::{DeliveryRow, Finished, Record};
pub use rekey::Resealed;
pub use retention::{BATCH_ROWS, GENERATIONS_KEPT, Place, Removed, Sweep, Swept};
pub use service_runs::{LastRuns, RunState, ServiceRun};
#[doc(hidden)]
pub use sql::Statement;
pub use stats::{Backlog, DEAD_LETTERS_COUNTED, StatRow};
pub use tail::{AppendedHere, FedFromTail};
pub use vault::{Vault, VaultError};

/// Every statement with its texts for PostgreSQL and SQLite, for tests that prepare or explain them. An empty text says that the
/// database does without it.
#[doc(hidden)]
#[must_use]
pub fn statements() -> Vec<Statement> {
    [
        append::STATEMENTS,
        audit::STATEMENTS,
        catalogue::STATEMENTS,
        db::STATEMENTS,
        dead_letters::STATEMENTS,
        delivered::STATEMENTS,
        event_schemas::STATEMENTS,
        events::STATEMENTS,
        executions::STATEMENTS,
        feed::STATEMENTS,
        generations::STATEMENTS,
        handlers::STATEMENTS,
        &jobs::all_statements(),
        minutes::STATEMENTS,
        ownership::STATEMENTS,
        pauses::STATEMENTS,
        priorities::STATEMENTS,
        progress::STATEMENTS,
        record::STATEMENTS,
        rekey::STATEMENTS,
        replay::STATEMENTS,
        &retention::all_statements(),
        schedule::STATEMENTS,
        service_runs::STATEMENTS,
        stats::STATEMENTS,
        tallies::STATEMENTS,
    ]
    .concat()
}

/// The settings of PostgreSQL under which the hot statements run, for tests that explain them.
#[doc(hidden)]
#[must_use]
pub fn hot_settings() -> &'static [(&'static str, &'static str)] {
    &db::BY_INDEX
}
