//! A client of the API that knows several of them and goes on with another where one does not answer.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use reqwest::{Client, Method};
use serde_json::Value;
use tokio::time::{Instant, sleep};

/// How long one request may take.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);
/// How long to try all addresses again and again, for what is not published.
const PATIENCE: Duration = Duration::from_secs(40);
const PAUSE: Duration = Duration::from_millis(100);

/// Speaks to the APIs of one installation. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    client: Client,
    /// Scheme, host and port of each.
    urls: Arc<[String]>,
    token: Arc<str>,
}

impl Api {
    pub(crate) fn new(urls: Vec<String>, token: &str) -> Result<Self> {
        // An error says that there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // What the environment says about proxies is not meant for this machine's own address.
        let client = Client::builder().no_proxy().timeout(REQUEST_LIMIT).tcp_nodelay(true).build()?;
        Ok(Self { client, urls: urls.into(), token: token.into() })
    }

    /// Publishes an event through the API number `at` (there may be fewer; they take turns): its id, or why it was not acknowledged.
    pub(crate) async fn publish(&self, at: usize, key: &str, body: &str) -> Result<String, String> {
        let url = format!("{}/v1/events", self.urls[at % self.urls.len()]);
        let request = self.client.post(url).bearer_auth(&self.token).header("content-type", "application/json");
        let sent = request.header("idempotency-key", key).body(body.to_owned()).send().await;
        let answer = sent.map_err(|error| no_answer(&error))?;
        let status = answer.status().as_u16();
        let text = answer.text().await.map_err(|error| no_answer(&error))?;
        if status != 202 {
            return Err(format!("answered {status}"));
        }
        let accepted: Value = serde_json::from_str(&text).map_err(|_| "answered 202 without JSON".to_owned())?;
        accepted["id"].as_str().map(str::to_owned).ok_or_else(|| "answered 202 without an id".to_owned())
    }

    /// `GET`, from any of the APIs; tries for a while.
    pub(crate) async fn get(&self, path: &str) -> Result<Value> {
        self.patiently(Method::GET, path, None).await
    }

    /// `POST`; tries again only where there was no answer, so not for what must not happen twice.
    pub(crate) async fn post(&self, path: &str, body: Option<&Value>) -> Result<Value> {
        self.patiently(Method::POST, path, body).await
    }

    /// `GET` from the API number `at`, once.
    pub(crate) async fn get_once(&self, at: usize, path: &str) -> Result<Value> {
        self.ask(at, Method::GET, path, None).await
    }

    async fn patiently(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let end = Instant::now() + PATIENCE;
        for at in 0.. {
            match self.ask(at, method.clone(), path, body).await {
                Err(_) if Instant::now() < end => sleep(PAUSE).await,
                answer => return answer,
            }
        }
        Err(anyhow!("no answer to {method} {path}"))
    }

    async fn ask(&self, at: usize, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let url = format!("{}{path}", self.urls[at % self.urls.len()]);
        let mut request = self.client.request(method, &url).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await.with_context(|| format!("no answer from {url}"))?;
        let status = answer.status();
        let text = answer.text().await?;
        anyhow::ensure!(status.is_success(), "{url} answered {status}: {text}");
        serde_json::from_str(&text).with_context(|| format!("{url} answered something else than JSON"))
    }
}

fn no_answer(error: &reqwest::Error) -> String {
    match error {
        error if error.is_timeout() => "no answer in time",
        error if error.is_connect() => "not reached",
        _ => "broken off",
    }
    .to_owned()
}
