//! Developer commands: one module per command, the same on a laptop and in CI.

mod bench;
mod children;
mod ci;
mod demo;
mod deny;
mod faults;
mod interrupt;
mod openapi;
mod port;
mod screenshots;
mod services;
mod test;
mod throwaway;
mod tidy;
mod up;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::interrupt::Interrupted;

const EXIT_INTERRUPTED: u8 = 130;

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "Developer commands of Baton", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show Baton at work: sample events through real handlers, in the order of their priorities.
    Demo(demo::Args),
    /// Run every test of the workspace against throw-away PostgreSQL and Redis.
    Test(test::Args),
    /// Measure deliveries a second in relation to a bare relay.
    Bench(bench::Args),
    /// Put Baton through faults under load and account for every event.
    Faults(faults::Args),
    /// Everything that must hold before a change goes in: format, tidy, what it is made of, clippy, docs, tests.
    Ci,
    /// Check what holds the project together: who may use what, sizes, links.
    Tidy,
    /// Check what the workspace is made of: licences, sources, second versions of crates, known vulnerabilities.
    Deny,
    /// Start throw-away PostgreSQL and Redis, print where they are, run until Ctrl-C.
    Services,
    /// Start Baton as services on throw-away PostgreSQL and Redis, run until Ctrl-C.
    Up(up::Args),
    /// Write openapi/openapi.json from the routes of the API.
    Openapi(openapi::Args),
    /// Take pictures of every screen of the console into docs/images.
    Screenshots,
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Demo(args) => demo::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Faults(args) => faults::run(&args),
        Command::Ci => ci::run(),
        Command::Tidy => tidy::run(),
        Command::Deny => deny::run(),
        Command::Services => services::run(),
        Command::Up(args) => up::run(&args),
        Command::Openapi(args) => openapi::run(&args),
        Command::Screenshots => screenshots::run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<Interrupted>() => ExitCode::from(EXIT_INTERRUPTED),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
