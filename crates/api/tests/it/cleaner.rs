//! The Cleaner through the API: in the Task Scheduler, and run by hand.

use axum::http::StatusCode;
use baton_cleaner::{Cleaner, CleanerSettings, Keep, SERVICE};
use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use crate::app::{SOON, TestApp, on_both};

const RUN: &str = "/v1/services/cleaner/run";

/// Starts a Cleaner that keeps events for a second; ends with what it answers.
fn cleaner(app: &TestApp) -> DropGuard {
    let keep = Keep { events: Some(TimeDelta::seconds(1)), ..Keep::default() };
    let settings = CleanerSettings { name: "test".into(), keep, every: None, first_after: TimeDelta::zero() };
    let stop = CancellationToken::new();
    tokio::spawn(Cleaner::new(app.store.clone(), &app.cache, settings).run(stop.clone()));
    stop.drop_guard()
}

async fn listed(app: &TestApp) -> Value {
    let services = app.get("/v1/services").await.ok();
    let found = services["items"].as_array().unwrap().iter().find(|service| service["name"] == SERVICE);
    found.unwrap_or_else(|| panic!("not listed: {services}")).clone()
}

on_both! {
    async fn a_run_removes_what_is_old_and_answers_with_how_much(app) {
        app.dispatch();
        let before = listed(&app).await;
        assert_eq!((&before["title"], &before["schedule"]), (&json!("Cleaner"), &json!("every 1h")));
        assert_eq!((&before["active"], &before["manual_run"], &before["last_run"]), (&json!(false), &json!(true), &Value::Null));
        let id = app.publish("clients.create", json!(1)).await;
        app.event_that_is(&id, "unmatched").await;
        let stats = app.get("/v1/stats").await.ok();
        let _cleaner = cleaner(&app);
        let cleaned = baton_testkit::eventually(SOON, "the event to be a second old", async || {
            Some(app.post(&format!("{RUN}?wait=30"), &json!({})).await.ok()).filter(|cleaned| cleaned["events"] == 1)
        })
        .await;
        let expected = json!({"events": 1, "executions": 0, "dead_letters": 0, "idempotency_keys": 0, "generations": 0, "service_runs": 0, "jobs": 0,
            "minutes": 0,             "took_ms": cleaned["took_ms"], "run_id": cleaned["run_id"]});
        assert_eq!(cleaned, expected);
        assert!(cleaned["took_ms"].as_i64().is_some_and(|ms| ms >= 0) && cleaned["run_id"].is_i64());
        app.get(&format!("/v1/events/{id}")).await.problem(404, "not_found");
        assert_eq!(app.get("/v1/stats").await.ok(), stats, "the balance does not notice");
        let after = listed(&app).await;
        assert_eq!((&after["active"], &after["instances"][0]["name"]), (&json!(true), &json!("test")));
        let last = &after["last_run"];
        assert_eq!((&last["id"], &last["status"], &last["result"]["events"]), (&cleaned["run_id"], &json!("done"), &json!(1)));
    }
}

on_both! {
    async fn a_run_is_queued_while_nobody_does_it(app) {
        let run = app.post(RUN, &json!({})).await.json(StatusCode::ACCEPTED);
        assert_eq!(run["status"], "queued");
        let same = app.post(&format!("{RUN}?wait=1"), &json!({})).await.json(StatusCode::ACCEPTED);
        assert_eq!(same["id"], run["id"]);
        assert_eq!(listed(&app).await["in_queue_from"], run["asked_at"]);
        assert_eq!(app.get("/v1/services").await.ok()["items"][0]["in_queue_from"], Value::Null, "not that of the Cache Manager");
        let _cleaner = cleaner(&app);
        assert_eq!(app.post(&format!("{RUN}?wait=30"), &json!({})).await.ok()["events"], 0);
        assert_eq!(app.post(&format!("{RUN}?wait=61"), &json!({})).await.refused(), ["wait"]);
        assert_eq!(app.post(RUN, &json!({"keep": "nothing"})).await.refused(), ["body"]);
    }
}

on_both! {
    async fn a_run_that_fails_says_why(app) {
        let (runner, now) = (Uuid::now_v7(), Utc::now());
        let asked = async {
            app.post(&format!("{RUN}?wait=30"), &json!({})).await
        };
        let failing = async {
            let run = baton_testkit::eventually(SOON, "the run", async || {
                app.store.claim_run(SERVICE, runner, now, now + TimeDelta::seconds(60)).await.unwrap()
            })
            .await;
            app.store.finish_run(run.id, runner, Utc::now(), Err("the disk is on fire".into())).await.unwrap();
        };
        let (answer, ()) = tokio::join!(asked, failing);
        let problem = answer.problem(409, "run_failed");
        assert!(problem["detail"].as_str().unwrap().contains("the disk is on fire"), "{problem}");
        assert_eq!(listed(&app).await["last_run"]["status"], "failed");
    }
}
