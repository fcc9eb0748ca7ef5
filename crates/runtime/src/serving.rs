//! Serving HTTP/1: each connection in a task of its own, which ends when nobody asks anything of it any more.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::Request;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_service::Service;

/// How long a connection may be without a request, and a request without the end of its headers. As long as proxies usually keep a connection.
const QUIET_MAX: Duration = Duration::from_secs(75);
/// How long a connection without a request under way has to say goodbye at the stop. A request of which only a part has come is not waited for.
const GOODBYE_WITHIN: Duration = Duration::from_millis(500);
/// How long to wait when the system has no more descriptors for connections.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Serves until `stop`, then lets requests under way finish.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let connections = TaskTracker::new();
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(connection(stream, router.clone(), stop.clone()));
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "no connection can be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}

async fn connection(stream: TcpStream, router: Router, stop: CancellationToken) {
    // Answers are small: waiting to fill a packet would only delay them.
    let _ = stream.set_nodelay(true);
    let under_way = UnderWay::default();
    let counted = under_way.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let (mark, answer) = (counted.mark(), router.clone().call(request));
        async move { Ok::<_, Infallible>(answer.await?.map(|body| Marked { body, _mark: mark })) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(QUIET_MAX)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(served);
    // What goes wrong on a connection is between it and its client, who sees it.
    tokio::select! {
        _ = served.as_mut() => return,
        () = stop.cancelled() => {}
    }
    served.as_mut().graceful_shutdown();
    if timeout(GOODBYE_WITHIN, served.as_mut()).await.is_err() && under_way.is_some() {
        let _ = served.await;
    }
}

/// How many requests of a connection are under way: one, or none.
#[derive(Debug, Clone, Default)]
struct UnderWay(Arc<AtomicUsize>);

impl UnderWay {
    fn mark(&self) -> Mark {
        self.0.fetch_add(1, Ordering::Relaxed);
        Mark(Arc::clone(&self.0))
    }

    fn is_some(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }
}

/// A request is under way as long as there is this.
struct Mark(Arc<AtomicUsize>);

impl Drop for Mark {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The body of an answer, with which its request ends.
struct Marked {
    body: Body,
    _mark: Mark,
}

impl HttpBody for Marked {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::Notify;
    use tokio::time::Instant;

    use super::*;

    /// A server whose only page is answered when it is told to.
    async fn server(go: &Arc<Notify>, asked: &Arc<Notify>) -> (TcpStream, CancellationToken, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (go, asked) = (Arc::clone(go), Arc::clone(asked));
        let page = get(async move || {
            asked.notify_one();
            go.notified().await;
            "done"
        });
        let stop = CancellationToken::new();
        let served = tokio::spawn(serve(listener, Router::new().route("/", page), stop.clone()));
        (TcpStream::connect(address).await.unwrap(), stop, served)
    }

    #[tokio::test]
    async fn a_request_that_is_only_half_there_does_not_hold_up_the_stop() {
        let (go, asked) = (Arc::default(), Arc::default());
        let (mut half, stop, served) = server(&go, &asked).await;
        half.write_all(b"GET / HTTP/1.1\r\nx: ").await.unwrap();
        let began = Instant::now();
        stop.cancel();
        served.await.unwrap();
        assert!(began.elapsed() < QUIET_MAX / 2, "{:?}", began.elapsed());
        assert_eq!(half.read(&mut [0; 16]).await.unwrap_or_default(), 0, "the connection is closed");
    }

    #[tokio::test]
    async fn a_request_under_way_is_answered_after_the_stop() {
        let (go, asked) = (Arc::default(), Arc::default());
        let (mut client, stop, mut served) = server(&go, &asked).await;
        client.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        asked.notified().await;
        stop.cancel();
        assert!(timeout(GOODBYE_WITHIN * 2, &mut served).await.is_err(), "it does not end before the request");
        go.notify_one();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("done"), "{answer}");
        served.await.unwrap();
    }
}
