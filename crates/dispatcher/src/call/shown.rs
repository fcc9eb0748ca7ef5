//! What a call sends beside its body, for people to look at: credentials masked, nothing opened.

use baton_domain::handler::HandlerSpec;
use baton_domain::{Task, mask};
use chrono::{DateTime, Utc};

use super::Call;
use super::opened::Opened;
use super::script::environment;
use super::target::HttpTarget;

const SIGNATURE: &str = "webhook-signature";

/// The headers of an HTTP call that begins at `at`, or the environment of a script, by name. The operator's own values and the signature
/// are masked: they are stored sealed, and a signature is worth as much as what it signs. Without `user-agent` and what the connection
/// itself adds.
#[must_use]
pub fn shown(handler: &HandlerSpec, call: &Call<'_>, at: DateTime<Utc>) -> Vec<(String, String)> {
    let mut shown = match &handler.task {
        Task::Http { url } => headers(handler, url, call, at),
        Task::Script { .. } => environment(call),
    };
    shown.sort_unstable();
    shown
}

fn headers(handler: &HandlerSpec, url: &str, call: &Call<'_>, at: DateTime<Utc>) -> Vec<(String, String)> {
    // What no request can be made of was never sent.
    let own = handler.headers.keys().map(|name| (name.clone(), String::new())).collect();
    let opened = Opened { headers: own, ..Opened::default() };
    let Ok(headers) = HttpTarget::new(url, opened).and_then(|target| target.headers(call, at)) else {
        return Vec::new();
    };
    let value = |value: &::http::HeaderValue| match value.to_str() {
        Ok(text) if !text.is_empty() => text.to_owned(),
        _ => mask::MASK.to_owned(),
    };
    let mut shown: Vec<_> = headers.iter().map(|(name, of)| (name.as_str().to_owned(), value(of))).collect();
    if handler.secrets.iter().any(|secret| secret.valid_until.is_none_or(|until| at < until)) {
        shown.push((SIGNATURE.to_owned(), mask::MASK.to_owned()));
    }
    if handler.auth.is_some() {
        shown.push((::http::header::AUTHORIZATION.as_str().to_owned(), mask::MASK.to_owned()));
    }
    shown
}

#[cfg(test)]
mod tests {
    use baton_domain::{EventId, GenerationNumber, HandlerId, ObjectId};
    use serde_json::json;

    use super::*;

    fn lines(task: &serde_json::Value) -> Vec<String> {
        let handler: HandlerSpec = serde_json::from_value(json!({
            "id": 5, "name": "CRM", "event": "clients.create", "task": task, "priority": 1, "on_failure": "continue",
            "timeout_ms": 1000, "retry": {"max_attempts": 1, "first_delay_ms": 1, "max_delay_ms": 1},
            "headers": {"X-Key": "c2VhbGVk"}, "secrets": [{"sealed": "c2VhbGVk"}],
        }))
        .unwrap();
        let object_id = ObjectId::from_json("4107").unwrap();
        let call = Call {
            event_id: EventId("0192f0c1-0000-7000-8000-000000000001".parse().unwrap()),
            events_id: "clients.create",
            object_id: &object_id,
            handler_id: HandlerId(5),
            generation: GenerationNumber(7),
            attempt: 2,
            body: "{}".into(),
        };
        let shown = shown(&handler, &call, "2026-11-24T10:00:00Z".parse().unwrap());
        shown.into_iter().map(|(name, value)| format!("{name}: {value}")).collect()
    }

    #[test]
    fn what_is_shown_of_an_http_call_is_what_was_sent_without_its_secrets() {
        let expected = [
            "baton-attempt: 2",
            "baton-generation: 7",
            "baton-handler: 5",
            "content-type: application/json",
            "webhook-id: 0192f0c1-0000-7000-8000-000000000001-5",
            "webhook-signature: ••••",
            "webhook-timestamp: 1795514400",
            "x-key: ••••",
        ];
        assert_eq!(lines(&json!({"type": "http", "url": "http://crm.lan/api"})), expected);
    }

    #[test]
    fn of_a_script_it_is_the_environment() {
        let shown = lines(&json!({"type": "script", "path": "a.sh", "args": []}));
        assert!(
            shown.contains(&"BATON_ATTEMPT: 2".to_owned()) && shown.contains(&"BATON_OBJECT_ID: 4107".to_owned()),
            "{shown:?}"
        );
        assert!(!shown.iter().any(|line| line.contains("webhook")), "{shown:?}");
    }
}
