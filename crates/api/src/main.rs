//! `baton-api`: the REST API as a service, on PostgreSQL and Redis.

use std::sync::Arc;

use baton_api::{ApiParts, ApiState, Appender};
use baton_dispatcher::call::{Caller, CallerSettings};
use baton_domain::address::AddressPolicy;
use baton_handler_cache::{Installation, InstallationArgs};
use baton_runtime::settings::{AdminArgs, ListenArgs, LogArgs, TargetArgs, required};
use baton_runtime::{metrics, ops, shutdown, telemetry};
use clap::{Parser, Subcommand};

/// Serves the REST API of Baton. Settings are flags or environment variables of the same name.
#[derive(Debug, Parser)]
#[command(name = "baton-api", version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    listen: ListenArgs,
    #[command(flatten)]
    installation: InstallationArgs,
    #[command(flatten)]
    admin: AdminArgs,
    #[command(flatten)]
    targets: TargetArgs,
    #[command(flatten)]
    log: LogArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Prints the OpenAPI document; needs no database.
    Openapi,
    /// Asks an API that runs at BATON_LISTEN whether it is ready.
    Healthcheck,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    match cli.command {
        Some(Command::Openapi) => {
            println!("{}", baton_api::openapi_json().trim_end());
            Ok(())
        }
        Some(Command::Healthcheck) => ops::check_ready(cli.listen.listen).await,
        None => serve(cli).await,
    }
}

async fn serve(cli: Cli) -> anyhow::Result<()> {
    telemetry::init(&cli.log)?;
    let stop = shutdown::on_signals()?;
    let why = "it is what clients of the API prove themselves with";
    let admin_token = required(cli.admin.admin_token, "BATON_ADMIN_TOKEN", why)?.expose().to_owned();
    let caller = Caller::new(CallerSettings {
        policy: AddressPolicy::new(cli.targets.allow_targets, cli.listen.listen.ip().is_loopback()),
        script_root: cli.targets.script_root,
        scripts_max: cli.targets.scripts_max as usize,
        user_agent: concat!("Baton/", env!("CARGO_PKG_VERSION")).into(),
    })?;
    let Installation { store, cache, vault } = cli.installation.open(&stop).await?;
    let listener = ops::bind(cli.listen.listen).await?;
    let (appender, appending) = Appender::start(store.clone(), cache.hints().clone());
    let ready_store = store.clone();
    let ready: ops::Ready = Arc::new(move || {
        let store = ready_store.clone();
        Box::pin(async move { store.ping().await.map_err(|error| error.to_string()) })
    });
    let beside = ops::router(metrics::install(stop.clone())?, ready);
    let parts = ApiParts { store, cache: cache.clone(), caller, vault, appender, admin_token };
    let router = baton_api::router_beside(ApiState::new(parts), beside);
    let cache = tokio::spawn(cache.run(stop.clone()));
    tracing::info!(listen = %cli.listen.listen, "baton-api started");
    ops::serve(listener, router, stop).await?;
    let _ = tokio::join!(appending, cache);
    Ok(())
}
