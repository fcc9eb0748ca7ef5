//! The program itself: built, started without configuration in a folder of its own, ended when dropped.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use nix::sys::signal::Signal;
use serde::de::IgnoredAny;

use super::client::Client;
use super::progress::Lasting;
use crate::children::Running;
use crate::interrupt::{Interrupt, Interrupted};
use crate::port;
use crate::throwaway::{ready, tail};
use crate::workspace::{built, cargo};

const BUILD: Duration = Duration::from_secs(2 * 60 * 60);
const READY: Duration = Duration::from_secs(60);
/// How many ports are tried.
const PORTS_MAX: u32 = 3;

/// Baton under way.
pub(super) struct Baton {
    running: Running,
    port: u16,
    data: PathBuf,
    log: PathBuf,
}

/// Builds the program; what the compiler has to say goes to standard error.
pub(super) fn build(interrupt: &Interrupt) -> Result<()> {
    let progress = Lasting::begin("building Baton; the first build takes a few minutes");
    let mut command = cargo(&["build", "--quiet", "--package", "baton", "--bin", "baton"]);
    let mut building = Running::start("cargo build", &mut command, Signal::SIGINT)?;
    let ended = interrupt.poll(BUILD, || {
        progress.tick();
        building.ended()
    })?;
    drop(progress);
    match ended {
        Some(status) if status.success() => Ok(()),
        Some(status) => bail!("cargo build failed ({status})"),
        None => bail!("cargo build did not end within {BUILD:?}"),
    }
}

impl Baton {
    /// Starts it on a free port with its data in `folder`, and waits until it is ready.
    pub(super) fn start(interrupt: &Interrupt, folder: &Path) -> Result<Self> {
        let mut tries = 1;
        loop {
            let mut baton = Self::launch(folder, port::free()?)?;
            let Err(error) = baton.wait_ready(interrupt) else { return Ok(baton) };
            // Another program can have taken the port since it was looked at.
            let too_late = baton.check().is_err() && !port::is_free(baton.port);
            if tries == PORTS_MAX || !too_late {
                return Err(baton.explain(error));
            }
            tries += 1;
        }
    }

    fn launch(folder: &Path, port: u16) -> Result<Self> {
        let (data, log) = (folder.join("baton-data"), folder.join("baton.log"));
        let mut command = Command::new(built().join("baton"));
        // Whatever this shell has set up for another Baton: the demo must not touch its database.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("BATON_")) {
            command.env_remove(name);
        }
        command.arg("serve").current_dir(folder).env("BATON_LISTEN", format!("127.0.0.1:{port}")).env("BATON_DATA_DIR", &data);
        // What its scripts work in goes with the folder, even when Baton cannot clear it away any more.
        command.env("TMPDIR", folder);
        // The end of its log has to say why, not where.
        command.env("RUST_LIB_BACKTRACE", "0");
        command.stdout(File::create(&log)?).stderr(File::options().append(true).open(&log)?);
        let running = Running::start("baton", &mut command, Signal::SIGTERM)?;
        Ok(Self { running, port, data, log })
    }

    fn wait_ready(&mut self, interrupt: &Interrupt) -> Result<()> {
        let ready = interrupt.poll(READY, || {
            self.check()?;
            Ok((ready::program(self.port) && self.is_own(interrupt)).then_some(()))
        })?;
        ready.with_context(|| format!("baton was not ready within {READY:?}"))
    }

    /// Whether it is this one that answers: no other takes its token.
    fn is_own(&self, interrupt: &Interrupt) -> bool {
        let ask = |token: String| Client::new(&self.url(), &token, interrupt).get::<IgnoredAny>("/v1/services");
        self.token().and_then(ask).is_ok()
    }

    /// An error when it has ended.
    pub(super) fn check(&mut self) -> Result<()> {
        match self.running.ended()? {
            None => Ok(()),
            Some(status) => bail!("baton ended ({status})"),
        }
    }

    /// An error with what Baton has to say about it: whether it is still there, and the end of its log.
    pub(super) fn explain(&mut self, error: anyhow::Error) -> anyhow::Error {
        if error.is::<Interrupted>() {
            return error;
        }
        let error = match self.check() {
            Ok(()) => error,
            Err(ended) if ended.to_string() == error.to_string() => error,
            Err(ended) => error.context(ended),
        };
        match tail(&self.log) {
            log if log.is_empty() => error,
            log => anyhow!("{error:#}\nthe end of Baton's log:\n{log}"),
        }
    }

    /// Where it listens.
    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Where it keeps everything.
    pub(super) fn data(&self) -> &Path {
        &self.data
    }

    /// Where its scripts have to be.
    pub(super) fn script_root(&self) -> PathBuf {
        self.data.join("scripts")
    }

    /// The token that it has made at its start.
    pub(super) fn token(&self) -> Result<String> {
        let path = self.data.join("admin-token");
        let token = fs::read_to_string(&path).with_context(|| format!("no admin token in {}", path.display()))?;
        Ok(token.trim().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;

    fn ended(log: &Path) -> Baton {
        let mut command = Command::new("sh");
        command.args(["-c", "exit 3"]).stdout(Stdio::null());
        let mut running = Running::start("baton", &mut command, Signal::SIGTERM).unwrap();
        running.wait(&Interrupt::listen().unwrap()).unwrap();
        Baton { running, port: 1, data: PathBuf::new(), log: log.to_owned() }
    }

    #[test]
    fn an_error_comes_with_the_end_of_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("baton.log");
        fs::write(&log, "no room\n").unwrap();
        let mut baton = ended(&log);
        let error = baton.explain(anyhow!("no answer"));
        assert_eq!(format!("{error:#}"), "baton ended (exit status: 3): no answer\nthe end of Baton's log:\nno room");
        let error = baton.check().unwrap_err();
        let error = baton.explain(error);
        assert_eq!(format!("{error:#}"), "baton ended (exit status: 3)\nthe end of Baton's log:\nno room");
        assert!(baton.explain(anyhow!(Interrupted)).is::<Interrupted>());
    }
}
