//! The live generation in memory.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use baton_domain::{GenerationNumber, Pauses, Snapshot};
use baton_storage::{Page, Store};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::carrier::{Carrier, RedisSettings};
use crate::error::CacheError;
use crate::hints::{self, Hint, Hints};

/// How often the database is asked, which is how late a generation goes live here when Redis is lost.
const LOOK_EVERY: Duration = Duration::from_millis(400);
/// Every how many looks Redis is checked and, if it was emptied or is behind, filled again.
const REFILL_EVERY: u32 = 5;

/// The live generation: looked up without I/O, kept up to date by [`HandlerCache::run`]. Cheap to clone.
#[derive(Clone)]
pub struct HandlerCache {
    shared: Arc<Shared>,
}

struct Shared {
    store: Store,
    live: ArcSwapOption<Snapshot>,
    number: watch::Sender<Option<GenerationNumber>>,
    pauses: watch::Sender<Arc<Pauses>>,
    hints: Hints,
    carrier: Option<Carrier>,
}

impl HandlerCache {
    /// A cache for one process that does everything.
    #[must_use]
    pub fn local(store: Store) -> Self {
        Self::new(store, Hints::local(), None)
    }

    /// A cache that shares generations and hints with other processes. Does not connect yet, so it works without Redis as well.
    ///
    /// # Errors
    /// When the URL cannot be used.
    pub fn redis(store: Store, settings: &RedisSettings) -> Result<Self, CacheError> {
        let carrier = Carrier::new(settings)?;
        Ok(Self::new(store, Hints::shared(), Some(carrier)))
    }

    fn new(store: Store, hints: Hints, carrier: Option<Carrier>) -> Self {
        let (number, pauses) = (watch::Sender::new(None), watch::Sender::default());
        Self { shared: Arc::new(Shared { store, live: ArcSwapOption::empty(), number, pauses, hints, carrier }) }
    }

    /// The live generation, or `None` before the first is known. In memory, no I/O.
    #[must_use]
    pub fn live(&self) -> Option<Arc<Snapshot>> {
        self.shared.live.load_full()
    }

    /// Tells when another generation is live.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Option<GenerationNumber>> {
        self.shared.number.subscribe()
    }

    /// What is paused, and when that changes. Known within a look at the database, at once by a hint.
    #[must_use]
    pub fn pauses(&self) -> watch::Receiver<Arc<Pauses>> {
        self.shared.pauses.subscribe()
    }

    /// The hints that travel beside the generations.
    #[must_use]
    pub fn hints(&self) -> &Hints {
        &self.shared.hints
    }

    /// The live generation as the database has it at this moment: for callers that must see their own restart. Which one is live is for the
    /// database to say (a Redis may be older, or another installation's); the snapshot itself comes from Redis where it can.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn refresh(&self) -> Result<Option<Arc<Snapshot>>, CacheError> {
        let number = self.shared.store.live_generation_number().await?;
        if number > self.live().map(|s| s.number) {
            let snapshot = match self.read_from_redis().await {
                Some(snapshot) => Some(snapshot),
                None => self.shared.store.live_generation().await?,
            };
            if let Some(snapshot) = snapshot {
                self.swap_in(&Arc::new(snapshot));
            }
        }
        Ok(self.live())
    }

    /// Makes a stored generation live here and in Redis, and tells the others. A Redis that fails is no error: everybody finds the generation
    /// in the database.
    pub async fn publish(&self, snapshot: Arc<Snapshot>) {
        self.swap_in(&snapshot);
        if let Some(carrier) = &self.shared.carrier
            && let Err(error) = carrier.publish(&snapshot).await
        {
            metrics::counter!("baton_redis_errors_total").increment(1);
            tracing::warn!(%error, generation = snapshot.number.0, "not put into Redis; it is served from the database");
        }
        self.shared.hints.send(Hint::Generation);
    }

    /// Keeps the live generation up to date until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let carrying = self.shared.carrier.clone().map(|carrier| {
            let (hints, channels) = (self.shared.hints.clone(), carrier.channels());
            tokio::spawn(hints::run(hints, carrier.link, channels, stop.clone()))
        });
        let mut hints = self.shared.hints.subscribe();
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut ticks = 0_u32;
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = looks.tick() => ticks = ticks.wrapping_add(1),
                hint = hints.recv() => match hint {
                    Ok(Hint::Generation | Hint::Pauses) | Err(_) => {}
                    Ok(_) => continue,
                },
            }
            if let Err(error) = self.look_for_pauses().await {
                tracing::debug!(%error, "what is paused could not be looked up");
            }
            if let Err(error) = self.refresh().await {
                tracing::debug!(%error, "the live generation could not be looked up");
            } else if ticks % REFILL_EVERY == 1 {
                self.refill().await;
                self.measure().await;
            }
        }
        if let Some(carrying) = carrying {
            let _ = carrying.await;
        }
    }

    /// The generation that the database says is live, from Redis.
    async fn look_for_pauses(&self) -> Result<(), CacheError> {
        let now: Pauses = self.shared.store.pauses().await?.into_iter().map(|pause| pause.scope).collect();
        self.shared.pauses.send_if_modified(|pauses| {
            let changed = **pauses != now;
            if changed {
                *pauses = Arc::new(now);
            }
            changed
        });
        Ok(())
    }

    async fn read_from_redis(&self) -> Option<Snapshot> {
        let carrier = self.shared.carrier.as_ref()?;
        let newest = self.shared.store.list_generations(&Page { limit: 1, cursor: None }).await.ok()?.items.pop()?;
        carrier.snapshot(newest.number, &newest.checksum).await.unwrap_or_else(|error| {
            tracing::debug!(%error, "no generation from Redis, asking the database");
            None
        })
    }

    /// The age of what has waited longest: the first thing to alert on.
    async fn measure(&self) {
        if let Ok(backlog) = self.shared.store.backlog().await {
            let age = backlog.oldest_pending.and_then(|at| (chrono::Utc::now() - at).to_std().ok()).unwrap_or_default();
            metrics::gauge!("baton_oldest_pending_seconds").set(age.as_secs_f64());
        }
    }

    /// Puts the live generation back into a Redis that was emptied, lost it, or is behind.
    async fn refill(&self) {
        let (Some(carrier), Some(live)) = (&self.shared.carrier, self.live()) else { return };
        match carrier.holds(live.number).await {
            Ok(true) => {}
            Ok(false) => match carrier.publish(&live).await {
                Ok(()) => tracing::info!(generation = live.number.0, "put back into Redis"),
                Err(error) => tracing::debug!(%error, "Redis could not be filled"),
            },
            Err(error) => tracing::debug!(%error, "Redis could not be asked"),
        }
    }

    /// Goes forward only: an older build that arrives late changes nothing.
    fn swap_in(&self, snapshot: &Arc<Snapshot>) {
        let number = snapshot.number;
        self.shared.number.send_if_modified(|live| {
            if Some(number) <= *live {
                return false;
            }
            // Stored while the watch is locked, so that number and snapshot change together.
            self.shared.live.store(Some(Arc::clone(snapshot)));
            *live = Some(number);
            metrics::gauge!("baton_generation").set(number.0 as f64);
            tracing::info!(generation = number.0, handlers = snapshot.handlers().len(), "live");
            true
        });
    }
}
