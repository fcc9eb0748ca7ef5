//! Generations: numbered, immutable snapshots of the enabled handlers, and what differs between two.

mod differences;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::handler::HandlerSpec;
use crate::ids::{GenerationNumber, HandlerId};

/// A numbered, immutable snapshot of the enabled handlers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "SnapshotText", into = "SnapshotText")]
pub struct Snapshot {
    /// Its number.
    pub number: GenerationNumber,
    /// When it was built.
    pub built_at: DateTime<Utc>,
    handlers: Vec<Arc<HandlerSpec>>,
    by_event: HashMap<String, Vec<Arc<HandlerSpec>>>,
    by_id: HashMap<HandlerId, Arc<HandlerSpec>>,
    /// Made when it is first asked for.
    checksum: OnceLock<String>,
}

/// A [`Snapshot`] as it is stored.
#[derive(Clone, Serialize, Deserialize)]
struct SnapshotText {
    number: GenerationNumber,
    built_at: DateTime<Utc>,
    handlers: Vec<Arc<HandlerSpec>>,
}

impl From<SnapshotText> for Snapshot {
    fn from(text: SnapshotText) -> Self {
        Self::from_shared(text.number, text.built_at, text.handlers)
    }
}

impl From<Snapshot> for SnapshotText {
    fn from(snapshot: Snapshot) -> Self {
        Self { number: snapshot.number, built_at: snapshot.built_at, handlers: snapshot.handlers }
    }
}

impl Snapshot {
    /// A snapshot of these handlers, sorted by priority, then id.
    #[must_use]
    pub fn new(number: GenerationNumber, built_at: DateTime<Utc>, handlers: impl IntoIterator<Item = HandlerSpec>) -> Self {
        Self::from_shared(number, built_at, handlers.into_iter().map(Arc::new).collect())
    }

    fn from_shared(number: GenerationNumber, built_at: DateTime<Utc>, mut handlers: Vec<Arc<HandlerSpec>>) -> Self {
        handlers.sort_by_key(|h| (h.priority, h.id));
        let mut by_event: HashMap<String, Vec<_>> = HashMap::new();
        for handler in &handlers {
            by_event.entry(handler.event.clone()).or_default().push(Arc::clone(handler));
        }
        let by_id = handlers.iter().map(|h| (h.id, Arc::clone(h))).collect();
        Self { number, built_at, handlers, by_event, by_id, checksum: OnceLock::new() }
    }

    /// All handlers, by priority, then id.
    #[must_use]
    pub fn handlers(&self) -> &[Arc<HandlerSpec>] {
        &self.handlers
    }

    /// The chain of an event type: its handlers by priority, then id. Empty where there is none.
    #[must_use]
    pub fn chain(&self, events_id: &str) -> &[Arc<HandlerSpec>] {
        self.by_event.get(events_id).map_or(&[], Vec::as_slice)
    }

    /// The handler with this id.
    #[must_use]
    pub fn handler(&self, id: HandlerId) -> Option<&Arc<HandlerSpec>> {
        self.by_id.get(&id)
    }

    /// SHA-256 of the handlers, in hexadecimal: equal for generations that do the same.
    #[must_use]
    pub fn checksum(&self) -> String {
        let made = self.checksum.get_or_init(|| {
            // Plain structs with string keys always serialise; ordered maps make the text canonical.
            let text = serde_json::to_vec(&self.handlers).unwrap_or_default();
            Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect()
        });
        made.clone()
    }
}

/// A handler, as a list of changes names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandlerName {
    /// Its id.
    pub id: HandlerId,
    /// Its name.
    pub name: String,
}

/// One field that differs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FieldChange {
    /// The field's path: `priority`, `task.url`, `headers.x-api-key`.
    pub field: String,
    /// What is live.
    pub live: Value,
    /// What is saved.
    pub saved: Value,
}

/// A handler that differs, field by field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HandlerChange {
    /// Its id.
    pub id: HandlerId,
    /// Its name as saved.
    pub name: String,
    /// The fields, in the order of the handler's form.
    pub fields: Vec<FieldChange>,
}

/// What differs between a generation and what follows it, each list by id.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Changes {
    /// Handlers that were not there.
    pub added: Vec<HandlerName>,
    /// Handlers that are no longer there.
    pub removed: Vec<HandlerName>,
    /// Handlers that differ.
    pub changed: Vec<HandlerChange>,
}

impl Changes {
    /// What differs between what is live and what is saved. Neither needs an order.
    #[must_use]
    pub fn between<'a>(
        live: impl IntoIterator<Item = &'a HandlerSpec>,
        saved: impl IntoIterator<Item = &'a HandlerSpec>,
    ) -> Self {
        let mut live: BTreeMap<_, _> = live.into_iter().map(|h| (h.id, h)).collect();
        let saved: BTreeMap<_, _> = saved.into_iter().map(|h| (h.id, h)).collect();
        let mut changes = Self::default();
        for (id, new) in saved {
            match live.remove(&id) {
                None => changes.added.push(HandlerName { id, name: new.name.clone() }),
                Some(old) => {
                    let fields = differences::fields(old, new);
                    if !fields.is_empty() {
                        changes.changed.push(HandlerChange { id, name: new.name.clone(), fields });
                    }
                }
            }
        }
        changes.removed = live.into_values().map(|h| HandlerName { id: h.id, name: h.name.clone() }).collect();
        changes
    }

    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

#[cfg(test)]
mod tests;
