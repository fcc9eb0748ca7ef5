//! The table, as a person reads it and as a program does.

use anyhow::Result;
use baton_testkit::Machine;
use serde::Serialize;

use crate::verdict::Verdict;

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
