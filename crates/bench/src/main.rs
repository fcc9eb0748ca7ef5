//! Measures Baton: publishes events, accounts for every one of them at a receiver, and puts what it finds in relation to a bare relay that
//! does the same work in the same minutes. Nothing here knows Baton's crates: it sees what a publisher, a receiver and an operator see.

mod figures;
mod load;
mod measure;
mod plan;
mod relay;
mod report;
mod scenarios;
mod sink;
mod statistics;
mod system;

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Error, Result, anyhow};
use baton_testkit::{Machine, chosen};
use clap::{Parser, Subcommand};
use futures_util::FutureExt;
use tokio::signal::unix::{SignalKind, signal};

use crate::figures::Row;
use crate::plan::Plan;
use crate::report::Failure;
use crate::scenarios::{ALL, Scenario};

const INTERRUPTED: u8 = 130;

/// Publishes events, accounts for them at a receiver, and compares with a relay that only passes them on. The programs are those beside
/// this one.
#[derive(Debug, Parser)]
#[command(name = "baton-bench", version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// Lists the scenarios.
    #[arg(long)]
    list: bool,
    /// Measures this scenario alone; may be given several times.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Measures less: one round, fewer events, and not with a million of anything.
    #[arg(long)]
    quick: bool,
    /// How often everything is measured; the table shows medians.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: Option<u16>,
    /// How many events a burst has.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1_000..=2_000_000))]
    events: Option<u32>,
    /// How many connections publish.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    connections: u16,
    /// Writes the table with every round to this file as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the bare relay.
    #[command(hide = true)]
    Relay(relay::RelayArgs),
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let cli = Cli::parse();
    if let Some(Command::Relay(args)) = cli.command {
        return relay::run(args).await.map(|()| ExitCode::SUCCESS);
    }
    let chosen = chosen(ALL, &cli.only, |scenario| scenario.name, |scenario| scenario.quick || !cli.quick).map_err(Error::msg)?;
    if cli.list {
        for scenario in chosen {
            println!("{:<14} {}{}", scenario.name, scenario.about, if scenario.quick { "" } else { " (not with --quick)" });
        }
        return Ok(ExitCode::SUCCESS);
    }
    let events = cli.events.map(usize::try_from).transpose()?;
    let plan = Plan::new(cli.quick, cli.rounds.map(usize::from), events, usize::from(cli.connections));
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    // What was started is ended on the way out.
    tokio::select! {
        result = run(&chosen, plan, cli.json.as_ref()) => return result,
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    eprintln!("interrupted");
    Ok(ExitCode::from(INTERRUPTED))
}

async fn run(chosen: &[&'static Scenario], plan: Plan, json: Option<&PathBuf>) -> Result<ExitCode> {
    let began = Instant::now();
    let machine = Machine::here();
    let Plan { rounds, events, connections, .. } = plan;
    println!("{}\nrounds: {rounds}; events of a burst: {events}; connections: {connections}\n", machine.line());
    let (mut rows, mut failures) = (Vec::new(), Vec::new());
    for scenario in chosen {
        eprintln!("==> {}: {} ({:.0} s so far)", scenario.name, scenario.about, began.elapsed().as_secs_f64());
        match measure(scenario, plan).await {
            Ok(found) => rows.extend(found),
            Err(error) => {
                eprintln!("    FAILED: {error:#}");
                failures.push(Failure { scenario: scenario.name, why: format!("{error:#}") });
            }
        }
    }
    println!("{}", report::table(&rows));
    failures.iter().for_each(|failure| println!("{} failed: {}", failure.scenario, failure.why));
    let took = began.elapsed().as_secs_f64();
    println!("{} of {} scenarios measured in {took:.0} s", chosen.len() - failures.len(), chosen.len());
    if let Some(path) = json {
        let text = report::json(&machine, plan, took, &rows, &failures)?;
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Measures a scenario. What panics in it is its own failure, and no other's.
async fn measure(scenario: &Scenario, plan: Plan) -> Result<Vec<Row>> {
    AssertUnwindSafe(scenario.measure(plan)).catch_unwind().await.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        Err(anyhow!("{}", text.unwrap_or("panicked")))
    })
}
