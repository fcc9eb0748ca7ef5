//! What an event costs.

use std::time::Duration;

use anyhow::Result;
use baton_testkit::Servers;

use crate::figures::{Figure, Figures, Goal};
use crate::measure::{Burst, Chain};
use crate::plan::Plan;
use crate::sink::Sink;
use crate::system::{Baton, Relay, SetUp, Way, usage, with_statistics};

const TIME: Figure = Figure { name: "processor time of 1,000 deliveries", unit: "s" };
const PEAK: Figure = Figure { name: "peak memory", unit: "MB" };
const NOW: Figure = Figure { name: "memory at the end", unit: "MB" };
const ROUND_TRIPS: Figure = Figure { name: "database round trips of an event", unit: "" };
const COMMITS: Figure = Figure { name: "database transactions of an event", unit: "" };
const ROWS: Figure = Figure { name: "rows written of an event", unit: "" };
const WAL: Figure = Figure { name: "write-ahead log of an event", unit: "KB" };
const MB: f64 = 1024.0 * 1024.0;
const KB: f64 = 1024.0;
const RELAY: &str = "relay";
const ENDS_WITHIN: Duration = Duration::from_secs(30);

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A process.
    Program,
    /// A process and all that it starts.
    Server,
    /// This process, whose memory says nothing.
    Bench,
}

struct Watched {
    name: String,
    pid: u32,
    kind: Kind,
    before: Duration,
}

impl Watched {
    fn new(name: String, pid: u32, kind: Kind) -> Result<Self> {
        let mut watched = Self { name, pid, kind, before: Duration::ZERO };
        watched.before = watched.time()?;
        Ok(watched)
    }

    fn time(&self) -> Result<Duration> {
        if self.kind == Kind::Server { Ok(usage::tree_time(self.pid)) } else { usage::own_time(self.pid) }
    }

    fn add(&self, figures: &mut Figures, deliveries: usize) -> Result<()> {
        let seconds = (self.time()? - self.before).as_secs_f64();
        figures.add(&self.name, TIME, seconds * 1000.0 / deliveries as f64);
        match self.kind {
            Kind::Program => figures.add(&self.name, PEAK, usage::peak_memory(self.pid)? as f64 / MB),
            Kind::Server => figures.add(&self.name, NOW, usage::tree_memory(self.pid) as f64 / MB),
            Kind::Bench => {}
        }
        Ok(())
    }
}

pub(crate) async fn of_an_event(plan: Plan) -> Result<Figures> {
    let (servers, mut figures) = (with_statistics().await?, Figures::default());
    for _ in plan.each_round() {
        relay(plan, &mut figures).await?;
        for set_up in [SetUp::OneProcess, SetUp::Services(1)] {
            baton(plan, &servers, set_up, &mut figures).await?;
        }
    }
    for set_up in [SetUp::OneProcess, SetUp::Services(1)] {
        figures.goal(set_up.name(), ROUND_TRIPS, Goal::to(0.1, 0.05));
        figures.goal(set_up.name(), WAL, Goal::to(1.6, 1.2));
    }
    Ok(figures)
}

async fn relay(plan: Plan, figures: &mut Figures) -> Result<()> {
    let burst = Burst::of(plan);
    let sink = Sink::well(burst.total(), 1).await?;
    let relay = Relay::start(sink.urls(), Way::AtOnce).await?;
    burst.warm(&relay.target, &sink, 0..1).await?;
    let bench = Watched::new(of(RELAY, "bench"), std::process::id(), Kind::Bench)?;
    let watched = [Watched::new(RELAY.into(), relay.process.pid(), Kind::Program)?, bench];
    burst.load(burst.numbers()).publish(&relay.target).await?;
    sink.account(0..1, burst.total()).await?;
    watched.iter().try_for_each(|watched| watched.add(figures, burst.events))
}

async fn baton(plan: Plan, servers: &Servers, set_up: SetUp, figures: &mut Figures) -> Result<()> {
    let (burst, name) = (Burst::of(plan), set_up.name());
    let sink = Sink::well(burst.total(), 1).await?;
    let mut baton = Baton::start(servers, set_up, &[]).await?;
    let mut database = baton.database().await?;
    database.count_statements().await?;
    baton.configure(&Chain::OneStage(1).saved(&sink)).await?;
    burst.warm(&baton.api.target, &sink, 0..1).await?;
    baton.api.all_delivered(burst.numbers().start).await?;
    let watched = watch(&baton, servers, name)?;
    let before = database.work().await?;
    burst.load(burst.numbers()).publish(&baton.api.target).await?;
    sink.account(0..1, burst.total()).await?;
    baton.api.all_delivered(burst.total()).await?;
    let work = database.work().await?.since(before);
    watched.iter().try_for_each(|watched| watched.add(figures, burst.events))?;
    let of_event = |value: f64| value / burst.events as f64;
    match work.statements {
        Some(statements) => figures.add(name, ROUND_TRIPS, of_event(statements)),
        None => figures.add(name, COMMITS, of_event(work.commits)),
    }
    figures.add(name, WAL, of_event(work.wal) / KB);
    for (_, process) in &mut baton.processes {
        process.terminate(ENDS_WITHIN).await;
    }
    // With the warm-up, since connections tell only at their end how many rows they wrote.
    figures.add(name, ROWS, database.work().await?.rows / burst.total() as f64);
    if work.statements.is_some() {
        tell_statements(database.frequent_statements().await?);
    }
    Ok(())
}

fn watch(baton: &Baton, servers: &Servers, set_up: &str) -> Result<Vec<Watched>> {
    let programs = baton.processes.iter().map(|(name, process)| Watched::new(of(set_up, name), process.pid(), Kind::Program));
    let servers = [("PostgreSQL", servers.postgres.pid()), ("Redis", servers.redis.pid())];
    let servers = servers.into_iter().filter_map(|(name, pid)| Some(Watched::new(of(set_up, name), pid?, Kind::Server)));
    let bench = Watched::new(of(set_up, "bench"), std::process::id(), Kind::Bench);
    programs.chain(servers).chain([bench]).collect()
}

fn of(set_up: &str, part: &str) -> String {
    format!("{set_up}: {part}")
}

fn tell_statements(statements: Vec<(i64, f64, String)>) {
    eprintln!("    statements by the time they took:");
    for (calls, milliseconds, text) in statements {
        eprintln!("    {calls:>7} x, {milliseconds:>7.0} ms: {text}");
    }
}
