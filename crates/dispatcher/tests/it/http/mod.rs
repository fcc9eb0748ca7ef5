//! HTTP handlers against a server on 127.0.0.1 that is scripted down to the bytes.

mod answers;
mod auth;
mod connections;
mod policy;
mod server;
mod spellings;
mod tls;
mod wire;

use std::time::Duration;

use baton_dispatcher::call::{Call, Caller, CallerSettings, Confinement, Opened, Target};
use baton_domain::address::AddressPolicy;
use baton_domain::handler::HandlerSpec;
use baton_domain::{EventId, GenerationNumber, HandlerId, ObjectId, OnFailure, Outcome, Response, RetryPolicy, Task};

const BODY: &str =
    r#"{"event":{"dt":"2026-03-04T09:15:27+00:00","events_id":"clients.create","object_id":4107},"data":{"n":1.0}}"#;
/// Longer than any call of these tests takes.
const AMPLE: Duration = Duration::from_secs(30);
/// For calls that are to run into it.
const BRIEF: Duration = Duration::from_millis(300);

fn caller(allowed: &[&str], loopback: bool) -> Caller {
    Caller::new(CallerSettings {
        policy: AddressPolicy::new(allowed.iter().map(|net| net.parse().unwrap()), loopback),
        script_root: None,
        scripts_max: 1,
        confinement: Confinement::default(),
        user_agent: "Baton/test".into(),
    })
    .unwrap()
}

fn spec(url: &str, timeout: Duration) -> HandlerSpec {
    HandlerSpec {
        id: HandlerId(5),
        name: "CRM".into(),
        event: "clients.create".into(),
        task: Task::Http { url: url.into() },
        priority: 100,
        on_failure: OnFailure::Continue,
        timeout_ms: timeout.as_millis() as u32,
        retry: RetryPolicy::default(),
        lane: None,
        headers: [].into(),
        secrets: Vec::new(),
        filter: None,
        limits: Default::default(),
        auth: None,
        tls: None,
    }
}

fn target(url: &str, timeout: Duration) -> Target {
    Target::new(&spec(url, timeout), Opened::default()).unwrap()
}

fn event_id() -> EventId {
    EventId("0192f0c1-5d3e-7c41-9a55-0123456789ab".parse().unwrap())
}

/// Calls with the usual event, as this attempt.
async fn call(caller: &Caller, target: &Target, attempt: u32) -> Outcome {
    let object_id = ObjectId::from_json("4107").unwrap();
    let call = Call {
        event_id: event_id(),
        events_id: "clients.create",
        object_id: &object_id,
        handler_id: HandlerId(5),
        generation: GenerationNumber(7),
        attempt,
        body: BODY.into(),
    };
    caller.call(target, &call).await
}

/// Calls a URL of this machine once.
async fn post(url: &str, timeout: Duration) -> Outcome {
    call(&caller(&[], true), &target(url, timeout), 1).await
}

/// Body and whether it was truncated.
fn body(outcome: &Outcome) -> (&str, bool) {
    match &outcome.response {
        Some(Response::Http { body, truncated, .. }) => (body, *truncated),
        other => panic!("no HTTP answer but {other:?}"),
    }
}

fn status(outcome: &Outcome) -> u16 {
    match &outcome.response {
        Some(Response::Http { status, .. }) => *status,
        other => panic!("no HTTP answer but {other:?}"),
    }
}
