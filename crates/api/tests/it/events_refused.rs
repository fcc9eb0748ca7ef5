//! Publications that are refused.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::app::TestApp;

const MIB: usize = 1024 * 1024;

fn event(data: &Value) -> Value {
    json!({"event": {"events_id": "clients.create", "object_id": 1}, "data": data})
}

#[tokio::test]
async fn each_wrong_field_is_named() {
    let app = TestApp::sqlite().await;
    let head = json!({"events_id": "clients.create", "object_id": 1});
    let cases = [
        (json!({}), vec!["event"]),
        (json!({"event": head}), vec!["data"]),
        (json!({"data": {}}), vec!["event"]),
        (json!({"event": {}, "data": {}}), vec!["event.events_id"]),
        (json!({"event": {"events_id": "clients.create"}, "data": {}}), vec!["event.object_id"]),
        (json!({"event": {"events_id": 5, "object_id": 1}, "data": {}}), vec!["event.events_id"]),
        (json!({"event": {"events_id": "no.such", "object_id": 1}, "data": {}}), vec!["event.events_id"]),
        (
            json!({"event": {"events_id": "", "object_id": true, "dt": "now"}, "data": 5}),
            vec!["event.events_id", "event.object_id", "event.dt", "data"],
        ),
        (json!({"event": {"events_id": "clients.create", "object_id": 1, "dt": 5}, "data": {}}), vec!["event.dt"]),
        (json!({"event": {"events_id": "clients.create", "object_id": ""}, "data": {}}), vec!["event.object_id"]),
        (json!({"event": {"events_id": "clients.create", "object_id": "x".repeat(201)}, "data": {}}), vec!["event.object_id"]),
        (json!({"event": {"events_id": "clients.create", "object_id": 1, "id": 1}, "data": {}}), vec!["event.id"]),
        (json!({"event": head, "data": {}, "ordering_key": ""}), vec!["ordering_key"]),
        (json!({"event": head, "data": {}, "ordering_key": 5}), vec!["ordering_key"]),
        (json!({"event": head, "data": {}, "priority": 1}), vec!["priority"]),
        (json!({"event": head, "data": null}), vec!["data"]),
        (json!({"event": head, "data": "{}"}), vec!["data"]),
        (json!({"event": [], "data": {}}), vec!["event"]),
        (json!({"event": ["clients.create", 1, null], "data": {}}), vec!["event"]),
        (json!([head, {}, null]), vec!["body"]),
        (json!([]), vec!["body"]),
        (json!("x"), vec!["body"]),
    ];
    for (body, fields) in cases {
        let answer = app.post("/v1/events", &body).await;
        assert_eq!(answer.refused(), fields, "{body}");
    }
    assert_eq!(app.get("/v1/stats").await.ok()["published"], 0);
}

#[tokio::test]
async fn sizes_are_limited() {
    let app = TestApp::sqlite().await;
    let of_bytes = |bytes: usize| {
        // {"s":"…"} is eight bytes without the text.
        event(&json!({"s": "x".repeat(bytes - 8)}))
    };
    app.post("/v1/events", &of_bytes(MIB)).await.json(StatusCode::ACCEPTED);
    let problem = app.post("/v1/events", &of_bytes(MIB + 1)).await.problem(413, "event_too_large");
    assert!(problem["detail"].as_str().unwrap().contains("1048576"), "{problem}");
    app.post("/v1/events", &of_bytes(MIB + 100_000)).await.problem(413, "body_too_large");
    app.post_text("/v1/events", vec![b' '; 40 * MIB]).await.problem(413, "body_too_large");
    let batch = |events: Vec<Value>| json!({"events": events});
    let problem =
        app.post("/v1/events/batch", &batch(vec![of_bytes(100), of_bytes(MIB + 1)])).await.problem(413, "event_too_large");
    assert!(problem["detail"].as_str().unwrap().contains("events[1]"), "{problem}");
    let most = batch((0..15).map(|_| of_bytes(MIB)).collect());
    assert_eq!(app.post("/v1/events/batch", &most).await.json(StatusCode::ACCEPTED)["items"].as_array().unwrap().len(), 15);
    app.post("/v1/events/batch", &batch((0..17).map(|_| of_bytes(MIB)).collect())).await.problem(413, "body_too_large");
    assert_eq!(app.post("/v1/events/batch", &batch(vec![])).await.refused(), ["events"]);
    assert_eq!(app.post("/v1/events/batch", &batch(vec![of_bytes(10); 1001])).await.refused(), ["events"]);
    assert_eq!(app.get("/v1/stats").await.ok()["published"], 16);
}

#[tokio::test]
async fn a_batch_names_every_event_that_is_wrong() {
    let app = TestApp::sqlite().await;
    let wrong = json!({"events": [event(&json!({})), 5, {"event": {"events_id": "clients.create"}, "data": {}}, {"data": {}, "x": 1}, event(&json!([]))]});
    let refused = app.post("/v1/events/batch", &wrong).await.refused();
    assert_eq!(refused, ["events[1]", "events[2].event.object_id", "events[3].x", "events[3].event"]);
    let many = json!({"events": vec![json!({}); 1000]});
    let answer = app.post("/v1/events/batch", &many).await;
    assert_eq!(answer.refused().len(), 100);
    assert_eq!(app.post("/v1/events/batch", &json!({"events": {}})).await.refused(), ["events"]);
    assert_eq!(app.post("/v1/events/batch", &json!({"items": []})).await.refused(), ["items", "events"]);
}

#[tokio::test]
async fn odd_json_is_refused_or_kept_to_the_letter() {
    let app = TestApp::sqlite().await;
    let with_data = |data: &str| format!(r#"{{"event":{{"events_id":"clients.create","object_id":1}},"data":{data}}}"#);
    let nested = |depth: usize| format!("{{\"a\":{}1{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
    app.post_text("/v1/events", with_data(&nested(128))).await.json(StatusCode::ACCEPTED);
    assert_eq!(app.post_text("/v1/events", with_data(&nested(129))).await.refused(), ["data"]);
    assert_eq!(app.post_text("/v1/events", with_data(&nested(200_000))).await.refused(), ["data"]);
    app.post_text("/v1/events", "[".repeat(200_000)).await.problem(400, "bad_json");
    for kept in [
        r#"{"a":1,"a":2}"#,
        r#"{"n":1e999}"#,
        r#"{"z":"\u0000"}"#,
        r#"{"half":"\ud800"}"#,
        r#"{ "space" : [ ] }"#,
        "{\"tab\":\"\\t\"}",
    ] {
        let accepted = app.post_text("/v1/events", with_data(kept)).await.json(StatusCode::ACCEPTED);
        let shown = app.get(&format!("/v1/events/{}", accepted["id"].as_str().unwrap())).await;
        assert!(shown.status == StatusCode::OK && shown.text.contains(&format!("\"data\":{kept}")), "{kept}: {}", shown.text);
    }
    assert!(app.get("/v1/events").await.status == StatusCode::OK);
    let twice = r#"{"event":{"events_id":"clients.create","events_id":"clients.delete","object_id":1},"data":{}}"#;
    assert_eq!(app.post_text("/v1/events", twice).await.refused(), ["event.events_id"]);
    let control = r#"{"event":{"events_id":"clients.create","object_id":"a\u0000b"},"data":{}}"#;
    assert_eq!(app.post_text("/v1/events", control).await.refused(), ["event.object_id"]);
    for broken in [with_data("{\"a\":"), with_data("{\"a\":\"\n\"}"), with_data("{\"a\":01}"), with_data("NaN")] {
        app.post_text("/v1/events", broken).await.problem(400, "bad_json");
    }
    let mut bytes = with_data("{\"s\":\"_\"}").into_bytes();
    let place = bytes.iter().rposition(|b| *b == b'_').unwrap();
    bytes[place] = 0xff;
    app.post_text("/v1/events", bytes.clone()).await.problem(400, "bad_json");
    let batch = [b"{\"events\":[".as_slice(), &bytes, b"]}"].concat();
    app.post_text("/v1/events/batch", batch).await.problem(400, "bad_json");
}
