//! A running script: its process group, its pipes, its end.

use std::pin::pin;
use std::process::ExitStatus;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::FusedFuture;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin};
use tokio::time::{Instant, interval_at, timeout, timeout_at};

use super::kept::Kept;
use super::supervisor::tree;

/// How long the pipes are read after the script itself has ended: what it left running may hold them open.
const PIPES_GRACE: Duration = Duration::from_millis(500);
/// The least of that, where the handler's time is over: for what is still in the pipes.
const PIPES_LEAST: Duration = Duration::from_millis(50);
/// How long to wait for the end of what was killed. Longer takes only a process that the system itself cannot end.
const KILL_WAIT: Duration = Duration::from_secs(2);
/// How often to take note of processes that ended and for which nobody waits.
const REAP_EVERY: Duration = Duration::from_millis(500);
const READ_BYTES: usize = 16 * 1024;

/// How a script ended, and what it wrote.
pub(super) struct Ended {
    pub(super) how: How,
    pub(super) stdout: Kept,
    pub(super) stderr: Kept,
}

pub(super) enum How {
    ByItself(ExitStatus),
    /// Its time was over.
    Killed,
    /// The system does not say.
    Unknown(std::io::Error),
}

/// Feeds a script its input and reads its output until it ends or `deadline`. Kills its process group then, and what else descends from
/// it where its time was over; what is left of it otherwise is for the caller to end.
pub(super) async fn attend(child: &mut Child, leader: Pid, input: &[u8], deadline: Instant) -> Ended {
    let (mut stdout, mut stderr) = (Kept::default(), Kept::default());
    let mut fed = pin!(feed(child.stdin.take(), input).fuse());
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let how = {
        let mut drained = pin!(async { tokio::join!(drain(out, &mut stdout), drain(err, &mut stderr)) }.fuse());
        let status = {
            let mut waited = pin!(timeout_at(deadline, child.wait()));
            let mut reaping = interval_at(Instant::now() + REAP_EVERY, REAP_EVERY);
            loop {
                tokio::select! {
                    status = &mut waited => break status,
                    // Fused: once they have ended they are not heard of again.
                    () = &mut fed => {}
                    _ = &mut drained => {}
                    _ = reaping.tick() => tree::reap_orphans(leader),
                }
            }
        };
        let how = match status {
            Ok(Ok(status)) => How::ByItself(status),
            Ok(Err(error)) => How::Unknown(error),
            Err(_) => {
                kill_group(leader);
                // By whom it was waited for until now: then the rest of them can be.
                let _ = timeout(KILL_WAIT, child.wait()).await;
                tree::end().await;
                How::Killed
            }
        };
        let until = (Instant::now() + PIPES_GRACE).min(deadline.max(Instant::now() + PIPES_LEAST));
        settle(&mut drained, until).await;
        how
    };
    kill_group(leader);
    Ended { how, stdout, stderr }
}

/// Fails when nothing is left of the group, which is what is wanted. Its number cannot have been given to another group since its leader
/// ended: systems go through all numbers before they use one again.
fn kill_group(leader: Pid) {
    let _ = killpg(leader, Signal::SIGKILL);
}

/// Waits for the end of the pipes, but not for ever.
async fn settle<T>(drained: &mut (impl FusedFuture<Output = T> + Unpin), until: Instant) {
    if !drained.is_terminated() {
        let _ = timeout_at(until, drained).await;
    }
}

/// A script that does not read its input is no error: it is told enough by its environment.
async fn feed(stdin: Option<ChildStdin>, input: &[u8]) {
    if let Some(mut stdin) = stdin {
        let _ = stdin.write_all(input).await;
    }
}

/// Keeps the beginning and reads on to the end, so that the script never waits for a full pipe.
async fn drain(pipe: Option<impl AsyncRead + Unpin>, kept: &mut Kept) {
    let Some(mut pipe) = pipe else { return };
    let mut buffer = vec![0; READ_BYTES];
    while let Ok(read @ 1..) = pipe.read(&mut buffer).await {
        kept.take(&buffer[..read]);
    }
}
