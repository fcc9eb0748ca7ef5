//! `baton-api`: the REST API and the console as a service, on PostgreSQL and Redis.

use baton_api::{ApiParts, Appender, JobWorker};
use baton_dispatcher::call::{Caller, CallerSettings};
use baton_handler_cache::{Installation, InstallationArgs};
use baton_runtime::settings::{AdminArgs, BacklogArgs, CleanEveryArgs, ListenArgs, LogArgs, TargetArgs, required};
use baton_runtime::{ops, serving, shutdown, telemetry};
use clap::{Parser, Subcommand};

/// The REST API and the web console: publishes events, configures handlers, shows what became of them. Settings are flags or environment variables of the
/// same name.
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
    backlog: BacklogArgs,
    #[command(flatten)]
    cleaning: CleanEveryArgs,
    #[command(flatten)]
    log: LogArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Prints the OpenAPI document. Needs no settings.
    Openapi,
    /// Asks an API that runs at BATON_LISTEN whether it is ready.
    Healthcheck,
}

fn main() -> anyhow::Result<()> {
    baton_dispatcher::call::supervise_if_asked();
    run()
}

#[tokio::main]
async fn run() -> anyhow::Result<()> {
    let cli = Cli::parse();
    match cli.command {
        Some(Command::Openapi) => {
            print!("{}", baton_api::openapi_json());
            Ok(())
        }
        Some(Command::Healthcheck) => ops::check_ready(cli.listen.listen).await,
        None => serve(cli).await,
    }
}

async fn serve(cli: Cli) -> anyhow::Result<()> {
    telemetry::init(&cli.log)?;
    let stop = shutdown::on_signals()?;
    let admin_token =
        required(cli.admin.admin_token, "BATON_ADMIN_TOKEN", "it is what clients of the API prove themselves with")?;
    let caller = Caller::new(CallerSettings::of(cli.targets, cli.listen.listen))?;
    let Installation { store, cache, vault } = cli.installation.open(&stop).await?;
    let listener = ops::bind(cli.listen.listen).await?;
    let counting = store.clone();
    let (appender, appending) = Appender::start(store.clone(), cache.hints().clone());
    let jobs = tokio::spawn(JobWorker::new(store.clone(), cache.hints().clone()).run(stop.clone()));
    let admin_token = admin_token.expose().to_owned();
    let backlog_max = cli.backlog.backlog_max;
    let cleaner_schedule = baton_cleaner::schedule(cli.cleaning.clean_every);
    let parts = ApiParts { store, cache: cache.clone(), caller, vault, appender, backlog_max, admin_token, cleaner_schedule };
    let router = baton_programs::front(parts, stop.clone())?;
    tracing::info!(listen = %cli.listen.listen, "baton-api started");
    let cache = tokio::spawn(cache.run(stop.clone()));
    let counted = tokio::spawn(counting.clone().keep_writing_counts(stop.clone()));
    // Every request holds an appender: the queue is empty and its task over once the last of them is answered.
    serving::serve(listener, router, stop).await;
    let _ = tokio::join!(appending, jobs, cache, counted);
    counting.write_counts_or_say().await;
    Ok(())
}
