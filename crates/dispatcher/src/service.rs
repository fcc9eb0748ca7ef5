//! The dispatcher as a service: incarnations, one after the other.

use baton_handler_cache::HandlerCache;
use baton_storage::{Store, Vault, Work};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::call::Caller;
use crate::compiled::Shelf;
use crate::conductor::{Conductor, End, Tools};
use crate::ownership::Ownership;
use crate::recorder;
use crate::settings::DispatcherSettings;

/// A dispatcher: owns partitions, feeds events, runs chains, records what happened.
pub struct Dispatcher {
    store: Store,
    cache: HandlerCache,
    caller: Caller,
    vault: Vault,
    settings: DispatcherSettings,
}

impl Dispatcher {
    /// A dispatcher of these parts.
    #[must_use]
    pub fn new(store: Store, cache: HandlerCache, caller: Caller, vault: Vault, settings: DispatcherSettings) -> Self {
        Self { store, cache, caller, vault, settings }
    }

    /// Works until `stop`; then finishes and writes what is under way and gives up its partitions. When another dispatcher has taken over
    /// (this process was stopped or cut off for longer than its lease), it forgets everything and begins anew.
    pub async fn run(self, stop: CancellationToken) {
        while self.incarnation(&stop).await == End::Fenced {
            metrics::counter!("baton_fenced_total").increment(1);
            tracing::warn!("another dispatcher has taken over what this one owned; beginning anew");
            if stop.is_cancelled() {
                return;
            }
        }
    }

    async fn incarnation(&self, stop: &CancellationToken) -> End {
        let id = Uuid::now_v7();
        let (outbox, inbox) = mpsc::unbounded_channel();
        let (changes, to_write) = mpsc::unbounded_channel();
        let (given_up, to_give_up) = mpsc::unbounded_channel();
        let (lease, lease_seen) = watch::channel(Instant::now());
        let (work, work_seen) = watch::channel(Work::default());
        let ownership = Ownership {
            store: self.store.clone(),
            hints: self.cache.hints().clone(),
            id,
            settings: self.settings.clone(),
            work: work_seen,
            told: outbox.clone(),
            lease,
            stop: stop.clone(),
        };
        let ownership = tokio::spawn(ownership.run(to_give_up));
        let recorder = tokio::spawn(recorder::run(self.store.clone(), id, to_write, outbox.clone()));
        let tools = Tools {
            store: self.store.clone(),
            cache: self.cache.clone(),
            caller: self.caller.clone(),
            shelf: Shelf::new(self.store.clone(), self.vault.clone()),
            settings: self.settings.clone(),
            work,
            lease: lease_seen,
            recorder: changes,
            given_up,
            outbox,
        };
        let end = Conductor::new(tools).run(inbox, stop.clone()).await;
        if end == End::Fenced {
            // Whatever they still hold is the other dispatcher's by now.
            ownership.abort();
            recorder.abort();
        } else {
            // With the conductor their channels are closed: they do what is left, and end.
            let _ = tokio::join!(ownership, recorder);
            let _ = self.store.remove_instance(id).await;
        }
        end
    }
}
