//! A Redis that goes away, forgets everything, or takes nothing more. Nothing may depend on it but speed.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use tokio::time::{Instant, timeout};

use super::{AFTERWARDS, OUTAGE, Plan};
use crate::fault::Fault;
use crate::load::Load;
use crate::services::Services;
use crate::verdict::{Verdict, conclude};
use crate::workload::Workload;

/// How long it refuses writes.
const FULL: Duration = Duration::from_secs(10);
/// How long a restart of the Cache Manager may take without Redis.
const RESTARTS_WITHIN: Duration = Duration::from_secs(5);

/// It is away; events go on being handled meanwhile, and so does an edit.
pub(super) async fn outage(plan: Plan) -> Result<Verdict> {
    let (mut services, load) = start(plan).await?;
    services.redis.stop();
    let without = load.receiving.receiver.count();
    load.hold(OUTAGE / 2).await;
    let restarted = go_live(&load).await;
    load.hold(OUTAGE / 2).await;
    let calls = load.receiving.receiver.count() - without;
    services.redis.restart().await;
    let back = Instant::now();
    load.hold(AFTERWARDS).await;
    let verdict = conclude(load, services.processes(), &[Fault::redis_back(back)]).await?;
    let verdict = verdict.note(format!("{calls} calls were made without it"));
    let at_least = f64::from(plan.rate) * OUTAGE.as_secs_f64() / 2.0;
    Ok(judge(verdict, restarted).problem_if((calls as f64) < at_least, format!("only {calls} calls were made without it")))
}

/// It forgets everything while nobody looks.
pub(super) async fn flush(plan: Plan) -> Result<Verdict> {
    let (mut services, load) = start(plan).await?;
    services.redis.flush().await;
    let flushed = Instant::now();
    load.hold(AFTERWARDS).await;
    let restarted = go_live(&load).await;
    load.hold(AFTERWARDS).await;
    Ok(judge(conclude(load, services.processes(), &[Fault::redis_back(flushed)]).await?, restarted))
}

/// It is at its `maxmemory` and refuses whatever would take more.
pub(super) async fn full(plan: Plan) -> Result<Verdict> {
    let (mut services, load) = start(plan).await?;
    services.redis.configure("maxmemory-policy", "noeviction").await;
    services.redis.configure("maxmemory", "1").await;
    let full = Instant::now();
    load.hold(FULL / 2).await;
    let restarted = go_live(&load).await;
    load.hold(FULL / 2).await;
    services.redis.configure("maxmemory", "0").await;
    let back = Instant::now();
    load.hold(AFTERWARDS).await;
    let faults = [Fault::redis_back(full), Fault::redis_back(back)];
    Ok(judge(conclude(load, services.processes(), &faults).await?, restarted))
}

async fn start(plan: Plan) -> Result<(Services, Load)> {
    let services = Services::start(2).await?;
    let load = Load::start(services.api()?, plan, Workload::standard()).await?;
    Ok((services, load))
}

/// Saves one more handler, of a type that is not published, and makes it live; says which generation.
async fn go_live(load: &Load) -> Result<i64> {
    let handler = json!({
        "name": "nobody publishes this", "event": "clients.delete",
        "task": {"type": "http", "url": load.receiving.receiver.url("/nowhere")},
    });
    load.api.post("/v1/handlers", Some(&handler)).await?;
    let restart = load.api.post("/v1/services/cache-manager/restart?wait=30", None);
    let restarted = timeout(RESTARTS_WITHIN, restart).await.context("the Cache Manager took too long to restart")??;
    restarted["generation"].as_i64().context("a restart without a generation")
}

fn judge(verdict: Verdict, restarted: Result<i64>) -> Verdict {
    match restarted {
        Ok(generation) => verdict.note(format!("generation {generation} went live meanwhile")),
        Err(error) => verdict.problem_if(true, format!("{error:#}")),
    }
}
