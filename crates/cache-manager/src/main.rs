//! `baton-cache-manager`: the Cache Manager as a service, with the Cleaner beside it, and its restart as a one-shot command.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use baton_cache_manager::{CacheManager, RestartResult, SERVICE, request_restart, wait_for_run};
use baton_cleaner::{Cleaner, CleanerSettings};
use baton_handler_cache::{Hints, Installation, InstallationArgs, OpenError};
use baton_runtime::settings::{CleanArgs, ListenArgs, LogArgs, NameArgs};
use baton_runtime::{metrics, ops, serving, shutdown, telemetry};
use baton_storage::{RunState, ServiceRun, StorageError, Store};
use chrono::Utc;
use clap::{Parser, Subcommand};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Builds generations of handlers on an explicit restart, and removes what is older than it is to be kept. Settings are flags or environment variables of the same name.
#[derive(Debug, Parser)]
#[command(name = "baton-cache-manager", version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    listen: ListenArgs,
    #[command(flatten)]
    name: NameArgs,
    #[command(flatten)]
    installation: InstallationArgs,
    #[command(flatten)]
    cleaning: CleanArgs,
    #[command(flatten)]
    log: LogArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Asks the running Cache Manager for a restart, waits for it, and prints what changed.
    Restart {
        /// How long to wait, in seconds.
        #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=600))]
        wait: u64,
        /// Prints the result as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Asks a Cache Manager that runs at BATON_LISTEN whether it is ready.
    Healthcheck,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    match cli.command {
        Some(Command::Healthcheck) => ops::check_ready(cli.listen.listen).await,
        Some(Command::Restart { wait, json }) => {
            let within = Duration::from_secs(wait);
            let patience = CancellationToken::new();
            let end = patience.clone();
            tokio::spawn(async move {
                tokio::time::sleep(within).await;
                end.cancel();
            });
            let installation = cli.installation.open(&patience).await.map_err(|error| match error {
                OpenError::Stopped(reason) => anyhow!("the database could not be used within {wait} s: {reason}"),
                // A setting that is missing or wrong has nothing to do with time.
                other => other.into(),
            })?;
            restart(&installation, within, json).await
        }
        None => serve(cli).await,
    }
}

async fn serve(cli: Cli) -> anyhow::Result<()> {
    telemetry::init(&cli.log)?;
    let stop = shutdown::on_signals()?;
    let installation = cli.installation.open(&stop).await?;
    let listener = ops::bind(cli.listen.listen).await?;
    let store = installation.store.clone();
    let ready: ops::Ready = Arc::new(move || {
        let store = store.clone();
        Box::pin(async move { store.ping().await.map_err(|error| error.to_string()) })
    });
    let router = ops::router(metrics::install(stop.clone())?, ready);
    let name = cli.name.or_host();
    tracing::info!(listen = %cli.listen.listen, name, "baton-cache-manager started");
    let settings = CleanerSettings::new(name.clone(), &cli.cleaning);
    let cleaner = Cleaner::new(installation.store.clone(), &installation.cache, settings);
    let manager = CacheManager::new(name, installation.store, installation.cache.clone(), installation.vault);
    let cache = tokio::spawn(installation.cache.run(stop.clone()));
    let work = tokio::spawn(manager.run(stop.clone()));
    let cleaning = tokio::spawn(cleaner.run(stop.clone()));
    serving::serve(listener, router, stop.clone()).await;
    let _ = tokio::join!(cache, work, cleaning);
    Ok(())
}

async fn restart(installation: &Installation, wait: Duration, json: bool) -> anyhow::Result<()> {
    let store = &installation.store;
    let alive = store.instances(Some(SERVICE)).await?.iter().any(|instance| instance.lease_until > Utc::now());
    ensure!(alive, "no Cache Manager is running; start baton-cache-manager first");
    // Sends the hint and hears the answer; without Redis both are found by looking.
    let stop = CancellationToken::new();
    let cache = tokio::spawn(installation.cache.clone().run(stop.clone()));
    let hints = installation.cache.hints();
    let asked = ask(store, hints, wait).await?;
    let run = wait_for_run(store, hints, asked.id, wait).await?;
    stop.cancel();
    let _ = cache.await;
    match run.state {
        RunState::Done => {}
        RunState::Failed => bail!("the restart failed: {}", run.error.unwrap_or_default()),
        RunState::Queued | RunState::Running => {
            bail!("the restart is not done after {} s; it goes on (run {})", wait.as_secs(), run.id)
        }
    }
    let result = run.result.context("the run has no result")?;
    if json {
        println!("{result}");
    } else {
        print!("{}", describe(&serde_json::from_value(result)?)?);
    }
    Ok(())
}

/// Asks for the restart. Something else that waits in the queue, such as the very first build, is let through first.
async fn ask(store: &Store, hints: &Hints, wait: Duration) -> anyhow::Result<ServiceRun> {
    let deadline = Instant::now() + wait;
    loop {
        match request_restart(store, hints, Utc::now()).await {
            Err(StorageError::Conflict) => {}
            asked => return Ok(asked?),
        }
        let left = deadline.saturating_duration_since(Instant::now());
        ensure!(!left.is_zero(), "another run still waits in the queue after {} s; nothing was asked for", wait.as_secs());
        // None, when it has just been taken.
        if let Some(queued) = store.last_runs(SERVICE).await?.queued {
            wait_for_run(store, hints, queued.id, left).await?;
        }
    }
}

/// The result as a person reads it.
fn describe(result: &RestartResult) -> Result<String, std::fmt::Error> {
    let changes = &result.changes;
    let mut text =
        format!("Generation {} is live: {} handlers, built in {} ms.\n", result.generation, result.handlers, result.took_ms);
    if changes.is_empty() {
        text.push_str("Nothing changed.\n");
    }
    for handler in &changes.added {
        writeln!(text, "  + #{} {}", handler.id, handler.name)?;
    }
    for handler in &changes.removed {
        writeln!(text, "  - #{} {}", handler.id, handler.name)?;
    }
    for handler in &changes.changed {
        for field in &handler.fields {
            writeln!(text, "  ~ #{} {}: {} {} -> {}", handler.id, handler.name, field.field, field.live, field.saved)?;
        }
    }
    Ok(text)
}
