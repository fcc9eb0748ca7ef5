//! What goes on while the demo is left running: events, now and then one that fails, and an edit that is not live.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use super::api;
use super::client::Client;

/// How often an event is published.
pub(super) const EVERY: Duration = Duration::from_secs(2);
/// A path that the receiver does not know: what is called there fails for good.
const NOWHERE: &str = "/nowhere";

/// Adds a handler that fails and one with a filter, makes them live, and switches one of them off after that.
pub(super) fn furnish(client: &Client, receiver: u16) -> Result<()> {
    let handler = |name: &str, event: &str, path: &str, more: Value| {
        let mut body =
            json!({"name": name, "event": event, "task": {"type": "http", "url": format!("http://127.0.0.1:{receiver}{path}")}});
        body.as_object_mut().into_iter().for_each(|body| body.extend(more.as_object().cloned().unwrap_or_default()));
        body.to_string()
    };
    let gone = handler("Fax to sales", "clients.create", NOWHERE, json!({"priority": 40}));
    let large = handler(
        "Key account",
        "clients.create",
        "/crm",
        json!({"priority": 50, "filter": "has(data.credit) && data.credit > 1000"}),
    );
    let _: api::Handler = client.post("/v1/handlers", &gone)?;
    let edited: api::Handler = client.post("/v1/handlers", &large)?;
    let _: api::Restart = client.order("/v1/services/cache-manager/restart?wait=30")?;
    // Which waits for the next restart.
    let _: api::Handler = client.order(&format!("/v1/handlers/{}/toggle", edited.id))?;
    Ok(())
}

/// Publishes the next event of the samples, again from the first after the last.
pub(super) fn publish_next(client: &Client, samples: &[String], number: usize) -> Result<()> {
    if let Some(sample) = samples.get(number % samples.len().max(1)) {
        let _: api::Accepted = client.post("/v1/events", sample)?;
    }
    Ok(())
}
