//! `cargo xtask faults`: Baton under load and under every fault that an operator will meet, and an account of every event.

use std::process::Command;

use anyhow::Result;

use crate::children::step;
use crate::interrupt::Interrupt;
use crate::throwaway;
use crate::workspace::{built, cargo};

/// How the suite is run.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Uses programs without optimisation, which are built sooner.
    #[arg(long)]
    debug: bool,
    /// Passed on to the suite: `--list`, `--only NAME`, `--short`, `--rate N`, `--json FILE`, `--keep-logs`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// Builds the programs and the suite, then runs it. It starts the PostgreSQL and the Redis that it does things to by itself.
pub(crate) fn run(args: &Args) -> Result<()> {
    let interrupt = Interrupt::listen()?;
    throwaway::install_missing()?;
    let mut build = cargo(&["build", "--workspace", "--bins"]);
    let profile = if args.debug { "debug" } else { "release" };
    if !args.debug {
        build.arg("--release");
    }
    step(&interrupt, "cargo build", &mut build)?;
    let suite = built().with_file_name(profile).join("baton-faults");
    step(&interrupt, "the fault suite", Command::new(suite).args(&args.rest))
}
