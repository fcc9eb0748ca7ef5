//! What a supervisor gives up, so that its scripts have never had it.

use std::io;

use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::close;

use super::super::wire::Rules;

/// Where the system says, and is told, whom to end first when memory runs out.
const OOM_SCORE: &str = "/proc/self/oom_score_adj";
/// Rather a script than Baton.
const OOM_SCORE_LEAST: i32 = 500;

/// Closes all descriptors but the first three: what Baton got from whoever started it is nothing for scripts.
pub(super) fn close_inherited() -> io::Result<()> {
    let open = std::fs::read_dir("/proc/self/fd")?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let open: Vec<_> = open.filter(|descriptor| *descriptor > 2).collect();
    for descriptor in open {
        // One of them was that of the list itself.
        let _ = close(descriptor);
    }
    Ok(())
}

/// Takes limits and gives up rights, and adopts the orphans among its descendants.
pub(super) fn apply(rules: &Rules) -> io::Result<()> {
    prctl::set_child_subreaper(true)?;
    if !rules.gain_rights {
        prctl::set_no_new_privs()?;
    }
    // Where the system does not let it, it is none the worse.
    let score = std::fs::read_to_string(OOM_SCORE).ok().and_then(|score| score.trim().parse::<i32>().ok());
    if score.is_some_and(|score| score < OOM_SCORE_LEAST) {
        let _ = std::fs::write(OOM_SCORE, OOM_SCORE_LEAST.to_string());
    }
    let limits = &rules.limits;
    let all = [
        (Resource::RLIMIT_CORE, Some(0)),
        // What is allocated, not address space: runtimes of some languages reserve far more of that than they use.
        (Resource::RLIMIT_DATA, limits.memory),
        (Resource::RLIMIT_FSIZE, limits.file_size),
        (Resource::RLIMIT_NOFILE, Some(limits.files)),
        (Resource::RLIMIT_NPROC, Some(limits.processes)),
    ];
    for (resource, limit) in all {
        let Some(limit) = limit else { continue };
        let (_, most) = getrlimit(resource)?;
        setrlimit(resource, limit.min(most), limit.min(most))?;
    }
    Ok(())
}

/// Starts something that inherits a limit of processor time, which the supervisor itself must not have: it lives for many scripts. So the
/// limit is a soft one; a script that ignores its signal ends at its timeout.
pub(super) fn with_cpu_limit<T>(rules: &Rules, start: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let Some(limit) = rules.limits.cpu else { return start() };
    let (own, most) = getrlimit(Resource::RLIMIT_CPU)?;
    setrlimit(Resource::RLIMIT_CPU, limit.as_secs().max(1).min(most), most)?;
    let started = start();
    setrlimit(Resource::RLIMIT_CPU, own.max(limit.as_secs()).min(most), most)?;
    started
}
