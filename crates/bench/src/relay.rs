//! The bare relay: takes the same request, posts the same body on with the same client, and answers. No database, no order, no log.

use std::net::Ipv4Addr;

use anyhow::Result;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use tokio::net::TcpListener;

#[derive(Clone)]
struct Relay {
    client: reqwest::Client,
    targets: Vec<String>,
}

/// Starts a relay that posts to so many handlers at once; its URL.
pub(crate) async fn start(sink: String, handlers: usize) -> Result<String> {
    let client = reqwest::Client::builder().no_proxy().tcp_nodelay(true).build()?;
    let relay = Relay { client, targets: (0..handlers).map(|n| format!("{sink}/{n}")).collect() };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let url = format!("http://{}/", listener.local_addr()?);
    let router = Router::new().route("/", post(pass_on)).with_state(relay);
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            eprintln!("the relay failed: {error}");
        }
    });
    Ok(url)
}

async fn pass_on(State(relay): State<Relay>, body: Bytes) -> StatusCode {
    let mut posts = tokio::task::JoinSet::new();
    for target in &relay.targets {
        let request = relay.client.post(target).header("content-type", "application/json").body(body.clone());
        posts.spawn(async move { request.send().await?.error_for_status()?.bytes().await });
    }
    let all_well = posts.join_all().await.iter().all(Result::is_ok);
    if all_well { StatusCode::ACCEPTED } else { StatusCode::BAD_GATEWAY }
}
