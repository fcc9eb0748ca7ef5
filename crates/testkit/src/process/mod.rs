//! Programs of the workspace as processes of their own.

mod program;
mod ready;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::deadline::poll;

pub use self::program::{Finished, Program};

const TAIL_BYTES: usize = 8 * 1024;
const READY: Duration = Duration::from_secs(30);

/// A running program; killed when dropped.
#[derive(Debug)]
pub struct Process {
    program: Program,
    child: Child,
}

impl Process {
    pub(crate) async fn start(program: Program) -> Self {
        let child = program.spawn();
        let mut process = Self { program, child };
        process.wait_ready().await;
        process
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.program.address()
    }

    /// The URL of a path, which begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }

    /// The directory that it runs in, its own unless another was given.
    pub fn dir(&self) -> &Path {
        self.program.working_dir()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has written to standard output and standard error so far, restarts included.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.program.log()).unwrap_or_default()).into_owned()
    }

    /// How it ended, when it has.
    ///
    /// # Panics
    /// When the system does not know the process.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the state of a child")
    }

    /// Ends it as a power cut would, and waits until it is gone.
    pub fn kill9(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    ///
    /// # Panics
    /// When it is still there after `deadline`.
    pub async fn terminate(&mut self, deadline: Duration) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.wait(deadline).await
    }

    /// Waits until it has ended by itself.
    ///
    /// # Panics
    /// When it is still there after `deadline`.
    pub async fn wait(&mut self, deadline: Duration) -> ExitStatus {
        match poll(deadline, async || self.exited()).await {
            Some(status) => status,
            None => self.fail(&format!("was still there after {deadline:?}")),
        }
    }

    /// Stalls it (SIGSTOP) until [`Self::cont`].
    pub fn stop(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets a stalled process go on.
    pub fn cont(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// Starts it again, with the same settings, port and directory, and waits until it is ready; ends it at once when it still runs.
    ///
    /// # Panics
    /// When it does not become ready.
    pub async fn restart(&mut self) {
        self.kill9();
        self.child = self.program.spawn();
        self.wait_ready().await;
    }

    /// Waits until `/readyz` answers 200, at most 30 seconds.
    ///
    /// # Panics
    /// When it does not, or when the program ends.
    pub async fn wait_ready(&mut self) {
        let address = self.address();
        let end = poll(READY, async || match self.exited() {
            Some(status) => Some(Err(status)),
            None => ready::is_ready(address).await.then_some(Ok(())),
        });
        match end.await {
            Some(Ok(())) => {}
            Some(Err(status)) => self.fail(&format!("ended with {status} before it was ready")),
            None => self.fail(&format!("was not ready after {READY:?}")),
        }
    }

    fn fail(&self, what: &str) -> ! {
        panic!("{} {what}; it wrote:\n{}", self.program.name(), self.tail())
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).expect("a process id");
        let _ = kill(Pid::from_raw(pid), signal);
    }

    fn tail(&self) -> String {
        let output = self.output();
        let mut start = output.len().saturating_sub(TAIL_BYTES);
        while !output.is_char_boundary(start) {
            start += 1;
        }
        output[start..].to_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill9();
        if std::thread::panicking() {
            eprintln!("--- {} (process {}) wrote:\n{}---", self.program.name(), self.pid(), self.tail());
        }
    }
}
