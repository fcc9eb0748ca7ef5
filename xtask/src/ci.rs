//! `cargo xtask ci`: all that must hold before a change goes in.

use std::process::Command;

use anyhow::Result;

use crate::children::step;
use crate::deny::{Advisories, deny};
use crate::interrupt::Interrupt;
use crate::workspace::cargo;
use crate::{test, tidy};

/// Runs the steps in the order of their cost and ends with the first that fails.
pub(crate) fn run() -> Result<()> {
    let interrupt = Interrupt::listen()?;
    run_step(&interrupt, "format", &mut cargo(&["fmt", "--all", "--check"]))?;
    say("tidy");
    tidy::run()?;
    say("what it is made of");
    let advisories = deny(&interrupt)?;
    let clippy = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
    run_step(&interrupt, "clippy", &mut cargo(&clippy))?;
    let docs = ["doc", "--workspace", "--no-deps", "--locked"];
    run_step(&interrupt, "docs", cargo(&docs).env("RUSTDOCFLAGS", "-D warnings"))?;
    say("tests");
    test::test(&interrupt, &[])?;
    match advisories {
        Advisories::Checked => eprintln!("==> all green"),
        Advisories::NotChecked => eprintln!("==> all green, but KNOWN VULNERABILITIES WERE NOT CHECKED: see above"),
    }
    Ok(())
}

fn run_step(interrupt: &Interrupt, name: &str, command: &mut Command) -> Result<()> {
    say(name);
    step(interrupt, name, command)
}

fn say(name: &str) {
    eprintln!("==> {name}");
}
