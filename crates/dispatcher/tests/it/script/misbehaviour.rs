//! Scripts that misbehave: what each does, what Baton says, how long it takes, and that nothing is left of it.
//!
//! The table that this test prints stands in `docs/security.md`, line by line, but for the measured times.

use std::time::Instant;

use baton_dispatcher::call::ScriptLimits;
use baton_domain::Verdict;

use super::cases::{CASES, Case, Ends};
use super::*;
use crate::document::assert_stands_in_security;

const HEAD: &str = "| kind | what it does | what Baton says | ends | processes, files, descriptors left |";

/// What happened to one of them.
struct Row {
    line: String,
    took: Duration,
    problem: Option<String>,
}

/// A supervisor, as the system shows it.
struct Watched {
    pid: String,
    folder: PathBuf,
}

impl Watched {
    /// That of a runner with one slot.
    async fn of(scripts: &Scripts) -> Self {
        scripts.write("who.sh", 0o755, "#!/bin/sh\necho $PPID; pwd -P\n");
        let outcome = scripts.run("who.sh", &[], AMPLE).await;
        let (pid, directory) = stdout(&outcome).trim().split_once('\n').unwrap();
        Self { pid: pid.into(), folder: Path::new(directory).parent().unwrap().into() }
    }

    fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid)).unwrap().count()
    }

    /// The files of its folder but for the empty directory that it keeps.
    fn files(&self) -> usize {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().map(|entry| entry.unwrap());
        entries.filter(|entry| entry.file_name() != "spare" || fs::read_dir(entry.path()).unwrap().count() > 0).count()
    }

    /// The processes that it has, with those that carry the token in their arguments.
    fn processes(&self, token: &str) -> usize {
        let lists = fs::read_dir(format!("/proc/{}/task", self.pid)).into_iter().flatten();
        let children = lists.map(|thread| fs::read_to_string(thread.unwrap().path().join("children")).unwrap_or_default());
        children.map(|list| list.split_whitespace().count()).sum::<usize>() + carrying(token).len()
    }
}

/// The processes that are alive and have this in their arguments.
pub(super) fn carrying(token: &str) -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| Some(entry.ok()?.path()));
    let words = processes.filter_map(|process| fs::read_to_string(process.join("cmdline")).ok());
    words.filter(|words| words.contains(token)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_that_misbehave_leave_nothing() {
    let runs = CASES.iter().enumerate().map(|(number, case)| tokio::spawn(examine(case, number)));
    let runs: Vec<_> = runs.collect();
    let mut rows = Vec::new();
    for run in runs {
        rows.push(run.await.unwrap());
    }
    for row in &rows {
        println!("{:>6} ms  {}", row.took.as_millis(), row.line);
    }
    let problems: Vec<_> = rows.iter().filter_map(|row| row.problem.as_deref()).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert_stands_in_security(HEAD, &rows.iter().map(|row| row.line.as_str()).collect::<Vec<_>>());
}

async fn examine(case: &'static Case, number: usize) -> Row {
    let limits = ScriptLimits {
        // Little only where it is to be reached: on a busy machine honest work takes its time too.
        cpu: Some(Duration::from_secs(if matches!(case.ends, Ends::AtOnce) { 300 } else { 1 })),
        memory: Some(256 * 1024 * 1024),
        file_size: Some(16 * 1024 * 1024),
        files: 64,
        ..ScriptLimits::default()
    };
    let scripts = Scripts::confined(1, Confinement { limits, ..confinement() });
    let watched = Watched::of(&scripts).await;
    let before = watched.descriptors();
    // Digits, so that it can be a part of a number of seconds.
    let token = format!("{}{number:03}", std::process::id());
    scripts.write("bad.sh", 0o755, format!("#!/bin/sh\n{}\n", case.script));
    let begin = Instant::now();
    let outcome = scripts.run("bad.sh", &[&token], case.timeout()).await;
    let took = begin.elapsed();
    let processes = watched.processes(&token);
    let files = watched.files();
    // Where the script has killed its supervisor, there is another.
    let after = Watched::of(&scripts).await;
    let descriptors = after.descriptors().saturating_sub(before);
    let says = match (&outcome.verdict, &outcome.error) {
        (Verdict::Succeeded, None) => "success".to_owned(),
        (_, error) => error.clone().unwrap_or_default(),
    };
    let line =
        format!("| {} | {} | {says} | {} | {processes}, {files}, {descriptors} |", case.kind, case.does, case.ends.words());
    let (least, most) = case.ends.between();
    let in_time = (least..most).contains(&took);
    let clean = processes + files + descriptors == 0;
    let problem = (!in_time || !clean).then(|| {
        let left = carrying(&token);
        format!(
            "{}: took {took:?} of {least:?} to {most:?}, left {processes}, {files}, {descriptors}: {left:?}; {outcome:?}",
            case.kind
        )
    });
    Row { line, took, problem }
}

impl Case {
    fn timeout(&self) -> Duration {
        match self.ends {
            Ends::AtOnce | Ends::Limit => AMPLE,
            Ends::Timeout | Ends::AfterTimeout => TIMEOUT,
        }
    }
}

/// Of those that are to run into it.
const TIMEOUT: Duration = Duration::from_millis(1500);
/// For machines that have much else to do.
const SLACK: Duration = Duration::from_secs(20);

impl Ends {
    fn words(self) -> &'static str {
        match self {
            Self::AtOnce => "by itself",
            Self::Limit => "at the limit",
            Self::Timeout => "at the timeout",
            Self::AfterTimeout => "10 s after the timeout",
        }
    }

    fn between(self) -> (Duration, Duration) {
        match self {
            Self::AtOnce => (Duration::ZERO, SLACK),
            Self::Limit => (Duration::ZERO, AMPLE),
            Self::Timeout => (TIMEOUT, TIMEOUT + SLACK),
            Self::AfterTimeout => (TIMEOUT + Duration::from_secs(10), TIMEOUT + Duration::from_secs(10) + SLACK),
        }
    }
}
