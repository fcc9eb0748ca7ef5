//! Handlers that are refused, each field with its reason.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::app::{Answer, TestApp};

fn form() -> Value {
    json!({"name": "CRM", "event": "clients.create", "task": {"type": "http", "url": "http://127.0.0.1:5000/api"}})
}

fn with(field: &str, value: Value) -> Value {
    let mut form = form();
    form[field] = value;
    form
}

#[tokio::test]
async fn everything_that_is_wrong_is_said_at_once() {
    let app = TestApp::sqlite().await;
    let wrong = json!({
        "name": "", "event": "clients.creat", "task": {"type": "script", "path": "missing.sh"}, "priority": 0, "timeout_ms": 99,
        "retry": {"max_attempts": "many", "first_delay_ms": 0}, "on_failure": "panic", "status": 1, "nmae": "x",
        "headers": {"Host": "x"}, "secret": "short", "lane": "a\nb",
    });
    let answer = app.post("/v1/handlers", &wrong).await;
    let mut refused = answer.refused();
    refused.sort();
    let expected = [
        "event",
        "headers",
        "headers.Host",
        "lane",
        "name",
        "nmae",
        "on_failure",
        "priority",
        "retry.first_delay_ms",
        "retry.max_attempts",
        "secret",
        "secret",
        "status",
        "task.path",
        "timeout_ms",
    ];
    assert_eq!(refused, expected);
    assert!(answer.said_of("event").contains("/v1/event-types"));
    assert!(answer.said_of("task.path").contains("missing.sh") || answer.said_of("task.path").contains("script"));
    assert_eq!(app.get("/v1/handlers").await.ok()["items"], json!([]));
}

#[tokio::test]
async fn each_wrong_value_is_named() {
    let app = TestApp::sqlite().await;
    let cases = [
        ("priority", json!(0), "priority"),
        ("priority", json!(65536), "priority"),
        ("priority", json!(-1), "priority"),
        ("priority", json!(1.5), "priority"),
        ("priority", json!("1"), "priority"),
        ("priority", json!(true), "priority"),
        ("priority", json!([1]), "priority"),
        ("priority", json!(18_446_744_073_709_551_615_u64), "priority"),
        ("timeout_ms", json!(300_001), "timeout_ms"),
        ("name", json!(null), "name"),
        ("name", json!("x".repeat(201)), "name"),
        ("name", json!("a\u{0}b"), "name"),
        ("name", json!(5), "name"),
        ("event", json!("clients"), "event"),
        ("event", json!(null), "event"),
        ("task", json!(null), "task"),
        ("task", json!("http://127.0.0.1/"), "task"),
        ("task", json!({}), "task.type"),
        ("task", json!(["http", "http://127.0.0.1/", null, null]), "task"),
        ("retry", json!([1, 1, 1]), "retry"),
        ("task", json!({"type": "ftp", "url": "ftp://x"}), "task.type"),
        ("task", json!({"type": "http"}), "task.url"),
        ("task", json!({"type": "http", "url": 5}), "task.url"),
        ("task", json!({"type": "http", "url": ""}), "task.url"),
        ("task", json!({"type": "http", "url": "crm.lan"}), "task.url"),
        ("task", json!({"type": "http", "url": "ftp://crm.lan/"}), "task.url"),
        ("task", json!({"type": "http", "url": "http://u:p@crm.lan/"}), "task.url"),
        ("task", json!({"type": "http", "url": "http://x/", "path": "a"}), "task.path"),
        ("task", json!({"type": "http", "url": "http://x/", "method": "GET"}), "task.method"),
        ("task", json!({"type": "script"}), "task.path"),
        ("task", json!({"type": "script", "path": "/etc/passwd"}), "task.path"),
        ("task", json!({"type": "script", "path": "../x"}), "task.path"),
        ("task", json!({"type": "script", "path": "none.sh"}), "task.path"),
        ("task", json!({"type": "script", "path": "none.sh", "args": "x"}), "task.args"),
        ("task", json!({"type": "script", "path": "none.sh", "args": ["x", 1]}), "task.args[1]"),
        ("task", json!({"type": "script", "path": "none.sh", "url": "http://x/"}), "task.url"),
        ("status", json!("on"), "status"),
        ("on_failure", json!("Wait"), "on_failure"),
        ("retry", json!(5), "retry"),
        ("retry", json!({"max_attempts": 0}), "retry.max_attempts"),
        ("retry", json!({"first_delay_ms": 10, "max_delay_ms": 5}), "retry.max_delay_ms"),
        ("retry", json!({"jitter": 1}), "retry.jitter"),
        ("headers", json!([]), "headers"),
        ("headers", json!({"x": 5}), "headers.x"),
        ("headers", json!({"webhook-id": "x"}), "headers.webhook-id"),
        ("headers", json!({"x": "é"}), "headers.x"),
        ("headers", json!({"x": null}), "headers.x"),
        ("secret", json!(5), "secret"),
        ("secret", json!("whsec_"), "secret"),
        ("notes", json!("x".repeat(10_001)), "notes"),
        ("id", json!(1), "id"),
    ];
    for (field, value, named) in cases {
        let answer = app.post("/v1/handlers", &with(field, value.clone())).await;
        assert_eq!(answer.refused(), [named], "{field}: {value}");
    }
    for whole in [json!([]), json!("x"), json!(null), json!(5)] {
        assert_eq!(app.post("/v1/handlers", &whole).await.refused(), ["body"], "{whole}");
    }
    assert_eq!(app.post("/v1/handlers", &json!({})).await.refused(), ["name", "event", "task"]);
}

#[tokio::test]
async fn forbidden_addresses_and_scripts_are_refused_with_rule_and_setting() {
    let app = TestApp::sqlite().await;
    let url = |url: &str| json!({"name": "n", "event": "clients.create", "task": {"type": "http", "url": url}});
    for address in [
        "http://10.1.2.3/",
        "http://169.254.169.254/latest/",
        "http://[fd00::1]/",
        "http://0x0a010203/",
        "http://192.168.1.1:8080/x",
    ] {
        let said = app.post("/v1/handlers", &url(address)).await.said_of("task.url");
        assert!(said.contains("BATON_ALLOW_TARGETS") && said.contains("address policy"), "{address}: {said}");
    }
    let script = |path: &str| json!({"name": "n", "event": "clients.create", "task": {"type": "script", "path": path}});
    std::fs::write(app.script_root().join("plain.sh"), "#!/bin/sh\n").unwrap();
    std::os::unix::fs::symlink("/bin/sh", app.script_root().join("link.sh")).unwrap();
    for path in ["plain.sh", "link.sh", "none.sh", "."] {
        let said = app.post("/v1/handlers", &script(path)).await.said_of("task.path");
        assert!(said.len() > 15, "{path}: {said}");
    }
}

#[tokio::test]
async fn a_handler_whose_script_is_gone_can_be_switched_off_but_not_on() {
    let app = TestApp::sqlite().await;
    app.script("run.sh", "#!/bin/sh\n");
    let body = with("task", json!({"type": "script", "path": "run.sh"}));
    let created = app.post("/v1/handlers", &body).await.json(StatusCode::CREATED);
    let path = format!("/v1/handlers/{}", created["id"]);
    std::fs::remove_file(app.script_root().join("run.sh")).unwrap();
    assert_eq!(app.patch(&path, &json!({"notes": "n"})).await.refused(), ["task.path"]);
    let toggle = format!("{path}/toggle");
    assert_eq!(app.post(&toggle, &json!({})).await.ok()["status"], "disabled");
    assert_eq!(app.post(&toggle, &json!({})).await.refused(), ["task.path"]);
    assert_eq!(app.patch(&path, &json!({"status": "archived", "notes": "gone"})).await.ok()["status"], "archived");
    assert_eq!(app.patch(&path, &json!({"status": "enabled"})).await.refused(), ["task.path"]);
}

#[tokio::test]
async fn edits_are_checked_like_new_handlers() {
    let app = TestApp::sqlite().await;
    let created = app.handler("http://127.0.0.1:5000/api", json!({})).await;
    let path = format!("/v1/handlers/{}", created["id"]);
    for (patch, named) in [
        (json!({"priority": 0}), "priority"),
        (json!({"priority": "5"}), "priority"),
        (json!({"name": null}), "name"),
        (json!({"task": null}), "task"),
        (json!({"task": {"url": null}}), "task.url"),
        (json!({"task": {"path": "x"}}), "task.path"),
        (json!({"task": {"type": "script"}}), "task.path"),
        (json!({"retry": {"max_attempts": 5000}}), "retry.max_attempts"),
        (json!({"headers": {"Host": "x"}}), "headers.host"),
        (json!({"nmae": null}), "nmae"),
        (json!({"id": 99}), "id"),
        (json!([{"op": "replace"}]), "body"),
        (json!(null), "body"),
    ] {
        assert_eq!(app.patch(&path, &patch).await.refused(), [named], "{patch}");
    }
    assert_eq!(app.put(&path, &json!({"name": "n"})).await.refused(), ["event", "task"]);
    let json_patch = app.request(Method::PATCH, &path).header("content-type", "application/json-patch+json").body("[]");
    Answer::to(json_patch).await.problem(415, "unsupported_media_type");
    assert_eq!(app.get(&path).await.ok()["version"], 1);
}

#[tokio::test]
async fn odd_json_is_refused_not_guessed() {
    let app = TestApp::sqlite().await;
    let task = r#""event":"clients.create","task":{"type":"http","url":"http://127.0.0.1/"}"#;
    for (text, named) in [
        (format!(r#"{{"name":"a","name":"b",{task}}}"#), "name"),
        (format!(r#"{{"name":"a",{task},"headers":{{"x":"1","x":"2"}}}}"#), "headers.x"),
        (format!(r#"{{"name":"a",{task},"headers":{{"x":"1","X":"2"}}}}"#), "headers.x"),
        (format!(r#"{{"name":"a",{task},"priority":1e999}}"#), "priority"),
        (format!(r#"{{"name":"a",{task},"priority":1e2}}"#), "priority"),
    ] {
        assert_eq!(app.post_text("/v1/handlers", text.clone()).await.refused(), [named], "{text}");
    }
    for text in [
        format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000)),
        format!(r#"{{"name":"\ud800",{task}}}"#),
        "{\"a\u{0}\"".into(),
    ] {
        app.post_text("/v1/handlers", text).await.problem(400, "bad_json");
    }
    let mut bytes = format!(r#"{{"name":"a_b",{task}}}"#).into_bytes();
    bytes[10] = 0xff;
    let problem = app.post_text("/v1/handlers", bytes).await.problem(400, "bad_json");
    assert!(problem["detail"].as_str().unwrap().contains("UTF-8"), "{problem}");
    let large = with("notes", json!("x".repeat(1024 * 1024)));
    app.post("/v1/handlers", &large).await.problem(413, "body_too_large");
}

#[tokio::test]
async fn event_types_are_checked() {
    let app = TestApp::sqlite().await;
    let custom = |id: &str| json!({"id": id, "group": "Orders", "object_kind": "order"});
    let created = app.post("/v1/event-types", &custom("orders.paid")).await.json(StatusCode::CREATED);
    let expected = json!({"id": "orders.paid", "group": "Orders", "action": "paid", "title": "Orders: paid", "object_kind": "order", "aliases": [], "custom": true, "schema": null});
    assert_eq!(created, expected);
    for id in ["orders.paid", "clients.create", "accounts.create", "orders", "Orders.paid", "orders..paid", "!"] {
        assert_eq!(app.post("/v1/event-types", &custom(id)).await.refused(), ["id"], "{id}");
    }
    assert_eq!(
        app.post("/v1/event-types", &json!({"id": "a.b", "group": "", "object_kind": "an order"})).await.refused(),
        ["object_kind", "group"]
    );
    assert_eq!(app.post("/v1/event-types", &json!({"id": "a.b", "object_kind": "o"})).await.refused(), ["group"]);
    assert_eq!(
        app.post("/v1/event-types", &json!({"id": "a.b", "group": "G", "object_kind": "o", "aliases": []})).await.refused(),
        ["aliases"]
    );
    let page = app.get("/v1/event-types").await.ok();
    assert_eq!(
        (page["items"].as_array().unwrap().len(), &page["items"][15], &page["next_cursor"]),
        (16, &expected, &Value::Null)
    );
    let part = app.get("/v1/event-types?limit=15").await.ok();
    let cursor = part["next_cursor"].as_str().unwrap();
    assert_eq!(app.get(&format!("/v1/event-types?cursor={cursor}")).await.ok()["items"], json!([expected]));
    app.handler("http://127.0.0.1:5000/api", json!({"event": "orders.paid"})).await;
    // A sample can be published as it is, whichever spelling it was asked for by.
    for (id, known, object_id) in
        [("accounts.create", "clients.accounts.create", json!(880)), ("orders.paid", "orders.paid", json!(1))]
    {
        let sample = app.get(&format!("/v1/event-types/{id}/sample")).await.ok();
        assert_eq!(sample["event"], json!({"events_id": known, "object_id": object_id}));
        app.post("/v1/events", &sample).await.json(StatusCode::ACCEPTED);
    }
    app.get("/v1/event-types/orders.lost/sample").await.problem(404, "not_found");
}
