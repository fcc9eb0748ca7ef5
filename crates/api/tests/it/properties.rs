//! Whatever is sent: it is accepted or refused with a problem, and never an error of Baton's own.

use axum::http::StatusCode;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;

use crate::app::{Answer, TestApp};

const CASES: u32 = 150;

/// Any JSON, not too deep.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|n| json!(n)),
        ".{0,12}".prop_map(Value::from),
        prop_oneof![
            Just("clients.create"),
            Just("accounts.update"),
            Just("generate"),
            Just("enabled"),
            Just("http"),
            Just("script")
        ]
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((key(), inner), 0..6).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// A key that some body knows, or any.
fn key() -> impl Strategy<Value = String> {
    let known = [
        "name",
        "event",
        "task",
        "type",
        "url",
        "path",
        "args",
        "status",
        "priority",
        "on_failure",
        "timeout_ms",
        "retry",
        "max_attempts",
        "lane",
        "headers",
        "secret",
        "notes",
        "events_id",
        "object_id",
        "dt",
        "data",
        "ordering_key",
        "events",
        "ids",
        "search",
        "generation",
        "handler_id",
    ];
    prop_oneof![4 => prop::sample::select(known.to_vec()).prop_map(str::to_owned), 1 => ".{0,8}"]
}

/// A body that is right but for what replaces some of its fields.
fn nearly(right: Value) -> impl Strategy<Value = Value> {
    prop::collection::vec((key(), any_json()), 0..4).prop_map(move |changes| {
        let mut body = right.as_object().cloned().unwrap_or_default();
        body.extend(changes);
        Value::Object(body)
    })
}

fn publication() -> Value {
    json!({"event": {"events_id": "clients.create", "object_id": 1}, "data": {}})
}

fn handler() -> Value {
    json!({"name": "n", "event": "clients.create", "task": {"type": "http", "url": "http://127.0.0.1:9/"}})
}

/// Runs a property on an app of its own.
fn holds<S: Strategy>(strategy: S, check: impl Fn(&Runtime, &TestApp, S::Value) -> Result<(), TestCaseError>) {
    let runtime = Runtime::new().unwrap();
    let app = runtime.block_on(TestApp::sqlite());
    let mut runner = TestRunner::new(Config { cases: CASES, failure_persistence: None, ..Config::default() });
    let result = runner.run(&strategy, |value| check(&runtime, &app, value));
    runtime.block_on(async move { drop(app) });
    result.unwrap_or_else(|error| panic!("{error}"));
}

/// Accepted, or refused with a problem.
fn answered(answer: &Answer) -> Result<(), TestCaseError> {
    prop_assert!(!answer.status.is_server_error(), "{}", answer.text);
    if answer.status.is_client_error() {
        answer.problem(answer.status.as_u16(), serde_json::from_str::<Value>(&answer.text).unwrap()["code"].as_str().unwrap());
    }
    Ok(())
}

#[test]
fn any_publication_is_accepted_or_refused() {
    let body = prop_oneof![3 => nearly(publication()), 1 => any_json()];
    holds(body, |runtime, app, body| {
        let batch = json!({"events": [publication(), body]});
        answered(&runtime.block_on(app.post("/v1/events/batch", &batch)))?;
        answered(&runtime.block_on(app.post("/v1/events/explain", &body)))?;
        answered(&runtime.block_on(app.post("/v1/events", &body)))
    });
}

#[test]
fn any_text_is_accepted_or_refused() {
    let text = prop_oneof![".{0,200}", r#"\{"(event|data|name|task)":[\{\[\]\}",:0-9a-z\\ ]{0,80}"#];
    holds((text, prop::collection::vec(any::<u8>(), 0..100)), |runtime, app, (text, bytes)| {
        for path in ["/v1/events", "/v1/handlers", "/v1/dead-letters/replay"] {
            answered(&runtime.block_on(app.post_text(path, text.clone())))?;
            answered(&runtime.block_on(app.post_text(path, bytes.clone())))?;
        }
        Ok(())
    });
}

#[test]
fn what_is_published_comes_back_to_the_letter() {
    let data =
        prop::collection::btree_map("[a-z]{0,6}", any_json(), 0..6).prop_map(|fields| Value::Object(Map::from_iter(fields)));
    let object_id = prop_oneof![any::<i64>().prop_map(Value::from), "[^\\p{C}]{1,30}".prop_map(Value::from)];
    holds((data, object_id), |runtime, app, (data, object_id)| {
        let data = data.to_string();
        prop_assume!(!["password", "secret", "token"].iter().any(|word| data.to_ascii_lowercase().contains(word)));
        let body = format!(r#"{{"event":{{"events_id":"clients.update","object_id":{object_id}}},"data":{data}}}"#);
        let accepted = runtime.block_on(app.post_text("/v1/events", body)).json(StatusCode::ACCEPTED);
        let shown = runtime.block_on(app.get(&format!("/v1/events/{}", accepted["id"].as_str().unwrap())));
        prop_assert!(shown.text.contains(&format!("\"data\":{data}")), "{} is not in {}", data, shown.text);
        prop_assert!(shown.text.contains(&format!("\"object_id\":{object_id}")), "{}", shown.text);
        let text = object_id.as_str().map_or_else(|| object_id.to_string(), str::to_owned);
        let query = serde_html_form::to_string([("object_id", text)]).unwrap();
        let found = runtime.block_on(app.get(&format!("/v1/events?{query}"))).ok();
        prop_assert!(found["items"].as_array().unwrap().iter().any(|event| event["id"] == accepted["id"]), "{found}");
        Ok(())
    });
}

#[test]
fn any_handler_is_saved_or_refused_and_what_is_saved_can_be_written_back() {
    let body = prop_oneof![4 => nearly(handler()), 1 => any_json()];
    holds((body.clone(), body), |runtime, app, (body, patch)| {
        let answer = runtime.block_on(app.post("/v1/handlers", &body));
        answered(&answer)?;
        let path =
            if answer.status == StatusCode::CREATED { answer.header("location").to_owned() } else { "/v1/handlers/1".into() };
        answered(&runtime.block_on(app.patch(&path, &patch)))?;
        answered(&runtime.block_on(app.put(&path, &patch)))?;
        answered(&runtime.block_on(app.post(&format!("{path}/test"), &json!({"event": patch.get("event")}))))?;
        let read = runtime.block_on(app.get(&path));
        answered(&read)?;
        if read.status == StatusCode::OK {
            let read = read.ok();
            let mut written = runtime.block_on(app.put(&path, &read)).ok();
            for field in ["version", "updated_at"] {
                written[field] = read[field].clone();
            }
            prop_assert_eq!(written, read);
        }
        Ok(())
    });
}

#[test]
fn any_query_is_answered() {
    let name = prop_oneof![
        4 => prop::sample::select(vec!["q", "event", "status", "priority", "order", "limit", "cursor", "events_id", "object_id", "data", "error", "from", "to", "handler_id", "wait", "with"]).prop_map(str::to_owned),
        1 => ".{0,6}",
    ];
    let value =
        prop_oneof![".{0,20}", any::<i64>().prop_map(|n| n.to_string()), Just("%_\\'\"".to_owned()), Just("pending".to_owned())];
    holds(prop::collection::vec((name, value), 0..4), |runtime, app, query| {
        for path in
            ["/v1/handlers", "/v1/events", "/v1/executions", "/v1/dead-letters", "/v1/event-types", "/v1/cache/generations"]
        {
            let query = serde_html_form::to_string(&query).unwrap();
            answered(&runtime.block_on(app.get(&format!("{path}?{query}"))))?;
        }
        Ok(())
    });
}
