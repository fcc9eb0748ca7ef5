//! What came of a call, as data.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::event::ObjectId;
use crate::ids::{EventId, ExecutionId, GenerationNumber, HandlerId, Seq};

/// What the dispatcher does next with a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Done.
    Succeeded,
    /// Worth another try, after the time that the receiver asked for, if it did.
    Retry {
        /// From a `Retry-After` header.
        after: Option<Duration>,
    },
    /// Failed for good: another try would get the same answer.
    Failed,
    /// Not called: the handler's filter does not want this event.
    Unwanted,
}

/// What came of one call.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What to do next.
    pub verdict: Verdict,
    /// Why it did not succeed, in a sentence.
    pub error: Option<String>,
    /// What came back, if anything did.
    pub response: Option<Response>,
    /// When the call began.
    pub started_at: DateTime<Utc>,
    /// How long the whole call took.
    pub duration: Duration,
}

/// What a handler answered, cut to the limits of what is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Response {
    /// An HTTP answer.
    Http {
        /// The status code.
        status: u16,
        /// Headers by lower-case name; values of a repeated header joined by a comma.
        headers: BTreeMap<String, String>,
        /// The body, bytes that are not UTF-8 replaced.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        body: String,
        /// Whether there was more than is kept.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        truncated: bool,
    },
    /// A script's end.
    Script {
        /// The exit code, when it ended by itself.
        exit_code: Option<i32>,
        /// The signal that ended it, such as `SIGKILL`.
        signal: Option<String>,
        /// Standard output, bytes that are not UTF-8 replaced.
        stdout: String,
        /// Standard error, likewise.
        stderr: String,
        /// Whether either had more than is kept.
        truncated: bool,
    },
}

/// The status of an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallStatus {
    /// The handler did it.
    Success,
    /// It did not.
    Fail,
    /// It was not called; `error` says why.
    Skipped,
}

impl CallStatus {
    /// The word that the API and the tables use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Fail => "fail",
            Self::Skipped => "skipped",
        }
    }

    /// The status with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Success, Self::Fail, Self::Skipped].into_iter().find(|s| s.as_str() == word)
    }
}

/// One attempt to call one handler for one event; a row of the Execution Logs.
#[derive(Debug, Clone)]
pub struct Execution {
    /// Its id, given when the call began.
    pub id: ExecutionId,
    /// The event.
    pub event_id: EventId,
    /// The dispatch of the event that the call was part of.
    pub seq: Seq,
    /// The event's type.
    pub events_id: String,
    /// The event's object.
    pub object_id: ObjectId,
    /// The handler.
    pub handler_id: HandlerId,
    /// Its name at the time.
    pub handler_name: String,
    /// Its priority at the time.
    pub priority: u16,
    /// The generation that the handler was taken from.
    pub generation: GenerationNumber,
    /// 1 for the first.
    pub attempt: u32,
    /// How it went.
    pub status: CallStatus,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// How long it took, in milliseconds.
    pub duration_ms: i64,
    /// Why it failed or was skipped.
    pub error: Option<String>,
    /// What came back.
    pub response: Option<Response>,
    /// When it will be tried again.
    pub retry_at: Option<DateTime<Utc>>,
}
