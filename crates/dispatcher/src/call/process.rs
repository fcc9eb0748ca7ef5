//! A running script: its process group, its pipes, its end.

use std::pin::pin;
use std::process::ExitStatus;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::FusedFuture;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin};
use tokio::time::{Instant, timeout, timeout_at};

use super::kept::Kept;

/// How long the pipes are read after the script itself has ended: what it left running may hold them open.
const PIPES_GRACE: Duration = Duration::from_millis(500);
/// The least of that, where the handler's time is over: for what is still in the pipes.
const PIPES_LEAST: Duration = Duration::from_millis(50);
/// How long to wait for the end of what was killed. Longer takes only a process that the system itself cannot end.
const KILL_WAIT: Duration = Duration::from_secs(2);
const READ_BYTES: usize = 16 * 1024;

/// A process group, killed when this is dropped, also when the call is given up half-way.
///
/// Its number cannot have been given to another group in between: systems go through all numbers before they use one again, and the
/// group is killed within [`PIPES_GRACE`] of the end of the script that it is named after.
pub(super) struct Group(Pid);

impl Group {
    /// The group that a child leads; `None` when the child has been waited for.
    pub(super) fn of(child: &Child) -> Option<Self> {
        child.id().and_then(|id| i32::try_from(id).ok()).map(|id| Self(Pid::from_raw(id)))
    }

    fn kill(&self) {
        // Fails when nothing is left of the group, which is what is wanted.
        let _ = killpg(self.0, Signal::SIGKILL);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

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

/// Feeds a script its input and reads its output until it ends or `deadline`, then kills what is left of its group.
pub(super) async fn attend(child: &mut Child, group: Group, input: Bytes, deadline: Instant) -> Ended {
    let (mut stdout, mut stderr) = (Kept::default(), Kept::default());
    let how = {
        let mut fed = pin!(feed(child.stdin.take(), input).fuse());
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let mut drained = pin!(async { tokio::join!(drain(out, &mut stdout), drain(err, &mut stderr)) }.fuse());
        let mut waited = pin!(timeout_at(deadline, child.wait()));
        let status = loop {
            tokio::select! {
                status = &mut waited => break status,
                // Fused: once they have ended they are not heard of again.
                () = &mut fed => {}
                _ = &mut drained => {}
            }
        };
        let how = match status {
            Ok(Ok(status)) => How::ByItself(status),
            Ok(Err(error)) => How::Unknown(error),
            Err(_) => {
                group.kill();
                How::Killed
            }
        };
        let until = (Instant::now() + PIPES_GRACE).min(deadline.max(Instant::now() + PIPES_LEAST));
        settle(&mut drained, until).await;
        how
    };
    drop(group);
    if matches!(how, How::Killed) {
        // So that no process of a call is left when its outcome is there.
        let _ = timeout(KILL_WAIT, child.wait()).await;
    }
    Ended { how, stdout, stderr }
}

/// Waits for the end of the pipes, but not for ever.
async fn settle<T>(drained: &mut (impl FusedFuture<Output = T> + Unpin), until: Instant) {
    if !drained.is_terminated() {
        let _ = timeout_at(until, drained).await;
    }
}

/// A script that does not read its input is no error: it is told enough by its environment.
async fn feed(stdin: Option<ChildStdin>, input: Bytes) {
    if let Some(mut stdin) = stdin {
        let _ = stdin.write_all(&input).await;
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
