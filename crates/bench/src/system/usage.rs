//! Processor time and memory of processes, from `/proc`.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// The unit of processor time in `/proc`, which is the same on every Linux.
const TICKS_PER_SECOND: u64 = 100;
const KIB: u64 = 1024;

/// One line of `/proc/PID/stat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    parent: u32,
    /// Ticks of its own, user and system.
    own: u64,
    /// Ticks of children that have ended and were waited for.
    ended_children: u64,
}

/// Processor time of a process without its children.
pub(crate) fn own_time(pid: u32) -> Result<Duration> {
    Ok(ticks(stat(pid).with_context(|| format!("there is no process {pid}"))?.own))
}

/// Processor time of a process and of all that it started, ended ones included.
pub(crate) fn tree_time(pid: u32) -> Duration {
    ticks(tree(pid).into_iter().filter_map(stat).map(|stat| stat.own + stat.ended_children).sum())
}

/// The most memory that a process has had at once, in bytes.
pub(crate) fn peak_memory(pid: u32) -> Result<u64> {
    status_field(pid, "VmHWM")
}

/// The memory that a process has now, in bytes.
pub(crate) fn memory(pid: u32) -> Result<u64> {
    status_field(pid, "VmRSS")
}

/// The memory that a process and all that it started have now, in bytes; what they share counts once.
pub(crate) fn tree_memory(pid: u32) -> u64 {
    let share = |pid| {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        field(&text, "Pss")
    };
    tree(pid).into_iter().filter_map(share).sum()
}

fn ticks(count: u64) -> Duration {
    Duration::from_millis(count * 1000 / TICKS_PER_SECOND)
}

fn status_field(pid: u32, name: &str) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).with_context(|| format!("there is no process {pid}"))?;
    field(&text, name).with_context(|| format!("process {pid} has no {name}"))
}

/// `Name:   123 kB`, in bytes.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * KIB)
}

/// A process and all below it.
fn tree(root: u32) -> Vec<u32> {
    let parents = all().into_iter().filter_map(|pid| Some((pid, stat(pid)?.parent))).collect::<Vec<_>>();
    below(root, &parents)
}

fn below(root: u32, parents: &[(u32, u32)]) -> Vec<u32> {
    let mut found = vec![root];
    let mut at = 0;
    while let Some(parent) = found.get(at).copied() {
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        at += 1;
    }
    found
}

fn all() -> Vec<u32> {
    let names = fs::read_dir("/proc").into_iter().flatten().flatten();
    names.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

fn stat(pid: u32) -> Option<Stat> {
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The name of a program stands in parentheses and may have spaces and parentheses itself.
fn parse(line: &str) -> Option<Stat> {
    let (_, rest) = line.rsplit_once(')')?;
    let fields: Vec<_> = rest.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Stat {
        parent: u32::try_from(number(1)?).ok()?,
        own: number(11)? + number(12)?,
        ended_children: number(13)? + number(14)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_stat_is_read_behind_the_name() {
        let line = "4711 (post) gres: x) S 17 4711 4711 0 -1 4194560 900 0 0 0 250 50 7 3 20 0 1 0 100 1000 10";
        assert_eq!(parse(line), Some(Stat { parent: 17, own: 300, ended_children: 10 }));
        assert_eq!(parse("nothing"), None);
    }

    #[test]
    fn a_tree_has_grandchildren_and_no_strangers() {
        assert_eq!(below(1, &[(2, 1), (3, 2), (4, 9), (5, 1)]), [1, 2, 5, 3]);
    }

    #[test]
    fn this_process_has_used_something() {
        let own = std::process::id();
        assert!(memory(own).unwrap() > KIB && peak_memory(own).unwrap() >= memory(own).unwrap() / 2);
        assert!(tree_time(own) >= own_time(own).unwrap() && tree_memory(own) > 0);
    }

    #[test]
    fn sizes_are_in_kilobytes() {
        assert_eq!(field("VmPeak:\t 9 kB\nVmHWM:\t  2048 kB\n", "VmHWM"), Some(2048 * KIB));
        assert_eq!(field("Threads:\t3\n", "Threads"), None);
    }
}
