//! Pause and resume, by calls of the API.

use std::time::{Duration, Instant};

use axum::http::Method;
use baton_testkit::Receiver;
use serde_json::{Value, json};

use crate::app::{Answer, SOON, TestApp, on_both};

/// Within this, a pause has to take effect.
const WITHIN: Duration = Duration::from_secs(1);
/// How long it is then watched that it lasts.
const WATCHED: Duration = Duration::from_millis(600);

async fn call(app: &TestApp, path: &str) -> Value {
    Answer::to(app.request(Method::POST, path)).await.ok()
}

fn change(paused: bool, changed: bool) -> Value {
    json!({"paused": paused, "changed": changed})
}

/// The pauses as scope and id; each has a time.
async fn pauses(app: &TestApp) -> Vec<(Value, Value)> {
    let list = app.get("/v1/pauses").await.ok();
    assert_eq!(list["next_cursor"], Value::Null);
    let items = list["items"].as_array().unwrap();
    assert!(items.iter().all(|p| p["paused_at"].as_str().is_some_and(|at| at.ends_with('Z'))), "{list}");
    items.iter().map(|p| (p["scope"].clone(), p["id"].clone())).collect()
}

on_both! {
    async fn each_scope_is_paused_and_resumed_by_itself(app) {
        let handler = app.handler("http://127.0.0.1:5000/a", json!({"event": "accounts.create"})).await;
        let other = app.handler("http://127.0.0.1:5000/b", json!({})).await;
        let path = format!("/v1/handlers/{}", handler["id"]);
        let paused = async || app.get(&path).await.ok()["paused"].clone();
        assert_eq!((pauses(&app).await, paused().await), (vec![], json!(false)));
        // Each by its own, the event type by its older spelling.
        for scope in [path.as_str(), "/v1/event-types/accounts.create", "/v1"] {
            assert_eq!(call(&app, &format!("{scope}/pause")).await, change(true, true), "{scope}");
            assert_eq!(call(&app, &format!("{scope}/pause")).await, change(true, false), "{scope}");
            assert_eq!((pauses(&app).await.len(), paused().await), (1, json!(true)), "{scope}");
            assert_eq!(call(&app, &format!("{scope}/resume")).await, change(false, true), "{scope}");
            assert_eq!(call(&app, &format!("{scope}/resume")).await, change(false, false), "{scope}");
            assert_eq!((pauses(&app).await.len(), paused().await), (0, json!(false)), "{scope}");
        }
        call(&app, &format!("{path}/pause")).await;
        call(&app, "/v1/event-types/clients.accounts.create/pause").await;
        assert_eq!(app.get(&format!("/v1/handlers/{}", other["id"])).await.ok()["paused"], json!(false));
        call(&app, "/v1/pause").await;
        let expected = [
            (json!("event_type"), json!("clients.accounts.create")),
            (json!("everything"), Value::Null),
            (json!("handler"), handler["id"].clone()),
        ];
        assert_eq!(pauses(&app).await, expected);
        let listed = app.get("/v1/handlers").await.ok();
        assert!(listed["items"].as_array().unwrap().iter().all(|h| h["paused"] == true), "{listed}");
        // The end of one pause leaves the others as they are.
        call(&app, "/v1/resume").await;
        call(&app, &format!("{path}/resume")).await;
        assert_eq!((pauses(&app).await.len(), paused().await), (1, json!(true)));
        let edited = app.get(&path).await.ok();
        assert_eq!(app.put(&path, &edited).await.ok()["paused"], json!(true));
    }
}

on_both! {
    async fn what_does_not_exist_cannot_be_paused(app) {
        for path in ["/v1/handlers/99", "/v1/handlers/x", "/v1/event-types/no.such"] {
            Answer::to(app.request(Method::POST, &format!("{path}/pause"))).await.problem(404, "not_found");
            Answer::to(app.request(Method::POST, &format!("{path}/resume"))).await.problem(404, "not_found");
        }
        assert_eq!(pauses(&app).await, []);
        assert_eq!(app.post("/v1/pause", &json!({"all": true})).await.status.as_u16(), 422);
        app.post("/v1/pause?for=1h", &json!({})).await.refused();
        // One that is deleted is called until the next restart; its pause can be ended even after that.
        let handler = app.handler("http://127.0.0.1:5000/a", json!({})).await;
        let path = format!("/v1/handlers/{}", handler["id"]);
        app.restart().await;
        app.delete(&path).await;
        assert_eq!(call(&app, &format!("{path}/pause")).await, change(true, true));
        app.restart().await;
        assert_eq!(call(&app, &format!("{path}/resume")).await, change(false, true));
        Answer::to(app.request(Method::POST, &format!("{path}/resume"))).await.problem(404, "not_found");
    }
}

on_both! {
    async fn a_pause_under_load_takes_effect_within_a_second_and_loses_nothing(app) {
        let receiver = Receiver::start().await;
        let handler = app.handler(&receiver.url("/held"), json!({"name": "held"})).await;
        app.handler(&receiver.url("/other"), json!({"name": "other"})).await;
        app.restart().await;
        app.dispatch();
        let mut published = 0;
        while receiver.calls_at("/held").len() < 20 {
            app.publish("clients.create", json!(published % 7)).await;
            published += 1;
        }
        let path = format!("/v1/handlers/{}", handler["id"]);
        call(&app, &format!("{path}/pause")).await;
        let paused = Instant::now();
        // The other handler goes on all the time.
        let is_over = || receiver.calls_at("/other").last().is_some_and(|call| call.at > paused + WITHIN + WATCHED);
        while !is_over() {
            app.publish("clients.create", json!(published % 7)).await;
            published += 1;
        }
        let resumed = Instant::now();
        call(&app, &format!("{path}/resume")).await;
        let calls = receiver.wait_for_successes(SOON, "/held", published).await;
        receiver.wait_for_successes(SOON, "/other", published).await;
        let late: Vec<_> = calls.iter().filter(|call| call.at > paused + WITHIN && call.at < resumed).collect();
        assert!(late.is_empty(), "{late:?}");
        assert!(calls.iter().filter(|call| call.at > resumed).count() > 20);
        for object in 0..7 {
            let of_object = calls.iter().filter(|call| *call.object_id.as_ref().unwrap() == object);
            assert!(of_object.map(|call| call.webhook_id.clone().unwrap()).is_sorted(), "object {object}");
        }
        baton_testkit::eventually(SOON, "every event to be delivered", async || {
            (app.get("/v1/stats").await.ok()["delivered"] == published).then_some(())
        })
        .await;
    }
}
