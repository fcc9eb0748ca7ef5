//! A client of Baton's API.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use http::Uri;
use serde_json::Value;
use tokio::time::sleep;

use crate::load::Target;

/// How long Baton may take to record what has arrived.
const RECORDED_WITHIN: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(20);

/// An API under measurement, and its token.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    pub target: Target,
}

impl Api {
    pub(crate) async fn get(&self, path: &str) -> Result<Value> {
        parse(path, &self.target.connect().await?.get(&uri(path)?).await?)
    }

    /// `POST`, with a body where there is one.
    pub(crate) async fn post(&self, path: &str, body: Option<&Value>) -> Result<Value> {
        let body = body.map(Value::to_string).unwrap_or_default();
        parse(path, &self.target.connect().await?.post(&uri(path)?, body).await?)
    }

    /// Makes what is saved live; the answer says what changed and how long it took.
    pub(crate) async fn restart(&self) -> Result<Value> {
        self.post("/v1/services/cache-manager/restart?wait=60", None).await
    }

    /// Waits until the account says that so many events are published, and all of them delivered.
    pub(crate) async fn all_delivered(&self, events: usize) -> Result<()> {
        let is = |stats: &Value, name| count(stats, name) == events as u64;
        self.wait_for_stats(|stats| is(stats, "published") && is(stats, "delivered")).await.map(drop)
    }

    /// Waits until the account is as it should be.
    pub(crate) async fn wait_for_stats(&self, is_so: impl Fn(&Value) -> bool) -> Result<Value> {
        let end = Instant::now() + RECORDED_WITHIN;
        loop {
            let stats = self.get("/v1/stats").await?;
            if is_so(&stats) {
                return Ok(stats);
            }
            if Instant::now() > end {
                bail!("after {} s the account is {stats}", RECORDED_WITHIN.as_secs());
            }
            sleep(LOOK).await;
        }
    }
}

/// A count of an account.
pub(crate) fn count(stats: &Value, name: &str) -> u64 {
    stats[name].as_u64().unwrap_or_default()
}

fn uri(path: &str) -> Result<Uri> {
    path.parse().with_context(|| format!("{path} is no path"))
}

fn parse(path: &str, answer: &[u8]) -> Result<Value> {
    serde_json::from_slice(answer).with_context(|| format!("{path} was answered with something else than JSON"))
}
