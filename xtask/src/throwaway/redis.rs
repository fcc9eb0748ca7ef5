//! A Redis of its own.

use std::fs::File;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::{find, ready, still_running, tail};
use crate::children::Running;
use crate::interrupt::Interrupt;
use crate::port;

const PATIENCE: Duration = Duration::from_secs(20);

/// Ends before its directory goes: the order of the fields is the order of dropping.
pub(super) struct Redis {
    server: Running,
    port: u16,
    log: PathBuf,
    _dir: TempDir,
}

impl Redis {
    /// Starts one without persistence and waits until it answers.
    pub(super) fn start(interrupt: &Interrupt) -> Result<Self> {
        let program = find::redis().context("redis-server is missing")?;
        let dir = tempfile::Builder::new().prefix("baton-redis-").tempdir()?;
        let (port, log) = (port::free()?, dir.path().join("redis.log"));
        let mut command = Command::new(program);
        command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--appendonly", "no"]);
        command.arg("--dir").arg(dir.path()).stdout(File::create(&log)?).stderr(File::options().append(true).open(&log)?);
        let server = Running::start("Redis", &mut command, Signal::SIGTERM)?;
        let mut redis = Self { server, port, log, _dir: dir };
        let ready = interrupt.poll(PATIENCE, || {
            redis.check()?;
            Ok(ready::redis(port).then_some(()))
        })?;
        match ready {
            Some(()) => Ok(redis),
            None => bail!("Redis did not answer within {PATIENCE:?}:\n{}", tail(&redis.log)),
        }
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(super) fn check(&mut self) -> Result<()> {
        still_running(&mut self.server, &self.log)
    }
}
