//! The shapes of executions.

use std::collections::BTreeMap;

use baton_domain::mask::mask_json;
use baton_domain::{CallStatus, Execution as Stored, Outcome, Response as Answered, Verdict};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

use super::sent::Sent;
use crate::page::page;
use crate::raw::{masked_header, object_id};
use crate::words::ExecutionStatus;

/// What an HTTP handler answered.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HttpResponse {
    #[schema(example = 200)]
    status: u16,
    /// By lower-case name; credentials masked.
    headers: BTreeMap<String, String>,
    /// The first 64 KiB; where it is JSON, credentials are masked.
    body: String,
    /// Whether there was more than is kept.
    truncated: bool,
}

/// How a script ended.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ScriptResponse {
    /// Null when a signal ended it.
    #[schema(required)]
    exit_code: Option<i32>,
    /// Such as `SIGKILL`; null when it ended by itself.
    #[schema(required)]
    signal: Option<String>,
    /// The first 64 KiB; where it is JSON, credentials are masked.
    stdout: String,
    /// The first 64 KiB.
    stderr: String,
    /// Whether either had more than is kept.
    truncated: bool,
}

/// What a handler answered.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Response {
    Http(HttpResponse),
    Script(ScriptResponse),
}

impl From<Answered> for Response {
    fn from(answered: Answered) -> Self {
        match answered {
            Answered::Http { status, headers, body, truncated } => Self::Http(HttpResponse {
                status,
                headers: headers.into_iter().map(|(name, value)| (name.clone(), masked_header(&name, value))).collect(),
                body: masked_text(body),
                truncated,
            }),
            Answered::Script { exit_code, signal, stdout, stderr, truncated } => Self::Script(ScriptResponse {
                exit_code,
                signal,
                stdout: masked_text(stdout),
                stderr: masked_text(stderr),
                truncated,
            }),
        }
    }
}

/// The text with credentials masked, where it is JSON.
fn masked_text(text: String) -> String {
    let json = text.trim();
    let masked = mask_json(json);
    if masked == json { text } else { masked }
}

/// One attempt to call one handler for one event.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Execution {
    id: Uuid,
    event_id: Uuid,
    #[schema(example = "clients.create")]
    events_id: String,
    /// As it was published.
    #[schema(schema_with = crate::openapi::object_id)]
    object_id: Box<RawValue>,
    handler_id: i64,
    /// The handler's name at the time.
    handler_name: String,
    /// The handler's priority at the time.
    priority: u16,
    /// The generation that the handler was taken from. Null for a test call before there is a generation.
    #[schema(required)]
    generation: Option<i64>,
    /// 1 for the first.
    #[schema(minimum = 1)]
    attempt: u32,
    status: ExecutionStatus,
    started_at: DateTime<Utc>,
    #[schema(minimum = 0)]
    duration_ms: i64,
    /// Why it failed or was skipped.
    #[schema(required)]
    error: Option<String>,
    #[schema(required)]
    response: Option<Response>,
    /// When it is tried again.
    #[schema(required)]
    retry_at: Option<DateTime<Utc>>,
    /// True for a test call, which is not kept in the log.
    test: bool,
    /// What was sent. Of a test call, and where one execution is asked for whose event and generation are still kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    request: Option<Sent>,
}

page! {
    /// A page of executions.
    ExecutionPage of Execution
}

impl From<Stored> for Execution {
    fn from(stored: Stored) -> Self {
        Self {
            id: stored.id.0,
            event_id: stored.event_id.0,
            events_id: stored.events_id,
            object_id: object_id(&stored.object_id),
            handler_id: stored.handler_id.0,
            handler_name: stored.handler_name,
            priority: stored.priority,
            generation: Some(stored.generation.0),
            attempt: stored.attempt,
            status: stored.status.into(),
            started_at: stored.started_at,
            duration_ms: stored.duration_ms,
            error: stored.error,
            response: stored.response.map(Into::into),
            retry_at: stored.retry_at,
            test: false,
            request: None,
        }
    }
}

impl Execution {
    /// The execution in full.
    pub(crate) fn with(self, request: Option<Sent>) -> Self {
        Self { request, ..self }
    }

    /// A test call: what would have been stored for it, and how it went.
    pub(crate) fn of_test(frame: Stored, generation: Option<i64>, outcome: Outcome) -> Self {
        let status = if outcome.verdict == Verdict::Succeeded { CallStatus::Success } else { CallStatus::Fail };
        let duration_ms = i64::try_from(outcome.duration.as_millis()).unwrap_or(i64::MAX);
        let Outcome { error, response, started_at, .. } = outcome;
        let called = Stored { status, started_at, duration_ms, error, response, ..frame };
        Self { generation, test: true, ..called.into() }
    }
}
