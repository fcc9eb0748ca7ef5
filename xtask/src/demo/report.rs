//! What a person wants to see at the end.

use std::fmt::Write;
use std::time::Duration;

use super::api::Execution;
use super::handler::{Kind, PLANS};
use super::story::Followed;

/// How many events are shown when not all are asked for.
const SHOWN: usize = 6;
const GAP: &str = "  ";
/// Event and object, then what and how long for each plan.
const COLUMNS: usize = 2 + 2 * PLANS.len();

/// What happened, in figures.
pub(super) struct Facts<'a> {
    /// Where Baton listens.
    pub(super) url: &'a str,
    /// Where its data is.
    pub(super) data: &'a str,
    /// How many event types have handlers.
    pub(super) types: usize,
    pub(super) generation: i64,
    /// How long the Cache Manager took to build it, in milliseconds.
    pub(super) built_ms: u64,
    /// From the first publication to the last answer of a handler.
    pub(super) ran: Duration,
    /// In the order of publication.
    pub(super) events: &'a [Followed],
}

/// Everything but the verdict.
pub(super) fn text(facts: &Facts<'_>, all: bool) -> String {
    let shown = choose(facts.events, if all { facts.events.len() } else { SHOWN });
    let handlers = facts.types * PLANS.len();
    let plans: Vec<_> = PLANS.iter().map(|plan| format!("{} {}", plan.priority, plan.kind.word())).collect();
    let mut text = String::new();
    let mut line = |name: &str, what: String| {
        let _ = writeln!(text, "{name:<12}{what}");
    };
    line("Baton", format!("{}, data in {} until the demo ends", facts.url, facts.data));
    line("Handlers", format!("{handlers}: for each of {} event types priority {}", facts.types, plans.join(", ")));
    line(
        "Generation",
        format!("{}, live with {handlers} handlers; the Cache Manager took {} ms", facts.generation, facts.built_ms),
    );
    line(
        "Events",
        format!("{} published, {} calls, all done in {} ms", facts.events.len(), calls(facts.events), facts.ran.as_millis()),
    );
    let _ = write!(text, "\n{}", table(&shown));
    let hidden = facts.events.len() - shown.len();
    if hidden > 0 {
        let _ = writeln!(text, "… and {hidden} more like these (--all shows them)");
    }
    text
}

/// How many calls were made.
pub(super) fn calls(events: &[Followed]) -> usize {
    events.iter().map(|event| event.told.executions.len()).sum()
}

/// How many of them succeeded.
pub(super) fn succeeded(events: &[Followed]) -> usize {
    events.iter().flat_map(|event| &event.told.executions).filter(|execution| execution.succeeded()).count()
}

/// So many events from all over the list.
fn choose(events: &[Followed], count: usize) -> Vec<&Followed> {
    let count = count.min(events.len());
    (0..count).map(|place| &events[place * events.len() / count]).collect()
}

fn table(events: &[&Followed]) -> String {
    let mut head = vec!["event".to_owned(), "object".to_owned()];
    head.extend(PLANS.iter().flat_map(|plan| [plan.priority.to_string(), String::new()]));
    let rows: Vec<_> = std::iter::once(head).chain(events.iter().map(|event| row(event))).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; COLUMNS] = std::array::from_fn(width);
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(widths).enumerate().map(|(column, (cell, width))| {
            if is_duration(column) { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        let _ = writeln!(text, "{}", cells.collect::<Vec<_>>().join(GAP).trim_end());
    }
    text
}

fn is_duration(column: usize) -> bool {
    column >= 2 && column % 2 == 1
}

fn row(event: &Followed) -> Vec<String> {
    let published = &event.published.event;
    let mut row = vec![published.events_id.clone(), published.object_id.clone()];
    for plan in &PLANS {
        let last = event.told.executions.iter().filter(|execution| execution.priority == plan.priority).max_by_key(|e| e.attempt);
        row.push(last.map_or_else(|| "not called".to_owned(), |execution| outcome(plan.kind, execution)));
        row.push(last.map_or_else(String::new, |execution| milliseconds(execution.duration_ms)));
    }
    row
}

/// How a call ended: `http 200`, `script exit 0`.
fn outcome(kind: Kind, execution: &Execution) -> String {
    let response = execution.response.clone().unwrap_or_default();
    let end = match (response.status, response.exit_code, response.signal) {
        (Some(status), ..) => status.to_string(),
        (None, Some(code), _) => format!("exit {code}"),
        (None, None, Some(signal)) => signal,
        (None, None, None) => execution.status.clone(),
    };
    let attempt = if execution.attempt > 1 { format!(" at attempt {}", execution.attempt) } else { String::new() };
    format!("{} {end}{attempt}", kind.word())
}

fn milliseconds(duration: u64) -> String {
    if duration == 0 { "<1 ms".into() } else { format!("{duration} ms") }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use serde_json::value::RawValue;

    use super::super::api::{self, Response};
    use super::super::event::Event;
    use super::super::story::Published;
    use super::*;

    fn execution(priority: u16, duration_ms: u64) -> Execution {
        let response = match priority {
            2 => Response { exit_code: Some(0), ..Response::default() },
            _ => Response { status: Some(200), ..Response::default() },
        };
        Execution {
            handler_id: 1,
            priority,
            generation: Some(2),
            attempt: 1,
            status: "success".into(),
            started_at: DateTime::UNIX_EPOCH,
            duration_ms,
            error: None,
            response: Some(response),
        }
    }

    fn followed(events_id: &str, object: &str, executions: Vec<Execution>) -> Followed {
        let event = Event { events_id: events_id.into(), object_id: object.into(), dt: String::new(), data: "{}".into() };
        let told = api::Event {
            events_id: events_id.into(),
            object_id: RawValue::from_string(object.into()).unwrap(),
            ordering_key: String::new(),
            status: "delivered".into(),
            executions,
        };
        Followed { published: Published { id: String::new(), event }, told }
    }

    fn three() -> Vec<Execution> {
        vec![execution(1, 0), execution(2, 31), execution(3, 120)]
    }

    #[test]
    fn a_table_is_aligned() {
        let mut failed = execution(1, 4);
        (failed.status, failed.response) = ("fail".into(), None);
        let again = Execution { attempt: 2, ..execution(1, 1004) };
        let killed = Response { signal: Some("SIGKILL".into()), ..Response::default() };
        let killed = Execution { response: Some(killed), ..execution(2, 7) };
        let events = [
            followed("clients.create", "4107", three()),
            followed("clients.balance_zero", "\"4108\"", vec![failed.clone(), again, killed]),
            followed("a.b", "1", vec![failed]),
        ];
        let expected = "\
event                 object  1                              2                         3
clients.create        4107    http 200                <1 ms  script exit 0      31 ms  http 200    120 ms
clients.balance_zero  \"4108\"  http 200 at attempt 2  1004 ms  script SIGKILL      7 ms  not called
a.b                   1       http fail                4 ms  not called                not called
";
        let table = table(&events.iter().collect::<Vec<_>>());
        let squeezed =
            |text: &str| text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>();
        assert_eq!(squeezed(&table), squeezed(expected));
        let starts = |line: &str, word: &str| line.find(word);
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(starts(lines[1], "script exit"), starts(lines[2], "script SIGKILL"));
        assert_eq!(starts(lines[1], " 31 ms").map(|at| at + 6), starts(lines[2], " 7 ms").map(|at| at + 5));
        assert_eq!(starts(lines[0], "object"), starts(lines[1], "4107"));
    }

    #[test]
    fn a_few_events_stand_for_all() {
        let events: Vec<_> = (0..19).map(|n| followed("a.b", &n.to_string(), three())).collect();
        let objects = |count| choose(&events, count).iter().map(|e| e.published.event.object_id.clone()).collect::<Vec<_>>();
        assert_eq!(objects(SHOWN), ["0", "3", "6", "9", "12", "15"]);
        assert_eq!(objects(19).len(), 19);
        assert_eq!(objects(20).len(), 19);
        assert_eq!((calls(&events), succeeded(&events)), (57, 57));
    }

    #[test]
    fn what_is_left_out_is_counted() {
        let events: Vec<_> = (0..19).map(|n| followed("a.b", &n.to_string(), three())).collect();
        let facts = Facts {
            url: "http://127.0.0.1:81",
            data: "/tmp/x",
            types: 15,
            generation: 2,
            built_ms: 13,
            ran: Duration::from_millis(800),
            events: &events,
        };
        let short = text(&facts, false);
        assert!(short.contains("45: for each of 15 event types priority 1 http, 2 script, 3 http"), "{short}");
        assert!(short.ends_with("… and 13 more like these (--all shows them)\n") && short.lines().count() == 13, "{short}");
        let all = text(&facts, true);
        assert!(!all.contains("more like these") && all.lines().count() == 25, "{all}");
    }
}
