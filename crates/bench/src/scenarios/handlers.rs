//! Many handlers.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use baton_testkit::Servers;
use http::Uri;
use serde_json::{Value, json};

use crate::figures::{DELIVERIES, Figure, Figures, Goal};
use crate::load::{Target, post_all};
use crate::measure::Burst;
use crate::plan::Plan;
use crate::sink::Sink;
use crate::system::{Baton, SetUp, handler};

const ANSWER: Figure = Figure { name: "restart, until its answer", unit: "ms" };
const TOOK: Figure = Figure { name: "restart, as it says itself", unit: "ms" };
const LIVE: Figure = Figure { name: "live at the dispatcher after the answer", unit: "ms" };
const FIRST: Figure = Figure { name: "restart with all of them new", unit: "ms" };
const SAVED: Figure = Figure { name: "handlers saved", unit: "/s" };
/// Restarts of one installation; the table shows medians.
const RESTARTS: usize = 7;
const CONNECTIONS: usize = 8;
const LIVE_WITHIN: Duration = Duration::from_secs(30);
/// None of them is what the bench publishes.
const OTHER_EVENTS: [&str; 4] =
    ["clients.create", "clients.balance_zero", "clients.accounts.update", "clients.subscriptions.renew"];

pub(crate) async fn restart(plan: Plan) -> Result<Figures> {
    let sizes: &[usize] = plan.either(&[100, 1_000, 10_000], &[100, 1_000]);
    let (servers, mut figures) = (Servers::start().await, Figures::default());
    for size in sizes {
        let name = handlers(*size);
        let baton = Baton::start(&servers, SetUp::Services(1), &[]).await?;
        let began = Instant::now();
        save_others(&baton, *size).await?;
        figures.add(&name, SAVED, *size as f64 / began.elapsed().as_secs_f64());
        let began = Instant::now();
        baton.api.restart().await?;
        figures.add(&name, FIRST, milliseconds(began.elapsed()));
        for number in 0..RESTARTS {
            restart_once(&baton, &name, number, &mut figures).await?;
        }
        figures.goal(&name, ANSWER, Goal::to(1_000.0, 200.0));
        figures.goal(&name, LIVE, Goal::to(1_000.0, 100.0));
    }
    Ok(figures)
}

async fn restart_once(baton: &Baton, name: &str, number: usize, figures: &mut Figures) -> Result<()> {
    baton.api.post("/v1/handlers", Some(&other(1_000_000 + number))).await?;
    let began = Instant::now();
    let restarted = baton.api.restart().await?;
    let answered = Instant::now();
    let generation = restarted["generation"].as_u64().with_context(|| format!("no generation in {restarted}"))?;
    until_live(&Target::api(baton.dispatcher().address(), None), generation).await?;
    let live = answered.elapsed();
    figures.add(name, ANSWER, milliseconds(answered - began));
    figures.add(name, TOOK, restarted["took_ms"].as_f64().context("no took_ms")?);
    figures.add(name, LIVE, milliseconds(live));
    Ok(())
}

/// Waits until a program's metrics name the generation.
async fn until_live(target: &Target, generation: u64) -> Result<()> {
    let (mut connection, path, began) = (target.connect().await?, Uri::from_static("/metrics"), Instant::now());
    loop {
        let metrics = connection.get(&path).await?;
        let text = String::from_utf8_lossy(&metrics);
        let live = text.lines().find_map(|line| line.strip_prefix("baton_generation ")?.trim().parse::<f64>().ok());
        if live.is_some_and(|live| live >= generation as f64) {
            return Ok(());
        }
        ensure!(began.elapsed() < LIVE_WITHIN, "generation {generation} is not live after {LIVE_WITHIN:?}");
    }
}

pub(crate) async fn lookup(plan: Plan) -> Result<Figures> {
    let sizes = [10, plan.either(10_000, 1_000)];
    let servers = Servers::start().await;
    let mut installations = Vec::new();
    let burst = Burst { events: plan.events / 2, ..Burst::of(plan) };
    for size in sizes {
        let sink = Sink::well(burst.total() * plan.rounds, 1).await?;
        let baton = Baton::start(&servers, SetUp::OneProcess, &[]).await?;
        save_others(&baton, size - 1).await?;
        baton.configure(&[handler("the one that is called", &sink.url(0), 100)]).await?;
        installations.push((handlers(size), baton, sink));
    }
    let mut figures = Figures::default();
    for round in plan.each_round() {
        let burst = Burst { first: (round - 1) * burst.total(), ..burst };
        for (name, baton, sink) in &installations {
            figures.add(name, DELIVERIES, burst.run(&baton.api.target, sink, 0..1).await?);
            baton.api.all_delivered(burst.total()).await?;
        }
    }
    figures.compare(DELIVERIES, &handlers(sizes[0]));
    Ok(figures)
}

fn handlers(count: usize) -> String {
    format!("{} handlers", crate::report::count(count))
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// Saves handlers of events that are not published here.
pub(super) async fn save_others(baton: &Baton, count: usize) -> Result<()> {
    let bodies = (0..count).map(|number| other(number).to_string()).collect();
    post_all(&baton.api.target, "/v1/handlers", bodies, CONNECTIONS).await
}

fn other(number: usize) -> Value {
    let mut saved = handler(
        &format!("CRM {number}: tells the warehouse"),
        &format!("http://127.0.0.1:9/receivers/{number}"),
        1 + number * 7919 % 65_535,
    );
    saved["event"] = json!(OTHER_EVENTS[number % OTHER_EVENTS.len()]);
    saved["notes"] = json!("Keeps the stock of customer equipment in step. Ask the warehouse before switching it off.");
    if number % 10 == 3 {
        saved["status"] = json!("disabled");
    }
    saved
}
