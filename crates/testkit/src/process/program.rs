//! A program and how it is to be started.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::Process;
use crate::deadline::eventually;
use crate::port::free_port;

/// A program of the workspace with its settings.
///
/// It gets `BATON_LISTEN` with a free port of 127.0.0.1, a directory of its own to run in, and of the surrounding `BATON_*` variables
/// none: a test does not depend on the shell that it is run from.
#[derive(Debug)]
pub struct Program {
    name: String,
    path: PathBuf,
    args: Vec<OsString>,
    variables: Vec<(String, OsString)>,
    through: Vec<OsString>,
    port: u16,
    own: TempDir,
    dir: PathBuf,
}

/// A program that has ended.
#[derive(Debug)]
pub struct Finished {
    /// How.
    pub status: ExitStatus,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Program {
    /// A program that the workspace builds, such as `baton-dispatcher`.
    ///
    /// # Panics
    /// When it has not been built.
    pub fn named(name: &str) -> Self {
        let path = built(name);
        let own = tempfile::Builder::new().prefix("baton-process-").tempdir().expect("a temporary directory");
        let dir = own.path().join("work");
        fs::create_dir(&dir).expect("a directory to run in");
        Self {
            name: name.to_owned(),
            path,
            args: Vec::new(),
            variables: Vec::new(),
            through: Vec::new(),
            port: free_port(),
            own,
            dir,
        }
    }

    /// With these arguments after those it has.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// With this environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// Started by another program, which gets this one and its arguments behind its own arguments and has to become it (exec).
    #[must_use]
    pub fn through<A: Into<OsString>>(mut self, words: impl IntoIterator<Item = A>) -> Self {
        self.through.extend(words.into_iter().map(Into::into));
        self
    }

    /// Runs in this directory instead of one of its own.
    #[must_use]
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = dir.into();
        self
    }

    /// Starts it and waits until `/readyz` answers 200, at most 30 seconds.
    ///
    /// # Panics
    /// When it does not become ready; with what it wrote.
    pub async fn start(self) -> Process {
        Process::start(self).await
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// When it is still there after `deadline`.
    pub async fn run(self, deadline: Duration) -> Finished {
        let (out, err) = (self.own.path().join("stdout"), self.own.path().join("stderr"));
        let mut command = self.command();
        command.stdout(File::create(&out).expect("a file for the output"));
        command.stderr(File::create(&err).expect("a file for the output"));
        let mut child = Ending(command.spawn().unwrap_or_else(|e| panic!("cannot start {}: {e}", self.path.display())));
        let what = format!("{} {:?} to end", self.name, self.args);
        let status = eventually(deadline, &what, async || child.0.try_wait().expect("the state of a child")).await;
        let text = |path| String::from_utf8_lossy(&fs::read(path).expect("the output")).into_owned();
        Finished { status, stdout: text(&out), stderr: text(&err) }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    pub(super) fn working_dir(&self) -> &Path {
        &self.dir
    }

    /// The file that gets both outputs.
    pub(super) fn log(&self) -> PathBuf {
        self.own.path().join("output")
    }

    pub(super) fn spawn(&self) -> Child {
        let log = OpenOptions::new().create(true).append(true).open(self.log()).expect("a file for the output");
        let mut command = self.command();
        command.stdout(log.try_clone().expect("a second handle of the file")).stderr(log);
        command.spawn().unwrap_or_else(|e| panic!("cannot start {}: {e}", self.path.display()))
    }

    fn command(&self) -> Command {
        let path = self.path.as_os_str();
        let mut words = self.through.iter().map(OsString::as_os_str).chain([path]);
        let mut command = Command::new(words.next().unwrap_or(path));
        command.args(words);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("BATON_") {
                command.env_remove(name);
            }
        }
        command.env("BATON_LISTEN", self.address().to_string());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.args(&self.args).current_dir(&self.dir).stdin(Stdio::null());
        command
    }
}

/// A child that does not outlive a panic.
struct Ending(Child);

impl Drop for Ending {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Programs are built side by side, test programs into a directory below.
fn built(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("the path of this program");
    let dir = own.parent().expect("the directory of this program");
    let dir = if dir.ends_with("deps") { dir.parent().expect("target/<profile>") } else { dir };
    let path = dir.join(name);
    assert!(path.is_file(), "{} is missing: run `cargo build --workspace --bins` first; `cargo xtask test` does", path.display());
    path
}
