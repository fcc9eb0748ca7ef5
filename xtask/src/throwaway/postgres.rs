//! A PostgreSQL of its own.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use nix::unistd::{Uid, User};
use tempfile::TempDir;

use super::{find, ready, still_running, tail};
use crate::children::Running;
use crate::interrupt::Interrupt;
use crate::port;

const PATIENCE: Duration = Duration::from_secs(60);
/// The superuser of the cluster.
const USER: &str = "baton";
const LOCALE: &str = if cfg!(target_os = "macos") { "en_US.UTF-8" } else { "C.UTF-8" };

/// Fast rather than safe: the data does not outlive the run. Commits still wait for their turn, so that tests meet the same order of
/// events as in production.
const SETTINGS: [&str; 6] = [
    "listen_addresses=127.0.0.1",
    "fsync=off",
    "full_page_writes=off",
    "synchronous_commit=on",
    "max_connections=300",
    "shared_buffers=64MB",
];

/// Ends before its directory goes: the order of the fields is the order of dropping.
pub(super) struct Postgres {
    server: Running,
    port: u16,
    log: PathBuf,
    _dir: TempDir,
}

impl Postgres {
    /// Makes a cluster, starts it and waits until it lets its user in.
    pub(super) fn start(interrupt: &Interrupt) -> Result<Self> {
        let programs = find::postgres().context("the programs of PostgreSQL are missing")?;
        let owner = owner()?;
        let dir = directory(owner.as_ref())?;
        let data = dir.path().join("data");
        make_cluster(interrupt, &programs, dir.path(), owner.as_ref())?;
        let (port, log) = (port::free()?, dir.path().join("postgres.log"));
        let mut command = command(&programs, "postgres", dir.path(), owner.as_ref());
        command.arg("-D").arg(data).args(["-p", &port.to_string()]);
        command.arg("-c").arg(format!("unix_socket_directories={}", dir.path().display()));
        command.args(SETTINGS.iter().flat_map(|setting| ["-c", setting]));
        command.stdout(File::create(&log)?).stderr(File::options().append(true).open(&log)?);
        // SIGQUIT: at once, without writing anything down.
        let server = Running::start("PostgreSQL", &mut command, Signal::SIGQUIT)?;
        let mut postgres = Self { server, port, log, _dir: dir };
        let ready = interrupt.poll(PATIENCE, || {
            postgres.check()?;
            Ok(ready::postgres(port, USER).then_some(()))
        })?;
        match ready {
            Some(()) => Ok(postgres),
            None => bail!("PostgreSQL did not answer within {PATIENCE:?}:\n{}", tail(&postgres.log)),
        }
    }

    pub(super) fn url(&self) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/postgres", self.port)
    }

    pub(super) fn check(&mut self) -> Result<()> {
        still_running(&mut self.server, &self.log)
    }
}

/// Whom to run it as: PostgreSQL refuses to run as root.
fn owner() -> Result<Option<User>> {
    if !Uid::effective().is_root() {
        return Ok(None);
    }
    for name in ["postgres", "nobody"] {
        if let Some(user) = User::from_name(name)? {
            return Ok(Some(user));
        }
    }
    bail!("PostgreSQL refuses to run as root, and there is no user postgres or nobody to run it as")
}

/// A directory that the owner can enter and write in.
fn directory(owner: Option<&User>) -> Result<TempDir> {
    let dir = tempfile::Builder::new().prefix("baton-postgres-").tempdir()?;
    fs::set_permissions(dir.path(), Permissions::from_mode(0o700))?;
    if let Some(owner) = owner {
        chown(dir.path(), Some(owner.uid.as_raw()), Some(owner.gid.as_raw()))?;
    }
    Ok(dir)
}

fn make_cluster(interrupt: &Interrupt, programs: &Path, dir: &Path, owner: Option<&User>) -> Result<()> {
    let log = dir.join("initdb.log");
    let mut command = command(programs, "initdb", dir, owner);
    command.arg("-D").arg(dir.join("data")).args(["-U", USER, "-A", "trust", "-E", "UTF8", "--no-sync"]);
    command.arg(format!("--locale={LOCALE}")).stdout(File::create(&log)?).stderr(File::options().append(true).open(&log)?);
    let status = Running::start("initdb", &mut command, Signal::SIGTERM)?.wait(interrupt)?;
    if !status.success() {
        bail!("initdb failed ({status}):\n{}", tail(&log));
    }
    Ok(())
}

/// A program of PostgreSQL, run as the owner, in a directory that it can read, and with none of the settings of other installations.
fn command(programs: &Path, name: &str, dir: &Path, owner: Option<&User>) -> Command {
    let mut command = Command::new(programs.join(name));
    command.current_dir(dir).env("LC_ALL", "C");
    for (variable, _) in std::env::vars_os() {
        if variable.to_string_lossy().starts_with("PG") {
            command.env_remove(variable);
        }
    }
    if let Some(owner) = owner {
        command.uid(owner.uid.as_raw()).gid(owner.gid.as_raw());
    }
    command
}
