//! The service: takes runs from the queue, one at a time.

use std::time::Duration;

use baton_handler_cache::{HandlerCache, Hint};
use baton_storage::{RunState, ServiceRun, StorageError, Store, Vault, Work};
use chrono::{SubsecRound, TimeDelta, Utc};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::build::{self, Request};
use crate::error::BuildError;
use crate::{SERVICE, request};

/// How often the queue is looked at while no hint says that something is in it.
const LOOK_EVERY: Duration = Duration::from_millis(400);
/// How long an instance, and a run that it began, are believed alive without a sign of life.
const LEASE: TimeDelta = TimeDelta::seconds(15);
/// Every how many looks a sign of life is given.
const RENEW_EVERY: u32 = 5;
/// How often a sign of life is given while a run is being done.
const RENEW_RUN_EVERY: Duration = Duration::from_secs(3);
/// How long after a very first build that failed it is tried again.
const FIRST_AGAIN: TimeDelta = TimeDelta::seconds(30);

/// One instance of the Cache Manager.
pub struct CacheManager {
    id: Uuid,
    name: String,
    store: Store,
    cache: HandlerCache,
    vault: Vault,
}

impl CacheManager {
    /// An instance, known by `name` (a host, a container) in the Task Scheduler.
    #[must_use]
    pub fn new(name: String, store: Store, cache: HandlerCache, vault: Vault) -> Self {
        Self { id: Uuid::now_v7(), name, store, cache, vault }
    }

    /// Works until `stop`. A database that fails costs time: the next look tries again.
    pub async fn run(self, stop: CancellationToken) {
        let mut hints = self.cache.hints().subscribe();
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut ticks = 0_u32;
        loop {
            let renew = tokio::select! {
                () = stop.cancelled() => break,
                _ = looks.tick() => {
                    ticks = ticks.wrapping_add(1);
                    ticks % RENEW_EVERY == 1
                }
                hint = hints.recv() => match hint {
                    Ok(Hint::RunRequested) | Err(_) => false,
                    Ok(_) => continue,
                },
            };
            if let Err(error) = self.look(renew).await {
                tracing::warn!(%error, "the Cache Manager could not look at its queue");
            }
        }
        let _ = self.store.remove_instance(self.id).await;
    }

    async fn look(&self, renew: bool) -> Result<(), StorageError> {
        if renew {
            self.give_sign_of_life().await?;
            self.ask_for_first().await?;
        }
        loop {
            // Anew for each run: the one before took its time.
            let now = Utc::now();
            let Some(run) = self.store.claim_run(SERVICE, self.id, now, now + LEASE).await? else { return Ok(()) };
            self.work(run).await?;
        }
    }

    /// Asks for the very first build, where there is no generation at all.
    async fn ask_for_first(&self) -> Result<(), StorageError> {
        if self.store.live_generation_number().await?.is_some() {
            return Ok(());
        }
        let last = self.store.last_runs(SERVICE).await?.last;
        if last.is_some_and(|run| run.state == RunState::Failed && run.finished_at > Some(Utc::now() - FIRST_AGAIN)) {
            return Ok(());
        }
        match request::request(&self.store, self.cache.hints(), Request::Start, Utc::now()).await {
            // What waits in the queue instead is a restart, which builds the first as well.
            Ok(_) | Err(StorageError::Conflict) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn give_sign_of_life(&self) -> Result<(), StorageError> {
        let now = Utc::now();
        if !self.store.renew_instance(self.id, now + LEASE, &Work::default()).await? {
            self.store.register_instance(self.id, SERVICE, &self.name, now, now + LEASE).await?;
        }
        Ok(())
    }

    async fn work(&self, run: ServiceRun) -> Result<(), StorageError> {
        let result = tokio::select! {
            result = self.build(&run) => result,
            () = self.keep_alive(&run) => Err(BuildError::TakenOver),
        };
        match &result {
            Ok(done) => tracing::info!(run = run.id, result = %done, "restarted"),
            Err(error) => tracing::warn!(run = run.id, %error, "the restart failed"),
        }
        let result = result.map_err(|error| error.to_string());
        metrics::counter!("baton_cache_restarts_total", "result" => if result.is_ok() { "done" } else { "failed" }).increment(1);
        let finished = self.finish(&run, &result).await;
        self.cache.hints().send(Hint::RunFinished);
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
    /// a build that took place look like one that did not.
    async fn finish(&self, run: &ServiceRun, result: &Result<Value, String>) -> Result<(), StorageError> {
        let until = Utc::now() + LEASE;
        loop {
            match self.store.finish_run(run.id, self.id, Utc::now(), result.clone()).await {
                Err(StorageError::Unavailable(error)) if Utc::now() < until => {
                    tracing::warn!(run = run.id, %error, "the end of the run could not be written down yet");
                    tokio::time::sleep(LOOK_EVERY).await;
                }
                finished => return finished.map(|_| ()),
            }
        }
    }

    async fn build(&self, run: &ServiceRun) -> Result<Value, BuildError> {
        let request: Request = serde_json::from_value(run.params.clone()).map_err(BuildError::BadRequest)?;
        let (snapshot, result) = build::build(&self.store, &self.vault, request, Utc::now().trunc_subsecs(6)).await?;
        self.cache.publish(snapshot).await;
        Ok(json!(result))
    }
}
