//! Jobs: replays of many dead letters, recoveries of handlers, their progress and their end.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use baton_testkit::{Answer as Said, Receiver, eventually};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::app::{SOON, TestApp, on_both};
use crate::proxy::Way;

const ONCE: &str = r#"{"max_attempts":1,"first_delay_ms":1,"max_delay_ms":2}"#;

fn once() -> Value {
    serde_json::from_str(ONCE).unwrap()
}

fn batch(events: impl IntoIterator<Item = (i64, &'static str)>) -> Value {
    let event = |(object, data): (i64, &str)| {
        let data: Value = serde_json::from_str(data).unwrap();
        json!({"event": {"events_id": "clients.create", "object_id": object}, "data": data})
    };
    json!({"events": events.into_iter().map(event).collect::<Vec<_>>()})
}

async fn stats_when(app: &TestApp, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    eventually(SOON, what, async || Some(app.get("/v1/stats").await.ok()).filter(|stats| is(stats))).await
}

async fn ended(app: &TestApp, job: &Value) -> Value {
    let path = format!("/v1/jobs/{}", job["id"].as_str().unwrap());
    eventually(SOON, "the job to end", async || Some(app.get(&path).await.ok()).filter(|job| job["finished_at"].is_string()))
        .await
}

/// How often each object got each content, in the order of the calls that succeeded.
fn got(receiver: &Receiver, path: &str) -> BTreeMap<i64, Vec<String>> {
    let mut objects: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    for call in receiver.calls_at(path).iter().filter(|call| call.succeeded()) {
        let object = call.object_id.as_ref().and_then(Value::as_i64).unwrap();
        objects.entry(object).or_default().push(call.json()["data"]["n"].to_string());
    }
    objects
}

on_both! {
    async fn letters_of_a_receiver_that_was_mended_are_replayed_in_order(app) {
        const OBJECTS: i64 = 700;
        let receiver = Receiver::start().await;
        receiver.script("/crm", |_| Said::status(400));
        let handler = app.handler(&receiver.url("/crm"), json!({"retry": once()})).await;
        app.restart().await;
        app.dispatch();
        app.post("/v1/events/batch", &batch((0..OBJECTS).map(|n| (n, r#"{"n":1}"#)))).await.json(StatusCode::ACCEPTED);
        stats_when(&app, "all to fail", |stats| stats["failed"] == OBJECTS).await;
        receiver.script("/crm", |_| Said::status(200));
        let asked = app.post("/v1/dead-letters/replay?wait=0", &json!({"search": {"handler_id": handler["id"]}})).await;
        let asked = asked.json(StatusCode::ACCEPTED);
        // Published while the job goes on: behind what is replayed by then, and never lost.
        app.post("/v1/events/batch", &batch((0..OBJECTS).map(|n| (n, r#"{"n":2}"#)))).await.json(StatusCode::ACCEPTED);
        let job = ended(&app, &asked["job"]).await;
        assert_eq!((&job["state"], &job["done"], &job["total"]), (&json!("done"), &json!(OBJECTS), &json!(OBJECTS)), "{job}");
        app.post("/v1/events/batch", &batch((0..OBJECTS).map(|n| (n, r#"{"n":3}"#)))).await.json(StatusCode::ACCEPTED);
        let stats = stats_when(&app, "all to be delivered", |stats| stats["delivered"] == 3 * OBJECTS).await;
        assert_eq!((&stats["failed"], &stats["pending"]), (&json!(0), &json!(0)));
        let got = got(&receiver, "/crm");
        assert_eq!(got.len(), 700);
        for (object, contents) in got {
            // Each once; what was published after the end of the job last.
            let mut sorted = contents.clone();
            sorted.sort();
            assert_eq!((sorted.join(""), contents[2].as_str()), ("123".into(), "3"), "{object}: {contents:?}");
        }
        assert_eq!(app.get("/v1/dead-letters").await.ok()["items"], json!([]));
    }
}

on_both! {
    async fn a_handler_that_is_new_gets_what_was_published_before(app) {
        let receiver = Receiver::start().await;
        app.handler(&receiver.url("/old"), json!({"name": "old"})).await;
        app.restart().await;
        app.dispatch();
        app.post("/v1/events/batch", &batch((0..30).map(|n| (n % 10, r#"{"n":1}"#)))).await.json(StatusCode::ACCEPTED);
        stats_when(&app, "all to be delivered", |stats| stats["delivered"] == 30).await;
        let new = app.handler(&receiver.url("/new"), json!({"name": "new"})).await;
        let path = format!("/v1/handlers/{}/recover", new["id"]);
        let since = json!({"since": "2020-01-01T00:00:00Z"});
        assert!(app.post(&path, &since).await.said_of("id").contains("not live"));
        app.restart().await;
        let answer = app.post(&path, &since).await.ok();
        assert_eq!((&answer["replayed"], &answer["job"]["kind"]), (&json!(30), &json!("recover_handler")), "{answer}");
        let params = &answer["job"]["params"];
        assert_eq!((&params["handler_id"], &params["events_id"]), (&new["id"], &json!("clients.create")));
        receiver.wait_for_successes(SOON, "/new", 30).await;
        stats_when(&app, "all to be delivered", |stats| stats["delivered"] == 30).await;
        assert_eq!(receiver.calls_at("/old").len(), 30, "no other handler gets them");
        // It has them now.
        assert_eq!(app.post(&path, &since).await.ok()["replayed"], 0);
        let later = json!({"since": "2020-01-01T00:00:00Z", "until": "2020-01-02T00:00:00+01:00"});
        assert_eq!(app.post(&path, &later).await.ok()["replayed"], 0);
        assert_eq!(receiver.calls_at("/new").len(), 30);
    }
}

on_both! {
    async fn a_job_shows_what_it_is(app) {
        let answer = app.post("/v1/dead-letters/replay", &json!({"search": {"object_id": "7", "from": "2026-01-01T00:00:00Z"}})).await.ok();
        let job = &answer["job"];
        assert_eq!(answer["replayed"], 0);
        assert_eq!(
            (&job["kind"], &job["state"], &job["done"], &job["total"], &job["error"], &job["cancel_requested"]),
            (&json!("replay_dead_letters"), &json!("done"), &json!(0), &json!(0), &Value::Null, &json!(false))
        );
        let search = job["params"]["search"].as_object().unwrap();
        assert_eq!(search.keys().collect::<Vec<_>>(), ["from", "object_id", "to"]);
        let at = |name: &str| job[name].as_str().unwrap().parse::<DateTime<Utc>>().unwrap();
        assert!(at("asked_at") <= at("started_at") && at("started_at") <= at("finished_at"), "{job}");
        let path = format!("/v1/jobs/{}", job["id"].as_str().unwrap());
        assert_eq!(&app.get(&path).await.ok(), job);
        app.post(&format!("{path}/cancel"), &json!({})).await.problem(409, "job_ended");
        let second = app.post("/v1/dead-letters/replay", &json!({"search": {}})).await.ok();
        let first_page = app.get("/v1/jobs?limit=1").await.ok();
        assert_eq!(first_page["items"], json!([second["job"]]));
        let rest = app.get(&format!("/v1/jobs?cursor={}", first_page["next_cursor"].as_str().unwrap())).await.ok();
        assert_eq!((&rest["items"], &rest["next_cursor"]), (&json!([job]), &Value::Null));
        for unknown in ["/v1/jobs/0192f0c1-0000-7000-8000-000000000001", "/v1/jobs/1"] {
            app.get(unknown).await.problem(404, "not_found");
            app.post(&format!("{unknown}/cancel"), &json!({})).await.problem(404, "not_found");
        }
    }
}

on_both! {
    async fn a_job_that_nobody_has_taken_is_cancelled(app) {
        app.without_jobs();
        let asked = app.post("/v1/dead-letters/replay?wait=1", &json!({"search": {}})).await.json(StatusCode::ACCEPTED);
        let job = &asked["job"];
        assert_eq!((&asked["replayed"], &job["state"], &job["started_at"]), (&json!(0), &json!("queued"), &Value::Null));
        let path = format!("/v1/jobs/{}/cancel", job["id"].as_str().unwrap());
        let cancelled = app.post(&path, &json!({})).await.ok();
        assert_eq!((&cancelled["state"], &cancelled["cancel_requested"]), (&json!("cancelled"), &json!(true)));
        app.post(&path, &json!({})).await.problem(409, "job_ended");
    }
}

on_both! {
    async fn a_recovery_says_what_it_wants(app) {
        let handler = app.handler("http://127.0.0.1:9/", json!({})).await;
        app.restart().await;
        let path = format!("/v1/handlers/{}/recover", handler["id"]);
        for (body, field) in [
            (json!({}), "since"),
            (json!({"since": "yesterday"}), "since"),
            (json!({"since": "2999-01-01T00:00:00Z"}), "since"),
            (json!({"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}), "since"),
            (json!({"since": "2026-01-02T00:00:00Z", "until": "x"}), "until"),
            (json!({"since": "2026-01-02T00:00:00Z", "to": "x"}), "to"),
        ] {
            assert_eq!(app.post(&path, &body).await.refused(), [field], "{body}");
        }
        let body = json!({"since": "2026-01-02T00:00:00Z"});
        assert_eq!(app.post(&format!("{path}?wait=61"), &body).await.refused(), ["wait"]);
        app.post("/v1/handlers/99/recover", &body).await.problem(404, "not_found");
        assert_eq!(app.get("/v1/jobs").await.ok()["items"], json!([]));
    }
}

#[tokio::test]
async fn a_job_outlives_an_outage_of_the_database() {
    const OBJECTS: i64 = 900;
    let (app, proxy) = TestApp::behind_proxy().await;
    let receiver = Receiver::start().await;
    receiver.script("/crm", |_| Said::status(400));
    app.handler(&receiver.url("/crm"), json!({"retry": once()})).await;
    app.restart().await;
    app.dispatch();
    app.post("/v1/events/batch", &batch((0..OBJECTS).map(|n| (n, r#"{"n":1}"#)))).await.json(StatusCode::ACCEPTED);
    stats_when(&app, "all to fail", |stats| stats["failed"] == OBJECTS).await;
    receiver.script("/crm", |_| Said::status(200));
    let asked = app.post("/v1/dead-letters/replay?wait=0", &json!({"search": {}})).await.json(StatusCode::ACCEPTED);
    proxy.set(Way::Cut);
    app.get("/v1/jobs").await.problem(503, "unavailable");
    proxy.set(Way::Open);
    let path = format!("/v1/jobs/{}", asked["job"]["id"].as_str().unwrap());
    let job = eventually(SOON, "the job to end", async || {
        let answer = app.get(&path).await;
        // A connection that was cut is found out by its next use.
        (answer.status == StatusCode::OK).then(|| answer.ok()).filter(|job| job["finished_at"].is_string())
    })
    .await;
    assert_eq!((&job["state"], &job["done"], &job["total"]), (&json!("done"), &json!(OBJECTS), &json!(OBJECTS)), "{job}");
    let delivered = async || {
        let answer = app.get("/v1/stats").await;
        (answer.status == StatusCode::OK).then(|| answer.ok()).filter(|stats| stats["delivered"] == OBJECTS)
    };
    let stats = eventually(SOON, "all to be delivered", delivered).await;
    assert_eq!((&stats["published"], &stats["failed"], &stats["pending"]), (&json!(OBJECTS), &json!(0), &json!(0)));
    assert_eq!(got(&receiver, "/crm").len(), 900);
}
