//! Measures Baton: publishes N events, accounts for every one of them at the receiver, and puts the rate in relation to a bare relay
//! of the same run.

mod load;
mod programs;
mod relay;
mod report;
mod sink;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;

use crate::load::Load;
use crate::programs::{Programs, SetUp};
use crate::report::{Figure, Report};
use crate::sink::Sink;

/// Publishes events, accounts for them at a receiver, and compares with a relay that only passes them on.
#[derive(Debug, Parser)]
#[command(name = "baton-bench", version)]
struct Cli {
    /// The folder of the programs; the one of this program when not given.
    #[arg(long)]
    programs: Option<PathBuf>,
    /// How many events each measurement publishes.
    #[arg(long, default_value_t = 20_000)]
    events: usize,
    /// How many connections publish.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// How many handlers each event has, in one stage.
    #[arg(long, default_value_t = 1)]
    handlers: usize,
    /// How often everything is measured; the table shows medians.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// A PostgreSQL to make databases on; without it only SQLite is measured.
    #[arg(long, requires = "redis_url")]
    postgres_url: Option<String>,
    /// A Redis.
    #[arg(long)]
    redis_url: Option<String>,
    /// Writes the figures as JSON too.
    #[arg(long)]
    json: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let cli = Cli::parse();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let own = std::env::current_exe().context("where this program is")?;
    let folder = cli.programs.clone().or_else(|| own.parent().map(PathBuf::from)).context("the folder of the programs")?;
    let mut set_ups = vec![SetUp::Sqlite];
    if let (Some(postgres), Some(redis)) = (&cli.postgres_url, &cli.redis_url) {
        set_ups.push(SetUp::OneProcess { postgres: postgres.clone(), redis: redis.clone() });
        set_ups.push(SetUp::Services { postgres: postgres.clone(), redis: redis.clone() });
    }
    let mut report = Report::default();
    for round in 1..=cli.rounds {
        eprintln!("==> round {round} of {}", cli.rounds);
        report.add("relay", measure_relay(&cli).await?);
        for set_up in &set_ups {
            report.add(set_up.name(), measure(&cli, &folder, set_up).await?);
        }
    }
    print!("{}", report.table());
    if let Some(path) = &cli.json {
        std::fs::write(path, serde_json::to_string_pretty(&report.figures())?)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// The limit of the machine for this work: the same requests, posted on with the same client, and nothing else.
async fn measure_relay(cli: &Cli) -> Result<Figure> {
    let sink = Sink::start().await?;
    let relay = relay::start(sink.url(), cli.handlers).await?;
    let load = Load { url: relay, token: String::new(), events: cli.events, connections: cli.connections };
    let published = load.publish().await?;
    sink.account(cli.events * cli.handlers, published.began).await
}

async fn measure(cli: &Cli, folder: &std::path::Path, set_up: &SetUp) -> Result<Figure> {
    let sink = Sink::start().await?;
    let programs = Programs::start(folder, set_up).await?;
    programs.configure(&sink.url(), cli.handlers).await?;
    let load =
        Load { url: programs.url("/v1/events"), token: programs.token(), events: cli.events, connections: cli.connections };
    let published = load.publish().await?;
    let figure = sink.account(cli.events * cli.handlers, published.began).await?;
    programs.check_balance(cli.events).await?;
    Ok(figure)
}
