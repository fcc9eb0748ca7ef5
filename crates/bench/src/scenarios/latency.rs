//! How long an event takes.

use std::ops::Range;

use anyhow::{Context, Result};
use baton_testkit::Servers;
use tokio::time::Instant;

use crate::figures::{Figure, Figures, Goal};
use crate::load::{Published, Target, publish_at_rate};
use crate::measure::{Burst, Chain, tell_duplicates};
use crate::plan::Plan;
use crate::sink::Sink;
use crate::statistics::percentile;
use crate::system::{Baton, Relay, SetUp, Way};

const RATE: u32 = 200;
const CONNECTIONS: usize = 16;
const RELAY: &str = "relay";
/// From the request on: what Baton takes.
const ASKED: [(Figure, f64); 3] = [
    (Figure { name: "publish to arrival, p50", unit: "ms" }, 0.5),
    (Figure { name: "publish to arrival, p99", unit: "ms" }, 0.99),
    (Figure { name: "publish to arrival, p99.9", unit: "ms" }, 0.999),
];
/// From when it was due on. The load generator's timer, which ticks once a millisecond, is in it, for every variant alike.
const DUE: [(Figure, f64); 2] =
    [(Figure { name: "due to arrival, p50", unit: "ms" }, 0.5), (Figure { name: "due to arrival, p99", unit: "ms" }, 0.99)];

/// What one variant took, in milliseconds.
struct Times {
    asked: Vec<f64>,
    due: Vec<f64>,
}

pub(crate) async fn at_200_a_second(plan: Plan) -> Result<Figures> {
    let (servers, mut figures) = (Servers::start().await, Figures::default());
    for _ in plan.each_round() {
        add(&mut figures, RELAY, &relay(plan).await?);
        for set_up in [SetUp::OneProcess, SetUp::Services(1), SetUp::Sqlite] {
            add(&mut figures, set_up.name(), &baton(plan, &servers, set_up).await?);
        }
    }
    ASKED.iter().chain(&DUE).for_each(|(figure, _)| figures.compare(*figure, RELAY));
    for parts in [&ASKED[..], &DUE] {
        figures.goal(SetUp::Services(1).name(), parts[0].0, Goal::ratio_to(3.0, 2.0));
        figures.goal(SetUp::Services(1).name(), parts[1].0, Goal::ratio_to(4.0, 2.5));
    }
    Ok(figures)
}

fn add(figures: &mut Figures, variant: &str, times: &Times) {
    for (parts, times) in [(&ASKED[..], &times.asked), (&DUE, &times.due)] {
        parts.iter().for_each(|(figure, share)| figures.add(variant, *figure, percentile(times, *share)));
    }
}

async fn relay(plan: Plan) -> Result<Times> {
    let (warm_up, numbers) = sizes(plan);
    let sink = Sink::well(numbers.end, 1).await?;
    let relay = Relay::start(sink.urls(), Way::AtOnce).await?;
    times(&relay.target, &sink, &warm_up, numbers).await
}

async fn baton(plan: Plan, servers: &Servers, set_up: SetUp) -> Result<Times> {
    let (warm_up, numbers) = sizes(plan);
    let sink = Sink::well(numbers.end, 1).await?;
    let baton = Baton::start(servers, set_up, &[]).await?;
    baton.configure(&Chain::OneStage(1).saved(&sink)).await?;
    let times = times(&baton.api.target, &sink, &warm_up, numbers.clone()).await?;
    baton.api.all_delivered(numbers.end).await?;
    tell_duplicates(&sink);
    Ok(times)
}

/// The warm-up, and the events behind it.
fn sizes(plan: Plan) -> (Burst, Range<usize>) {
    let burst = Burst { events: plan.either(15, 6) * RATE as usize, connections: CONNECTIONS, ..Burst::of(plan) };
    let numbers = burst.numbers();
    (burst, numbers)
}

/// From publication to arrival.
async fn times(target: &Target, sink: &Sink, warm_up: &Burst, numbers: Range<usize>) -> Result<Times> {
    warm_up.warm(target, sink, 0..1).await?;
    let published = publish_at_rate(target, numbers.clone(), RATE, CONNECTIONS).await?;
    sink.account(0..1, numbers.end).await?;
    let since = |from: fn(&Published) -> Instant| {
        let time = |(number, published)| {
            let arrived = sink.arrival(0, number).context("an event without arrival")?;
            Ok(arrived.saturating_duration_since(from(published).into_std()).as_secs_f64() * 1000.0)
        };
        numbers.clone().zip(&published).map(time).collect::<Result<Vec<_>>>()
    };
    Ok(Times { asked: since(|published| published.asked)?, due: since(|published| published.due)? })
}
