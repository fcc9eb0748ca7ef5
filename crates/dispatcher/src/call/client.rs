//! The HTTP client of calls and of token servers: keeps connections by host, speaks HTTP/2 where a server offers it over TLS, follows no
//! redirect, unpacks no body, uses no proxy.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use ::http::{HeaderValue, Request, Response, Uri, header};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{self, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use tokio::time::timeout;
use tower_service::Service;

use super::resolver::Names;

/// How long a connection may take to be there, TLS included, where the handler's timeout is not shorter. It is shared out among the
/// addresses of a name, so that one that swallows packets does not keep the others from being tried.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an unused connection is kept. Shorter than the five seconds after which common servers close it, so that no request meets a
/// connection that is just being closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);
/// The most unused connections to one host that are kept.
const IDLE_MAX: usize = 256;

/// What all clients have in common.
pub(super) struct Common {
    pub(super) names: Names,
    pub(super) user_agent: HeaderValue,
}

impl Common {
    /// A client with connections of its own. `config` says whom it trusts and what it shows.
    pub(super) fn client(&self, config: ClientConfig) -> HttpClient {
        let mut http = HttpConnector::new_with_resolver(self.names.clone());
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let https =
            HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_all_versions().wrap_connector(http);
        let inner = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_MAX)
            .build(Timed(https));
        HttpClient { inner, user_agent: self.user_agent.clone() }
    }
}

/// Sends requests; cheap to clone.
#[derive(Clone)]
pub(super) struct HttpClient {
    inner: legacy::Client<Timed, Full<Bytes>>,
    user_agent: HeaderValue,
}

impl HttpClient {
    /// Sends a request, with what every one of Baton's says of itself. Dropping the answer before its body has ended closes the
    /// connection.
    ///
    /// # Errors
    /// Why there was no answer.
    pub(super) async fn send(&self, mut request: Request<Full<Bytes>>) -> Result<Response<Incoming>, legacy::Error> {
        let headers = request.headers_mut();
        headers.insert(header::USER_AGENT, self.user_agent.clone());
        headers.entry(header::ACCEPT).or_insert(HeaderValue::from_static("*/*"));
        self.inner.request(request).await
    }
}

/// A connection was not there in [`CONNECT_TIMEOUT`].
#[derive(Debug, thiserror::Error)]
#[error("no connection in time")]
pub(super) struct ConnectTimeout;

/// Connects within [`CONNECT_TIMEOUT`], TLS included.
#[derive(Clone)]
struct Timed(HttpsConnector<HttpConnector<Names>>);

type Connection = <HttpsConnector<HttpConnector<Names>> as Service<Uri>>::Response;
type ConnectError = Box<dyn Error + Send + Sync>;

impl Service<Uri> for Timed {
    type Response = Connection;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Connection, ConnectError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, place: Uri) -> Self::Future {
        let connecting = timeout(CONNECT_TIMEOUT, self.0.call(place));
        Box::pin(async move { connecting.await.unwrap_or_else(|_| Err(ConnectTimeout.into())) })
    }
}
