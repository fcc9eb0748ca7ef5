//! `cargo xtask bench`: how fast Baton is, in relation to a bare relay of the same minutes.

use std::process::Command;

use anyhow::Result;

use crate::children::step;
use crate::interrupt::Interrupt;
use crate::throwaway;
use crate::workspace::{built, cargo};

/// What is measured.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Passed on: `--list`, `--only NAME`, `--quick`, `--rounds N`, `--events N`, `--connections N`, `--json FILE`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// Builds the programs as they are released, then measures them. The bench starts what they stand on by itself.
pub(crate) fn run(args: &Args) -> Result<()> {
    let interrupt = Interrupt::listen()?;
    throwaway::install_missing()?;
    step(&interrupt, "cargo build", &mut cargo(&["build", "--release", "--workspace", "--bins"]))?;
    let bench = built().with_file_name("release").join("baton-bench");
    step(&interrupt, "the measurement", Command::new(bench).args(&args.rest))
}
