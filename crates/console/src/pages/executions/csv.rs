//! Executions as CSV (RFC 4180), safe to be opened in a spreadsheet.

use chrono::SecondsFormat;

use super::model::Execution;
use crate::components::handler_call::Answer;

/// The columns, in their order.
const COLUMNS: [&str; 15] = [
    "id",
    "started_at",
    "events_id",
    "status",
    "handler_id",
    "handler_name",
    "object_id",
    "attempt",
    "duration_ms",
    "error",
    "answer",
    "retry_at",
    "priority",
    "generation",
    "event_id",
];

/// The line of names.
///
/// # Errors
/// When it cannot be written, which to memory it can.
pub(super) fn head() -> csv::Result<Vec<u8>> {
    written(|to| to.write_record(COLUMNS))
}

/// Lines of executions.
///
/// # Errors
/// When they cannot be written, which to memory they can.
pub(super) fn lines(executions: &[Execution<Answer>]) -> csv::Result<Vec<u8>> {
    written(|to| {
        for execution in executions {
            to.write_record(fields(execution))?;
        }
        Ok(())
    })
}

/// The last line of a file that does not hold all: it says so in its first field.
///
/// # Errors
/// When it cannot be written, which to memory it can.
pub(super) fn rest(sentence: &str) -> csv::Result<Vec<u8>> {
    let mut fields = [""; COLUMNS.len()];
    fields[0] = sentence;
    written(|to| to.write_record(fields))
}

fn written(write: impl FnOnce(&mut csv::Writer<Vec<u8>>) -> csv::Result<()>) -> csv::Result<Vec<u8>> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    write(&mut writer)?;
    writer.into_inner().map_err(|error| std::io::Error::from(error.error().kind()).into())
}

fn fields(execution: &Execution<Answer>) -> [String; COLUMNS.len()] {
    let instant = |at: chrono::DateTime<chrono::Utc>| at.to_rfc3339_opts(SecondsFormat::Millis, true);
    // As text: a string as it is, without its quotes.
    let object = execution.object_id.get();
    let object = serde_json::from_str::<String>(object).unwrap_or_else(|_| object.to_owned());
    [
        execution.id.to_string(),
        instant(execution.started_at),
        safe(&execution.events_id),
        execution.status.clone(),
        execution.handler_id.to_string(),
        safe(&execution.handler_name),
        safe(&object),
        execution.attempt.to_string(),
        execution.duration_ms.to_string(),
        safe(execution.error.as_deref().unwrap_or_default()),
        safe(&execution.response.as_ref().map(Answer::summary).unwrap_or_default()),
        execution.retry_at.map(instant).unwrap_or_default(),
        execution.priority.to_string(),
        execution.generation.map(|number| number.to_string()).unwrap_or_default(),
        execution.event_id.to_string(),
    ]
}

/// The text so that a spreadsheet takes it for a text: what begins like a formula gets an apostrophe before it. Numbers stay numbers.
fn safe(text: &str) -> String {
    const FORMULA: [char; 12] = ['=', '+', '-', '@', '\t', '\r', '\n', '\0', '＝', '＋', '－', '＠'];
    let begins = text.trim_start_matches([' ', '\u{a0}', '\u{feff}']).starts_with(FORMULA);
    if begins && !is_number(text) { format!("'{text}") } else { text.to_owned() }
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, rest) = digits.split_once('.').unwrap_or((digits, "0"));
    [whole, rest].iter().all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn execution(name: &str, object: &serde_json::Value, error: &str) -> Execution<Answer> {
        let id = "0192f0c1-0000-7000-8000-000000000001";
        let text = json!({
            "id": id, "event_id": id, "events_id": "clients.create", "object_id": object, "handler_id": 7, "handler_name": name,
            "priority": 1, "generation": 3, "attempt": 2, "status": "fail", "started_at": "2026-03-04T11:02:33.481902Z",
            "duration_ms": 18, "error": error, "response": {"status": 503, "headers": {}, "body": "", "truncated": false},
            "retry_at": null,
        });
        serde_json::from_str(&text.to_string()).unwrap()
    }

    fn read(bytes: &[u8]) -> Vec<Vec<String>> {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(bytes);
        reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect()
    }

    #[test]
    fn what_begins_like_a_formula_becomes_a_text() {
        let attack = "=HYPERLINK(\"http://evil.example\",\"x\")";
        for text in [
            attack,
            "+1+1",
            "-1+cmd|' /C calc'!A0",
            "@SUM(A1)",
            "\t=1",
            "\r=1",
            "\n=1",
            " =1+1",
            "\u{feff}=1",
            "＝1+1",
            "-",
            "-.5",
        ] {
            assert_eq!(safe(text), format!("'{text}"));
        }
        for text in ["", "CRM: created", "-5", "-5.25", "4107", "a=b", "503 Service Unavailable", "'quoted"] {
            assert_eq!(safe(text), text);
        }
        let lines = lines(&[execution(attack, &json!("=2+5"), "said \"no\",\r\nand left")]).unwrap();
        let [fields] = read(&lines).try_into().unwrap();
        assert_eq!(fields[5], format!("'{attack}"));
        assert_eq!(fields[6], "'=2+5");
        assert_eq!(fields[9], "said \"no\",\r\nand left");
    }

    #[test]
    fn every_line_has_all_columns_and_ends_as_the_standard_says() {
        let all = [head().unwrap(), lines(&[execution("CRM", &json!(-5), "")]).unwrap(), rest("cut").unwrap()].concat();
        let text = String::from_utf8(all.clone()).unwrap();
        assert_eq!(text.matches("\r\n").count(), 3, "{text}");
        let read = read(&all);
        assert!(read.iter().all(|record| record.len() == COLUMNS.len()), "{read:?}");
        assert_eq!(read[0], COLUMNS);
        assert_eq!(read[1][1], "2026-03-04T11:02:33.481Z");
        assert_eq!(read[1][6], "-5");
        assert_eq!(read[1][10], "503 Service Unavailable");
        assert_eq!(read[2][0], "cut");
    }
}
