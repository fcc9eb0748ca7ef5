//! The table, as a person reads it and as a program does.

use std::fs;
use std::process::Command;

use anyhow::Result;
use serde::Serialize;

use crate::verdict::Verdict;

/// The machine that a run was made on.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    processor: String,
    cores: usize,
    memory_gb: u64,
    system: String,
    postgres: String,
    redis: String,
    /// `release` or `debug`.
    programs: &'static str,
    began: String,
}

/// One line of the table.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub name: &'static str,
    pub fault: &'static str,
    pub passed: bool,
    #[serde(flatten)]
    pub verdict: Verdict,
}

#[derive(Serialize)]
struct Report<'a> {
    machine: &'a Machine,
    took_s: f64,
    rows: &'a [Row],
}

impl Machine {
    pub(crate) fn here(postgres: String) -> Self {
        let file = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let field = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
        };
        let memory = field(&file("/proc/meminfo"), "MemTotal");
        let kib: u64 = memory.split(' ').next().and_then(|kib| kib.parse().ok()).unwrap_or_default();
        Self {
            processor: field(&file("/proc/cpuinfo"), "model name"),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_gb: kib.div_ceil(1024 * 1024),
            system: format!("{} {}", std::env::consts::OS, file("/proc/sys/kernel/osrelease").trim()),
            postgres,
            redis: first_line("redis-server"),
            programs: if cfg!(debug_assertions) { "debug" } else { "release" },
            began: chrono::Utc::now().format("%Y-%m-%d %H:%M UTC").to_string(),
        }
    }

    /// In one line.
    pub(crate) fn line(&self) -> String {
        let Self { processor, cores, memory_gb, system, postgres, redis, programs, began } = self;
        format!("{began}; {processor}, {cores} cores, {memory_gb} GB; {system}; {postgres}; {redis}; {programs} build")
    }
}

/// What `PROGRAM --version` says first.
fn first_line(program: &str) -> String {
    let output = Command::new(program).arg("--version").output().map(|output| output.stdout).unwrap_or_default();
    let text = String::from_utf8_lossy(&output).into_owned();
    text.lines().next().unwrap_or_default().split(" sha=").next().unwrap_or_default().to_owned()
}

/// The rows as a table in Markdown.
pub(crate) fn table(rows: &[Row]) -> String {
    let head = ["fault", "events", "rate/s", "recovery", "limit", "lost", "duplicates", "unexplained", "out of order", "result"];
    let mut lines = vec![head.map(str::to_owned)];
    lines.extend(rows.iter().map(cells));
    let widths: [usize; 10] =
        std::array::from_fn(|column| lines.iter().map(|cells| cells[column].chars().count()).max().unwrap_or(0));
    let line = |cells: &[String; 10]| {
        let cell = |(column, cell): (usize, &String)| match column {
            0 | 9 => format!("{cell:<width$}", width = widths[column]),
            _ => format!("{cell:>width$}", width = widths[column]),
        };
        format!("| {} |\n", cells.iter().enumerate().map(cell).collect::<Vec<_>>().join(" | "))
    };
    let rule: Vec<_> = widths.iter().enumerate().map(|(column, width)| rule(column, *width)).collect();
    let mut text = line(&lines[0]);
    text.push_str(&format!("|{}|\n", rule.join("|")));
    lines[1..].iter().for_each(|cells| text.push_str(&line(cells)));
    text
}

fn rule(column: usize, width: usize) -> String {
    match column {
        0 | 9 => "-".repeat(width + 2),
        _ => format!("{}:", "-".repeat(width + 1)),
    }
}

fn cells(row: &Row) -> [String; 10] {
    let v = &row.verdict;
    let seconds = |value: Option<f64>| value.map_or("-".to_owned(), |s| format!("{s:.1} s"));
    [
        row.fault.to_owned(),
        v.events.to_string(),
        format!("{:.0}", v.rate),
        seconds(v.recovery_s),
        v.limit_s.map_or("-".to_owned(), |s| format!("{s:.0} s")),
        v.lost.to_string(),
        v.duplicates.to_string(),
        v.unexplained.to_string(),
        v.out_of_order.to_string(),
        if row.passed { "passed" } else { "FAILED" }.to_owned(),
    ]
}

/// Everything as JSON.
pub(crate) fn json(machine: &Machine, took_s: f64, rows: &[Row]) -> Result<String> {
    Ok(serde_json::to_string_pretty(&Report { machine, took_s, rows })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other() {
        let verdict = Verdict { events: 12_345, rate: 399.6, recovery_s: Some(10.04), limit_s: Some(15.0), ..Verdict::default() };
        let row = |fault, passed, verdict| Row { name: "x", fault, passed, verdict };
        let table = table(&[row("kill -9", true, verdict), row("nothing at all", false, Verdict::not_run("it".into()))]);
        let lines: Vec<_> = table.lines().collect();
        assert!(lines.len() == 4 && lines.iter().all(|line| line.len() == lines[0].len()), "{table}");
        assert!(lines[2].contains("|  12345 |    400 |   10.0 s |  15 s |"), "{table}");
        assert!(lines[3].ends_with("| FAILED |"), "{table}");
    }
}
