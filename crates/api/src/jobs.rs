//! The worker that does jobs, a batch at a time. Several processes share the work: a job is one worker's as long as its lease holds.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use baton_handler_cache::{Hint, Hints};
use baton_storage::{Job, JobState, StorageError, Store};
use chrono::{TimeDelta, Utc};
use futures_util::FutureExt;
use tokio::time::timeout_at;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How often jobs are looked for while no hint says that one was asked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a worker counts as alive after a batch. Far more than a batch takes.
const LEASE: TimeDelta = TimeDelta::seconds(15);
/// The longest rest after a batch: as long as the batch took, so that publishers have the database to themselves half of the time.
const REST_MAX: Duration = Duration::from_secs(1);
/// How often a job is looked at by those who wait for its end while no hint says that one ended.
const WAIT_LOOK_EVERY: Duration = Duration::from_millis(200);

/// Does jobs: one a process is enough, and more are no harm.
pub struct JobWorker {
    id: Uuid,
    store: Store,
    hints: Hints,
}

impl JobWorker {
    /// A worker that listens to these hints.
    #[must_use]
    pub fn new(store: Store, hints: Hints) -> Self {
        Self { id: Uuid::now_v7(), store, hints }
    }

    /// Works until `stop`, and then leaves what it has not done to others. A database that fails costs time: the next look tries again.
    pub async fn run(self, stop: CancellationToken) {
        let mut hints = self.hints.subscribe();
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = looks.tick() => {}
                hint = hints.recv() => match hint {
                    Ok(Hint::RunRequested) | Err(_) => {}
                    Ok(_) => continue,
                },
            }
            if let Err(error) = self.look(&stop).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "jobs could not be gone on with");
            }
        }
        if let Err(error) = self.store.release_jobs(self.id, Utc::now()).await {
            tracing::debug!(error = &error as &dyn std::error::Error, "jobs were left until their lease runs out");
        }
    }

    async fn look(&self, stop: &CancellationToken) -> Result<(), StorageError> {
        while !stop.is_cancelled() {
            let (begun, now) = (Instant::now(), Utc::now());
            let Some(job) = self.store.claim_job(self.id, now, now + LEASE).await? else { return Ok(()) };
            self.step(&job).await?;
            let rest = tokio::time::sleep(begun.elapsed().min(REST_MAX));
            stop.run_until_cancelled(rest).await;
        }
        Ok(())
    }

    /// Does the next batch of a job. One that can never be done is given up, so that it does not hold up others.
    async fn step(&self, job: &Job) -> Result<(), StorageError> {
        let now = Utc::now();
        let advance = AssertUnwindSafe(self.store.advance_job(job, self.id, now, now + LEASE)).catch_unwind().await;
        let reason = match advance {
            Ok(Ok(next)) => {
                self.tell(job, &next);
                return Ok(());
            }
            Ok(Err(StorageError::Fenced)) => {
                tracing::debug!(job = %job.id, "another goes on with the job");
                return Ok(());
            }
            Ok(Err(error @ StorageError::Unavailable(_))) => return Err(error),
            Ok(Err(error)) => {
                tracing::error!(job = %job.id, error = &error as &dyn std::error::Error, "a job failed");
                error.to_string()
            }
            Err(_) => {
                tracing::error!(job = %job.id, "a batch of a job panicked");
                "an error of Baton's own; its log says more".to_owned()
            }
        };
        self.store.fail_job(job.id, self.id, Utc::now(), &reason).await?;
        self.hints.send(Hint::RunFinished);
        Ok(())
    }

    fn tell(&self, before: &Job, job: &Job) {
        let sent = job.done - before.done;
        if sent > 0 {
            self.hints.send(Hint::Appended);
            metrics::counter!("baton_job_deliveries_total", "kind" => job.params.kind()).increment(sent);
        }
        if job.state != JobState::Running {
            tracing::info!(job = %job.id, kind = job.params.kind(), state = job.state.as_str(), done = job.done, "a job ended");
            self.hints.send(Hint::RunFinished);
        }
    }
}

/// Waits until a job has ended, at most for `wait`; the job as it is then, or as it was last seen where the database stops answering.
pub(crate) async fn wait_for_job(store: &Store, hints: &Hints, mut job: Job, wait: Duration) -> Job {
    let deadline = tokio::time::Instant::now() + wait;
    let mut told = hints.subscribe();
    loop {
        if job.state.has_ended() || tokio::time::Instant::now() >= deadline {
            return job;
        }
        let next_look = (tokio::time::Instant::now() + WAIT_LOOK_EVERY).min(deadline);
        let ended = async { while !matches!(told.recv().await, Ok(Hint::RunFinished) | Err(_)) {} };
        // The look follows either way: by the hint, or by the time.
        let _ = timeout_at(next_look, ended).await;
        match store.job(job.id).await {
            Ok(Some(seen)) => job = seen,
            Ok(None) => return job,
            Err(error) => {
                tracing::debug!(job = %job.id, error = &error as &dyn std::error::Error, "a job could not be looked at");
                return job;
            }
        }
    }
}
