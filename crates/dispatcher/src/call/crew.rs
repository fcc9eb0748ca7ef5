//! The supervisors of scripts, as Baton has them: as many as scripts run at once, started when they are needed and kept.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use baton_runtime::allocator::FRUGAL;
use tokio::io::BufReader;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout, timeout_at};

use super::confinement::SupervisorProgram;
use super::supervisor::{ASKED, tree};
use super::wire::{self, Obstacle, Report, Rules, Run, Told};
use super::{blocking, script_folder};

/// How many supervisors without work are kept; each costs some megabytes.
const IDLE_KEPT: usize = 32;
/// How long after its script's time a supervisor may take for its report. One that takes longer is stopped or stuck itself.
const REPORT_WAIT: Duration = Duration::from_secs(10);
/// How long a call waits for its working directory to be removed. What takes longer goes on beside.
const CLEAR_WAIT: Duration = Duration::from_secs(5);
/// How long a supervisor may take that was killed.
const KILL_WAIT: Duration = Duration::from_secs(2);

/// All supervisors of this process.
pub(super) struct Crew {
    program: SupervisorProgram,
    rules: Rules,
    idle: Mutex<Vec<Member>>,
}

/// A supervisor. It ends all that it runs, and itself, when this is dropped.
struct Member {
    socket: BufReader<UnixStream>,
    process: Child,
    id: u32,
}

/// Why there is no report of a script.
#[derive(Debug)]
pub(super) enum NoReport {
    /// It does not run.
    NotStarted(Obstacle),
    /// No supervisor could be started.
    NoSupervisor(io::Error),
    /// The supervisor was lost on the way: what has become of the script is not known, but that it is gone.
    Lost,
}

impl Crew {
    pub(super) fn new(program: SupervisorProgram, rules: Rules) -> Self {
        Self { program, rules, idle: Mutex::default() }
    }

    /// Runs a script and waits for its end. When this is dropped half-way, it is killed.
    pub(super) async fn run(self: &Arc<Self>, run: &Run, input: &[u8]) -> Result<Report, NoReport> {
        let guard = Instant::now() + run.limit + REPORT_WAIT;
        let mut member = match self.idle() {
            Some(member) => member,
            None => timeout_at(guard, self.start()).await.unwrap_or_else(late).map_err(NoReport::NoSupervisor)?,
        };
        let mut group = None;
        match timeout_at(guard, member.ask(run, input, &mut group)).await {
            Ok(Ok(Ok(report))) => {
                self.clear(member, &report).await;
                Ok(report)
            }
            Ok(Ok(Err(obstacle))) => {
                self.keep(member);
                Err(NoReport::NotStarted(obstacle))
            }
            Ok(Err(_)) | Err(_) => {
                self.lose(member, group).await;
                Err(NoReport::Lost)
            }
        }
    }

    /// One that has nothing to do, and was not killed meanwhile.
    fn idle(&self) -> Option<Member> {
        let mut idle = self.idle.lock().ok()?;
        while let Some(mut member) = idle.pop() {
            if matches!(member.process.try_wait(), Ok(None)) {
                return Some(member);
            }
        }
        None
    }

    fn keep(&self, member: Member) {
        if let Ok(mut idle) = self.idle.lock()
            && idle.len() < IDLE_KEPT
        {
            idle.push(member);
        }
    }

    async fn start(&self) -> io::Result<Member> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let mut command = Command::new(&self.program.path);
        command.args(&self.program.args).env_clear().env(ASKED, "1").env(FRUGAL.0, FRUGAL.1);
        // In Baton's directory, since the script root may be named from there. It says what went wrong where Baton does.
        command.stdin(OwnedFd::from(theirs)).stdout(Stdio::null());
        let process = command.spawn()?;
        drop(command);
        let id = process.id().ok_or(io::ErrorKind::NotFound)?;
        let mut socket = BufReader::new(UnixStream::from_std(ours)?);
        wire::send(&mut socket, &self.rules, &[]).await?;
        Ok(Member { socket, process, id })
    }

    /// Waits until the working directory is gone, and keeps the supervisor for the next script.
    async fn clear(self: &Arc<Self>, mut member: Member, report: &Report) {
        if report.left {
            tracing::warn!("a script has left processes that could not be ended");
            return;
        }
        if report.cleared {
            self.keep(member);
            return;
        }
        match timeout(CLEAR_WAIT, wire::receive::<Told>(&mut member.socket)).await {
            Ok(Ok(_)) => self.keep(member),
            Ok(Err(error)) => tracing::warn!(%error, "a supervisor of scripts ended while it removed a working directory"),
            Err(_) => {
                let crew = Arc::clone(self);
                tokio::spawn(async move {
                    if wire::receive::<Told>(&mut member.socket).await.is_ok() {
                        crew.keep(member);
                    }
                });
            }
        }
    }

    /// Ends a supervisor that does not answer, and does what it should have done.
    async fn lose(&self, mut member: Member, group: Option<i32>) {
        let _ = member.process.start_kill();
        let status = timeout(KILL_WAIT, member.process.wait()).await;
        tracing::warn!(?status, "a supervisor of scripts was lost; what it watched over is ended without it");
        let directory = script_folder::of_supervisor(Path::new(&self.rules.folder), member.id);
        let cleared = blocking(move || {
            tree::mop_up(group, &directory);
            script_folder::remove(&directory)
        });
        if let Ok(Err(error)) = cleared.await {
            tracing::warn!(%error, "the working directory of a script could not be removed");
        }
    }
}

impl Member {
    /// Asks for a run. `group` is set as soon as there is one.
    async fn ask(&mut self, run: &Run, input: &[u8], group: &mut Option<i32>) -> io::Result<Result<Report, Obstacle>> {
        wire::send(&mut self.socket, run, input).await?;
        loop {
            match wire::receive::<Told>(&mut self.socket).await?.0 {
                Told::Started(leader) => *group = Some(leader),
                Told::NotStarted(obstacle) => return Ok(Err(obstacle)),
                Told::Ended(report) => return Ok(Ok(report)),
                Told::Cleared => {}
            }
        }
    }
}

fn late<T>(_: tokio::time::error::Elapsed) -> io::Result<T> {
    Err(io::ErrorKind::TimedOut.into())
}
