//! The service: asks for runs when they are due, and takes runs from the queue, one at a time.

use std::time::{Duration, Instant};

use baton_handler_cache::{HandlerCache, Hint, Hints};
use baton_runtime::settings::CleanArgs;
use baton_storage::{ServiceRun, StorageError, Store, Work};
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::SERVICE;
use crate::clean::{CleanResult, Keep, clean};
use crate::error::CleanError;
use crate::schedule::due;

/// How often the queue is looked at while no hint says that something is in it, and a sign of life is given.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long an instance, and a run that it began, are believed alive without a sign of life.
const LEASE: TimeDelta = TimeDelta::seconds(15);
/// How often a sign of life is given while a run is being done.
const RENEW_RUN_EVERY: Duration = Duration::from_secs(3);
/// How long after its start an instance asks for its first run: a start has better things to do.
const FIRST_AFTER: TimeDelta = TimeDelta::seconds(60);

/// What a Cleaner does and when.
#[derive(Debug, Clone)]
pub struct CleanerSettings {
    /// How it is known in the Task Scheduler: a host, a container.
    pub name: String,
    /// How long things are kept.
    pub keep: Keep,
    /// How often it runs; `None` for only when it is asked to.
    pub every: Option<TimeDelta>,
    /// How long after its start it asks for its first run, where one is due.
    pub first_after: TimeDelta,
}

impl CleanerSettings {
    /// What the settings of a program say.
    #[must_use]
    pub fn new(name: String, args: &CleanArgs) -> Self {
        let every = args.every.clean_every.get().map(|every| TimeDelta::from_std(every).unwrap_or(TimeDelta::MAX));
        Self { name, keep: args.into(), every, first_after: FIRST_AFTER }
    }
}

/// One instance of the Cleaner.
pub struct Cleaner {
    id: Uuid,
    store: Store,
    hints: Hints,
    settings: CleanerSettings,
    /// Before this there is no need to look whether a run is due.
    due_from: DateTime<Utc>,
}

impl Cleaner {
    /// An instance. Of `cache` it takes the hints.
    #[must_use]
    pub fn new(store: Store, cache: &HandlerCache, settings: CleanerSettings) -> Self {
        let due_from = Utc::now() + settings.first_after;
        Self { id: Uuid::now_v7(), store, hints: cache.hints().clone(), settings, due_from }
    }

    /// Works until `stop`; a run that is under way then ends after its batch. A database that fails costs time: the next look tries again.
    pub async fn run(mut self, stop: CancellationToken) {
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
                tracing::warn!(%error, "the Cleaner could not look at its queue");
            }
        }
        let _ = self.store.remove_instance(self.id).await;
    }

    async fn look(&mut self, stop: &CancellationToken) -> Result<(), StorageError> {
        self.give_sign_of_life().await?;
        self.ask_when_due().await?;
        while !stop.is_cancelled() {
            // Anew for each run: the one before took its time.
            let now = Utc::now();
            let Some(run) = self.store.claim_run(SERVICE, self.id, now, now + LEASE).await? else { return Ok(()) };
            self.work(run, stop).await?;
        }
        Ok(())
    }

    async fn ask_when_due(&mut self) -> Result<(), StorageError> {
        let Some(every) = self.settings.every else { return Ok(()) };
        let now = Utc::now();
        if now < self.due_from {
            return Ok(());
        }
        let runs = self.store.last_runs(SERVICE).await?;
        if runs.queued.is_some() || runs.running.is_some() {
            return Ok(());
        }
        self.due_from = due(runs.last.as_ref(), every, self.due_from);
        let last = runs.last.map_or(0, |run| run.id);
        if self.due_from <= now && self.store.request_run_after(last, SERVICE, &json!({}), now).await? {
            self.hints.send(Hint::RunRequested);
        }
        Ok(())
    }

    async fn give_sign_of_life(&self) -> Result<(), StorageError> {
        let now = Utc::now();
        if !self.store.renew_instance(self.id, now + LEASE, &Work::default()).await? {
            self.store.register_instance(self.id, SERVICE, &self.settings.name, now, now + LEASE).await?;
        }
        Ok(())
    }

    async fn work(&self, run: ServiceRun, stop: &CancellationToken) -> Result<(), StorageError> {
        let began = Instant::now();
        let result = tokio::select! {
            result = clean(&self.store, &self.settings.keep, Utc::now().trunc_subsecs(6), stop) => result,
            () = self.keep_alive(&run) => Err(CleanError::TakenOver),
        };
        tell(&run, &result);
        metrics::histogram!("baton_cleaner_run_seconds").record(began.elapsed());
        metrics::counter!("baton_cleaner_runs_total", "result" => if result.is_ok() { "done" } else { "failed" }).increment(1);
        let result = result.map(|done| json!(done)).map_err(|error| error.to_string());
        let finished = self.finish(&run, &result).await;
        self.hints.send(Hint::RunFinished);
        finished
    }

    /// Gives signs of life while a run is being done. Returns when the run was given up for dead.
    async fn keep_alive(&self, run: &ServiceRun) {
        loop {
            tokio::time::sleep(RENEW_RUN_EVERY).await;
            let renewed = self.store.renew_run(run.id, self.id, Utc::now() + LEASE).await;
            let signed = self.give_sign_of_life().await;
            match renewed.and_then(|still| signed.map(|()| still)) {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => tracing::warn!(run = run.id, %error, "no sign of life reached the database"),
            }
        }
    }

    /// Writes down what came of a run. Tried again while the run is still this instance's: a database that was away for a moment must not make
    /// a run that was done look like one that was not.
    async fn finish(&self, run: &ServiceRun, result: &Result<Value, String>) -> Result<(), StorageError> {
        let until = Utc::now() + LEASE;
        loop {
            match self.store.finish_run(run.id, self.id, Utc::now(), result.clone()).await {
                Err(StorageError::Unavailable(error)) if Utc::now() < until => {
                    tracing::warn!(run = run.id, %error, "the end of the run could not be written down yet");
                    tokio::time::sleep(LOOK_EVERY / 4).await;
                }
                finished => return finished.map(|_| ()),
            }
        }
    }
}

fn tell(run: &ServiceRun, result: &Result<CleanResult, CleanError>) {
    match result {
        Ok(done) if done.removed.rows() > 0 => tracing::info!(run = run.id, result = %json!(done), "cleaned"),
        Ok(_) => tracing::debug!(run = run.id, "there was nothing to clean"),
        Err(error) => tracing::warn!(run = run.id, %error, "not cleaned"),
    }
}
