//! What the demo does with Baton, call by call of the API.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::api;
use super::client::Client;
use super::event::Event;
use super::handler::PLANS;
use crate::interrupt::Interrupt;

/// How long the handlers of all events may take; they take a second or two.
const PATIENCE: Duration = Duration::from_secs(30);

/// The ids of the handlers of an event type, in the order of [`PLANS`].
pub(super) type Handlers = BTreeMap<String, [i64; PLANS.len()]>;

/// An event that is in Baton's hands.
pub(super) struct Published {
    pub(super) id: String,
    /// As it was published, but with the catalogue's id of its type.
    pub(super) event: Event,
}

/// An event, and how far it has come.
pub(super) struct Followed {
    pub(super) published: Published,
    /// What Baton says about it.
    pub(super) told: api::Event,
}

/// The catalogue's id for each spelling of it.
pub(super) fn catalogue(client: &Client) -> Result<BTreeMap<String, String>> {
    let types: api::Items<api::EventType> = client.get("/v1/event-types?limit=200")?;
    let names = |t: api::EventType| {
        let id = t.id.clone();
        t.aliases.into_iter().chain([t.id]).map(move |name| (name, id.clone()))
    };
    Ok(types.items.into_iter().flat_map(names).collect())
}

/// The types of these events, each once.
pub(super) fn types(samples: &[String], catalogue: &BTreeMap<String, String>) -> Result<BTreeSet<String>> {
    samples.iter().map(|sample| resolve(Event::parse(sample)?, catalogue).map(|event| event.events_id)).collect()
}

/// Creates the handlers of the plans for each event type.
pub(super) fn create_handlers(client: &Client, types: &BTreeSet<String>, receiver: u16, log: &Path) -> Result<Handlers> {
    let mut handlers = Handlers::new();
    for event in types {
        let mut ids = [0; PLANS.len()];
        for (id, plan) in ids.iter_mut().zip(&PLANS) {
            let created: api::Handler = client.post("/v1/handlers", &plan.body(event, receiver, log).to_string())?;
            *id = created.id;
        }
        handlers.insert(event.clone(), ids);
    }
    Ok(handlers)
}

/// Makes what is saved live.
pub(super) fn restart_cache_manager(client: &Client, handlers: &Handlers) -> Result<api::Restart> {
    let restart: api::Restart = client.order("/v1/services/cache-manager/restart?wait=30")?;
    let expected = handlers.len() * PLANS.len();
    if restart.handlers != expected {
        bail!("generation {} has {} handlers instead of {expected}", restart.generation, restart.handlers);
    }
    Ok(restart)
}

/// Publishes one event after the other.
pub(super) fn publish(client: &Client, samples: &[String], catalogue: &BTreeMap<String, String>) -> Result<Vec<Published>> {
    let mut published = Vec::with_capacity(samples.len());
    for sample in samples {
        let event = resolve(Event::parse(sample)?, catalogue)?;
        let accepted: api::Accepted = client.post("/v1/events", sample)?;
        published.push(Published { id: accepted.id, event });
    }
    Ok(published)
}

fn resolve(event: Event, catalogue: &BTreeMap<String, String>) -> Result<Event> {
    let id = catalogue.get(&event.events_id).with_context(|| format!("no event type {} in the catalogue", event.events_id))?;
    Ok(Event { events_id: id.clone(), ..event })
}

/// Follows every event until its handlers have been called, or until it is clear that some will not be.
pub(super) fn follow(interrupt: &Interrupt, client: &Client, published: Vec<Published>) -> Result<Vec<Followed>> {
    let end = Instant::now() + PATIENCE;
    let mut followed = Vec::with_capacity(published.len());
    for published in published {
        let ask = || client.get::<api::Event>(&format!("/v1/events/{}", published.id));
        let patience = end.saturating_duration_since(Instant::now());
        let over = interrupt.poll(patience, || Ok(Some(ask()?).filter(api::Event::is_over)))?;
        let told = over.map_or_else(ask, Ok)?;
        followed.push(Followed { published, told });
    }
    Ok(followed)
}

#[cfg(test)]
mod tests {
    use super::super::event::samples;
    use super::*;

    #[test]
    fn older_spellings_are_the_same_type() {
        let samples = samples().unwrap();
        let mut catalogue: BTreeMap<String, String> =
            samples.iter().map(|text| Event::parse(text).unwrap().events_id).map(|id| (id.clone(), id)).collect();
        let spellings = catalogue.len();
        catalogue.insert("clients.custom_fields_update".into(), "clients.custom_fields.update".into());
        assert_eq!((spellings, types(&samples, &catalogue).unwrap().len()), (16, 15));
        catalogue.remove("clients.create");
        assert!(types(&samples, &catalogue).unwrap_err().to_string().contains("clients.create"));
    }
}
