//! The table in Markdown.

use crate::figures::Row;

const HEAD: [&str; 9] = ["scenario", "variant", "figure", "value", "unit", "ratio", "target", "stretch", "verdict"];
/// The columns with numbers, which are aligned to the right.
const NUMBERS: [usize; 4] = [3, 5, 6, 7];

/// A number with three significant digits, as a person reads it.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        _ if !value.is_finite() => "-".into(),
        size if size >= 1000.0 => with_commas(&format!("{value:.0}")),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// How many there are of something.
pub(crate) fn count(count: usize) -> String {
    with_commas(&count.to_string())
}

fn with_commas(digits: &str) -> String {
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && digit.is_ascii_digit() && text != "-" && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The rows as a table.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut lines = vec![HEAD.map(str::to_owned)];
    lines.extend(rows.iter().map(cells));
    let widths: [usize; HEAD.len()] =
        std::array::from_fn(|column| lines.iter().map(|cells| cells[column].chars().count()).max().unwrap_or(0));
    let rule: Vec<_> = widths.iter().enumerate().map(|(column, width)| rule(column, *width)).collect();
    let mut text = line(&lines[0], &widths);
    text.push_str(&format!("|{}|\n", rule.join("|")));
    lines[1..].iter().for_each(|cells| text.push_str(&line(cells, &widths)));
    text
}

fn line(cells: &[String; HEAD.len()], widths: &[usize; HEAD.len()]) -> String {
    let cell = |(column, cell): (usize, &String)| match NUMBERS.contains(&column) {
        true => format!("{cell:>width$}", width = widths[column]),
        false => format!("{cell:<width$}", width = widths[column]),
    };
    format!("| {} |\n", cells.iter().enumerate().map(cell).collect::<Vec<_>>().join(" | "))
}

fn rule(column: usize, width: usize) -> String {
    match NUMBERS.contains(&column) {
        true => format!("{}:", "-".repeat(width + 1)),
        false => "-".repeat(width + 2),
    }
}

fn cells(row: &Row) -> [String; HEAD.len()] {
    let none = String::new;
    let ratio = |ratio| format!("{ratio:.2} x {}", row.reference.as_deref().unwrap_or_default());
    [
        row.scenario.to_owned(),
        row.variant.clone(),
        row.figure.name.to_owned(),
        number(row.value),
        row.figure.unit.to_owned(),
        row.ratio.map_or_else(none, ratio),
        row.goal.map_or_else(none, |goal| goal.text(goal.target)),
        row.goal.map_or_else(none, |goal| goal.text(goal.stretch)),
        row.verdict.map_or_else(none, |verdict| verdict.text().to_owned()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::{DELIVERIES, Figures, Goal};

    #[test]
    fn numbers_have_three_digits_that_matter() {
        let numbers = [1_234_567.0, 19_500.4, 999.6, 54.32, 3.456, 0.0456, f64::NAN].map(number);
        assert_eq!(numbers, ["1,234,567", "19,500", "1000", "54.3", "3.46", "0.046", "-"]);
        assert_eq!([10, 100_000, 1_000_000].map(count), ["10", "100,000", "1,000,000"]);
    }

    #[test]
    fn the_table_is_markdown_with_a_verdict_where_there_is_a_goal() {
        let mut figures = Figures::default();
        figures.add("relay", DELIVERIES, 20_000.0);
        figures.add("SQLite, one process", DELIVERIES, 9_000.0);
        figures.compare(DELIVERIES, "relay");
        figures.goal("SQLite, one process", DELIVERIES, Goal::ratio_from(0.45, 0.8));
        let text = table(&figures.rows("single"));
        let lines: Vec<_> = text.lines().collect();
        assert!(lines.iter().all(|line| line.chars().count() == lines[0].chars().count()), "{text}");
        assert_eq!(lines.len(), 4);
        let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
        assert_eq!(cells(lines[2]), ["single", "relay", "deliveries", "20,000", "/s", "", "", "", ""]);
        assert_eq!(
            cells(lines[3]),
            ["single", "SQLite, one process", "deliveries", "9,000", "/s", "0.45 x relay", "0.45 x", "0.8 x", "met"]
        );
    }
}
