//! What a run of the Cache Manager did, in a sentence.

use serde::Deserialize;

use super::changes::Changes;
use super::time;
use crate::client::ApiError;
use crate::flash::Flash;
use crate::layout::count;

/// How many seconds a page waits for a run.
pub(crate) const WAIT: u32 = 30;

/// A restart or a roll back. While it has not ended, the API says only how far it has come.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Restart {
    Done { generation: i64, handlers: usize, changes: Changes, took_ms: i64 },
    UnderWay { status: String },
}

/// What it did, or what it was refused with.
pub(crate) fn said(done: Result<Restart, ApiError>) -> Flash {
    match done {
        Ok(Restart::Done { generation, handlers, changes, took_ms }) => Flash::good(format!(
            "Generation {generation} is live with {}: {}. It took {}.",
            count(handlers, "handler"),
            changes.summary(),
            time::took(took_ms)
        )),
        Ok(Restart::UnderWay { status }) => Flash::good(under_way(&status)),
        Err(error) => Flash::bad(error.to_string()),
    }
}

/// That a run goes on.
pub(crate) fn under_way(status: &str) -> String {
    format!("The run is {status}; it did not end within {WAIT} s. The Task Scheduler says when it has.")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_result_of_a_restart_is_said() {
        let changes = json!({"added": [{"id": 1, "name": "a"}], "removed": [], "changed": []});
        let done = json!({"generation": 5, "handlers": 1, "changes": changes, "took_ms": 7, "run_id": 1});
        let said_of = |value| said(Ok(serde_json::from_value(value).unwrap())).text;
        assert_eq!(said_of(done), "Generation 5 is live with 1 handler: 1 added. It took 7 ms.");
        assert!(said_of(json!({"id": 1, "status": "queued"})).starts_with("The run is queued"));
    }
}
