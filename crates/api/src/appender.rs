//! Group commit: what is published while one append is under way goes into the next, with no waiting for more.
//!
//! The database appends one after the other, so that numbers become visible in their order. As soon as there is as much again as the append
//! under way carries, a second one is sent, which the database begins with at the moment when the first is committed. Each publisher gets
//! its answer after the commit. A batch is never split over two appends, which keeps it all or nothing.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use baton_domain::NewEvent;
use baton_handler_cache::{Hint, Hints};
use baton_storage::{Appended, StorageError, Store};
use chrono::Utc;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;

/// The most events of one append, unless a single batch has more.
const APPEND_EVENTS_MAX: usize = 512;
/// The most bytes of one append, unless a single batch has more.
const APPEND_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The most publications that wait for an append.
const QUEUE_MAX: usize = 4096;
/// The most KiB of events that wait for an append or are under way.
const QUEUE_KIB_MAX: usize = 64 * 1024;
/// How long a publication waits for room in the queue.
const ROOM_WITHIN: Duration = Duration::from_secs(1);
/// What an event takes beside its data, in bytes; about.
const EVENT_OVERHEAD_BYTES: usize = 256;

/// Stores events. Cheap to clone; the task ends when the last clone is gone and everything queued is stored.
#[derive(Debug, Clone)]
pub struct Appender {
    queue: mpsc::Sender<Job>,
    room: Arc<Semaphore>,
    enough: Arc<Enough>,
}

/// Says when so many publications wait that another append is worth while beside the one under way. Most publications find that they do not
/// make it so, and wake nobody. One that is overlooked since both sides look at once only leaves the next append to the end of the first.
#[derive(Debug)]
struct Enough {
    /// How many; `usize::MAX` where nobody waits for it.
    wanted: AtomicUsize,
    reached: Notify,
}

impl Default for Enough {
    fn default() -> Self {
        Self { wanted: AtomicUsize::new(usize::MAX), reached: Notify::new() }
    }
}

/// One publication that waits for its append.
#[derive(Debug)]
struct Job {
    events: Vec<NewEvent>,
    bytes: usize,
    answer: oneshot::Sender<Result<Vec<Appended>, AppendError>>,
    _room: OwnedSemaphorePermit,
}

/// Why a publication was not acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// More is coming in than can be stored. Nothing was stored.
    #[error("more is coming in than can be stored")]
    Overloaded,
    /// The database did not answer. Whether it stored the events is not known.
    #[error("the database did not answer")]
    Unavailable,
    /// The events could not be stored; the log says why.
    #[error("the events could not be stored")]
    Failed,
}

impl Appender {
    /// Starts the task that appends. It ends by itself once every clone of the appender is gone and the queue is empty: wait for it
    /// before the process ends.
    #[must_use]
    pub fn start(store: Store, hints: Hints) -> (Self, JoinHandle<()>) {
        let (queue, jobs) = mpsc::channel(QUEUE_MAX);
        let enough = Arc::new(Enough::default());
        let task = tokio::spawn(run(Storing { store, hints }, jobs, Arc::clone(&enough)));
        (Self { queue, room: Arc::new(Semaphore::new(QUEUE_KIB_MAX)), enough }, task)
    }

    /// Stores events, all or none. Durable when it returns; the answers are in the order of the events.
    ///
    /// # Errors
    /// See [`AppendError`].
    pub async fn append(&self, events: Vec<NewEvent>) -> Result<Vec<Appended>, AppendError> {
        let bytes = events.iter().map(|event| event.data.len() + EVENT_OVERHEAD_BYTES).sum();
        let room = self.room(bytes).await?;
        let (answer, answered) = oneshot::channel();
        let job = Job { events, bytes, answer, _room: room };
        match self.queue.try_send(job) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(job)) => {
                self.queue.send_timeout(job, ROOM_WITHIN).await.map_err(|_| AppendError::Overloaded)?;
            }
            Err(mpsc::error::TrySendError::Closed(_)) => return Err(AppendError::Failed),
        }
        self.enough.there_are(QUEUE_MAX - self.queue.capacity());
        answered.await.unwrap_or(Err(AppendError::Failed))
    }

    async fn room(&self, bytes: usize) -> Result<OwnedSemaphorePermit, AppendError> {
        let kib = u32::try_from((bytes / 1024 + 1).min(QUEUE_KIB_MAX)).unwrap_or(u32::MAX);
        if let Ok(room) = Arc::clone(&self.room).try_acquire_many_owned(kib) {
            return Ok(room);
        }
        let waiting = Arc::clone(&self.room).acquire_many_owned(kib);
        match tokio::time::timeout(ROOM_WITHIN, waiting).await {
            Ok(Ok(room)) => Ok(room),
            Ok(Err(_)) | Err(_) => Err(AppendError::Overloaded),
        }
    }
}

impl Enough {
    /// So many publications wait.
    fn there_are(&self, waiting: usize) {
        // Only the first that finds it so tells of it.
        if waiting >= self.wanted.load(Ordering::Relaxed) && self.wanted.swap(usize::MAX, Ordering::AcqRel) != usize::MAX {
            self.reached.notify_one();
        }
    }

    /// Waits until `wanted` publications are in the queue.
    async fn reach(&self, wanted: usize, queue: &mpsc::Receiver<Job>) {
        self.wanted.store(wanted, Ordering::Release);
        while queue.len() < wanted {
            self.reached.notified().await;
            self.wanted.store(wanted, Ordering::Release);
        }
        self.wanted.store(usize::MAX, Ordering::Release);
    }
}

async fn run(storing: Storing, mut jobs: mpsc::Receiver<Job>, enough: Arc<Enough>) {
    let at_once = storing.store.appends_at_once();
    let mut under_way = FuturesUnordered::new();
    let (mut left_over, mut carried) = (None, 0);
    loop {
        if under_way.len() >= at_once {
            under_way.next().await;
            continue;
        }
        if !under_way.is_empty() && left_over.is_none() {
            tokio::select! {
                biased;
                _ = under_way.next() => continue,
                () = enough.reach(carried, &jobs) => {}
            }
        }
        let first = match left_over.take() {
            Some(job) => job,
            None => match jobs.recv().await {
                Some(job) => job,
                None => return,
            },
        };
        let (group, too_much) = gather(first, &mut jobs);
        left_over = too_much;
        carried = group.len();
        under_way.push(storing.store(group));
    }
}

/// Takes what has queued, up to the limits of an append, and the job that no longer fits.
fn gather(first: Job, jobs: &mut mpsc::Receiver<Job>) -> (Vec<Job>, Option<Job>) {
    let (mut events, mut bytes) = (first.events.len(), first.bytes);
    let mut group = vec![first];
    while events < APPEND_EVENTS_MAX && bytes < APPEND_BYTES_MAX {
        let Ok(job) = jobs.try_recv() else { break };
        if events + job.events.len() > APPEND_EVENTS_MAX || bytes + job.bytes > APPEND_BYTES_MAX {
            return (group, Some(job));
        }
        events += job.events.len();
        bytes += job.bytes;
        group.push(job);
    }
    (group, None)
}

struct Storing {
    store: Store,
    hints: Hints,
}

impl Storing {
    /// Appends a group and answers each of its publishers.
    async fn store(&self, mut group: Vec<Job>) {
        let counts: Vec<_> = group.iter().map(|job| job.events.len()).collect();
        let events: Vec<_> = group.iter_mut().flat_map(|job| std::mem::take(&mut job.events)).collect();
        match self.append(&events).await {
            Ok(appended) => {
                let mut appended = appended.into_iter();
                for (job, count) in group.into_iter().zip(counts) {
                    // A publisher that has gone away does not need its answer.
                    let _ = job.answer.send(Ok(appended.by_ref().take(count).collect()));
                }
            }
            Err(AppendError::Failed) if group.len() > 1 => {
                // One of them is to blame: the others shall not fail with it.
                let mut events = events.into_iter();
                for (job, count) in group.into_iter().zip(counts) {
                    let alone: Vec<_> = events.by_ref().take(count).collect();
                    let _ = job.answer.send(self.append(&alone).await);
                }
            }
            Err(error) => {
                for job in group {
                    let _ = job.answer.send(Err(error));
                }
            }
        }
    }

    async fn append(&self, events: &[NewEvent]) -> Result<Vec<Appended>, AppendError> {
        let mut result = self.attempt(events).await;
        if result == Err(AppendError::Unavailable) {
            // A connection that was lost in between is replaced by the second try. Events that the first one stored after all are left
            // as they are.
            result = self.attempt(events).await;
        }
        if let Ok(appended) = &result {
            self.hints.send(Hint::AppendedHere);
            let duplicates = appended.iter().filter(|one| one.duplicate).count();
            self.store.count_published((appended.len() - duplicates) as u64, Utc::now());
            metrics::counter!("baton_events_accepted_total").increment((appended.len() - duplicates) as u64);
            metrics::counter!("baton_events_duplicate_total").increment(duplicates as u64);
            metrics::histogram!("baton_append_events").record(events.len() as f64);
        }
        result
    }

    async fn attempt(&self, events: &[NewEvent]) -> Result<Vec<Appended>, AppendError> {
        // The task has to outlive whatever one append runs into.
        let append = AssertUnwindSafe(self.store.append_events(events, Utc::now())).catch_unwind().await;
        match append {
            Ok(Ok(appended)) if appended.len() == events.len() => Ok(appended),
            Ok(Ok(appended)) => {
                tracing::error!(
                    events = events.len(),
                    answers = appended.len(),
                    "an append answered with another number of events"
                );
                Err(AppendError::Failed)
            }
            Ok(Err(StorageError::Unavailable(error))) => {
                tracing::warn!(error = &error as &dyn std::error::Error, events = events.len(), "events could not be appended");
                Err(AppendError::Unavailable)
            }
            Ok(Err(error)) => {
                tracing::error!(error = &error as &dyn std::error::Error, events = events.len(), "events could not be appended");
                Err(AppendError::Failed)
            }
            Err(_) => {
                tracing::error!(events = events.len(), "an append panicked");
                Err(AppendError::Failed)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use baton_domain::{Catalogue, event};
    use futures_util::poll;

    use super::*;

    fn job(events: usize, bytes: usize, room: &Arc<Semaphore>) -> Job {
        let text = r#"{"event":{"events_id":"clients.create","object_id":1},"data":{}}"#;
        let event = || {
            let publication: event::Publication = serde_json::from_str(text).unwrap();
            publication.check(&Catalogue::default(), None, Utc::now()).unwrap()
        };
        let events = (0..events).map(|_| event()).collect();
        Job { events, bytes, answer: oneshot::channel().0, _room: Arc::clone(room).try_acquire_owned().unwrap() }
    }

    fn gathered(sizes: &[(usize, usize)]) -> (Vec<usize>, Option<usize>) {
        let room = Arc::new(Semaphore::new(1000));
        let (queue, mut jobs) = mpsc::channel(100);
        for &(events, bytes) in &sizes[1..] {
            queue.try_send(job(events, bytes, &room)).unwrap();
        }
        let (group, too_much) = gather(job(sizes[0].0, sizes[0].1, &room), &mut jobs);
        (group.iter().map(|job| job.events.len()).collect(), too_much.map(|job| job.events.len()))
    }

    #[tokio::test]
    async fn another_append_begins_once_as_much_waits() {
        let room = Arc::new(Semaphore::new(1000));
        let (queue, jobs) = mpsc::channel(100);
        let enough = Enough::default();
        let publish = || {
            queue.try_send(job(1, 1, &room)).unwrap();
            enough.there_are(jobs.len());
        };
        publish();
        let mut waiting = pin!(enough.reach(3, &jobs));
        assert!(poll!(&mut waiting).is_pending());
        publish();
        assert!(poll!(&mut waiting).is_pending());
        publish();
        assert!(poll!(&mut waiting).is_ready());
        // What comes while nobody waits for it is seen by the next who does.
        publish();
        let mut waiting = pin!(enough.reach(5, &jobs));
        assert!(poll!(&mut waiting).is_pending());
        publish();
        assert!(poll!(&mut waiting).is_ready());
        assert!(enough.reach(5, &jobs).now_or_never().is_some());
    }

    #[test]
    fn a_group_takes_what_fits_and_splits_no_batch() {
        assert_eq!(gathered(&[(1, 1), (2, 1), (3, 1)]), (vec![1, 2, 3], None));
        assert_eq!(gathered(&[(500, 1), (12, 1), (1, 1)]), (vec![500, 12], None));
        assert_eq!(gathered(&[(500, 1), (13, 1), (1, 1)]), (vec![500], Some(13)));
        assert_eq!(gathered(&[(1000, 1), (1, 1)]), (vec![1000], None));
        assert_eq!(gathered(&[(1, APPEND_BYTES_MAX), (1, 1)]), (vec![1], None));
        assert_eq!(gathered(&[(1, APPEND_BYTES_MAX - 1), (1, 2)]), (vec![1], Some(1)));
    }
}
