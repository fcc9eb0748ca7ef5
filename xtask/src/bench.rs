//! `cargo xtask bench`: how many deliveries Baton makes, in relation to a bare relay of the same run.

use std::process::Command;

use anyhow::Result;

use crate::children::step;
use crate::interrupt::Interrupt;
use crate::throwaway::Services;
use crate::workspace::{built, cargo};

/// What is measured.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Measures only the embedded default.
    #[arg(long)]
    sqlite_only: bool,
    /// Passed on: `--events N`, `--connections N`, `--handlers N`, `--rounds N`, `--json FILE`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// Builds the programs as they are released, then measures them on services of their own.
pub(crate) fn run(args: &Args) -> Result<()> {
    let interrupt = Interrupt::listen()?;
    step(&interrupt, "cargo build", &mut cargo(&["build", "--release", "--workspace", "--bins"]))?;
    let mut bench = Command::new(built().with_file_name("release").join("baton-bench"));
    bench.args(&args.rest);
    let services = if args.sqlite_only { None } else { Some(Services::durable(&interrupt)?) };
    if let Some(services) = &services {
        bench.args(["--postgres-url", &services.postgres_url(), "--redis-url", &services.redis_url()]);
    }
    step(&interrupt, "the measurement", &mut bench)
}
