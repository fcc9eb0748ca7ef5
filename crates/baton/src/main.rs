//! `baton`: API, dispatcher and Cache Manager in one process, embedded by default.

mod audit;
mod data_dir;
mod migrate;
mod rekey;
mod serve;

use std::process::ExitCode;

use baton_handler_cache::InstallationArgs;
use baton_runtime::ops;
use baton_runtime::settings::{Age, CallsArgs, CleanArgs, ListenArgs, LogArgs, NameArgs, TargetArgs};
use clap::{Args, Parser, Subcommand};

use crate::data_dir::DataDirArgs;

/// The provisioning system of a billing platform: calls the configured handlers of published events, in order. Settings are flags or
/// environment variables of the same name.
#[derive(Debug, Parser)]
#[command(name = "baton", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs everything in one process: without settings on SQLite in ./baton-data.
    Serve(Box<ServeArgs>),
    /// Applies the migrations of the database.
    Migrate(MigrateArgs),
    /// Checks that nothing is lost: prints the balance, and exits with 1 when it does not hold or something has waited for too long, with 2
    /// when it cannot be checked.
    Audit(AuditArgs),
    /// Seals every secret anew with BATON_SECRET_KEY, opening what was sealed with one of BATON_SECRET_KEYS_BEFORE. The embedded default
    /// makes a new key itself.
    Rekey(RekeyArgs),
    /// Asks a program that runs at BATON_LISTEN whether it is ready.
    Healthcheck(ListenArgs),
}

#[derive(Debug, Args)]
struct ServeArgs {
    #[command(flatten)]
    listen: ListenArgs,
    #[command(flatten)]
    name: NameArgs,
    #[command(flatten)]
    data_dir: DataDirArgs,
    #[command(flatten)]
    installation: InstallationArgs,
    #[command(flatten)]
    admin: baton_runtime::settings::AdminArgs,
    #[command(flatten)]
    calls: CallsArgs,
    #[command(flatten)]
    targets: TargetArgs,
    #[command(flatten)]
    backlog: baton_runtime::settings::BacklogArgs,
    #[command(flatten)]
    cleaning: CleanArgs,
    #[command(flatten)]
    log: LogArgs,
}

#[derive(Debug, Args)]
struct MigrateArgs {
    #[command(flatten)]
    data_dir: DataDirArgs,
    #[command(flatten)]
    database: baton_runtime::settings::DatabaseArgs,
    #[command(flatten)]
    log: LogArgs,
}

#[derive(Debug, Args)]
struct RekeyArgs {
    #[command(flatten)]
    data_dir: DataDirArgs,
    #[command(flatten)]
    database: baton_runtime::settings::DatabaseArgs,
    #[command(flatten)]
    secret_key: baton_runtime::settings::SecretKeyArgs,
    #[command(flatten)]
    log: LogArgs,
}

#[derive(Debug, Args)]
struct AuditArgs {
    #[command(flatten)]
    data_dir: DataDirArgs,
    #[command(flatten)]
    database: baton_runtime::settings::DatabaseArgs,
    /// How long an event may be pending, such as 15m. Without it, any time.
    #[arg(long, value_name = "AGE")]
    max_age: Option<Age>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

fn main() -> anyhow::Result<ExitCode> {
    baton_dispatcher::call::supervise_if_asked();
    run()
}

#[tokio::main]
async fn run() -> anyhow::Result<ExitCode> {
    match Cli::parse().command {
        Command::Serve(args) => serve::serve(*args).await?,
        Command::Migrate(args) => migrate::migrate(args).await?,
        Command::Rekey(args) => rekey::rekey(args).await?,
        Command::Audit(args) => return Ok(audit::audit(&args).await),
        Command::Healthcheck(args) => ops::check_ready(args.listen).await?,
    }
    Ok(ExitCode::SUCCESS)
}
