//! `baton audit`: is everything that was published accounted for?

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use baton_runtime::settings::Age;
use baton_storage::{Audit, StatRow, StorageError};
use chrono::Utc;
use serde::Serialize;

use crate::AuditArgs;
use crate::data_dir::existing_database_url;

/// The balance does not hold, or something has waited for too long.
const NOT_SOUND: u8 = 1;
/// It could not be checked.
const NOT_CHECKED: u8 = 2;

pub(crate) async fn audit(args: &AuditArgs) -> ExitCode {
    match checked(args).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(NOT_SOUND),
        Err(error) => {
            eprintln!("The balance cannot be checked: {error:#}");
            ExitCode::from(NOT_CHECKED)
        }
    }
}

/// Prints the report; whether all is well.
async fn checked(args: &AuditArgs) -> anyhow::Result<bool> {
    let report = Report::of(&look(args).await?, args.max_age.and_then(Age::get));
    let text = if args.json { format!("{}\n", serde_json::to_string(&report)?) } else { report.text()? };
    std::io::stdout().lock().write_all(text.as_bytes()).context("the report cannot be written")?;
    for problem in &report.problems {
        eprintln!("{problem}");
    }
    Ok(report.problems.is_empty())
}

/// Looks at the database of the settings. Of an embedded installation that runs, it neither needs nor touches the lock.
async fn look(args: &AuditArgs) -> anyhow::Result<Audit> {
    let url = match &args.database.database_url {
        Some(url) => url.expose().to_owned(),
        None => existing_database_url(&args.data_dir.data_dir)?,
    };
    baton_storage::audit(&url).await.map_err(|error| {
        let hint = match error {
            StorageError::Bug(_) => "the database cannot be read; if it is new, run: baton migrate",
            _ => "the database cannot be opened (BATON_DATABASE_URL)",
        };
        anyhow::Error::new(error).context(hint)
    })
}

/// What is printed.
#[derive(Debug, Serialize)]
struct Report {
    /// Whether the balance holds.
    balanced: bool,
    #[serde(flatten)]
    total: Line,
    oldest_pending_seconds: Option<f64>,
    max_age_seconds: Option<u64>,
    stored: Stored,
    by_event: Vec<Line>,
    problems: Vec<String>,
}

/// The balance of one event type, or of all.
#[derive(Debug, Serialize)]
struct Line {
    #[serde(skip_serializing_if = "Option::is_none")]
    events_id: Option<String>,
    published: i64,
    delivered: i64,
    failed: i64,
    unmatched: i64,
    retrying: i64,
    pending: i64,
    /// Published less all the others: zero, or something is wrong.
    difference: i64,
}

/// What is there of it; of what has ended, retention removes the old.
#[derive(Debug, Serialize)]
struct Stored {
    events: i64,
    delivered: i64,
    failed: i64,
    unmatched: i64,
}

const COLUMNS: [&str; 8] = ["EVENT TYPE", "PUBLISHED", "DELIVERED", "FAILED", "UNMATCHED", "RETRYING", "PENDING", "DIFFERENCE"];

impl Line {
    #[allow(clippy::needless_pass_by_value, reason = "the row becomes the line")]
    fn of(row: StatRow, events_id: Option<String>) -> Self {
        let difference = row.difference();
        let StatRow { published, delivered, failed, unmatched, pending, retrying, .. } = row;
        Self { events_id, published, delivered, failed, unmatched, retrying, pending, difference }
    }

    fn cells(&self) -> [String; 8] {
        let Self { published, delivered, failed, unmatched, retrying, pending, difference, .. } = self;
        let name = self.events_id.as_deref().unwrap_or("all");
        let counts = [published, delivered, failed, unmatched, retrying, pending, difference];
        let mut cells = counts.iter().map(ToString::to_string);
        std::array::from_fn(|column| if column == 0 { name.to_owned() } else { cells.next().unwrap_or_default() })
    }
}

impl Report {
    fn of(audit: &Audit, max_age: Option<Duration>) -> Self {
        let age = audit.oldest_pending.map(|since| (Utc::now() - since).to_std().unwrap_or_default());
        let mut problems: Vec<String> =
            audit.imbalances().iter().map(|imbalance| format!("The balance does not hold: {imbalance}.")).collect();
        let balanced = problems.is_empty();
        if let (Some(age), Some(max)) = (age, max_age)
            && age > max
        {
            problems.push(format!("The oldest pending event has waited for {}, longer than {}.", Age::from(age), Age::from(max)));
        }
        let ended = audit.ended;
        Self {
            balanced,
            total: Line::of(audit.total(), None),
            oldest_pending_seconds: age.map(|age| age.as_secs_f64()),
            max_age_seconds: max_age.map(|max| max.as_secs()),
            stored: Stored {
                events: audit.stored.values().sum(),
                delivered: ended.delivered,
                failed: ended.failed,
                unmatched: ended.unmatched,
            },
            by_event: audit.balance.iter().map(|row| Line::of(row.clone(), Some(row.events_id.clone()))).collect(),
            problems,
        }
    }

    /// For people.
    fn text(&self) -> Result<String, std::fmt::Error> {
        let mut rows = vec![COLUMNS.map(str::to_owned)];
        rows.extend(self.by_event.iter().chain([&self.total]).map(Line::cells));
        let widths: [usize; 8] = std::array::from_fn(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0));
        let mut text = String::new();
        for row in rows {
            let [name, counts @ ..] = row;
            write!(text, "{name:<width$}", width = widths[0])?;
            for (count, width) in counts.iter().zip(&widths[1..]) {
                write!(text, "  {count:>width$}")?;
            }
            text.push('\n');
        }
        let Stored { events, delivered, failed, unmatched } = self.stored;
        writeln!(text, "\nStored: {events} events, {delivered} of them delivered, {failed} failed, {unmatched} unmatched.")?;
        match self.oldest_pending_seconds {
            None if self.total.retrying > 0 => {
                writeln!(text, "Nothing waits for its first call; {} are tried again.", self.total.retrying)?;
            }
            None => writeln!(text, "Nothing is pending.")?,
            Some(age) => writeln!(text, "The oldest pending event has waited for {}.", Age::from(Duration::from_secs_f64(age)))?,
        }
        if self.balanced {
            text.push_str("The balance holds.\n");
        }
        Ok(text)
    }
}
