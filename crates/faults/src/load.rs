//! A run's load: handlers, publishers, the receiver, and a look at the balance all the while.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::api::Api;
use crate::publisher::{Publications, Publisher};
use crate::receiving::Receiving;
use crate::scenarios::Plan;
use crate::workload::Workload;

/// How long the first calls may take.
const FLOWS_WITHIN: Duration = Duration::from_secs(30);
/// How many calls have to have arrived.
const FLOWS: usize = 50;
/// How long it may take after a restart's answer until every dispatcher uses the new generation.
const LIVE_WITHIN: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(500);
const LOOK_OFTEN: Duration = Duration::from_millis(100);
/// How long after the end of the load the last event may end.
const ENDS_WITHIN: Duration = Duration::from_secs(60);

/// The counts of an account: published, and the five that sum up to it.
pub(crate) const COUNTS: [&str; 6] = ["published", "delivered", "failed", "unmatched", "pending", "retrying"];

/// The load, held.
pub(crate) struct Load {
    pub api: Api,
    pub receiving: Receiving,
    pub workload: Workload,
    pub plan: Plan,
    publisher: Publisher,
    watch: JoinHandle<Watched>,
    watching: CancellationToken,
}

/// What the looks at the balance found.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    pub looks: usize,
    pub unbalanced: Vec<String>,
}

/// What is known at the end.
pub(crate) struct Ended {
    pub publications: Publications,
    /// How long the load was held.
    pub lasted: Duration,
    pub stats: Value,
    /// The event of every dead letter.
    pub dead: Vec<String>,
    pub watched: Watched,
    /// What was still open when patience was at its end.
    pub open: u64,
    /// How long it took after the load until nothing was open.
    pub drained: Duration,
}

impl Load {
    /// Creates the handlers, makes them live, starts to publish and waits until calls arrive.
    pub(crate) async fn start(api: Api, plan: Plan, workload: Workload) -> Result<Self> {
        let receiving = Receiving::start().await;
        for handler in workload.handlers(&receiving.receiver.url("")) {
            api.post("/v1/handlers", Some(&handler)).await.context("cannot create a handler")?;
        }
        api.post("/v1/services/cache-manager/restart?wait=30", None).await.context("cannot make the handlers live")?;
        sleep(LIVE_WITHIN * plan.slack).await;
        let publisher = Publisher::start(&api, plan.rate);
        let watching = CancellationToken::new();
        let watch = tokio::spawn(watch(api.clone(), watching.clone()));
        let end = Instant::now() + FLOWS_WITHIN;
        while receiving.receiver.count() < FLOWS {
            ensure!(Instant::now() < end, "only {} calls came within {FLOWS_WITHIN:?}", receiving.receiver.count());
            sleep(LOOK_OFTEN).await;
        }
        sleep(plan.warm_up).await;
        Ok(Self { api, receiving, workload, plan, publisher, watch, watching })
    }

    /// Goes on for so long.
    pub(crate) async fn hold(&self, time: Duration) {
        sleep(time).await;
    }

    /// Ends the load, and waits until nothing is open.
    pub(crate) async fn finish(self) -> Result<(Ended, Receiving, Workload)> {
        let (publications, lasted) = self.publisher.finish().await;
        let began = Instant::now();
        let total = publications.acknowledged.len() as u64;
        let (stats, open) = loop {
            let stats = self.api.get("/v1/stats").await?;
            let open = count(&stats, "pending") + count(&stats, "retrying");
            if open == 0 && count(&stats, "published") >= total || began.elapsed() > ENDS_WITHIN {
                break (stats, open);
            }
            sleep(LOOK_OFTEN).await;
        };
        let drained = began.elapsed();
        self.watching.cancel();
        let watched = self.watch.await.context("the look at the balance")?;
        let dead = dead_letters(&self.api).await?;
        Ok((Ended { publications, lasted, stats, dead, watched, open, drained }, self.receiving, self.workload))
    }
}

/// A count of an account.
pub(crate) fn count(stats: &Value, name: &str) -> u64 {
    stats[name].as_u64().unwrap_or_default()
}

/// Whether published = delivered + failed + unmatched + pending + retrying.
pub(crate) fn balances(stats: &Value) -> bool {
    let [published, others @ ..] = COUNTS.map(|name| count(stats, name));
    published == others.iter().sum::<u64>()
}

/// Looks at the balance again and again. An API that does not answer is no finding: that is what is done to it.
async fn watch(api: Api, stop: CancellationToken) -> Watched {
    let mut watched = Watched::default();
    for at in 0.. {
        if stop.run_until_cancelled(sleep(LOOK_EVERY)).await.is_none() {
            break;
        }
        let Ok(stats) = api.get_once(at, "/v1/stats").await else { continue };
        watched.looks += 1;
        let parts = stats["by_event"].as_array().into_iter().flatten();
        for part in parts.chain([&stats]).filter(|part| !balances(part)) {
            watched.unbalanced.push(part.to_string());
        }
    }
    watched
}

async fn dead_letters(api: &Api) -> Result<Vec<String>> {
    let (mut events, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = api.get(&format!("/v1/dead-letters?limit=200{cursor}")).await?;
        let items = page["items"].as_array().context("a page without items")?;
        events.extend(items.iter().filter_map(|item| item["event_id"].as_str()).map(str::to_owned));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(events),
        }
    }
}
