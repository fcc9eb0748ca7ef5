//! Baton as it runs by default: everything in one process, on SQLite.

use std::path::Path;

use anyhow::Result;
use baton_testkit::{Process, Program};

use crate::api::Api;
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

    /// With its data in this folder, started through another program where words are given.
    pub(crate) async fn start_in(folder: &Path, through: &[&str]) -> Self {
        Self { baton: program().through(through).env("BATON_DATA_DIR", folder).start().await }
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
