//! The fault suite: runs Baton's programs under load, does to them and to what they stand on whatever an operator will meet, and accounts
//! for every event. Nothing here knows Baton's crates: it sees what a publisher and a receiver see.

mod api;
mod disk;
mod embedded;
mod fault;
mod load;
mod proxy;
mod publisher;
mod receiving;
mod reconcile;
mod recovery;
mod report;
mod scenarios;
mod services;
mod verdict;
mod workload;

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Error, Result};
use baton_testkit::{Machine, chosen};
use clap::Parser;
use futures_util::FutureExt;
use tokio::signal::unix::{SignalKind, signal};

use crate::report::Row;
use crate::scenarios::{ALL, Plan, Scenario};
use crate::verdict::Verdict;

/// Events a second of the full form, and of the short one, which runs beside other tests and without optimisation.
const RATE: u32 = 400;
const RATE_SHORT: u32 = 100;

const INTERRUPTED: u8 = 130;

/// Puts Baton through faults under load and accounts for every event. The programs are those beside this one.
#[derive(Debug, Parser)]
#[command(name = "baton-faults", version)]
struct Cli {
    /// Lists the scenarios.
    #[arg(long)]
    list: bool,
    /// Runs this scenario alone; may be given several times.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Runs the short form: four scenarios with little load, and twice the time for recovery, since other things may use the machine.
    #[arg(long)]
    short: bool,
    /// How many events are published a second.
    #[arg(long, value_parser = clap::value_parser!(u32).range(16..=5000))]
    rate: Option<u32>,
    /// Keeps what the programs write, which is else kept of failed scenarios alone.
    #[arg(long)]
    keep_logs: bool,
    /// Writes the table with its notes to this file as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let cli = Cli::parse();
    let chosen = chosen(ALL, &cli.only, |scenario| scenario.name, |scenario| scenario.short || !cli.short).map_err(Error::msg)?;
    if cli.list {
        for scenario in chosen {
            println!("{:<20} {}{}", scenario.name, scenario.fault, if scenario.short { " (short form)" } else { "" });
        }
        return Ok(ExitCode::SUCCESS);
    }
    let (rate, warm_up, slack) = if cli.short { (RATE_SHORT, 2, 2) } else { (RATE, 4, 1) };
    let warm_up = Duration::from_secs(warm_up);
    let plan = Plan { rate: cli.rate.unwrap_or(rate), warm_up, slack, keep_logs: cli.keep_logs };
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    // What was started is ended on the way out.
    tokio::select! {
        result = run(&chosen, plan, &cli) => return result,
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    eprintln!("interrupted");
    Ok(ExitCode::from(INTERRUPTED))
}

async fn run(chosen: &[&'static Scenario], plan: Plan, cli: &Cli) -> Result<ExitCode> {
    let began = Instant::now();
    let machine = Machine::here();
    println!("{}\n{} events a second\n", machine.line(), plan.rate);
    let mut rows = Vec::new();
    for scenario in chosen {
        eprintln!("==> {}: {}", scenario.name, scenario.fault);
        let verdict = carry_out(scenario, plan).await;
        verdict.notes.iter().for_each(|note| eprintln!("    {note}"));
        verdict.problems.iter().for_each(|problem| eprintln!("    FAILED: {problem}"));
        rows.push(Row { name: scenario.name, fault: scenario.fault, passed: verdict.passed(), verdict });
    }
    println!("{}", report::table(&rows));
    for row in rows.iter().filter(|row| !row.passed) {
        println!("{} failed:", row.name);
        row.verdict.problems.iter().for_each(|problem| println!("  {problem}"));
    }
    let took = began.elapsed().as_secs_f64();
    println!("{} of {} passed in {took:.0} s", rows.iter().filter(|row| row.passed).count(), rows.len());
    if let Some(path) = &cli.json {
        let text = report::json(&machine, took, &rows)?;
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(if rows.iter().all(|row| row.passed) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs a scenario. What panics in it is its own failure, and no other's.
async fn carry_out(scenario: &Scenario, plan: Plan) -> Verdict {
    match AssertUnwindSafe((scenario.run)(plan)).catch_unwind().await {
        Ok(Ok(verdict)) => verdict,
        Ok(Err(error)) => Verdict::not_run(format!("{error:#}")),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
            Verdict::not_run(text.unwrap_or("panicked").to_owned())
        }
    }
}
