//! Publishes events over several connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use tokio::task::JoinSet;

/// How many objects the events are about.
const OBJECTS: usize = 5_000;

/// What to publish, and where.
pub(crate) struct Load {
    pub url: String,
    pub token: String,
    pub events: usize,
    pub connections: usize,
}

/// When publishing began; it has ended.
pub(crate) struct Published {
    pub began: Instant,
}

impl Load {
    /// Publishes all events, each acknowledged with a 2xx.
    pub(crate) async fn publish(self) -> Result<Published> {
        let (load, next) = (Arc::new(self), Arc::new(AtomicUsize::new(0)));
        let began = Instant::now();
        let mut publishers = JoinSet::new();
        for _ in 0..load.connections {
            publishers.spawn(publish_one_by_one(Arc::clone(&load), Arc::clone(&next)));
        }
        while let Some(ended) = publishers.join_next().await {
            ended.context("a publisher")??;
        }
        Ok(Published { began })
    }
}

async fn publish_one_by_one(load: Arc<Load>, next: Arc<AtomicUsize>) -> Result<()> {
    // A client of its own has a connection of its own.
    let client = reqwest::Client::builder().no_proxy().tcp_nodelay(true).build()?;
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= load.events {
            return Ok(());
        }
        let answer = client
            .post(&load.url)
            .bearer_auth(&load.token)
            .header("content-type", "application/json")
            .body(body(number))
            .send()
            .await
            .context("publishing")?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status.is_success(), "event {number} was answered with {status}: {text}");
    }
}

/// About 290 bytes, as events of a billing platform are.
fn body(number: usize) -> String {
    let object = number % OBJECTS;
    format!(
        r#"{{"event":{{"events_id":"clients.update","object_id":{object},"dt":"2026-03-04T09:15:27+00:00"}},"data":{{"id":{object},"n":{number},"name":"Northwind Voice Ltd","companies_id":3,"currencies_id":1,"status":"active","credit":250.0,"c_email_billing":"ap@northwind.example","orig_capacity":60,"tags":["wholesale"]}}}}"#
    )
}
