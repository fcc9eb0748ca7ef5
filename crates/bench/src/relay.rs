//! The bare relay: takes the same request, posts the same body on with the same client, and answers. No database, no order, no log: the
//! limit of the machine for this work. It is a program of its own, so that it pays for its process as Baton does.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use futures_util::future::join_all;
use tokio::net::TcpListener;

/// How the relay passes on.
#[derive(Debug, clap::Args)]
pub(crate) struct RelayArgs {
    /// Where to listen.
    #[arg(long, env = "BATON_LISTEN")]
    listen: SocketAddr,
    /// Posts to one after the other instead of to all at once.
    #[arg(long)]
    in_turn: bool,
    /// Where to post each body.
    targets: Vec<String>,
}

#[derive(Clone)]
struct Relay {
    client: reqwest::Client,
    in_turn: bool,
    targets: std::sync::Arc<[String]>,
}

/// Serves until the process is ended.
pub(crate) async fn run(args: RelayArgs) -> Result<()> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().tcp_nodelay(true).build()?;
    let relay = Relay { client, in_turn: args.in_turn, targets: args.targets.into() };
    let router = Router::new().route("/v1/events", post(pass_on)).route("/readyz", get(async || "ready")).with_state(relay);
    let listener = TcpListener::bind(args.listen).await.with_context(|| format!("cannot listen on {}", args.listen))?;
    axum::serve(listener, router).await.context("the relay")
}

async fn pass_on(State(relay): State<Relay>, body: Bytes) -> StatusCode {
    let mut is_well = true;
    if relay.in_turn || relay.targets.len() == 1 {
        for target in relay.targets.iter() {
            is_well &= relay.post(target, body.clone()).await.is_ok();
        }
    } else {
        let posts = relay.targets.iter().map(|target| relay.post(target, body.clone()));
        is_well = join_all(posts).await.iter().all(Result::is_ok);
    }
    if is_well { StatusCode::ACCEPTED } else { StatusCode::BAD_GATEWAY }
}

impl Relay {
    async fn post(&self, target: &str, body: Bytes) -> reqwest::Result<Bytes> {
        let request = self.client.post(target).header("content-type", "application/json").body(body);
        request.send().await?.error_for_status()?.bytes().await
    }
}
