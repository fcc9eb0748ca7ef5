//! Publishes events over several connections.

mod browser;
mod connection;
mod events;
mod open;

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context, Result};
use futures_util::future::try_join_all;
use http::Uri;
use tokio::task::JoinSet;

pub(crate) use self::browser::{Browser, between};
pub(crate) use self::connection::Connection;
pub(crate) use self::events::{EVENT, Objects, event, number_in};
pub(crate) use self::open::{Published, publish_at_rate};

/// Whom to publish to.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub address: SocketAddr,
    pub token: Option<String>,
    /// Where one event goes.
    pub one: Uri,
    /// Where an envelope with several goes.
    pub many: Uri,
}

impl Target {
    /// Something that takes events as Baton's API does.
    pub(crate) fn api(address: SocketAddr, token: Option<&str>) -> Self {
        let path = Uri::from_static;
        Self { address, token: token.map(str::to_owned), one: path("/v1/events"), many: path("/v1/events/batch") }
    }

    pub(crate) async fn connect(&self) -> Result<Connection> {
        Connection::open(self.address, self.token.as_deref()).await
    }
}

/// What to publish, as fast as it is taken.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    /// The events' numbers.
    pub numbers: Range<usize>,
    pub objects: Objects,
    /// How many connections publish at once, each waiting for its answer.
    pub connections: usize,
    /// How many events go into one request.
    pub per_request: usize,
}

impl Load {
    /// Publishes all of them: when that began, once all connections were there. An error unless every one is acknowledged.
    pub(crate) async fn publish(&self, target: &Target) -> Result<Instant> {
        let connections = try_join_all((0..self.connections).map(|_| target.connect())).await?;
        let next = Arc::new(AtomicUsize::new(self.numbers.start));
        let mut publishers = JoinSet::new();
        let began = Instant::now();
        for connection in connections {
            publishers.spawn(publish(self.clone(), target.clone(), connection, Arc::clone(&next)));
        }
        while let Some(ended) = publishers.join_next().await {
            ended.context("a publisher")??;
        }
        Ok(began)
    }
}

async fn publish(load: Load, target: Target, mut connection: Connection, next: Arc<AtomicUsize>) -> Result<()> {
    loop {
        let first = next.fetch_add(load.per_request, Ordering::Relaxed);
        if first >= load.numbers.end {
            return Ok(());
        }
        let last = (first + load.per_request).min(load.numbers.end);
        if load.per_request == 1 {
            connection.post(&target.one, event(first, load.objects)).await?;
        } else {
            connection.post(&target.many, events::batch(first..last, load.objects)).await?;
        }
    }
}

/// Sends these bodies to one place of the API, over a few connections.
pub(crate) async fn post_all(target: &Target, path: &'static str, bodies: Vec<String>, connections: usize) -> Result<()> {
    let (bodies, next) = (Arc::new(bodies), Arc::new(AtomicUsize::new(0)));
    let mut posting = JoinSet::new();
    for _ in 0..connections {
        let (bodies, next, target) = (Arc::clone(&bodies), Arc::clone(&next), target.clone());
        posting.spawn(async move {
            let (mut connection, uri) = (target.connect().await?, Uri::from_static(path));
            while let Some(body) = bodies.get(next.fetch_add(1, Ordering::Relaxed)) {
                connection.post(&uri, body.clone()).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = posting.join_next().await {
        ended.context("a client")??;
    }
    Ok(())
}
