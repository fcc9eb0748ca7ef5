//! The embedded default.

use std::fs;
use std::path::PathBuf;

use baton_testkit::{Process, Program};

use super::Api;

/// `baton serve` in a folder of its own, without any setting but where it listens.
pub(crate) struct Embedded {
    pub api: Api,
    pub process: Process,
}

impl Embedded {
    /// Starts it for the first time.
    pub(crate) async fn start() -> Self {
        Self::of(Program::named("baton").args(["serve"])).await
    }

    /// Starts it with settings of its own; the folder is where it is by default.
    pub(crate) async fn of(program: Program) -> Self {
        let process = program.start().await;
        let token = fs::read_to_string(process.dir().join("baton-data/admin-token")).unwrap();
        let api = Api::new(process.url(""), token.trim());
        api.first_generation().await;
        Self { api, process }
    }

    /// Its folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.process.dir().join("baton-data")
    }
}
