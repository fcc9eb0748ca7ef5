//! What the API says about events, as far as the console shows it.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::components::cut::short;
use crate::pages::executions::model::Execution;

/// How much of an object's id is shown, in characters.
const OBJECT_MAX: usize = 60;

/// An event of a list.
#[derive(Debug, Deserialize)]
pub(super) struct Listed {
    pub(super) id: Uuid,
    pub(super) events_id: String,
    /// As it was published.
    pub(super) object_id: Box<RawValue>,
    pub(super) ordering_key: String,
    /// `pending`, `retrying`, `delivered`, `failed`, `unmatched`.
    pub(super) status: String,
    pub(super) generation: Option<i64>,
    pub(super) received_at: DateTime<Utc>,
    pub(super) finished_at: Option<DateTime<Utc>>,
}

/// An event in full.
#[derive(Debug, Deserialize)]
pub(super) struct Event {
    pub(super) id: Uuid,
    pub(super) events_id: String,
    /// As it was published.
    pub(super) object_id: Box<RawValue>,
    pub(super) ordering_key: String,
    pub(super) dt: String,
    /// Masked.
    pub(super) data: Box<RawValue>,
    pub(super) status: String,
    pub(super) generation: Option<i64>,
    pub(super) received_at: DateTime<Utc>,
    pub(super) finished_at: Option<DateTime<Utc>>,
    pub(super) chain: Vec<Stage>,
    /// The oldest first, at most 1000.
    pub(super) executions: Vec<Execution>,
}

/// Handlers of equal priority.
#[derive(Debug, Deserialize)]
pub(super) struct Stage {
    pub(super) priority: u16,
    pub(super) deliveries: Vec<Delivery>,
}

/// One handler's part.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Delivery {
    pub(super) handler_id: i64,
    pub(super) name: String,
    pub(super) state: State,
    pub(super) attempts: u32,
    pub(super) max_attempts: Option<u32>,
    pub(super) next_attempt_at: Option<DateTime<Utc>>,
    /// `continue`, `wait`, `stop`; `None` for a handler that is not in the chain's generation.
    pub(super) on_failure: Option<String>,
    pub(super) lane: Option<String>,
    /// The earlier event that holds its lane.
    pub(super) held_by: Option<HeldBy>,
}

/// A delivery that holds a lane.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct HeldBy {
    pub(super) event_id: Uuid,
    /// Of its handler.
    pub(super) name: String,
}

/// How far a delivery has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    Waiting,
    Retrying,
    Succeeded,
    Dead,
    Skipped,
}

impl State {
    /// Whether nothing more will come of it.
    pub(super) fn has_ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Dead | Self::Skipped)
    }
}

impl Event {
    /// Whether something is still to be done for it.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.status.as_str(), "pending" | "retrying")
    }

    /// What it is about, as its title says it: `client 4108`, or the ordering key where a publisher has named another.
    pub(super) fn object(&self) -> String {
        let object = plain(self.object_id.get());
        match self.ordering_key.split_once('/') {
            Some((kind, id)) if id == object => format!("{kind} {}", short(id, OBJECT_MAX)),
            _ => format!("object {}", short(&object, OBJECT_MAX)),
        }
    }
}

/// An object's id as a text, without the quotes of a string.
pub(super) fn plain(object_id: &str) -> String {
    serde_json::from_str::<String>(object_id).unwrap_or_else(|_| object_id.to_owned())
}
