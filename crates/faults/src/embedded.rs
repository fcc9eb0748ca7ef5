//! Baton as it runs by default: everything in one process, on SQLite.

use anyhow::Result;
use baton_testkit::{Process, Program};

use crate::api::Api;
use crate::disk::SmallDisk;
use crate::services::TOKEN;

/// `baton serve`.
pub(crate) struct Embedded {
    pub baton: Process,
}

impl Embedded {
    /// In a folder of its own.
    pub(crate) async fn start() -> Self {
        Self { baton: program().start().await }
    }

    /// With its data on this disk.
    pub(crate) async fn start_on(disk: &SmallDisk) -> Self {
        let program = program().through(disk.through()).env("BATON_DATA_DIR", disk.data()).env("BATON_LOG", disk.log_level());
        Self { baton: program.start().await }
    }

    pub(crate) fn api(&self) -> Result<Api> {
        Api::new(vec![self.baton.url("")], TOKEN)
    }

    /// Every process with its name.
    pub(crate) fn processes(&mut self) -> Vec<(String, &mut Process)> {
        vec![("baton".to_owned(), &mut self.baton)]
    }
}

fn program() -> Program {
    Program::named("baton").args(["serve"]).env("BATON_ADMIN_TOKEN", TOKEN)
}
