//! The relay as a process.

use anyhow::Result;
use baton_testkit::{Process, Program};

use crate::load::Target;

/// How a relay with several targets posts to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    AtOnce,
    InTurn,
}

/// A running relay.
pub(crate) struct Relay {
    pub process: Process,
    pub target: Target,
}

impl Relay {
    /// Posts to each of these.
    pub(crate) async fn start(targets: Vec<String>, way: Way) -> Result<Self> {
        let program = Program::named("baton-bench").args(["relay"]);
        let program = if way == Way::InTurn { program.args(["--in-turn"]) } else { program };
        let process = program.args(targets).start().await;
        let target = Target::api(process.address(), None);
        Ok(Self { process, target })
    }
}
