//! The receiver: answers at once, and keeps when each event reached each handler, so that every delivery is accounted for.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use crate::load::number_in;

/// How long nothing may arrive before the rest counts as lost.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(2);
const PREFIX: &str = "/h/";

/// How a handler answers.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Behaviour {
    /// With 200, at once.
    Ok,
    /// With 200, after so long.
    After(Duration),
    /// With a status that makes Baton try again.
    Refuse(u16),
    /// Not at all.
    Never,
}

/// What has arrived.
struct Shared {
    zero: Instant,
    behaviours: Vec<Behaviour>,
    events: usize,
    /// By handler and event: nanoseconds after `zero`; 0 for what has not arrived.
    arrivals: Vec<AtomicU64>,
    /// By handler: how many different events have arrived.
    arrived: Vec<AtomicUsize>,
    duplicates: AtomicUsize,
    /// Requests that were refused or are not answered.
    unwell: AtomicUsize,
    /// Requests that name no event or no handler.
    strange: AtomicUsize,
}

/// A receiver at work until it is dropped.
pub(crate) struct Sink {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

impl Sink {
    /// For events numbered from 0 to `events`, with one handler for each behaviour.
    pub(crate) async fn start(events: usize, behaviours: Vec<Behaviour>) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            zero: Instant::now(),
            events,
            arrivals: (0..events * behaviours.len()).map(|_| AtomicU64::new(0)).collect(),
            arrived: behaviours.iter().map(|_| AtomicUsize::new(0)).collect(),
            duplicates: AtomicUsize::new(0),
            unwell: AtomicUsize::new(0),
            strange: AtomicUsize::new(0),
            behaviours,
        });
        let server = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, server })
    }

    /// With so many handlers that are well.
    pub(crate) async fn well(events: usize, handlers: usize) -> Result<Self> {
        Self::start(events, vec![Behaviour::Ok; handlers]).await
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The path of a handler.
    pub(crate) fn path(handler: usize) -> String {
        format!("{PREFIX}{handler}")
    }

    /// Where a handler is.
    pub(crate) fn url(&self, handler: usize) -> String {
        format!("http://{}{}", self.address, Self::path(handler))
    }

    /// The handlers' URLs.
    pub(crate) fn urls(&self) -> Vec<String> {
        (0..self.shared.behaviours.len()).map(|handler| self.url(handler)).collect()
    }

    /// How many different events have reached a handler.
    pub(crate) fn arrived(&self, handler: usize) -> usize {
        self.shared.arrived[handler].load(Ordering::Relaxed)
    }

    /// Arrivals beyond the first of an event at a handler.
    pub(crate) fn duplicates(&self) -> usize {
        self.shared.duplicates.load(Ordering::Relaxed)
    }

    /// Requests that were refused or not answered, as handlers do that are unwell.
    pub(crate) fn unwell(&self) -> usize {
        self.shared.unwell.load(Ordering::Relaxed)
    }

    /// Waits until all events below `count` have reached these handlers; an error when some do not come.
    pub(crate) async fn account(&self, handlers: Range<usize>, count: usize) -> Result<()> {
        let arrived = || handlers.clone().map(|handler| self.arrived(handler)).sum::<usize>();
        let (mut before, mut since) = (arrived(), Instant::now());
        while before < count * handlers.len() {
            sleep(LOOK).await;
            let now = arrived();
            if now > before {
                (before, since) = (now, Instant::now());
            }
            if since.elapsed() > PATIENCE {
                let first = self.missing(handlers.clone(), count);
                bail!(
                    "{before} of {} deliveries arrived, then none for {} s; missing are {first:?}",
                    count * handlers.len(),
                    PATIENCE.as_secs()
                );
            }
        }
        let strange = self.shared.strange.load(Ordering::Relaxed);
        ensure!(strange == 0, "{strange} requests named no event or handler");
        let missing = self.missing(handlers, count);
        ensure!(missing.is_empty(), "others arrived instead of {missing:?}");
        Ok(())
    }

    /// A few pairs of handler and event that have not arrived.
    fn missing(&self, handlers: Range<usize>, count: usize) -> Vec<(usize, usize)> {
        let pairs = handlers.flat_map(|handler| (0..count).map(move |number| (handler, number)));
        pairs.filter(|(handler, number)| self.shared.arrival(*handler, *number).is_none()).take(5).collect()
    }

    /// When an event first reached a handler.
    pub(crate) fn arrival(&self, handler: usize, number: usize) -> Option<Instant> {
        self.shared.arrival(handler, number)
    }

    /// The first and the last arrival of these events at these handlers.
    pub(crate) fn span(&self, handlers: Range<usize>, numbers: Range<usize>) -> Option<(Instant, Instant)> {
        let all = || {
            let pairs = handlers.clone().flat_map(|handler| numbers.clone().map(move |number| (handler, number)));
            pairs.filter_map(|(handler, number)| self.arrival(handler, number))
        };
        all().min().zip(all().max())
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    fn arrival(&self, handler: usize, number: usize) -> Option<Instant> {
        let after = self.arrivals[handler * self.events + number].load(Ordering::Relaxed);
        (after > 0).then(|| self.zero + Duration::from_nanos(after))
    }

    /// Writes down that a body has come to a handler.
    fn keep(&self, handler: usize, body: &[u8]) {
        let Some(number) = number_in(body).filter(|number| *number < self.events) else {
            self.strange.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let after = u64::try_from(self.zero.elapsed().as_nanos()).unwrap_or(u64::MAX).max(1);
        let place = &self.arrivals[handler * self.events + number];
        let kept = place.compare_exchange(0, after, Ordering::Relaxed, Ordering::Relaxed);
        let counter = if kept.is_ok() { &self.arrived[handler] } else { &self.duplicates };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    async fn take(&self, request: Request<Incoming>) -> Response<Empty<Bytes>> {
        let handler = request.uri().path().strip_prefix(PREFIX).and_then(|number| number.parse::<usize>().ok());
        let Ok(body) = request.into_body().collect().await else { return answer(StatusCode::BAD_REQUEST) };
        let Some((handler, behaviour)) = handler.and_then(|handler| Some((handler, *self.behaviours.get(handler)?))) else {
            self.strange.fetch_add(1, Ordering::Relaxed);
            return answer(StatusCode::NOT_FOUND);
        };
        if matches!(behaviour, Behaviour::Refuse(_) | Behaviour::Never) {
            self.unwell.fetch_add(1, Ordering::Relaxed);
        }
        match behaviour {
            Behaviour::Refuse(status) => {
                return answer(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
            }
            Behaviour::Never => return std::future::pending().await,
            Behaviour::Ok | Behaviour::After(_) => self.keep(handler, &body.to_bytes()),
        }
        if let Behaviour::After(time) = behaviour {
            sleep(time).await;
        }
        answer(StatusCode::OK)
    }
}

fn answer(status: StatusCode) -> Response<Empty<Bytes>> {
    let mut response = Response::new(Empty::new());
    *response.status_mut() = status;
    response
}

/// Accepts connections, which end with it.
async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(connection(stream, Arc::clone(&shared)));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| {
        let shared = &shared;
        async move { Ok::<_, Infallible>(shared.take(request).await) }
    });
    // A caller that goes away, because its timeout is over or it is ended, is no fault of the receiver.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

#[cfg(test)]
mod tests {
    use http::Uri;

    use super::*;
    use crate::load::{Load, Objects, Target};

    async fn publish(sink: &Sink, handler: usize, numbers: Range<usize>) -> Result<Instant> {
        let path: Uri = Sink::path(handler).parse()?;
        let target = Target { address: sink.address(), token: None, one: path.clone(), many: path };
        Load { numbers, objects: Objects::Spread(10), connections: 3, per_request: 1 }.publish(&target).await
    }

    #[tokio::test]
    async fn every_event_is_accounted_for_at_every_handler() {
        let sink = Sink::well(100, 2).await.unwrap();
        let began = publish(&sink, 0, 0..100).await.unwrap();
        publish(&sink, 1, 0..98).await.unwrap();
        assert_eq!(sink.missing(0..2, 100), [(1, 98), (1, 99)]);
        publish(&sink, 1, 98..100).await.unwrap();
        sink.account(0..2, 100).await.unwrap();
        let (first, last) = sink.span(0..2, 0..100).unwrap();
        assert!(began <= first && first <= last && sink.duplicates() == 0);
    }

    #[tokio::test]
    async fn what_arrives_twice_is_a_duplicate_and_no_arrival() {
        let sink = Sink::well(10, 1).await.unwrap();
        publish(&sink, 0, 0..6).await.unwrap();
        publish(&sink, 0, 4..6).await.unwrap();
        assert_eq!((sink.arrived(0), sink.duplicates()), (6, 2));
    }

    #[tokio::test]
    async fn what_nobody_knows_is_no_delivery() {
        let sink = Sink::start(10, vec![Behaviour::Ok, Behaviour::Refuse(503)]).await.unwrap();
        assert!(publish(&sink, 2, 0..1).await.unwrap_err().to_string().contains("404"));
        assert!(publish(&sink, 1, 0..1).await.unwrap_err().to_string().contains("503"));
        assert_eq!((sink.arrived(0), sink.arrived(1), sink.unwell()), (0, 0, 1));
        assert!(sink.account(0..1, 0).await.unwrap_err().to_string().contains("named no event or handler"));
    }
}
