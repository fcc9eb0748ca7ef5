//! One run: all sweeps, batch by batch.

use std::time::{Duration, Instant};

use baton_domain::limits::IDEMPOTENCY_HOURS;
use baton_runtime::settings::{Age, CleanArgs};
use baton_storage::{Place, Removed, StorageError, Store, Sweep, Swept};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::SERVICE;
use crate::error::CleanError;

/// How long runs of services, and jobs, are remembered.
const KEEP_WORK: TimeDelta = TimeDelta::days(90);
/// The breath between two batches: so many times what the batch took, within these bounds. The rest of the time is for everybody else.
const BREATH_TIMES: u32 = 4;
const BREATH_MIN: Duration = Duration::from_millis(10);
const BREATH_MAX: Duration = Duration::from_secs(1);
/// How often a batch is tried that the database could not do, and the pause in between.
const TRIES: u32 = 20;
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// How much is looked at again behind the last run that was done, in case the clocks of two hosts differ.
const OVERLAP: TimeDelta = TimeDelta::hours(1);

/// How long things are kept; `None` for ever.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Keep {
    /// Events, after they have ended.
    pub events: Option<TimeDelta>,
    /// Executions, after they began.
    pub executions: Option<TimeDelta>,
    /// Generations, after they were live.
    pub generations: Option<TimeDelta>,
    /// Statistics by minute and by hour, after the minute or hour began.
    pub statistics: Option<TimeDelta>,
}

impl From<&CleanArgs> for Keep {
    fn from(args: &CleanArgs) -> Self {
        // Ages are bounded so that each of them is one.
        let of = |age: Age| age.get().map(|age| TimeDelta::from_std(age).unwrap_or(TimeDelta::MAX));
        Self {
            events: of(args.keep_events),
            executions: of(args.keep_executions),
            generations: of(args.keep_generations),
            statistics: of(args.keep_statistics),
        }
    }
}

impl Keep {
    fn of(&self, what: Sweep) -> Option<TimeDelta> {
        match what {
            Sweep::Executions => self.executions,
            Sweep::Events => self.events,
            Sweep::IdempotencyKeys => Some(TimeDelta::hours(IDEMPOTENCY_HOURS)),
            Sweep::Generations => self.generations,
            Sweep::ServiceRuns | Sweep::Jobs => Some(KEEP_WORK),
            Sweep::Minutes => self.statistics,
        }
    }
}

/// What a run did: what its record keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CleanResult {
    /// How many rows it removed.
    #[serde(flatten)]
    pub removed: Removed,
    /// How long it took, in milliseconds.
    pub took_ms: i64,
}

/// Removes what is older than it is to be kept. Ends between two batches when it is to stop.
pub(crate) async fn clean(
    store: &Store,
    keep: &Keep,
    now: DateTime<Utc>,
    stop: &CancellationToken,
) -> Result<CleanResult, CleanError> {
    let began = Instant::now();
    let mut removed = Removed::default();
    for what in Sweep::ALL {
        let Some(keep) = keep.of(what) else { continue };
        let mut place = beginning(store, what, keep).await?;
        loop {
            let batch = Instant::now();
            let swept = sweep(store, what, keep, now, place, stop).await?;
            let Some(swept) = swept else { return Err(CleanError::Stopped(removed)) };
            count(&swept.removed);
            removed += swept.removed;
            let Some(next) = swept.next else { break };
            place = next;
            breathe(batch.elapsed(), stop).await;
        }
    }
    let took_ms = began.elapsed().as_millis().try_into().unwrap_or(i64::MAX);
    Ok(CleanResult { removed, took_ms })
}

/// Where a sweep begins. That of keys walks the events, most of which have been seen by the run before.
async fn beginning(store: &Store, what: Sweep, keep: TimeDelta) -> Result<Place, StorageError> {
    if what != Sweep::IdempotencyKeys {
        return Ok(Place::default());
    }
    let last = store.last_done(SERVICE).await?;
    Ok(last.map_or(Place::default(), |began| Place::since(began - keep - OVERLAP)))
}

/// One batch; `None` when it is to stop.
async fn sweep(
    store: &Store,
    what: Sweep,
    keep: TimeDelta,
    now: DateTime<Utc>,
    place: Place,
    stop: &CancellationToken,
) -> Result<Option<Swept>, StorageError> {
    let mut tries = 1;
    loop {
        if stop.is_cancelled() {
            return Ok(None);
        }
        match store.sweep(what, keep, now, place).await {
            Err(StorageError::Unavailable(error)) if tries < TRIES => {
                tracing::warn!(%error, ?what, "a batch could not be removed yet");
                tries += 1;
                stop.run_until_cancelled(tokio::time::sleep(TRY_AGAIN_AFTER)).await;
            }
            swept => return swept.map(Some),
        }
    }
}

async fn breathe(after: Duration, stop: &CancellationToken) {
    let breath = (after * BREATH_TIMES).clamp(BREATH_MIN, BREATH_MAX);
    stop.run_until_cancelled(tokio::time::sleep(breath)).await;
}

fn count(removed: &Removed) {
    for (kind, rows) in removed.by_kind() {
        metrics::counter!("baton_cleaner_rows_total", "kind" => kind).increment(rows);
    }
}
