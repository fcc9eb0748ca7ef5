//! The endpoint that operators and orchestrators look at: `/healthz`, `/readyz`, `/metrics`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use futures_util::future::BoxFuture;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::metrics::MetricsHandle;

/// Says whether the program can do its work now, or why not.
pub type Ready = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// How long a check of readiness may take before it counts as not ready.
const READY_WITHIN: Duration = Duration::from_secs(3);

/// The routes; none of them needs a token.
pub fn router(metrics: MetricsHandle, ready: Ready) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz).with_state(ready))
        .route("/metrics", get(render).with_state(metrics))
}

async fn readyz(State(ready): State<Ready>) -> (StatusCode, String) {
    match tokio::time::timeout(READY_WITHIN, ready()).await {
        Ok(Ok(())) => (StatusCode::OK, "ready\n".into()),
        Ok(Err(reason)) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "no answer from what this program depends on\n".into()),
    }
}

async fn render(State(metrics): State<MetricsHandle>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics.render())
}

/// Binds the address that the program listens on.
///
/// # Errors
/// When it cannot, with the setting to change.
pub async fn bind(listen: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen} (BATON_LISTEN)"))
}

/// Asks a program on this machine whether it is ready; for health checks in containers that have no HTTP client.
///
/// # Errors
/// When it does not answer within the time of a check, or answers that it is not ready.
pub async fn check_ready(listen: SocketAddr) -> anyhow::Result<()> {
    let mut address = listen;
    if address.ip().is_unspecified() {
        address.set_ip(if listen.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() });
    }
    let answer = tokio::time::timeout(READY_WITHIN + Duration::from_secs(1), fetch_ready(address)).await;
    let answer = answer.context("no answer in time")?.with_context(|| format!("cannot ask {address}"))?;
    let status = answer.split(' ').nth(1).unwrap_or_default();
    anyhow::ensure!(status == "200", "not ready: {}", answer.lines().last().unwrap_or_default());
    Ok(())
}

async fn fetch_ready(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"GET /readyz HTTP/1.0\r\nhost: localhost\r\nconnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    stream.take(64 * 1024).read_to_string(&mut answer).await?;
    Ok(answer)
}
