//! A handler that is slow and has much to do, beside one that is neither.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use baton_testkit::Answer;
use serde_json::json;
use tokio::time::Instant;

use super::Plan;
use crate::load::Load;
use crate::services::Services;
use crate::verdict::{Verdict, conclude, percentile};
use crate::workload::Workload;

/// Events a second of the handler that is to notice nothing.
const STREAM: u32 = 100;
const SLOW_EVENTS: usize = 3000;
const BATCH: usize = 1000;
const SLOW_ANSWERS_AFTER: Duration = Duration::from_secs(10);
/// How long the stream is watched, first without the other, then beside it.
const WATCHED: Duration = Duration::from_secs(20);
/// How much longer the slowest hundredth of the stream may take beside the other.
const LONGER: f64 = 2.0;

/// Thousands of events for a handler that takes its time come all at once; a stream to another handler does not notice.
pub(super) async fn noisy(plan: Plan) -> Result<Verdict> {
    let mut services = Services::start(2).await?;
    let load = Load::start(services.api()?, Plan { rate: STREAM, ..plan }, Workload::crm()).await?;
    let in_a_hurry = Arc::<AtomicBool>::default();
    let hurries = Arc::clone(&in_a_hurry);
    load.receiving.receiver.script("/slow", move |_| match hurries.load(Ordering::Relaxed) {
        true => Answer::ok(),
        false => Answer::ok().delayed(SLOW_ANSWERS_AFTER),
    });
    let slow = json!({
        "name": "slow", "event": "clients.create", "timeout_ms": 60_000,
        "task": {"type": "http", "url": load.receiving.receiver.url("/slow")},
    });
    load.api.post("/v1/handlers", Some(&slow)).await?;
    load.api.post("/v1/services/cache-manager/restart?wait=30", None).await?;
    let alone = Instant::now();
    load.hold(WATCHED).await;
    let beside = Instant::now();
    for batch in 0..SLOW_EVENTS / BATCH {
        let event = |n| json!({"event": {"events_id": "clients.create", "object_id": 1_000_000 + batch * BATCH + n}, "data": {}});
        load.api.post("/v1/events/batch", Some(&json!({"events": (0..BATCH).map(event).collect::<Vec<_>>()}))).await?;
    }
    load.hold(WATCHED).await;
    let end = Instant::now();
    in_a_hurry.store(true, Ordering::Relaxed);
    let verdict = conclude(load, services.processes(), &[]).await?;
    let within = |from, to| verdict.lives.iter().filter(move |(born, _)| (from..to).contains(born)).copied();
    let p99 = |from, to| percentile(within(from, to), 0.99);
    let (alone, beside) = (p99(alone, beside), p99(beside, end));
    let said =
        format!("stream of {STREAM}/s, publish to arrival p99: {alone:.1} ms alone, {beside:.1} ms beside the slow handler");
    let longer = beside / alone;
    Ok(verdict
        .note(said)
        .problem_if(longer > LONGER * f64::from(plan.slack), format!("the stream took {longer:.1} times as long")))
}
