//! What the API says about executions, as far as the console shows it.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::PATH;
use crate::components::handler_call::{Sent, Whole};

/// One attempt to call one handler for one event. Lists pass over the answers: `R` is [`Answer`](crate::components::handler_call::Answer)
/// where it is shown.
#[derive(Debug, Deserialize)]
pub(crate) struct Execution<R = IgnoredAny> {
    pub(crate) id: Uuid,
    pub(crate) event_id: Uuid,
    pub(crate) events_id: String,
    /// As it was published.
    pub(crate) object_id: Box<RawValue>,
    pub(crate) handler_id: i64,
    pub(crate) handler_name: String,
    pub(crate) priority: u16,
    pub(crate) generation: Option<i64>,
    pub(crate) attempt: u32,
    /// `success`, `fail`, `skipped`.
    pub(crate) status: String,
    pub(crate) started_at: DateTime<Utc>,
    pub(crate) duration_ms: i64,
    pub(crate) error: Option<String>,
    pub(crate) response: Option<R>,
    pub(crate) retry_at: Option<DateTime<Utc>>,
    /// Where one execution is asked for.
    #[serde(default)]
    pub(crate) request: Option<Sent>,
}

impl<R> Execution<R> {
    /// Its page.
    pub(crate) fn address(&self) -> String {
        format!("{PATH}/{}", self.id)
    }
}

impl<R> Whole for Execution<R> {
    fn of(&self, part: &str) -> Option<String> {
        Some(format!("{PATH}/{}/{part}", self.id))
    }
}
