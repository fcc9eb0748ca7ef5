//! What came of one scenario.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use baton_testkit::Process;
use serde::Serialize;
use tokio::time::Instant;

use crate::fault::Fault;
use crate::load::{COUNTS, Ended, Load, count};
use crate::publisher::Published;
use crate::reconcile::{Account, Seen, reconcile};
use crate::recovery::recovery;
use crate::scenarios::Plan;
use crate::workload::{Kind, Lane, Workload};

/// The most memory that a process may have had, in MB.
const MEMORY_MAX: u64 = 200;

/// What a dispatcher says when it finds that another has what was its own.
pub(crate) const FENCED: &str = "another dispatcher has taken over";

/// The figures of a scenario, and what is wrong with them.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Verdict {
    /// Events that were acknowledged.
    pub events: usize,
    /// Events acknowledged a second, over the time that the load was held.
    pub rate: f64,
    /// How often publishers had to repeat what was not acknowledged.
    pub repeats: usize,
    /// The longest recovery of its faults, in seconds; `None` without a fault that counts.
    pub recovery_s: Option<f64>,
    /// How long it may take.
    pub limit_s: Option<f64>,
    pub lost: usize,
    /// Calls that were repeated after their success, all of them.
    pub duplicates: usize,
    /// Those of them that no fault explains.
    pub unexplained: usize,
    pub out_of_order: usize,
    /// What is good to know.
    pub notes: Vec<String>,
    /// Why it failed; empty when it passed.
    pub problems: Vec<String>,
    /// From each event's birth to its last arrival.
    #[serde(skip)]
    pub lives: Vec<(Instant, Instant)>,
}

impl Verdict {
    /// A scenario that could not be carried out.
    pub(crate) fn not_run(reason: String) -> Self {
        Self { problems: vec![reason], ..Self::default() }
    }

    pub(crate) fn passed(&self) -> bool {
        self.problems.is_empty()
    }

    /// Adds something that is good to know.
    #[must_use]
    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Adds a reason to fail, where it is one.
    #[must_use]
    pub(crate) fn problem_if(mut self, is_one: bool, problem: impl Into<String>) -> Self {
        if is_one {
            self.problems.push(problem.into());
        }
        self
    }
}

/// Ends the load, waits until nothing is open, and makes the account.
pub(crate) async fn conclude(load: Load, processes: Vec<(String, &mut Process)>, faults: &[Fault]) -> Result<Verdict> {
    conclude_with(load, processes, faults, Vec::new).await
}

/// The same, with what arrived elsewhere than at the receiver.
pub(crate) async fn conclude_with(
    load: Load,
    processes: Vec<(String, &mut Process)>,
    faults: &[Fault],
    elsewhere: impl FnOnce() -> Vec<Seen>,
) -> Result<Verdict> {
    let Plan { keep_logs, slack, .. } = load.plan;
    let faults: Vec<_> = faults.iter().map(|fault| fault.with_slack(slack)).collect();
    let (ended, receiving, workload) = load.finish().await?;
    let mut calls = receiving.seen();
    calls.extend(elsewhere());
    let published = &ended.publications.acknowledged;
    let account = reconcile(published, &workload, &calls, &faults);
    let mut verdict = Verdict {
        events: published.len(),
        rate: published.len() as f64 / ended.lasted.as_secs_f64(),
        repeats: ended.publications.repeats.values().sum(),
        lost: account.lost,
        duplicates: account.explained + account.unexplained,
        unexplained: account.unexplained,
        out_of_order: account.out_of_order,
        ..Verdict::default()
    };
    verdict.judge_calls(&account);
    verdict.judge_recovery(&account, &faults);
    verdict.judge_balance(&ended, &workload);
    let logs: Vec<_> = processes.iter().map(|(name, process)| (name.clone(), process.output())).collect();
    verdict.judge_processes(processes);
    verdict.judge_logs(&logs);
    verdict.describe(&ended, &account);
    if keep_logs || !verdict.passed() {
        verdict.notes.push(format!("what the programs wrote is in {}", keep(&logs)?.display()));
    }
    verdict.lives = account.lives;
    Ok(verdict)
}

/// Writes down what the programs wrote, for whoever looks into a failure.
fn keep(logs: &[(String, String)]) -> Result<PathBuf> {
    let folder = tempfile::Builder::new().prefix("baton-faults-").tempdir()?.keep();
    for (name, log) in logs {
        fs::write(folder.join(format!("{name}.log")), log)?;
    }
    Ok(folder)
}

impl Verdict {
    fn judge_calls(&mut self, account: &Account) {
        let counts = [
            (account.lost, "lost"),
            (account.unexplained, "repeated for no reason"),
            (account.out_of_order, "out of order"),
            (account.strange, "strange"),
        ];
        self.problems.extend(counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")));
        self.problems.extend(account.examples.iter().cloned());
    }

    fn judge_recovery(&mut self, account: &Account, faults: &[Fault]) {
        for fault in faults {
            let took = recovery(fault.from, &account.lives);
            self.recovery_s = Some(self.recovery_s.unwrap_or_default().max(took.as_secs_f64()));
            let Some(limit) = fault.limit else { continue };
            self.limit_s = Some(limit.as_secs_f64());
            if took > limit {
                self.problems.push(format!("recovery took {:.1} s, {} s are allowed", took.as_secs_f64(), limit.as_secs()));
            }
        }
    }

    /// acknowledged = delivered + dead + unmatched, for each type of event and to the unit.
    fn judge_balance(&mut self, ended: &Ended, workload: &Workload) {
        let published = &ended.publications.acknowledged;
        if ended.publications.unanswered > 0 {
            self.problems.push(format!("{} events were never acknowledged", ended.publications.unanswered));
        }
        if ended.open > 0 {
            self.problems.push(format!("{} events were still open at the end", ended.open));
        }
        let ids: BTreeSet<_> = published.iter().map(|event| event.id.as_str()).collect();
        if ids.len() < published.len() {
            self.problems.push(format!("{} events were answered with another's id", published.len() - ids.len()));
        }
        for kind in Kind::ALL {
            let expected = expected_counts(published, kind, workload);
            let counted = ended.stats["by_event"].as_array().into_iter().flatten();
            let counted = counted.filter(|part| part["events_id"] == kind.events_id());
            let counted = counted.fold([0; 6], |sum, part| std::array::from_fn(|i| sum[i] + count(part, COUNTS[i])));
            if counted != expected {
                let what = format!("{} are {counted:?} in the stats and should be {expected:?}", kind.events_id());
                self.problems.push(format!("{what} ({})", COUNTS.join(", ")));
            }
        }
        let refused = published.iter().filter(|event| event.refused && workload.has(Lane::Mail));
        let refused: BTreeSet<_> = refused.map(|event| event.id.as_str()).collect();
        let dead: BTreeSet<_> = ended.dead.iter().map(String::as_str).collect();
        if refused != dead || ended.dead.len() != dead.len() {
            self.problems.push(format!("{} dead letters for {} refused events", ended.dead.len(), refused.len()));
        }
        if let Some(first) = ended.watched.unbalanced.first() {
            self.problems.push(format!("{} looks found no balance, as in {first}", ended.watched.unbalanced.len()));
        }
    }

    fn judge_processes(&mut self, processes: Vec<(String, &mut Process)>) {
        let mut most = (0, String::new());
        for (name, process) in processes {
            if let Some(status) = process.exited() {
                self.problems.push(format!("{name} has ended by itself ({status})"));
            }
            let peak = peak_memory(process).unwrap_or_default();
            most = most.max((peak, name));
        }
        let (peak, name) = most;
        self.notes.push(format!("most memory: {name} {peak} MB"));
        if peak > MEMORY_MAX {
            self.problems.push(format!("{name} had {peak} MB, {MEMORY_MAX} MB are allowed"));
        }
    }

    fn judge_logs(&mut self, logs: &[(String, String)]) {
        for (name, log) in logs {
            if let Some(line) = log.lines().find(|line| line.contains("panicked at")) {
                self.problems.push(format!("{name}: {line}"));
            }
            let count = |what: &str| log.matches(what).count();
            let (errors, fenced) = (count(" ERROR "), count(FENCED));
            if errors > 0 {
                let first = log.lines().find(|line| line.contains(" ERROR ")).unwrap_or_default();
                self.notes.push(format!("{name} logged {errors} errors, as in {}", first.trim()));
            }
            if fenced > 0 {
                self.notes.push(format!("{name} was taken over {fenced} times"));
            }
        }
    }

    fn describe(&mut self, ended: &Ended, account: &Account) {
        let repeats: Vec<_> = ended.publications.repeats.iter().map(|(reason, times)| format!("{reason} {times}x")).collect();
        if !repeats.is_empty() {
            self.notes.push(format!("publishers had to repeat: {}", repeats.join(", ")));
        }
        if let Some((least, most)) = account.explained_from {
            self.notes.push(format!("repeated calls had been made {least:+.2} s to {most:+.2} s from the fault"));
        }
        let at = |share| percentile(account.lives.iter().copied(), share);
        self.notes.push(format!("publish to last arrival: {:.0} ms p50, {:.0} ms p99", at(0.5), at(0.99)));
        let looks = ended.watched.looks;
        self.notes.push(format!("in balance at {looks} looks, drained in {:.1} s", ended.drained.as_secs_f64()));
    }
}

/// How long this share of lives lasted at most, in milliseconds.
pub(crate) fn percentile(lives: impl Iterator<Item = (Instant, Instant)>, share: f64) -> f64 {
    let mut took: Vec<Duration> = lives.map(|(born, done)| done.saturating_duration_since(born)).collect();
    took.sort_unstable();
    took.get((took.len() as f64 * share) as usize).copied().unwrap_or_default().as_secs_f64() * 1000.0
}

/// What the account has to say of one type of event.
fn expected_counts(published: &[Published], kind: Kind, workload: &Workload) -> [u64; 6] {
    let all = published.iter().filter(|event| event.kind == kind).count() as u64;
    let refused = published.iter().filter(|event| event.kind == kind && event.refused && workload.has(Lane::Mail)).count() as u64;
    match workload.lanes_of(kind).next() {
        None => [all, 0, 0, all, 0, 0],
        Some(_) => [all, all - refused, refused, 0, 0, 0],
    }
}

/// The most memory that a process has had, in MB; `None` where the system does not say.
fn peak_memory(process: &Process) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", process.pid())).ok()?;
    let fields: BTreeMap<_, _> = status.lines().filter_map(|line| line.split_once(':')).collect();
    let kib: u64 = fields.get("VmHWM")?.trim().split(' ').next()?.parse().ok()?;
    Some(kib / 1024)
}
