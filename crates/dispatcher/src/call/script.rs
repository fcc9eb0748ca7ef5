//! Script handlers: one run, confined.
//!
//! A script is executed directly, without a shell, with the arguments as configured and the event's JSON on standard input. Its
//! environment holds `BATON_EVENT_ID`, `BATON_EVENTS_ID`, `BATON_OBJECT_ID`, `BATON_ATTEMPT`, `BATON_HANDLER` and `BATON_GENERATION`,
//! beside a plain `PATH` and `LANG`, without which `#!/usr/bin/env python3` would not find its interpreter or read UTF-8, and nothing
//! else. Its working directory is new, empty and its own, and is removed afterwards. It runs in a process group of its own, of which
//! nothing is left when the call ends.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use baton_domain::{Outcome, Response, Verdict};
use nix::sys::signal::Signal;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout_at};

use super::process::{self, Ended, Group, How};
use super::script_file::{self, FileProblem};
use super::target::ScriptTarget;
use super::{Call, End, Started};

/// The exit code that says "do not try again" (`EX_DATAERR` of sysexits.h).
const EXIT_FOR_GOOD: i32 = 65;
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";
const LANG: &str = "C.UTF-8";
/// How often and how long to wait for a file that is just being written, or that a process which is just being started holds open.
const BUSY_TRIES: usize = 20;
const BUSY_WAIT: Duration = Duration::from_millis(10);
/// How often to try to remove a working directory in which a killed process may just have made a last file.
const REMOVE_TRIES: usize = 3;

/// Runs the scripts of all script handlers.
pub(super) struct ScriptRunner {
    root: Option<PathBuf>,
    slots: Semaphore,
}

/// What a run needs: the file, and a directory of its own.
struct Place {
    file: PathBuf,
    directory: TempDir,
}

impl ScriptRunner {
    pub(super) fn new(root: Option<PathBuf>, at_once: usize) -> Self {
        Self { root, slots: Semaphore::new(at_once.clamp(1, Semaphore::MAX_PERMITS)) }
    }

    /// Waits for a free place, which is not part of the timeout, then runs the script.
    pub(super) async fn call(&self, target: &ScriptTarget, limit: Duration, call: &Call<'_>) -> Outcome {
        // Never closed, so there is always a slot in the end.
        let _slot = self.slots.acquire().await;
        let started = Started::now();
        let end = match self.run(target, call, started.clock + limit).await {
            Ok(ended) => end(ended, limit),
            Err(NotRun::Late) => End::retry(format!("{} could not be started within {} ms", target.path, limit.as_millis())),
            Err(NotRun::File(problem)) if problem.is_unsafe() => End::failed(problem.to_string()),
            Err(NotRun::File(problem)) => End::retry(problem.to_string()),
            Err(NotRun::Directory(error)) => {
                End::retry(format!("no working directory could be made for {}: {error}", target.path))
            }
        };
        started.outcome(end)
    }

    /// What is wrong with a script as an operator names it.
    pub(super) async fn inspect(&self, path: &str) -> Result<(), String> {
        let (root, path) = (self.root.clone(), path.to_owned());
        let looked = blocking(move || script_file::inspect(root.as_deref(), &path)).await;
        looked.map_err(|e| e.to_string())?.map(drop).map_err(|problem| problem.to_string())
    }

    async fn run(&self, target: &ScriptTarget, call: &Call<'_>, deadline: Instant) -> Result<Ended, NotRun> {
        let (root, path) = (self.root.clone(), target.path.clone());
        let prepared = timeout_at(deadline, blocking(move || prepare(root.as_deref(), &path))).await;
        let place = prepared.map_err(|_| NotRun::Late)?.map_err(NotRun::Directory)??;
        let mut command = command(&place, target, call);
        let mut child = start(&mut command).await.map_err(|error| NotRun::File(FileProblem::of_start(&target.path, error)))?;
        let Some(group) = Group::of(&child) else { return Err(NotRun::Late) };
        let ended = process::attend(&mut child, group, call.body.clone(), deadline).await;
        remove(place.directory).await;
        Ok(ended)
    }
}

/// Why a script did not run.
enum NotRun {
    Late,
    File(FileProblem),
    Directory(std::io::Error),
}

impl From<FileProblem> for NotRun {
    fn from(problem: FileProblem) -> Self {
        Self::File(problem)
    }
}

/// Runs what may block where it does not hold up others.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> std::io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other)
}

fn prepare(root: Option<&Path>, path: &str) -> Result<Place, NotRun> {
    let file = script_file::inspect(root, path)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix("baton-script-").permissions(Permissions::from_mode(0o700));
    Ok(Place { file, directory: builder.tempdir().map_err(NotRun::Directory)? })
}

fn command(place: &Place, target: &ScriptTarget, call: &Call<'_>) -> Command {
    let mut command = Command::new(&place.file);
    command
        .args(&target.args)
        .env_clear()
        .env("PATH", PATH)
        .env("LANG", LANG)
        .env("BATON_EVENT_ID", call.event_id.to_string())
        .env("BATON_EVENTS_ID", call.events_id)
        .env("BATON_OBJECT_ID", call.object_id.text())
        .env("BATON_ATTEMPT", call.attempt.to_string())
        .env("BATON_HANDLER", call.handler_id.to_string())
        .env("BATON_GENERATION", call.generation.to_string())
        .current_dir(place.directory.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    command
}

async fn start(command: &mut Command) -> std::io::Result<Child> {
    for _ in 1..BUSY_TRIES {
        match command.spawn() {
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => sleep(BUSY_WAIT).await,
            started => return started,
        }
    }
    command.spawn()
}

/// What is left of the directory stays, with a word in the log, if the script made files that Baton may not remove.
async fn remove(directory: TempDir) {
    let path = directory.keep();
    let shown = path.clone();
    let removed = blocking(move || {
        let mut removed = std::fs::remove_dir_all(&path);
        for _ in 1..REMOVE_TRIES {
            if removed.is_ok() {
                break;
            }
            std::thread::sleep(BUSY_WAIT);
            removed = std::fs::remove_dir_all(&path);
        }
        removed
    });
    if let Ok(Err(error)) = removed.await {
        tracing::warn!(path = %shown.display(), %error, "the working directory of a script could not be removed");
    }
}

fn end(ended: Ended, limit: Duration) -> End {
    let Ended { how, stdout, stderr } = ended;
    let (verdict, error, exit_code, signal) = match how {
        How::ByItself(status) => {
            let (verdict, error) = judge(status);
            (verdict, error, status.code(), status.signal().map(signal_name))
        }
        How::Killed => {
            let error = format!("the script did not end within {} ms and was killed", limit.as_millis());
            (Verdict::Retry { after: None }, Some(error), None, Some(Signal::SIGKILL.as_str().to_owned()))
        }
        How::Unknown(error) => {
            (Verdict::Retry { after: None }, Some(format!("how the script ended is not known: {error}")), None, None)
        }
    };
    let truncated = stdout.truncated() || stderr.truncated();
    let response = Response::Script { exit_code, signal, stdout: stdout.into_text(), stderr: stderr.into_text(), truncated };
    End { verdict, error, response: Some(response) }
}

fn judge(status: ExitStatus) -> (Verdict, Option<String>) {
    match (status.code(), status.signal()) {
        (Some(0), _) => (Verdict::Succeeded, None),
        (Some(EXIT_FOR_GOOD), _) => {
            (Verdict::Failed, Some(format!("the script ended with exit code {EXIT_FOR_GOOD}, which means: do not try again")))
        }
        (Some(code), _) => (Verdict::Retry { after: None }, Some(format!("the script ended with exit code {code}"))),
        (None, signal) => {
            let name = signal.map_or_else(|| "a signal".into(), signal_name);
            (Verdict::Retry { after: None }, Some(format!("the script was ended by {name}")))
        }
    }
}

fn signal_name(number: i32) -> String {
    Signal::try_from(number).map_or_else(|_| format!("signal {number}"), |signal| signal.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_has_its_verdict() {
        let judged = |raw| judge(ExitStatus::from_raw(raw));
        let retry = Verdict::Retry { after: None };
        assert_eq!(judged(0), (Verdict::Succeeded, None));
        assert_eq!(judged(65 << 8).0, Verdict::Failed);
        for code in (1..256).filter(|code| *code != 65) {
            assert_eq!(judged(code << 8), (retry, Some(format!("the script ended with exit code {code}"))));
        }
        assert_eq!(judged(11), (retry, Some("the script was ended by SIGSEGV".into())));
        assert_eq!(judged(40), (retry, Some("the script was ended by signal 40".into())));
    }
}
