//! The dry run: what would run for an event, live and as saved, and why others would not.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::app::on_both;

const URL: &str = "http://127.0.0.1:5000/api";

fn names(stages: &Value) -> Vec<(i64, Vec<String>)> {
    let stage = |stage: &Value| {
        let handlers = stage["handlers"].as_array().unwrap().iter().map(|h| h["name"].as_str().unwrap().to_owned());
        (stage["priority"].as_i64().unwrap(), handlers.collect())
    };
    stages.as_array().unwrap().iter().map(stage).collect()
}

on_both! {
    async fn stages_and_reasons(app) {
        let body = json!({"event": {"events_id": "clients.create"}});
        let fresh = app.post("/v1/events/explain", &body).await.ok();
        assert_eq!(fresh, json!({"generation": 1, "live": [], "saved": [], "not_live": [], "unwanted": []}));
        let mut ids = std::collections::BTreeMap::new();
        for (name, more) in [
            ("same", json!({"priority": 2})), ("twin", json!({"priority": 2})), ("changed", json!({"priority": 100})), ("off", json!({})),
            ("gone", json!({})), ("moved", json!({})), ("idle", json!({"status": "disabled"})), ("old", json!({"status": "archived"})),
            ("other", json!({"event": "clients.delete"})),
        ] {
            let mut more = more;
            more["name"] = json!(name);
            ids.insert(name, app.handler(URL, more).await["id"].as_i64().unwrap());
        }
        app.restart().await;
        let path = |name: &str| format!("/v1/handlers/{}", ids[name]);
        app.patch(&path("changed"), &json!({"priority": 5})).await.ok();
        app.post(&format!("{}/toggle", path("off")), &json!({})).await.ok();
        app.patch(&path("moved"), &json!({"event": "clients.update"})).await.ok();
        assert_eq!(app.delete(&path("gone")).await.status, StatusCode::NO_CONTENT);
        let new = app.handler(URL, json!({"name": "new", "priority": 1})).await;
        let explained = app.post("/v1/events/explain", &json!({"event": {"events_id": "clients.create", "object_id": 1, "dt": null}, "data": {}, "ordering_key": "x"})).await.ok();
        assert_eq!(explained["generation"], 2);
        assert_eq!(names(&explained["live"]), [(2, vec!["same".into(), "twin".into()]), (100, vec!["changed".into(), "off".into(), "gone".into(), "moved".into()])]);
        assert_eq!(names(&explained["saved"]), [(1, vec!["new".into()]), (2, vec!["same".into(), "twin".into()]), (5, vec!["changed".into()])]);
        assert_eq!(explained["saved"][0]["handlers"][0], json!({"id": new["id"], "name": "new", "task": {"type": "http", "url": URL}}));
        let reasons: std::collections::BTreeMap<_, _> = explained["not_live"].as_array().unwrap().iter()
            .map(|h| (h["name"].as_str().unwrap(), h["reason"].as_str().unwrap())).collect();
        assert_eq!(reasons.keys().copied().collect::<Vec<_>>(), ["changed", "gone", "idle", "moved", "new", "off", "old"]);
        for (name, part) in [
            ("changed", "priority 100 → 5"), ("changed", "restart the Cache Manager"), ("gone", "deleted"), ("moved", "clients.update"),
            ("off", "disabled, but live"), ("new", "not live"),
        ] {
            assert!(reasons[name].contains(part), "{name}: {}", reasons[name]);
        }
        assert_eq!((reasons["idle"], reasons["old"]), ("disabled", "archived"));
        assert_eq!(app.get("/v1/stats").await.ok()["published"], 0);
    }
}

on_both! {
    async fn a_wrong_event_is_refused(app) {
        for (body, field) in [
            (json!({}), "event"),
            (json!({"event": {}}), "event.events_id"),
            (json!({"event": {"events_id": "no.such"}}), "event.events_id"),
            (json!({"event": {"events_id": "clients.create", "object_id": []}}), "event.object_id"),
            (json!({"event": {"events_id": "clients.create", "dt": "today"}}), "event.dt"),
            (json!({"event": {"events_id": "clients.create"}, "data": []}), "data"),
            (json!({"event": {"events_id": "clients.create"}, "deep": true}), "deep"),
        ] {
            assert_eq!(app.post("/v1/events/explain", &body).await.refused(), [field], "{body}");
        }
        assert_eq!(app.post("/v1/events/explain", &json!({"event": {"events_id": "accounts.create"}})).await.ok()["live"], json!([]));
    }
}
