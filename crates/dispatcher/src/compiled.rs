//! A generation made ready for calls: URLs parsed, secrets opened, lanes shared.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use baton_domain::filter::Filter;
use baton_domain::handler::HandlerSpec;
use baton_domain::scheduler::Delivery;
use baton_domain::{GenerationNumber, HandlerId, Snapshot};
use baton_storage::{Store, Vault};

use crate::call::{Opened, Target};

/// A handler ready to be called.
pub(crate) struct Ready {
    /// How it is configured.
    pub spec: Arc<HandlerSpec>,
    /// What is called, or why it cannot be.
    pub target: Result<Target, String>,
    /// Which events it wants; `None` for all of its type.
    pub filter: Option<Filter>,
    lane: Arc<str>,
}

impl Ready {
    fn new(spec: &Arc<HandlerSpec>, lane: Arc<str>, vault: &Vault) -> Self {
        let filter = spec.filter.as_deref().map(Filter::compile).transpose();
        let target = Opened::of(spec, vault).and_then(|opened| Target::new(spec, opened));
        if spec.tls.as_ref().is_some_and(|tls| !tls.verify) {
            tracing::warn!(
                handler = spec.id.0,
                name = spec.name,
                "its receiver's certificate is NOT checked (tls.verify is false)"
            );
        }
        let (filter, target) = match filter {
            Ok(filter) => (filter, target),
            // Another version of Baton has saved it, which knows more: nothing may be sent that it might not want.
            Err(reason) => (None, Err(format!("its filter {reason}"))),
        };
        Self { spec: Arc::clone(spec), target, filter, lane }
    }
}

/// A generation ready for calls.
pub(crate) struct Compiled {
    snapshot: Arc<Snapshot>,
    handlers: HashMap<HandlerId, Arc<Ready>>,
}

impl Compiled {
    /// Prepares every handler. One that cannot be prepared fails when it is called, with the reason.
    pub(crate) fn new(snapshot: Arc<Snapshot>, vault: &Vault) -> Self {
        let mut lanes: HashMap<String, Arc<str>> = HashMap::new();
        let mut ready = |spec: &Arc<HandlerSpec>| {
            let name = spec.effective_lane();
            let lane = Arc::clone(lanes.entry(name.clone()).or_insert_with(|| name.into()));
            (spec.id, Arc::new(Ready::new(spec, lane, vault)))
        };
        let handlers = snapshot.handlers().iter().map(&mut ready).collect();
        Self { snapshot, handlers }
    }

    /// A generation without handlers, for the time before the first is known.
    pub(crate) fn empty() -> Self {
        let snapshot = Snapshot::new(GenerationNumber(0), chrono::DateTime::UNIX_EPOCH, []);
        Self { snapshot: Arc::new(snapshot), handlers: HashMap::new() }
    }

    pub(crate) fn number(&self) -> GenerationNumber {
        self.snapshot.number
    }

    pub(crate) fn specs(&self) -> impl Iterator<Item = &HandlerSpec> {
        self.snapshot.handlers().iter().map(|spec| &**spec)
    }

    pub(crate) fn handler(&self, id: HandlerId) -> Option<&Arc<Ready>> {
        self.handlers.get(&id)
    }

    /// The deliveries of an event: to all handlers of its type, or to one of them.
    pub(crate) fn plan(&self, events_id: &str, only: Option<HandlerId>) -> Vec<Delivery> {
        let chain = self.snapshot.chain(events_id).iter().filter(|spec| only.is_none_or(|id| id == spec.id));
        chain.filter_map(|spec| self.handler(spec.id)).map(|h| Delivery::new(&h.spec, Arc::clone(&h.lane))).collect()
    }
}

/// Older generations that chains still run under; each is loaded once while anything needs it.
#[derive(Clone)]
pub(crate) struct Shelf {
    store: Store,
    vault: Vault,
    kept: Arc<Mutex<HashMap<GenerationNumber, Weak<Compiled>>>>,
}

impl Shelf {
    pub(crate) fn new(store: Store, vault: Vault) -> Self {
        Self { store, vault, kept: Arc::default() }
    }

    /// Prepares a snapshot and keeps it for as long as anything uses it.
    pub(crate) fn compile(&self, snapshot: Arc<Snapshot>) -> Arc<Compiled> {
        let compiled = Arc::new(Compiled::new(snapshot, &self.vault));
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, old| old.strong_count() > 0);
        kept.insert(compiled.number(), Arc::downgrade(&compiled));
        compiled
    }

    /// The generation of this number, or `None` when it has been removed from the database.
    pub(crate) async fn get(&self, number: GenerationNumber) -> baton_storage::Result<Option<Arc<Compiled>>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(&number).and_then(Weak::upgrade);
        if kept.is_some() {
            return Ok(kept);
        }
        Ok(self.store.generation(number).await?.map(|stored| self.compile(Arc::new(stored.snapshot))))
    }
}
