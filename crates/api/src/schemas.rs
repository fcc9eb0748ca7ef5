//! The schemas of event types in memory, so that publishing asks the database nothing; types without one cost a look into a map.

mod compiled;
mod document;

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use baton_domain::{FieldErrors, NewEvent};
use baton_storage::{EventSchema, Result, SchemaUse, Store};
use chrono::Utc;
use tokio::sync::Mutex;
use tokio::time::{MissedTickBehavior, interval};

pub(crate) use self::compiled::CompiledSchema;
pub(crate) use self::document::SCHEMA_BYTES_MAX;

/// How often it is looked whether another process has changed one.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Work that is done at once; more of it goes to a thread where it holds nobody up.
const WORK_AT_ONCE: u64 = 1024 * 1024;
/// How long nothing more is said in the log of events of one type that are not as they should be, in seconds.
const QUIET_SECONDS: i64 = 10;

/// The schemas that are in use.
#[derive(Debug)]
pub(crate) struct SchemaCache {
    store: Store,
    known: ArcSwap<Known>,
    /// The versions of what is known; `None` before the first read. The lock makes many ask once.
    read: Mutex<Option<Vec<(String, i64)>>>,
}

#[derive(Debug, Default)]
struct Known {
    is_read: bool,
    in_use: HashMap<String, Arc<InUse>>,
}

/// A schema that is held against what is published.
#[derive(Debug)]
struct InUse {
    schema: CompiledSchema,
    version: i64,
    is_enforced: bool,
    /// When the log last told of an event, in seconds.
    told_at: AtomicI64,
}

impl SchemaCache {
    /// Starts the task that looks for changes, which ends with the last owner.
    pub(crate) fn watch(store: Store) -> Arc<Self> {
        let cache = Arc::new(Self { store, known: ArcSwap::from_pointee(Known::default()), read: Mutex::new(None) });
        tokio::spawn(look(Arc::downgrade(&cache)));
        cache
    }

    /// Reads what has changed.
    ///
    /// # Errors
    /// When the database fails; what was known stays in use.
    pub(crate) async fn refresh(&self) -> Result<()> {
        let mut read = self.read.lock().await;
        let versions = self.store.event_schema_versions().await?;
        if read.as_ref() == Some(&versions) {
            return Ok(());
        }
        let stored = self.store.event_schemas().await?;
        // Of what was read, since something may have been saved in between.
        let versions = stored.iter().map(|schema| (schema.events_id.clone(), schema.version)).collect();
        let before = self.known.load_full();
        // Patterns take their time to compile. A task that cannot be joined has panicked, and what was known stays in use.
        if let Ok(in_use) = tokio::task::spawn_blocking(move || compile(stored, &before)).await {
            self.known.store(Arc::new(Known { is_read: true, in_use }));
            *read = Some(versions);
        }
        Ok(())
    }

    /// What is wrong with events by the schemas of their types that are enforced, by their place. What is wrong by one that only warns is
    /// counted and told of here.
    ///
    /// # Errors
    /// When the database fails before the schemas have ever been read.
    pub(crate) async fn refused(&self, events: &[NewEvent]) -> Result<Vec<(usize, FieldErrors)>> {
        let known = self.known.load();
        if known.is_read && !events.iter().any(|event| known.in_use.contains_key(&event.events_id)) {
            return Ok(Vec::new());
        }
        drop(known);
        // Boxed, so that publications without a schema need not carry the room for it.
        Box::pin(self.refused_by_schemas(events)).await
    }

    async fn refused_by_schemas(&self, events: &[NewEvent]) -> Result<Vec<(usize, FieldErrors)>> {
        if !self.known.load().is_read {
            self.refresh().await?;
        }
        let known = self.known.load_full();
        let with_schema =
            events.iter().enumerate().filter_map(|(place, event)| Some((place, event, known.in_use.get(&event.events_id)?)));
        let work: u64 =
            with_schema.clone().map(|(_, event, in_use)| in_use.schema.work(&event.data)).fold(0, u64::saturating_add);
        if work <= WORK_AT_ONCE {
            return Ok(with_schema.filter_map(|(place, event, in_use)| held(place, event, in_use)).collect());
        }
        let owned: Vec<_> = with_schema.map(|(place, event, in_use)| (place, event.clone(), Arc::clone(in_use))).collect();
        let held_all = move || owned.iter().filter_map(|(place, event, in_use)| held(*place, event, in_use)).collect();
        let checked = tokio::task::spawn_blocking(held_all).await;
        // Whoever cannot be checked is not let through.
        Ok(checked
            .unwrap_or_else(|_| vec![(0, FieldErrors::one("data", "could not be checked against the schema of its event type"))]))
    }
}

async fn look(cache: Weak<SchemaCache>) {
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let Some(cache) = cache.upgrade() else { return };
        if let Err(error) = cache.refresh().await {
            tracing::debug!(%error, "the schemas of event types could not be read");
        }
    }
}

fn compile(stored: Vec<EventSchema>, before: &Known) -> HashMap<String, Arc<InUse>> {
    let mut in_use = HashMap::new();
    for EventSchema { events_id, schema, validate, version, .. } in stored {
        if validate == SchemaUse::Off {
            continue;
        }
        if let Some(same) = before.in_use.get(&events_id).filter(|known| known.version == version) {
            in_use.insert(events_id, Arc::clone(same));
            continue;
        }
        match CompiledSchema::new(&schema) {
            Ok(schema) => {
                let told_at = AtomicI64::new(0);
                in_use
                    .insert(events_id, Arc::new(InUse { schema, version, is_enforced: validate == SchemaUse::Enforce, told_at }));
            }
            // It was checked when it was saved, so somebody has written it by hand, or with another version of Baton.
            Err(error) => tracing::error!(events_id, error, "a schema cannot be used; events of its type are not checked"),
        }
    }
    in_use
}

/// Holds an event against the schema of its type.
fn held(place: usize, event: &NewEvent, in_use: &InUse) -> Option<(usize, FieldErrors)> {
    let errors = in_use.schema.check(&event.data).err()?;
    let validate = if in_use.is_enforced { SchemaUse::Enforce } else { SchemaUse::Warn };
    metrics::counter!("baton_events_against_schema_total", "events_id" => event.events_id.clone(), "validate" => validate.as_str())
        .increment(1);
    if in_use.is_enforced {
        return Some((place, errors));
    }
    let now = Utc::now().timestamp();
    let told_at = in_use.told_at.load(Ordering::Relaxed);
    if now >= told_at + QUIET_SECONDS
        && in_use.told_at.compare_exchange(told_at, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    {
        tracing::warn!(
            event = %event.id, events_id = event.events_id, object_id = event.object_id.as_json(), %errors,
            "data that the schema of its event type does not allow was accepted"
        );
    }
    None
}

#[cfg(test)]
mod tests;
