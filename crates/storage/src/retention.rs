//! Retention: removes what is finished and old, in batches that are short enough to be borne by everybody else.
//!
//! A sweep walks one table in the order of its age, from the oldest row to the first that is too young, at most [`BATCH_ROWS`] rows at a
//! time: it reads a page, and removes in one transaction what of it may go. Where nothing is old, the first look finds nothing and that
//! was all; a row that has to stay is passed over. Events and executions are walked by their ids, which sort by time (UUIDv7), so
//! that there is no index to keep for it on the way of an event.
//!
//! What is unfinished is never removed, however old it is: no event with a dispatch, and nothing that belongs to one.
//!
//! The tallies are not touched. They count what was ever published and how it ended, so
//! published = delivered + failed + unmatched + retrying + pending stays exact; what is stored of finished events is then less than
//! what was counted.

mod events;
mod generations;
mod logs;
mod minutes;

use baton_domain::limits::IDEMPOTENCY_HOURS;
use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::Store;
use crate::by_time::first_id_of;
use crate::conn::{Readable, Tx};
use crate::error::Result;
use crate::sql::{Statement, Value, statements};

/// The most rows that one batch removes.
pub const BATCH_ROWS: usize = 1000;

/// What a sweep removes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sweep {
    /// Executions of finished events, by their beginning.
    Executions,
    /// Events, by their end, with their results, executions and dead letters. One with a dead letter goes when that is old as well, one
    /// whose idempotency key is remembered stays as long as that.
    Events,
    /// Idempotency keys, by the publication that they stand for. Walks the events; [`Place::since`] saves it those that an earlier sweep
    /// has seen.
    IdempotencyKeys,
    /// Generations, by the time since when they are not live any more. The newest [`GENERATIONS_KEPT`] stay, and those that something
    /// stored names: an event, an unfinished dispatch, a delivery.
    Generations,
    /// Runs of services, by their end. The last one of each service stays.
    ServiceRuns,
    /// Jobs, by their end.
    Jobs,
    /// Statistics of minutes and hours, by their beginning.
    Minutes,
}

pub use generations::GENERATIONS_KEPT;

impl Sweep {
    /// Every sweep, in an order in which each leaves little to the next.
    pub const ALL: [Self; 7] =
        [Self::Executions, Self::Events, Self::IdempotencyKeys, Self::Generations, Self::ServiceRuns, Self::Jobs, Self::Minutes];
}

/// How many rows were removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Removed {
    /// Events, with their results.
    pub events: u64,
    /// Executions: by their own age, or with their events.
    pub executions: u64,
    /// Dead letters, with their events.
    pub dead_letters: u64,
    /// Idempotency keys: by their own age, or with their events.
    pub idempotency_keys: u64,
    /// Generations.
    pub generations: u64,
    /// Runs of services.
    pub service_runs: u64,
    /// Jobs.
    pub jobs: u64,
    /// Rows of statistics.
    pub minutes: u64,
}

impl Removed {
    /// The counts with their names.
    #[must_use]
    pub fn by_kind(&self) -> [(&'static str, u64); 8] {
        [
            ("events", self.events),
            ("executions", self.executions),
            ("dead_letters", self.dead_letters),
            ("idempotency_keys", self.idempotency_keys),
            ("generations", self.generations),
            ("service_runs", self.service_runs),
            ("jobs", self.jobs),
            ("minutes", self.minutes),
        ]
    }

    /// Of all kinds.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.by_kind().iter().map(|(_, rows)| rows).sum()
    }
}

impl std::ops::AddAssign for Removed {
    fn add_assign(&mut self, more: Self) {
        self.events += more.events;
        self.executions += more.executions;
        self.dead_letters += more.dead_letters;
        self.idempotency_keys += more.idempotency_keys;
        self.generations += more.generations;
        self.service_runs += more.service_runs;
        self.jobs += more.jobs;
        self.minutes += more.minutes;
    }
}

/// How far a sweep has come: what its batch before said, or the default for the beginning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place(At);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum At {
    #[default]
    Start,
    Id(Uuid),
    Number(i64),
}

impl Place {
    /// The beginning, but for what was made before this instant: for a sweep of executions, events or idempotency keys of which everything
    /// older has been looked at before.
    #[must_use]
    pub fn since(instant: DateTime<Utc>) -> Self {
        Self(At::Id(first_id_of(instant)))
    }

    fn id(self) -> Uuid {
        if let At::Id(id) = self.0 { id } else { Uuid::nil() }
    }

    fn number(self) -> i64 {
        if let At::Number(number) = self.0 { number } else { 0 }
    }
}

/// What a batch did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Swept {
    /// What it removed.
    pub removed: Removed,
    /// Where the next batch begins; `None` when all that is old has been looked at.
    pub next: Option<Place>,
}

/// What is old.
#[derive(Debug, Clone, Copy)]
struct Ages {
    /// What is to go is from before this instant.
    before: DateTime<Utc>,
    /// Idempotency keys from later than this are remembered.
    keys_since: DateTime<Utc>,
}

statements! {
    /// By index only, as the hot statements are planned, and anew each time: a plan from a quiet night would walk along a whole index. And a
    /// removal that is lost in a crash of the database is done again: nobody has to wait for the disk, least of all under a lock.
    LIGHTLY = {
        postgres: "
            SELECT set_config(name, value, true) FROM (VALUES
                ('synchronous_commit', 'off'), ('plan_cache_mode', 'force_custom_plan'), ('enable_seqscan', 'off'),
                ('enable_bitmapscan', 'off'), ('enable_hashjoin', 'off'), ('enable_mergejoin', 'off')
            ) AS settings (name, value)",
        sqlite: "",
    };
}

/// Every statement of the sweeps.
pub(crate) fn all_statements() -> Vec<Statement> {
    [STATEMENTS, events::STATEMENTS, generations::STATEMENTS, logs::STATEMENTS, minutes::STATEMENTS].concat()
}

impl Store {
    /// One batch of a sweep: removes at most [`BATCH_ROWS`] rows of what is older than `keep` at `now`. Begin at the default place, go on
    /// where the batch before says; take a breath in between.
    ///
    /// # Errors
    /// When the database fails; the batch then removed nothing, and can be done again from the same place.
    pub async fn sweep(&self, what: Sweep, keep: TimeDelta, now: DateTime<Utc>, place: Place) -> Result<Swept> {
        let ages = Ages {
            before: now.checked_sub_signed(keep).unwrap_or(DateTime::<Utc>::MIN_UTC),
            keys_since: now - TimeDelta::hours(IDEMPOTENCY_HOURS),
        };
        match what {
            Sweep::Executions => logs::executions(self, ages, place).await,
            Sweep::Events => events::events(self, ages, place).await,
            Sweep::IdempotencyKeys => logs::idempotency_keys(self, ages, place).await,
            Sweep::Generations => generations::generations(self, ages, place).await,
            Sweep::ServiceRuns => logs::service_runs(self, ages, place).await,
            Sweep::Jobs => logs::jobs(self, ages, place).await,
            Sweep::Minutes => minutes::minutes(self, ages, place).await,
        }
    }
}

/// Where the next batch begins: behind the last row of a page that is full.
fn behind<T>(rows: &[T], full: usize, at: impl Fn(&T) -> At) -> Option<Place> {
    rows.last().filter(|_| rows.len() >= full).map(|row| Place(at(row)))
}

/// For a transaction of a sweep, before everything else.
pub(crate) async fn lightly(tx: &mut Tx<'_>) -> Result<()> {
    if !tx.is_sqlite() {
        let _: Vec<(String,)> = tx.fetch_all(LIGHTLY, vec![]).await?;
    }
    Ok(())
}

/// Reads, on SQLite without keeping anybody from writing.
pub(crate) async fn look<T: Readable>(store: &Store, statement: Statement, values: Vec<Value<'_>>) -> Result<Vec<T>> {
    let mut conn = store.reader().await?;
    if conn.is_sqlite() {
        return conn.fetch_all(statement, values).await;
    }
    let mut tx = conn.begin().await?;
    lightly(&mut tx).await?;
    let rows = tx.fetch_all(statement, values).await?;
    tx.rollback().await?;
    Ok(rows)
}
