//! Handlers that are unwell, and what that does to others.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use baton_testkit::Servers;
use serde_json::{Value, json};

use crate::figures::{DELIVERIES, Figure, Figures, Goal};
use crate::load::Objects;
use crate::measure::Burst;
use crate::plan::Plan;
use crate::sink::{Behaviour, Sink};
use crate::system::{Baton, SetUp, Settings, count, handler};

const ALONE: &str = "healthy handler alone";
const HEALTHY: Figure = Figure { name: "deliveries to the healthy handler", unit: "/s" };
/// How long a handler that does not answer is waited for.
const TIMEOUT_MS: u64 = 1_000;

const SLOW: Duration = Duration::from_millis(500);
/// How many calls of the slow handler run at once.
const SLOW_CALLS: usize = 400;
const SLOW_ROUNDS: usize = 10;

pub(crate) async fn dead(plan: Plan) -> Result<Figures> {
    let neighbours = [
        (ALONE, None),
        ("beside one that answers 503", Some(Behaviour::Refuse(503))),
        ("beside one that does not answer", Some(Behaviour::Never)),
    ];
    let (servers, mut figures) = (Servers::start().await, Figures::default());
    for _ in plan.each_round() {
        for (name, neighbour) in neighbours {
            figures.add(name, HEALTHY, healthy(&servers, &Burst::of(plan), neighbour, &[]).await?);
        }
    }
    figures.compare(HEALTHY, ALONE);
    for (name, _) in &neighbours[1..] {
        figures.goal(name, HEALTHY, Goal::ratio_from(0.8, 0.95));
    }
    Ok(figures)
}

pub(crate) async fn slow(plan: Plan) -> Result<Figures> {
    const BOUND: &str = "what 400 calls of 500 ms at once come to";
    const BY_ITSELF: &str = "slow handler, 400 calls at once";
    const BESIDE: &str = "beside one that takes 500 ms";
    let settings = [("BATON_HANDLER_CALLS_MAX", SLOW_CALLS.to_string()), ("BATON_CALLS_MAX", (2 * SLOW_CALLS).to_string())];
    let (servers, mut figures) = (Servers::start().await, Figures::default());
    let burst = Burst { events: plan.events / 4, ..Burst::of(plan) };
    for _ in plan.each_round() {
        figures.add(BOUND, DELIVERIES, SLOW_CALLS as f64 / SLOW.as_secs_f64());
        figures.add(BY_ITSELF, DELIVERIES, by_itself(plan, &servers, &settings).await?);
        figures.add(ALONE, HEALTHY, healthy(&servers, &burst, None, &settings).await?);
        figures.add(BESIDE, HEALTHY, healthy(&servers, &burst, Some(Behaviour::After(SLOW)), &settings).await?);
    }
    figures.compare(DELIVERIES, BOUND);
    figures.compare(HEALTHY, ALONE);
    Ok(figures)
}

/// Deliveries a second to a healthy handler, with another one in its stage.
async fn healthy(servers: &Servers, burst: &Burst, neighbour: Option<Behaviour>, settings: Settings<'_>) -> Result<f64> {
    let behaviours = std::iter::once(Behaviour::Ok).chain(neighbour);
    let sink = Sink::start(burst.total(), behaviours.collect()).await?;
    let baton = Baton::start(servers, SetUp::OneProcess, settings).await?;
    let mut handlers = vec![handler("healthy", &sink.url(0), 100)];
    handlers.extend(neighbour.map(|_| unwell(&sink.url(1))));
    baton.configure(&handlers).await?;
    let rate = burst.run(&baton.api.target, &sink, 0..1).await?;
    match neighbour {
        // What a dead handler has not had stays open; nothing may have gone astray.
        Some(Behaviour::Refuse(_) | Behaviour::Never) => {
            let parts = ["delivered", "failed", "unmatched", "pending", "retrying"];
            let total = burst.total() as u64;
            let balances = |stats: &Value| {
                count(stats, "published") == total && parts.iter().map(|part| count(stats, part)).sum::<u64>() == total
            };
            baton.api.wait_for_stats(balances).await?;
            ensure!(sink.unwell() > 0, "the dead handler was never called");
        }
        Some(Behaviour::Ok | Behaviour::After(_)) => {
            sink.account(1..2, burst.total()).await?;
            baton.api.all_delivered(burst.total()).await?;
        }
        None => baton.api.all_delivered(burst.total()).await?,
    }
    Ok(rate)
}

fn unwell(url: &str) -> Value {
    let mut handler = handler("unwell", url, 100);
    handler["timeout_ms"] = json!(TIMEOUT_MS);
    handler
}

/// Deliveries a second of a slow handler that has enough events to be called as often at once as it may.
async fn by_itself(plan: Plan, servers: &Servers, settings: Settings<'_>) -> Result<f64> {
    let events = SLOW_CALLS * SLOW_ROUNDS;
    let burst = Burst { events, objects: Objects::Spread(events), connections: 4, per_request: 100, ..Burst::of(plan) };
    let sink = Sink::start(burst.total(), vec![Behaviour::After(SLOW)]).await?;
    let baton = Baton::start(servers, SetUp::OneProcess, settings).await?;
    baton.configure(&[handler("slow", &sink.url(0), 100)]).await?;
    burst.warm(&baton.api.target, &sink, 0..1).await?;
    baton.api.all_delivered(burst.numbers().start).await?;
    let began = burst.load(burst.numbers()).publish(&baton.api.target).await?;
    sink.account(0..1, burst.total()).await?;
    baton.api.all_delivered(burst.total()).await?;
    let (_, last) = sink.span(0..1, burst.numbers()).context("nothing arrived")?;
    // The last ones are answered only then.
    Ok(events as f64 / (last + SLOW - began).as_secs_f64())
}
