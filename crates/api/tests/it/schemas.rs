//! Schemas of event types: saved, shown, and held against what is published.

use axum::http::{Method, StatusCode};
use baton_storage::SchemaUse;
use baton_testkit::eventually;
use chrono::Utc;
use serde_json::{Value, json};

use crate::app::{Answer, SOON, TOKEN, TestApp, on_both};

const SCHEMA: &str = "/v1/event-types/clients.create/schema";

fn client() -> Value {
    json!({"type": "object", "required": ["balance"], "properties": {"balance": {"type": "number"}, "name": {"type": "string"}}})
}

async fn save(app: &TestApp, validate: &str) -> Value {
    app.put(SCHEMA, &json!({"schema": client(), "validate": validate})).await.ok()
}

fn event(data: &Value) -> Value {
    json!({"event": {"events_id": "clients.create", "object_id": 1}, "data": data})
}

async fn published(app: &TestApp) -> i64 {
    app.get("/v1/stats").await.ok()["published"].as_i64().unwrap()
}

/// The schema of an event type as the list shows it.
async fn listed(app: &TestApp, id: &str) -> Value {
    let types = app.get("/v1/event-types?limit=200").await.ok();
    types["items"].as_array().unwrap().iter().find(|t| t["id"] == id).unwrap()["schema"].clone()
}

on_both! {
    async fn a_schema_that_is_enforced_keeps_out_what_it_does_not_allow(app) {
        app.post("/v1/events", &event(&json!({}))).await.json(StatusCode::ACCEPTED);
        let saved = save(&app, "enforce").await;
        assert_eq!((&saved["schema"], &saved["validate"]), (&client(), &json!("enforce")));
        assert_eq!(app.post("/v1/events", &event(&json!({"name": 7}))).await.refused(), ["data.balance", "data.name"]);
        app.post("/v1/events", &event(&json!({"balance": 0.5}))).await.json(StatusCode::ACCEPTED);
        // Other types are nobody's business, and an older spelling is the same type.
        app.publish("clients.update", json!(1)).await;
        let batch = json!({"events": [event(&json!({"balance": 1})), event(&json!({"balance": "1"})), event(&json!({}))]});
        assert_eq!(app.post("/v1/events/batch", &batch).await.refused(), ["events[1].data.balance", "events[2].data.balance"]);
        assert_eq!(published(&app).await, 3, "a batch is stored whole or not at all");
        app.delete(SCHEMA).await;
        app.post("/v1/events", &event(&json!({}))).await.json(StatusCode::ACCEPTED);
    }
}

on_both! {
    async fn a_schema_that_warns_or_is_off_keeps_nothing_out(app) {
        for validate in ["warn", "off"] {
            save(&app, validate).await;
            app.post("/v1/events", &event(&json!({"name": 7}))).await.json(StatusCode::ACCEPTED);
            app.post("/v1/events/batch", &json!({"events": [event(&json!({}))]})).await.json(StatusCode::ACCEPTED);
        }
        assert_eq!(published(&app).await, 4);
    }
}

on_both! {
    async fn schemas_are_shown_in_the_list_and_removed(app) {
        assert_eq!(listed(&app, "clients.accounts.create").await, Value::Null);
        // As it was written, spaces, order and numbers included.
        let text = r#"{"validate": "warn", "schema": { "type": "object",  "properties":{"b":{"maximum":1.0},"a":{}} }}"#;
        let put = app.request(Method::PUT, "/v1/event-types/accounts.create/schema").header("content-type", "application/json");
        let saved = Answer::to(put.body(text)).await;
        assert!(saved.text.contains(r#"{ "type": "object",  "properties":{"b":{"maximum":1.0},"a":{}} }"#), "{}", saved.text);
        assert_eq!(listed(&app, "clients.accounts.create").await, saved.ok());
        let own = json!({"id": "orders.paid", "group": "Orders", "object_kind": "order"});
        assert_eq!(app.post("/v1/event-types", &own).await.json(StatusCode::CREATED)["schema"], Value::Null);
        app.put("/v1/event-types/orders.paid/schema", &json!({"schema": {}, "validate": "enforce"})).await.ok();
        assert_eq!(listed(&app, "orders.paid").await["schema"], json!({}));
        assert_eq!(app.delete("/v1/event-types/orders.paid/schema").await.status, StatusCode::NO_CONTENT);
        assert_eq!(listed(&app, "orders.paid").await, Value::Null);
        app.delete("/v1/event-types/orders.paid/schema").await.problem(404, "not_found");
        app.delete("/v1/event-types/no.such/schema").await.problem(404, "not_found");
        app.put("/v1/event-types/no.such/schema", &json!({"schema": {}, "validate": "off"})).await.problem(404, "not_found");
    }
}

on_both! {
    async fn another_process_goes_by_a_change_soon(app) {
        let other = app.limited(1_000_000).await;
        let publish = async |data: &Value| {
            let request = app.elsewhere(Method::POST, &format!("{other}/v1/events")).bearer_auth(TOKEN);
            Answer::to(request.header("content-type", "application/json").body(event(data).to_string())).await.status
        };
        assert_eq!(publish(&json!({})).await, StatusCode::ACCEPTED);
        for (validate, status) in [("enforce", StatusCode::UNPROCESSABLE_ENTITY), ("warn", StatusCode::ACCEPTED), ("enforce", StatusCode::UNPROCESSABLE_ENTITY)] {
            save(&app, validate).await;
            eventually(SOON, validate, async || (publish(&json!({})).await == status).then_some(())).await;
        }
        app.delete(SCHEMA).await;
        eventually(SOON, "no schema", async || (publish(&json!({})).await == StatusCode::ACCEPTED).then_some(())).await;
    }
}

on_both! {
    async fn a_process_that_has_just_started_knows_them_before_its_first_event(app) {
        save(&app, "enforce").await;
        for _ in 0..5 {
            let fresh = app.limited(1_000_000).await;
            let request = app.elsewhere(Method::POST, &format!("{fresh}/v1/events")).bearer_auth(TOKEN);
            let answer = Answer::to(request.header("content-type", "application/json").body(event(&json!({})).to_string())).await;
            assert_eq!(answer.refused(), ["data.balance"]);
        }
    }
}

on_both! {
    async fn one_that_nobody_could_save_lets_events_through(app) {
        app.store.put_event_schema("clients.create", r#"{"$ref":"http://127.0.0.1:1/"}"#, SchemaUse::Enforce, Utc::now()).await.unwrap();
        let fresh = app.limited(1_000_000).await;
        let request = app.elsewhere(Method::POST, &format!("{fresh}/v1/events")).bearer_auth(TOKEN);
        let answer = Answer::to(request.header("content-type", "application/json").body(event(&json!({})).to_string())).await;
        answer.json(StatusCode::ACCEPTED);
    }
}

#[tokio::test]
async fn what_cannot_be_a_schema_is_refused() {
    let app = TestApp::sqlite().await;
    for (body, field) in [
        (json!({"schema": {"type": "objekt"}, "validate": "warn"}), "schema"),
        (json!({"schema": true, "validate": "warn"}), "schema"),
        (json!({"schema": "{}", "validate": "warn"}), "schema"),
        (json!({"schema": {"$ref": "https://example.org/schema.json"}, "validate": "warn"}), "schema"),
        (json!({"schema": {"$ref": "file:///etc/passwd"}, "validate": "off"}), "schema"),
        (json!({"schema": {"properties": {"parent": {"$ref": "#"}}}, "validate": "off"}), "schema"),
        (json!({"schema": {"title": "x".repeat(70_000)}, "validate": "off"}), "schema"),
        (json!({"schema": {}, "validate": "sometimes"}), "validate"),
        (json!({"schema": {}}), "validate"),
        (json!({"validate": "off"}), "schema"),
        (json!({"schema": {}, "validate": "off", "more": 1}), "more"),
    ] {
        let answer = app.put(SCHEMA, &body).await;
        assert_eq!(answer.refused(), [field], "{}", answer.text);
    }
    assert_eq!(listed(&app, "clients.create").await, Value::Null, "nothing of it was saved");
}
