//! The connections of a receiver.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::Log;
use super::answer::{Answer, End};
use super::received::Received;

const BODY_MAX: usize = 32 * 1024 * 1024;

/// Accepts connections until `up` is cancelled.
pub(super) async fn serve(listener: TcpListener, log: Arc<Log>, up: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = up.cancelled() => return,
        };
        if let Ok((stream, _)) = accepted {
            let _ = stream.set_nodelay(true);
            tokio::spawn(connection(stream, Arc::clone(&log), up.clone()));
        }
    }
}

/// Answers the calls of one connection until it ends, is to be reset, or the receiver stops.
async fn connection(stream: TcpStream, log: Arc<Log>, up: CancellationToken) {
    let reset = Arc::new(Notify::new());
    let service = service_fn(|request: Request<Incoming>| {
        let (log, reset) = (Arc::clone(&log), Arc::clone(&reset));
        async move { Ok::<_, Infallible>(log.take(request, &reset).await) }
    });
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        // A caller that goes away in the middle is part of many tests.
        _ = &mut connection => {}
        () = up.cancelled() => {}
        () = reset.notified() => {
            let _ = connection.into_parts().io.into_inner().set_zero_linger();
        }
    }
}

impl Log {
    async fn take(&self, request: Request<Incoming>, reset: &Notify) -> Response<Body> {
        let (head, body) = request.into_parts();
        let Ok(body) = to_bytes(Body::new(body), BODY_MAX).await else {
            // The caller went away in the middle of its body, or sent more than any event may have: not a call.
            return status_only(StatusCode::BAD_REQUEST);
        };
        let (call, answer) = self.keep(&head, body);
        self.news.notify_waiters();
        answer.due().await;
        let (status, body) = match answer.end {
            End::Status(status) => (status, Body::from(answer.body)),
            End::Stalled(status) => (status, stalled(answer.body)),
            End::Repeated { status, times, pause } => (status, repeated(answer.body, times, pause)),
            End::Hang => std::future::pending().await,
            End::Reset => {
                reset.notify_one();
                std::future::pending().await
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = answer.headers;
        let _ = call.answered.set(Instant::now());
        self.news.notify_waiters();
        response
    }

    /// Number, answer and place in the log are given under one lock, so that they agree with each other.
    fn keep(&self, head: &http::request::Parts, body: Bytes) -> (Arc<Received>, Answer) {
        let mut calls = self.calls.lock().unwrap();
        let mut call = Received::new(calls.len(), head, body);
        let answer = match self.rules.lock().unwrap().get_mut(&call.path) {
            Some(rule) => rule(&call),
            None => Answer::ok(),
        };
        call.status = answer.code();
        let call = Arc::new(call);
        calls.push(Arc::clone(&call));
        (call, answer)
    }
}

fn status_only(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// A body of which nothing comes after these bytes, and no end.
fn stalled(start: Bytes) -> Body {
    let start = stream::once(std::future::ready(Ok::<_, Infallible>(start)));
    Body::from_stream(start.chain(stream::pending()))
}

/// A body that is the same bytes so many times, or without end.
fn repeated(part: Bytes, times: Option<u64>, pause: Duration) -> Body {
    Body::from_stream(stream::unfold(0, move |sent| {
        let part = part.clone();
        async move {
            if times == Some(sent) {
                return None;
            }
            if sent > 0 && !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            Some((Ok::<_, Infallible>(part), sent + 1))
        }
    }))
}
