//! All processes that descend from this one, and their end.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;
use tokio::time::sleep;

use super::MARK;

/// How long to wait for the end of what was killed. Longer takes only what the system itself cannot end.
const KILL_WAIT: Duration = Duration::from_secs(3);
/// How long to wait between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Ends all descendants and waits until they have; whether none is left.
///
/// It takes several rounds where they start others meanwhile. Orphans come to this process, so that no one can get out of its reach by
/// ending its parent, or by a session of its own.
pub(in crate::call) async fn end() -> bool {
    let until = Instant::now() + KILL_WAIT;
    while reap() {
        if Instant::now() > until {
            return false;
        }
        if kill_all() {
            continue;
        }
        sleep(LOOK_EVERY).await;
    }
    true
}

/// Takes note of children that have ended; whether there are any that have not.
fn reap() -> bool {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => return true,
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return false,
        }
    }
}

/// Takes note of orphans that have ended while the script runs, for which somebody else waits.
pub(in crate::call) fn reap_orphans(script: Pid) {
    let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    while let Ok(status) = waitid(Id::All, look) {
        match status.pid() {
            Some(pid) if pid != script => {
                let _ = waitpid(pid, Some(WaitPidFlag::WNOHANG));
            }
            _ => return,
        }
    }
}

/// Kills all that descend from this process, parents first; whether there were so many that it is better not to wait.
fn kill_all() -> bool {
    let mut found = children_of("self");
    let mut next = 0;
    while let Some(pid) = found.get(next).copied() {
        let below = children_of(&pid.to_string());
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        found.extend(below);
        next += 1;
    }
    found.len() > 64
}

/// The children of a process, of all of its threads.
fn children_of(process: &str) -> Vec<i32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{process}/task")) else { return Vec::new() };
    let lists = threads.filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("children")).ok());
    let lists: Vec<_> = lists.collect();
    if lists.is_empty() {
        return children_by_parent(process);
    }
    lists.iter().flat_map(|list| list.split_whitespace()).filter_map(|pid| pid.parse().ok()).collect()
}

/// The same on systems that keep no list of children.
fn children_by_parent(process: &str) -> Vec<i32> {
    let own = std::process::id().to_string();
    let parent = if process == "self" { &own } else { process };
    let is_child = |pid: &i32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // After the name, which is in parentheses and may hold any: state, parent.
        stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)) == Some(parent)
    };
    processes().into_iter().filter(is_child).collect()
}

fn processes() -> Vec<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

/// Ends what is left of a script whose supervisor is gone: its process group, and all processes whose environment names a working
/// directory in `folder`. Blocks.
pub(in crate::call) fn mop_up(group: Option<i32>, folder: &Path) {
    let until = Instant::now() + KILL_WAIT;
    loop {
        if let Some(group) = group {
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
        let marked: Vec<_> = processes().into_iter().filter(|pid| is_marked(*pid, folder.as_os_str())).collect();
        for pid in &marked {
            let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
            // The group that it leads, if it does. Not the one that it is in: that may be anybody's.
            let _ = killpg(Pid::from_raw(*pid), Signal::SIGKILL);
        }
        if marked.is_empty() || Instant::now() > until {
            return;
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

fn is_marked(pid: i32, folder: &OsStr) -> bool {
    let read: io::Result<_> = fs::read(format!("/proc/{pid}/environ"));
    let mark = [MARK.as_bytes(), b"=", folder.as_bytes(), b"/"].concat();
    read.is_ok_and(|environment| environment.split(|byte| *byte == 0).any(|variable| variable.starts_with(&mark)))
}
