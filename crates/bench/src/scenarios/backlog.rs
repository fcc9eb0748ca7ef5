//! What has piled up, and how it drains.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use baton_testkit::Servers;
use tokio::time::sleep;

use crate::figures::{Figure, Figures, Goal};
use crate::load::{Load, Objects};
use crate::measure::{Chain, tell_duplicates};
use crate::plan::Plan;
use crate::sink::Sink;
use crate::statistics::median;
use crate::system::{Baton, SetUp, count};

const RATE: Figure = Figure { name: "drain rate", unit: "/s" };
const MEMORY: Figure = Figure { name: "dispatcher's peak memory", unit: "MB" };
const TAKEN: Figure = Figure { name: "taken in, 1,000 a request", unit: "/s" };
const OBJECTS: usize = 20_000;
const CONNECTIONS: usize = 4;
const PER_REQUEST: usize = 1_000;
/// How long a dispatcher may take to know of a pause.
const PAUSE_KNOWN: Duration = Duration::from_millis(1_500);
const SMALL: usize = 10_000;
const MILLION: usize = 1_000_000;
const MB: f64 = 1024.0 * 1024.0;

struct Drained {
    taken_per_second: f64,
    per_second: f64,
    peak_memory: f64,
}

pub(crate) async fn drain(plan: Plan) -> Result<Figures> {
    let sizes = [SMALL, plan.either(100_000, 50_000)];
    let names = sizes.map(pending);
    let (servers, mut figures) = (Servers::start().await, Figures::default());
    for _ in plan.each_round() {
        for (size, name) in sizes.into_iter().zip(&names) {
            add(&mut figures, name, &pile_up_and_drain(&servers, size).await?);
        }
    }
    figures.compare(RATE, &names[0]);
    Ok(figures)
}

/// Once, since it takes minutes.
pub(crate) async fn drain_million(_: Plan) -> Result<Figures> {
    const SMALL_ONES: usize = 3;
    let (servers, mut figures, mut small) = (Servers::start().await, Figures::default(), Vec::new());
    for _ in 0..SMALL_ONES {
        small.push(pile_up_and_drain(&servers, SMALL).await?);
    }
    let of = |value: fn(&Drained) -> f64| median(&small.iter().map(value).collect::<Vec<_>>());
    let typical = Drained {
        taken_per_second: of(|d| d.taken_per_second),
        per_second: of(|d| d.per_second),
        peak_memory: of(|d| d.peak_memory),
    };
    add(&mut figures, &pending(SMALL), &typical);
    add(&mut figures, &pending(MILLION), &pile_up_and_drain(&servers, MILLION).await?);
    figures.compare(RATE, &pending(SMALL));
    figures.goal(&pending(MILLION), RATE, Goal::ratio_from(0.9, 1.0));
    figures.goal(&pending(MILLION), MEMORY, Goal::to(200.0, 100.0));
    Ok(figures)
}

fn pending(size: usize) -> String {
    format!("{} pending", crate::report::count(size))
}

fn add(figures: &mut Figures, variant: &str, drained: &Drained) {
    figures.add(variant, RATE, drained.per_second);
    figures.add(variant, TAKEN, drained.taken_per_second);
    figures.add(variant, MEMORY, drained.peak_memory);
}

/// Pauses everything, publishes, lets go.
async fn pile_up_and_drain(servers: &Servers, events: usize) -> Result<Drained> {
    let sink = Sink::well(events, 1).await?;
    let baton = Baton::start(servers, SetUp::Services(1), &[]).await?;
    baton.configure(&Chain::OneStage(1).saved(&sink)).await?;
    baton.api.post("/v1/pause", None).await?;
    sleep(PAUSE_KNOWN).await;
    let load = Load { numbers: 0..events, objects: Objects::Spread(OBJECTS), connections: CONNECTIONS, per_request: PER_REQUEST };
    let began = load.publish(&baton.api.target).await?;
    let taken_per_second = events as f64 / began.elapsed().as_secs_f64();
    let stats = baton.api.get("/v1/stats").await?;
    ensure!(count(&stats, "pending") == events as u64 && sink.arrived(0) == 0, "not everything was held: {stats}");
    baton.api.post("/v1/resume", None).await?;
    sink.account(0..1, events).await?;
    // From the first arrival on, since the dispatcher may take a moment to know.
    let (first, last) = sink.span(0..1, 0..events).context("nothing arrived")?;
    baton.api.all_delivered(events).await?;
    tell_duplicates(&sink);
    let peak_memory = baton.dispatcher_peak()? as f64 / MB;
    Ok(Drained { taken_per_second, per_second: events as f64 / (last - first).as_secs_f64(), peak_memory })
}
