//! What the demo reads of the API's answers; there is more in them.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
pub(super) struct Items<T> {
    pub(super) items: Vec<T>,
}

#[derive(Deserialize)]
pub(super) struct EventType {
    pub(super) id: String,
    pub(super) aliases: Vec<String>,
}

#[derive(Deserialize)]
pub(super) struct Handler {
    pub(super) id: i64,
}

#[derive(Deserialize)]
pub(super) struct Restart {
    pub(super) generation: i64,
    pub(super) handlers: usize,
    pub(super) took_ms: u64,
}

#[derive(Deserialize)]
pub(super) struct Accepted {
    pub(super) id: String,
}

#[derive(Deserialize)]
pub(super) struct Event {
    pub(super) events_id: String,
    pub(super) object_id: Box<RawValue>,
    pub(super) ordering_key: String,
    pub(super) status: String,
    pub(super) executions: Vec<Execution>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Execution {
    pub(super) handler_id: i64,
    pub(super) priority: u16,
    /// None only for a test call.
    pub(super) generation: Option<i64>,
    pub(super) attempt: u32,
    pub(super) status: String,
    pub(super) started_at: DateTime<Utc>,
    pub(super) duration_ms: u64,
    pub(super) error: Option<String>,
    pub(super) response: Option<Response>,
}

/// Of an HTTP handler it has the status, of a script the exit code or the signal.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Response {
    pub(super) status: Option<u16>,
    pub(super) exit_code: Option<i32>,
    pub(super) signal: Option<String>,
}

impl Event {
    /// Whether no handler is to be called for it any more.
    pub(super) fn is_over(&self) -> bool {
        !matches!(self.status.as_str(), "pending" | "retrying")
    }
}

impl Execution {
    pub(super) fn succeeded(&self) -> bool {
        self.status == "success"
    }
}
