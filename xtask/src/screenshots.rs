//! `cargo xtask screenshots`: pictures of every screen of the console, light and dark, wide and narrow.

use std::fs;

use anyhow::{Context, Result};

use crate::children::step;
use crate::interrupt::Interrupt;
use crate::throwaway::Services;
use crate::workspace::{cargo, root};

/// Where all of them go.
const ALL: &str = "target/screenshots";
/// Where those go that README and docs show.
const SHOWN: &str = "docs/images";
/// Which these are.
const OF_THE_DOCS: [&str; 8] = [
    "overview-light-wide",
    "provisioning-light-wide",
    "provisioning-dark-wide",
    "handler-light-wide",
    "execution-logs-light-wide",
    "event-light-wide",
    "event-dark-narrow",
    "task-scheduler-light-wide",
];
/// The test that goes through all screens, and keeps what it sees where this variable says.
const TEST: &str = "console::screens";
const KEEP_IN: &str = "BATON_SCREENSHOTS";

/// Runs the test that looks at every screen, and keeps its pictures.
pub(crate) fn run() -> Result<()> {
    let interrupt = Interrupt::listen()?;
    let (all, shown) = (root().join(ALL), root().join(SHOWN));
    for folder in [&all, &shown] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let services = Services::for_tests(&interrupt)?;
    step(&interrupt, "cargo build", &mut cargo(&["build", "--package", "baton", "--bins"]))?;
    let mut test = cargo(&["test", "--package", "baton", "--test", "it", "--", TEST]);
    step(&interrupt, "cargo test", test.envs(services.variables()).env(KEEP_IN, &all))?;
    for name in OF_THE_DOCS {
        let file = format!("{name}.png");
        fs::copy(all.join(&file), shown.join(&file)).with_context(|| format!("{ALL}/{file} was not made"))?;
    }
    eprintln!("wrote the pictures of every screen into {ALL}, and those of the docs into {SHOWN}");
    Ok(())
}
