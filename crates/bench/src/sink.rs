//! The receiver: answers at once, and keeps what is needed to account for every delivery.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::report::Figure;

/// How long nothing may arrive before the rest counts as lost.
const PATIENCE: Duration = Duration::from_secs(30);

/// What has arrived.
#[derive(Default)]
struct Arrivals {
    /// How often each pair of event and handler arrived; requests without a `webhook-id` (of the relay) count by number.
    counts: HashMap<String, u32>,
    duplicates: usize,
    last: Option<Instant>,
}

#[derive(Default)]
struct Shared {
    arrivals: Mutex<Arrivals>,
    news: Notify,
}

/// A receiver at work until it is dropped.
pub(crate) struct Sink {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: tokio::task::JoinHandle<()>,
}

impl Sink {
    pub(crate) async fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (address, shared) = (listener.local_addr()?, Arc::<Shared>::default());
        let router = Router::new().route("/{*any}", post(take)).with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                eprintln!("the receiver failed: {error}");
            }
        });
        Ok(Self { address, shared, server })
    }

    /// Where handlers are, a number to be added.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/handler", self.address)
    }

    /// Waits until so many different deliveries have arrived.
    pub(crate) async fn account(self, expected: usize, began: Instant) -> Result<Figure> {
        loop {
            let news = self.shared.news.notified();
            let (arrived, duplicates, last) = {
                let arrivals = self.shared.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
                (arrivals.counts.len(), arrivals.duplicates, arrivals.last)
            };
            if let (true, Some(last)) = (arrived >= expected, last) {
                let seconds = (last - began).as_secs_f64();
                return Ok(Figure { deliveries: arrived, seconds, per_second: arrived as f64 / seconds, duplicates });
            }
            if tokio::time::timeout(PATIENCE, news).await.is_err() {
                bail!("{arrived} of {expected} deliveries arrived, then none for {} s", PATIENCE.as_secs());
            }
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn take(State(shared): State<Arc<Shared>>, headers: HeaderMap, _body: Bytes) {
    let id = headers.get("webhook-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    let mut arrivals = shared.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
    let id = id.unwrap_or_else(|| arrivals.counts.len().to_string());
    let count = arrivals.counts.entry(id).or_default();
    *count += 1;
    if *count > 1 {
        arrivals.duplicates += 1;
    }
    arrivals.last = Some(Instant::now());
    drop(arrivals);
    shared.news.notify_waiters();
}
