//! How much gets through.

use anyhow::{Context, Result};
use baton_testkit::Servers;

use crate::figures::{DELIVERIES, Figure, Figures, Goal};
use crate::load::Objects;
use crate::measure::{self, Burst, Chain};
use crate::plan::Plan;
use crate::sink::Sink;
use crate::system::{Baton, SetUp, Way};

const ALONE: &str = "load generator straight to the receiver";
const RELAY: &str = "relay";
/// The best known open-source webhook server delivers 777/s where the load generator alone makes 73,000/s; ten times as much is wanted.
const TEN_PEERS: f64 = 10.0 * 777.0 / 73_000.0;
const SHARE: Figure = Figure { name: "share of the load generator alone", unit: "" };
const OTHERS: Figure = Figure { name: "deliveries of the other objects", unit: "/s" };

pub(crate) async fn single(plan: Plan) -> Result<Figures> {
    let (servers, burst, mut figures) = (Servers::start().await, Burst::of(plan), Figures::default());
    for _ in plan.each_round() {
        let alone = measure::alone(&burst).await?;
        figures.add(ALONE, DELIVERIES, alone);
        figures.add(RELAY, DELIVERIES, measure::relay(&burst, 1, Way::AtOnce).await?);
        for set_up in [SetUp::OneProcess, SetUp::Services(1), SetUp::Services(2), SetUp::Sqlite] {
            let rate = measure::baton(&servers, set_up, &[], Chain::OneStage(1), &burst).await?;
            figures.add(set_up.name(), DELIVERIES, rate);
            if set_up == SetUp::OneProcess {
                figures.add(set_up.name(), SHARE, rate / alone);
            }
        }
    }
    figures.compare(DELIVERIES, RELAY);
    figures.goal(SetUp::OneProcess.name(), DELIVERIES, Goal::ratio_from(0.45, 0.6));
    figures.goal(SetUp::OneProcess.name(), SHARE, Goal::from(thousandths(TEN_PEERS), thousandths(TEN_PEERS)));
    figures.goal(SetUp::Services(1).name(), DELIVERIES, Goal::ratio_from(0.4, 0.6));
    figures.goal(SetUp::Services(2).name(), DELIVERIES, Goal::ratio_from(0.4, 0.6));
    figures.goal(SetUp::Sqlite.name(), DELIVERIES, Goal::ratio_from(0.45, 0.8));
    Ok(figures)
}

fn thousandths(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// The same with more connections than the machine can be busy with: what one commit carries grows with them, and the cost of a commit for
/// each event falls.
pub(crate) async fn single_crowded(plan: Plan) -> Result<Figures> {
    single(Plan { connections: CROWD, ..plan }).await
}

const CROWD: usize = 256;

pub(crate) async fn one_stage(plan: Plan) -> Result<Figures> {
    let mut figures = five(plan, Chain::OneStage(5), "relay, 5 posts at once", Way::AtOnce).await?;
    figures.goal(SetUp::OneProcess.name(), DELIVERIES, Goal::ratio_from(0.6, 0.87));
    Ok(figures)
}

pub(crate) async fn five_stages(plan: Plan) -> Result<Figures> {
    five(plan, Chain::Stages(5), "relay, 5 posts in turn", Way::InTurn).await
}

async fn five(plan: Plan, chain: Chain, reference: &'static str, way: Way) -> Result<Figures> {
    let (servers, mut figures) = (Servers::start().await, Figures::default());
    let burst = Burst { events: plan.events / 3, ..Burst::of(plan) };
    for _ in plan.each_round() {
        figures.add(reference, DELIVERIES, measure::relay(&burst, chain.handlers(), way).await?);
        for set_up in [SetUp::OneProcess, SetUp::Services(1), SetUp::Sqlite] {
            figures.add(set_up.name(), DELIVERIES, measure::baton(&servers, set_up, &[], chain, &burst).await?);
        }
    }
    figures.compare(DELIVERIES, reference);
    Ok(figures)
}

pub(crate) async fn batch(plan: Plan) -> Result<Figures> {
    const PER_REQUEST: usize = 100;
    const CONNECTIONS: usize = 8;
    let (servers, one, mut figures) = (Servers::start().await, Burst::of(plan), Figures::default());
    let many = Burst { events: plan.events * 2, per_request: PER_REQUEST, connections: CONNECTIONS, ..one };
    for _ in plan.each_round() {
        figures.add(RELAY, DELIVERIES, measure::relay(&one, 1, Way::AtOnce).await?);
        for set_up in [SetUp::OneProcess, SetUp::Services(1), SetUp::Sqlite] {
            figures.add(set_up.name(), DELIVERIES, measure::baton(&servers, set_up, &[], Chain::OneStage(1), &many).await?);
        }
    }
    figures.compare(DELIVERIES, RELAY);
    figures.goal(SetUp::OneProcess.name(), DELIVERIES, Goal::ratio_from(0.95, 1.25));
    Ok(figures)
}

pub(crate) async fn long(plan: Plan) -> Result<Figures> {
    let (short, long) = plan.either((40_000, 250_000), (10_000, 60_000));
    let names = [short, long].map(|events| format!("{} events on end", crate::report::count(events)));
    let (servers, mut figures) = (Servers::start().await, Figures::default());
    for _ in plan.each_round() {
        for (events, name) in [short, long].into_iter().zip(&names) {
            let burst = Burst { events, ..Burst::of(plan) };
            let rate = measure::baton(&servers, SetUp::OneProcess, &[], Chain::OneStage(1), &burst).await?;
            figures.add(name, DELIVERIES, rate);
        }
    }
    figures.compare(DELIVERIES, &names[0]);
    figures.goal(&names[1], DELIVERIES, Goal::ratio_from(0.85, 0.95));
    Ok(figures)
}

pub(crate) async fn objects(plan: Plan) -> Result<Figures> {
    // One object's events follow each other, call by call: there need not be so many.
    let (few, many) = plan.either((10_000, 100_000), (2_000, 20_000));
    let variants = [(1, few, "1 object"), (1_000, many / 2, "1,000 objects"), (100_000, many, "100,000 objects")]
        .map(|(objects, events, name)| (Burst { events, objects: Objects::Spread(objects), ..Burst::of(plan) }, name));
    let (servers, mut figures) = (Servers::start().await, Figures::default());
    for _ in plan.each_round() {
        for (burst, name) in &variants {
            figures.add(name, DELIVERIES, measure::baton(&servers, SetUp::OneProcess, &[], Chain::OneStage(1), burst).await?);
        }
    }
    figures.compare(DELIVERIES, variants[1].1);
    Ok(figures)
}

pub(crate) async fn hot(plan: Plan) -> Result<Figures> {
    const WITHOUT: &str = "the other half spread as well";
    const WITH: &str = "the other half of one hot object";
    let (servers, mut figures) = (Servers::start().await, Figures::default());
    for _ in plan.each_round() {
        figures.add(WITHOUT, OTHERS, others(plan, &servers, Objects::Spread(2 * OTHER_OBJECTS)).await?);
        figures.add(WITH, OTHERS, others(plan, &servers, Objects::Hot(OTHER_OBJECTS)).await?);
    }
    figures.compare(OTHERS, WITHOUT);
    figures.goal(WITH, OTHERS, Goal::ratio_from(0.9, 1.0));
    Ok(figures)
}

const OTHER_OBJECTS: usize = 5_000;

/// The rate of every other event: of those that are not of the hot object, or of the same ones where there is none.
async fn others(plan: Plan, servers: &Servers, objects: Objects) -> Result<f64> {
    let burst = Burst { events: plan.events / 2, objects, ..Burst::of(plan) };
    let sink = Sink::well(burst.total(), 1).await?;
    let baton = Baton::start(servers, SetUp::OneProcess, &[]).await?;
    baton.configure(&Chain::OneStage(1).saved(&sink)).await?;
    burst.warm(&baton.api.target, &sink, 0..1).await?;
    let began = burst.load(burst.numbers()).publish(&baton.api.target).await?;
    sink.account(0..1, burst.total()).await?;
    baton.api.all_delivered(burst.total()).await?;
    let arrivals = burst.numbers().filter(|number| !Objects::Hot(1).is_hot(*number)).filter_map(|number| sink.arrival(0, number));
    let last = arrivals.max().context("nothing arrived")?;
    Ok((burst.events / 2) as f64 / (last - began).as_secs_f64())
}
