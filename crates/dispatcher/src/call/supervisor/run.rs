//! One run of a script, from its working directory to the last of its processes.

use std::io::{self, ErrorKind};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt, BufReader};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use super::super::process::{self, Ended, How};
use super::super::script_file::{self, FileProblem, Inspected};
use super::super::script_folder;
use super::super::wire::{self, Obstacle, Report, Rules, Run, Told};
use super::places::Places;
use super::{MARK, confine, tree};

type Socket = BufReader<UnixStream>;

/// How often and how long to wait for a file that is just being written, or that a process which is just being started holds open.
const BUSY_TRIES: usize = 20;
const BUSY_WAIT: Duration = Duration::from_millis(10);
/// How long a script runs before Baton is told its number.
const TELL_AFTER: Duration = Duration::from_millis(30);
/// How often to try to remove a working directory.
const REMOVE_TRIES: usize = 3;

/// Runs a script and tells what becomes of it.
///
/// # Errors
/// When Baton is gone. Nothing is left of the script then.
pub(super) async fn run(socket: &mut Socket, rules: &Rules, places: &mut Places, run: &Run, input: &[u8]) -> io::Result<()> {
    let deadline = Instant::now() + run.limit;
    let directory = match places.make() {
        Ok(directory) => directory,
        Err(error) => return tell(socket, &Told::NotStarted(Obstacle::Directory(error.to_string()))).await,
    };
    let directory = directory.as_path();
    let (mut child, leader) = match start(run, rules, directory, deadline).await {
        Ok(started) => started,
        Err(obstacle) => {
            let _ = script_folder::remove(directory);
            return tell(socket, &Told::NotStarted(obstacle)).await;
        }
    };
    let ended = tokio::select! {
        ended = process::attend(&mut child, leader, input, deadline) => Ok(ended),
        error = gone(socket, leader) => Err(error),
    };
    let ended = match ended {
        Ok(ended) => ended,
        Err(error) => {
            let _ = killpg(leader, Signal::SIGKILL);
            tree::end().await;
            let _ = remove(directory).await;
            return Err(error);
        }
    };
    let left = !tree::end().await;
    // Where that takes no time, one message says all.
    let cleared = places.clear_empty(directory);
    tell(socket, &Told::Ended(report(ended, left, cleared))).await?;
    if !cleared {
        if let Err(error) = remove(directory).await {
            eprintln!("{}, the working directory of a script, could not be removed: {error}", directory.display());
        }
        tell(socket, &Told::Cleared).await?;
    }
    Ok(())
}

async fn tell(socket: &mut Socket, told: &Told) -> io::Result<()> {
    wire::send(socket, told, &[]).await
}

/// Waits until Baton is gone, which says nothing while a script runs. Tells it about a script that takes its time: should this process be
/// killed, Baton has to end it.
async fn gone(socket: &mut Socket, leader: Pid) -> io::Error {
    let mut word = [0];
    let heard = match timeout(TELL_AFTER, socket.read(&mut word)).await {
        Ok(heard) => heard,
        Err(_) => match tell(socket, &Told::Started(leader.as_raw())).await {
            Ok(()) => socket.read(&mut word).await,
            Err(error) => Err(error),
        },
    };
    heard.err().unwrap_or_else(|| ErrorKind::UnexpectedEof.into())
}

async fn start(run: &Run, rules: &Rules, directory: &Path, deadline: Instant) -> Result<(Child, Pid), Obstacle> {
    let user = rules.user.as_ref();
    let script = script_file::inspect(Path::new(&rules.root), &run.path, user).map_err(|problem| Obstacle::from(&problem))?;
    let mut command = command(run, rules, directory, &script);
    let mut tries = 0;
    let child = loop {
        if Instant::now() >= deadline {
            return Err(Obstacle::Late);
        }
        match confine::with_cpu_limit(rules, || command.spawn()) {
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy && tries < BUSY_TRIES => sleep(BUSY_WAIT).await,
            Err(error) => return Err(Obstacle::from(&FileProblem::of_start(&run.path, error, user))),
            Ok(child) => break child,
        }
        tries += 1;
    };
    let leader = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw).ok_or(Obstacle::Late)?;
    Ok((child, leader))
}

fn command(run: &Run, rules: &Rules, directory: &Path, script: &Inspected) -> Command {
    let mut command = match &rules.sandbox {
        None => {
            let mut command = Command::new(&script.file);
            command.args(&run.args);
            command
        }
        Some(sandbox) => {
            let (program, args) = sandbox.wrap(&script.file, &run.args, &script.root, directory);
            let mut command = Command::new(program);
            command.args(args);
            command
        }
    };
    command
        .env_clear()
        .envs(run.env.iter().map(|(name, value)| (name, value)))
        .env(MARK, directory)
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    if let Some(user) = &rules.user {
        user.apply(command.as_std_mut());
    }
    command
}

fn report(ended: Ended, left: bool, cleared: bool) -> Report {
    let Ended { how, stdout, stderr } = ended;
    let how = match how {
        How::ByItself(status) => wire::How::ByItself(status.into_raw()),
        How::Killed => wire::How::Killed,
        How::Unknown(error) => wire::How::Unknown(error.to_string()),
    };
    let truncated = stdout.truncated() || stderr.truncated();
    Report { how, stdout: stdout.into_text(), stderr: stderr.into_text(), truncated, left, cleared }
}

/// Removes what a script has left in its working directory. Several tries, since what the system could not end may still write.
async fn remove(directory: &Path) -> io::Result<()> {
    for _ in 1..REMOVE_TRIES {
        if script_folder::remove(directory).is_ok() {
            return Ok(());
        }
        sleep(BUSY_WAIT).await;
    }
    script_folder::remove(directory)
}
