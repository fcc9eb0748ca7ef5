//! `baton-dispatcher`: the dispatcher as a service, on PostgreSQL and Redis.

use std::sync::Arc;

use baton_dispatcher::call::{Caller, CallerSettings};
use baton_dispatcher::{Dispatcher, DispatcherSettings};
use baton_handler_cache::InstallationArgs;
use baton_runtime::settings::{CallsArgs, ListenArgs, LogArgs, NameArgs, TargetArgs};
use baton_runtime::{metrics, ops, serving, shutdown, telemetry};
use clap::{Parser, Subcommand};

/// Calls the handlers of published events. Settings are flags or environment variables of the same name.
#[derive(Debug, Parser)]
#[command(name = "baton-dispatcher", version)]
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
    calls: CallsArgs,
    #[command(flatten)]
    targets: TargetArgs,
    #[command(flatten)]
    log: LogArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Asks a dispatcher that runs at BATON_LISTEN whether it is ready.
    Healthcheck,
}

fn main() -> anyhow::Result<()> {
    baton_dispatcher::call::supervise_if_asked();
    run()
}

#[tokio::main]
async fn run() -> anyhow::Result<()> {
    let cli = Cli::parse();
    if let Some(Command::Healthcheck) = cli.command {
        return ops::check_ready(cli.listen.listen).await;
    }
    telemetry::init(&cli.log)?;
    let stop = shutdown::on_signals()?;
    let scripts_max = cli.targets.scripts_max as usize;
    let caller = Caller::new(CallerSettings::of(cli.targets, cli.listen.listen))?;
    let installation = cli.installation.open(&stop).await?;
    let listener = ops::bind(cli.listen.listen).await?;
    let settings = DispatcherSettings {
        name: cli.name.or_host(),
        calls_max: cli.calls.calls_max as usize,
        handler_calls_max: cli.calls.handler_calls_max as usize,
        scripts_max,
        events_in_memory: cli.calls.events_in_memory as usize,
        alone: false,
    };
    let counting = installation.store.clone();
    let store = installation.store.clone();
    let ready: ops::Ready = Arc::new(move || {
        let store = store.clone();
        Box::pin(async move { store.ping().await.map_err(|error| error.to_string()) })
    });
    let router = ops::router(metrics::install(stop.clone())?, ready);
    tracing::info!(listen = %cli.listen.listen, name = settings.name, "baton-dispatcher started");
    let dispatcher = Dispatcher::new(installation.store, installation.cache.clone(), caller, installation.vault, settings);
    let cache = tokio::spawn(installation.cache.run(stop.clone()));
    let counted = tokio::spawn(counting.clone().keep_writing_counts(stop.clone()));
    let work = tokio::spawn(dispatcher.run(stop.clone()));
    serving::serve(listener, router, stop.clone()).await;
    let _ = tokio::join!(cache, work, counted);
    counting.write_counts_or_say().await;
    Ok(())
}
