//! What the API says about services, generations and pauses, as far as the pages show it.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

use crate::components::changes::Changes;

/// A service of `GET /v1/services`.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Service {
    pub(super) name: String,
    pub(super) title: String,
    pub(super) active: bool,
    pub(super) schedule: String,
    pub(super) manual_run: bool,
    pub(super) in_queue_from: Option<DateTime<Utc>>,
    pub(super) running_since: Option<DateTime<Utc>>,
    pub(super) last_run: Option<LastRun>,
    pub(super) instances: Vec<Instance>,
}

/// The last run of a service that ended.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct LastRun {
    pub(super) status: String,
    pub(super) asked_at: DateTime<Utc>,
    pub(super) finished_at: Option<DateTime<Utc>>,
    pub(super) error: Option<String>,
    /// What came of it; its fields depend on the service.
    pub(super) result: Option<Value>,
}

/// A process of a service.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Instance {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) started_at: DateTime<Utc>,
    pub(super) alive_until: DateTime<Utc>,
    pub(super) alive: bool,
    pub(super) held: u64,
    pub(super) partitions: Vec<u16>,
}

/// A generation of `GET /v1/cache/generations`.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Generation {
    pub(super) generation: i64,
    pub(super) built_at: DateTime<Utc>,
    pub(super) cause: String,
    pub(super) checksum: String,
    pub(super) handlers: usize,
    /// What differs from the generation before.
    pub(super) changes: Changes,
    pub(super) rolled_back_to: Option<i64>,
    pub(super) took_ms: i64,
}

impl Generation {
    /// Why it was built.
    pub(super) fn cause(&self) -> String {
        match (self.cause.as_str(), self.rolled_back_to) {
            ("rollback", Some(to)) => format!("roll back to {to}"),
            ("start", _) => "first start".into(),
            (other, _) => other.into(),
        }
    }

    /// Where its page is.
    pub(super) fn address(&self) -> String {
        format!("{}/generations/{}", super::PATH, self.generation)
    }
}
