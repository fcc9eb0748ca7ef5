//! Counts in memory, and their way into the database.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use baton_domain::{CallStatus, HandlerId};
use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{ALL, Counts, PUT_MINUTES, Span};
use crate::Store;
use crate::error::Result;
use crate::sql::{Column, json, values};

/// How often what was counted is written; what a process has counted since is lost when it is killed.
pub const COUNTS_WRITTEN_EVERY: Duration = Duration::from_secs(5);
/// How many minutes of handlers are counted between two writes at the most: what is beyond is not counted.
const FRESH_MAX: usize = 100_000;
/// How many spans of handlers wait in memory to be written at the most.
const KEPT_MAX: usize = 4 * FRESH_MAX;
/// The most rows of one statement.
const ROWS_MAX: usize = 500;
/// How long after its end a span is kept in memory: what comes late joins the row that is written.
const KEPT_AFTER: TimeDelta = TimeDelta::minutes(2);

/// An attempt, or a delivery that was skipped, that is recorded.
#[derive(Debug, Clone, Copy)]
pub struct CountedCall {
    /// The handler.
    pub handler_id: HandlerId,
    /// What came of it.
    pub status: CallStatus,
    /// How long it took; `None` when nothing was called.
    pub duration: Option<Duration>,
    /// From the publication of the event to this attempt, where it is the handler's first for the event.
    pub waited: Option<Duration>,
    /// Whether it is the first of all attempts for the event.
    pub is_events_first: bool,
}

/// What a process has counted.
#[derive(Default)]
pub(crate) struct Counting {
    /// Since the last write, by minute and handler. Held for no longer than it takes to count a batch.
    fresh: Mutex<Fresh>,
    /// The spans that are not over: what of them is in the database, or is to be.
    kept: tokio::sync::Mutex<HashMap<Key, Kept>>,
}

/// A span, its beginning, the handler.
type Key = (Span, DateTime<Utc>, HandlerId);

#[derive(Default)]
struct Fresh {
    counts: HashMap<(DateTime<Utc>, HandlerId), Counts>,
    uncounted: u64,
}

struct Kept {
    /// Of its row.
    id: Uuid,
    counts: Counts,
    written: bool,
}

impl Fresh {
    fn of(&mut self, minute: DateTime<Utc>, handler: HandlerId) -> Option<&mut Counts> {
        let key = (minute, handler);
        if self.counts.len() >= FRESH_MAX && !self.counts.contains_key(&key) {
            self.uncounted += 1;
            return None;
        }
        Some(self.counts.entry(key).or_default())
    }
}

impl Counting {
    fn with(&self, count: impl FnOnce(&mut Fresh)) {
        // Counts are whole whenever the lock is free, whatever has happened to its last holder.
        count(&mut self.fresh.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn take_fresh(&self) -> Fresh {
        std::mem::take(&mut self.fresh.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn add(counts: &mut Counts, call: &CountedCall, waited: Option<Duration>) {
    match call.status {
        CallStatus::Success => counts.succeeded += 1,
        CallStatus::Fail => counts.failed += 1,
        CallStatus::Skipped => counts.skipped += 1,
    }
    if let Some(duration) = call.duration {
        counts.durations.add(duration);
        let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        counts.duration_us = counts.duration_us.saturating_add(us);
    }
    if let Some(waited) = waited {
        counts.first_calls.add(waited);
    }
}

impl Store {
    /// Counts events that were accepted at this instant. In memory: [`Self::write_counts`] writes.
    pub fn count_published(&self, events: u64, now: DateTime<Utc>) {
        if events > 0 {
            self.counting().with(|fresh| {
                if let Some(counts) = fresh.of(Span::Minute.beginning(now), ALL) {
                    counts.published += events;
                }
            });
        }
    }

    /// Counts what was recorded at this instant. In memory: [`Self::write_counts`] writes.
    pub fn count_calls(&self, calls: &[CountedCall], now: DateTime<Utc>) {
        let minute = Span::Minute.beginning(now);
        self.counting().with(|fresh| {
            for call in calls {
                if let Some(counts) = fresh.of(minute, ALL) {
                    add(counts, call, call.waited.filter(|_| call.is_events_first));
                }
                if let Some(counts) = fresh.of(minute, call.handler_id) {
                    add(counts, call, call.waited);
                }
            }
        });
    }

    /// Writes what was counted since the last time, a few rows for each handler that had something to do.
    ///
    /// # Errors
    /// When the database fails; what was not written is written by the next call.
    pub async fn write_counts(&self, now: DateTime<Utc>) -> Result<()> {
        let mut kept = self.counting().kept.lock().await;
        let Fresh { counts, uncounted } = self.counting().take_fresh();
        if uncounted > 0 {
            tracing::warn!(uncounted, "more handlers were at work than statistics are kept of");
        }
        for ((minute, handler), counts) in counts {
            for span in Span::EACH {
                let key = (span, span.beginning(minute), handler);
                // Only where nothing could be written for long: what is written is let go of below.
                if kept.len() >= KEPT_MAX && !kept.contains_key(&key) {
                    continue;
                }
                let kept = kept.entry(key);
                // An id for each row: one that is begun again, because clocks are set back, does not replace the one before.
                let row = kept.or_insert_with(|| Kept { id: Uuid::now_v7(), counts: Counts::default(), written: false });
                row.counts.merge(&counts);
                row.written = false;
            }
        }
        let mut unwritten: Vec<_> = kept.iter_mut().filter(|(_, row)| !row.written).collect();
        // As they lie in the table.
        unwritten.sort_unstable_by_key(|(key, _)| **key);
        for rows in unwritten.chunks_mut(ROWS_MAX) {
            let columns = columns(rows)?;
            self.writer().await?.execute(PUT_MINUTES, values![columns]).await?;
            rows.iter_mut().for_each(|(_, row)| row.written = true);
        }
        kept.retain(|(span, begins_at, _), _| now < *begins_at + span.length() + KEPT_AFTER);
        Ok(())
    }

    /// Writes what is counted every [`COUNTS_WRITTEN_EVERY`], until `stop`. What is counted after that is for the caller to write.
    pub async fn keep_writing_counts(self, stop: CancellationToken) {
        let mut writes = interval(COUNTS_WRITTEN_EVERY);
        writes.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(writes.tick()).await.is_some() {
            self.write_counts_or_say().await;
        }
    }

    /// Writes what is counted; a database that fails costs statistics alone, so it is said in the log and that is all.
    pub async fn write_counts_or_say(&self) {
        if let Err(error) = self.write_counts(Utc::now()).await {
            tracing::warn!(%error, "statistics could not be written yet");
        }
    }
}

type Row<'a> = (&'a Key, &'a mut Kept);

fn columns(rows: &[Row<'_>]) -> Result<Vec<Column<'static>>> {
    let ints = |of: &dyn Fn(&Counts) -> u64| {
        Column::ints(rows.iter().map(|(_, row)| i64::try_from(of(&row.counts)).unwrap_or(i64::MAX)))
    };
    let durations: Vec<_> = rows.iter().map(|(_, row)| json(&row.counts.durations)).collect::<Result<_>>()?;
    let first_calls: Vec<_> = rows.iter().map(|(_, row)| json(&row.counts.first_calls)).collect::<Result<_>>()?;
    Ok(vec![
        Column::ints(rows.iter().map(|((span, ..), _)| span.minutes())),
        Column::ints(rows.iter().map(|((_, _, handler), _)| handler.0)),
        Column::instants(rows.iter().map(|((_, begins_at, _), _)| *begins_at)),
        Column::uuids(rows.iter().map(|(_, row)| row.id)),
        ints(&|c| c.published),
        ints(&|c| c.succeeded),
        ints(&|c| c.failed),
        ints(&|c| c.skipped),
        ints(&|c| c.duration_us),
        Column::texts(durations),
        Column::texts(first_calls),
    ])
}
