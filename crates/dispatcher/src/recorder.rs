//! Writes what happened, in batches: one transaction for all that came together within a few milliseconds.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use baton_domain::{CallStatus, Execution, GenerationNumber, HandlerId, PartitionId, Seq};
use baton_storage::{CountedCall, DeliveryRow, Finished, Record, StorageError, Store};
use chrono::Utc;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::conductor::Message;
use crate::settings::{DATABASE_PAUSE, RECORD_CHANGES, RECORD_WITHIN};

/// What one step of one dispatch leaves to be written.
#[derive(Debug)]
pub(crate) struct Change {
    pub partition: PartitionId,
    /// The ordering key of the dispatch.
    pub key: Arc<str>,
    pub executions: Vec<Execution>,
    /// How long things took, where one of the executions was an attempt.
    pub times: Option<CallTimes>,
    /// Deliveries that are to be tried again, or are dead.
    pub unsuccessful: Vec<DeliveryRow>,
    /// Deliveries that succeeded or were skipped after a retry.
    pub settled: Vec<(Seq, HandlerId)>,
    /// The chain's generation, when this is the first time that something of it is to be tried again.
    pub started: Option<(Seq, GenerationNumber)>,
    pub finished: Option<Finished>,
}

/// How long an attempt took, and what went before it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CallTimes {
    pub duration: Duration,
    /// From the publication of the event, or its replay.
    pub waited: Duration,
    /// Whether it was the first attempt for the event at any handler.
    pub is_events_first: bool,
}

impl Change {
    pub(crate) fn new(partition: PartitionId, key: Arc<str>) -> Self {
        Self {
            partition,
            key,
            executions: Vec::new(),
            times: None,
            unsuccessful: Vec::new(),
            settled: Vec::new(),
            started: None,
            finished: None,
        }
    }

    /// What the statistics say of it.
    fn counted(&self) -> impl Iterator<Item = CountedCall> {
        self.executions.iter().map(|execution| {
            let times = self.times.filter(|_| execution.status != CallStatus::Skipped);
            CountedCall {
                handler_id: execution.handler_id,
                status: execution.status,
                duration: times.map(|times| times.duration),
                waited: times.filter(|_| execution.attempt == 1).map(|times| times.waited),
                is_events_first: times.is_some_and(|times| times.is_events_first),
            }
        })
    }
}

/// Writes for one incarnation of a dispatcher, until the sender of changes is gone or the dispatcher is fenced.
pub(crate) async fn run(
    store: Store,
    dispatcher: Uuid,
    mut changes: mpsc::UnboundedReceiver<Change>,
    told: mpsc::UnboundedSender<Message>,
) {
    while let Some(first) = changes.recv().await {
        let batch = gather(first, &mut changes).await;
        let counted: Vec<_> = batch.iter().flat_map(Change::counted).collect();
        let written: Vec<_> = batch.iter().map(|change| (change.partition, Arc::clone(&change.key))).collect();
        if let Err(Lost) = write(&store, dispatcher, batch).await {
            let _ = told.send(Message::Fenced);
            return;
        }
        store.count_calls(&counted, Utc::now());
        let _ = told.send(Message::Recorded(written));
    }
}

/// The dispatcher has been taken over by another; what it still had to write is for that one to find out.
struct Lost;

/// What came within [`RECORD_WITHIN`]. Slept through rather than waited for change by change, since each that came would wake this task; with
/// a batch there already, nothing is waited for.
async fn gather(first: Change, changes: &mut mpsc::UnboundedReceiver<Change>) -> Vec<Change> {
    if changes.len() + 1 < RECORD_CHANGES {
        sleep(RECORD_WITHIN).await;
    }
    let mut batch = vec![first];
    batch.extend(std::iter::from_fn(|| changes.try_recv().ok()).take(RECORD_CHANGES - 1));
    batch
}

async fn write(store: &Store, dispatcher: Uuid, batch: Vec<Change>) -> Result<(), Lost> {
    let began = Instant::now();
    let record = merge(batch);
    let result = write_patiently(store, dispatcher, &record).await;
    metrics::histogram!("baton_record_seconds").record(began.elapsed().as_secs_f64());
    match result {
        Ok(()) => Ok(()),
        Err(StorageError::Fenced) => Err(Lost),
        Err(error) => {
            // One result that the database refuses must not hold up the others.
            tracing::error!(%error, "a batch of results was refused; writing it dispatch by dispatch");
            for part in split(record).into_values() {
                write_part(store, dispatcher, &part).await?;
            }
            Ok(())
        }
    }
}

async fn write_part(store: &Store, dispatcher: Uuid, part: &Record) -> Result<(), Lost> {
    match write_patiently(store, dispatcher, part).await {
        Ok(()) => Ok(()),
        Err(StorageError::Fenced) => Err(Lost),
        Err(error) => {
            metrics::counter!("baton_unrecorded_total").increment(1);
            let source = std::error::Error::source(&error).map(ToString::to_string);
            tracing::error!(%error, source, ?part, "a result cannot be written; its event stays unfinished until the next start");
            Ok(())
        }
    }
}

/// Tries until the database answers something other than that it is not available.
async fn write_patiently(store: &Store, dispatcher: Uuid, record: &Record) -> Result<(), StorageError> {
    let (mut pause, longest) = DATABASE_PAUSE;
    loop {
        match store.record(dispatcher, record).await {
            Err(StorageError::Unavailable(source)) => {
                tracing::warn!(error = %source, "results wait for the database");
                metrics::counter!("baton_record_retries_total").increment(1);
                sleep(pause).await;
                pause = Duration::min(pause * 2, longest);
            }
            result => return result,
        }
    }
}

/// One record of all changes.
fn merge(batch: Vec<Change>) -> Record {
    let mut record = Record::default();
    // What one transaction writes of a delivery is its last state.
    let mut latest: HashMap<(Seq, HandlerId), DeliveryRow> = HashMap::new();
    for change in batch {
        record.partitions.push(change.partition);
        record.executions.extend(change.executions);
        latest.extend(change.unsuccessful.into_iter().map(|row| ((row.seq, row.handler_id), row)));
        for pair in change.settled {
            latest.remove(&pair);
            record.settled.push(pair);
        }
        record.started.extend(change.started);
        record.finished.extend(change.finished);
    }
    record.partitions.sort_unstable();
    record.partitions.dedup();
    record.retries = latest.into_values().collect();
    record
}

/// The record taken apart by dispatch.
fn split(record: Record) -> BTreeMap<Seq, Record> {
    let mut parts: BTreeMap<Seq, Record> = BTreeMap::new();
    let Record { executions, retries, settled, started, finished, partitions } = record;
    for execution in executions {
        parts.entry(execution.seq).or_default().executions.push(execution);
    }
    for row in retries {
        parts.entry(row.seq).or_default().retries.push(row);
    }
    for pair in settled {
        parts.entry(pair.0).or_default().settled.push(pair);
    }
    for pair in started {
        parts.entry(pair.0).or_default().started.push(pair);
    }
    for end in finished {
        parts.entry(end.seq).or_default().finished.push(end);
    }
    for part in parts.values_mut() {
        part.partitions.clone_from(&partitions);
    }
    parts
}
