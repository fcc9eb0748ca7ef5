//! What a receiver keeps of a call.

use std::sync::OnceLock;
use std::time::Instant;

use bytes::Bytes;
use http::HeaderMap;
use serde_json::Value;

/// One call as it arrived.
#[derive(Debug)]
pub struct Received {
    /// Its place in the order of arrival at this receiver, over all paths; 0 for the first.
    pub number: usize,
    /// When its body was complete.
    pub at: Instant,
    /// `POST`, as a rule.
    pub method: String,
    /// The path without the query.
    pub path: String,
    /// The query without the question mark.
    pub query: Option<String>,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, byte for byte.
    pub body: Bytes,
    /// `event.events_id` of the body.
    pub events_id: Option<String>,
    /// `event.object_id` of the body, number or string.
    pub object_id: Option<Value>,
    /// The header `webhook-id`.
    pub webhook_id: Option<String>,
    /// The header `baton-attempt`, 1 for the first.
    pub attempt: Option<u32>,
    /// The status that it was or will be answered with; `None` when it hangs or is reset.
    pub status: Option<u16>,
    pub(super) answered: OnceLock<Instant>,
}

impl Received {
    pub(super) fn new(number: usize, head: &http::request::Parts, body: Bytes) -> Self {
        let json: Value = serde_json::from_slice(&body).unwrap_or_default();
        let header = |name: &str| head.headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
        Self {
            number,
            at: Instant::now(),
            method: head.method.to_string(),
            path: head.uri.path().to_owned(),
            query: head.uri.query().map(str::to_owned),
            webhook_id: header("webhook-id"),
            attempt: header("baton-attempt").and_then(|attempt| attempt.parse().ok()),
            headers: head.headers.clone(),
            events_id: json.pointer("/event/events_id").and_then(Value::as_str).map(str::to_owned),
            object_id: json.pointer("/event/object_id").cloned(),
            body,
            status: None,
            answered: OnceLock::new(),
        }
    }

    /// Whether it was or will be answered with a 2xx.
    pub fn succeeded(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }

    /// When the answer was handed to the connection; `None` while it is held back, and for ever when it hangs or is reset.
    pub fn answered(&self) -> Option<Instant> {
        self.answered.get().copied()
    }

    /// A header's value, when it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("{} got a body that is not JSON ({e}): {:?}", self.path, self.body))
    }
}
