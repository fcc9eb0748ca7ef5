//! What happened by the minute and at each handler, as it was counted.

use std::time::Duration;

use baton_domain::{CallStatus, HandlerId};
use baton_storage::CountedCall;
use baton_testkit::{Answer as Said, Receiver, eventually, rules};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::app::{SOON, TestApp, on_both};

const FROM: &str = "2026-03-04T09:00:00Z";

fn at(seconds: i64) -> DateTime<Utc> {
    FROM.parse::<DateTime<Utc>>().unwrap() + TimeDelta::seconds(seconds)
}

fn call(handler: i64, status: CallStatus, ms: u64) -> CountedCall {
    CountedCall {
        handler_id: HandlerId(handler),
        status,
        duration: Some(Duration::from_millis(ms)),
        waited: Some(Duration::from_millis(4)),
        is_events_first: true,
    }
}

/// Two handlers over two hours: the first is often called, the second is slow and fails.
async fn counted(app: &TestApp) {
    app.store.count_published(10, at(5));
    for _ in 0..9 {
        app.store.count_calls(&[call(1, CallStatus::Success, 10)], at(7));
    }
    app.store.count_calls(&[call(2, CallStatus::Fail, 500)], at(130));
    app.store.count_calls(&[call(2, CallStatus::Success, 300)], at(3700));
    app.store.write_counts(at(3700)).await.unwrap();
}

fn near(value: &Value, expected: f64) {
    let value = value.as_f64().unwrap();
    assert!((value - expected).abs() <= expected * 0.091, "{value} for {expected}");
}

on_both! {
    async fn minutes_show_what_was_counted(app) {
        counted(&app).await;
        let to = "2026-03-04T09:05:00Z";
        let shown = app.get(&format!("/v1/stats/minutes?from=2026-03-04T09:00:30Z&to={to}")).await.ok();
        assert_eq!((&shown["from"], &shown["to"], &shown["step"], &shown["handler_id"]), (&json!(FROM), &json!(to), &json!("1m"), &Value::Null));
        let items = shown["items"].as_array().unwrap();
        assert_eq!(items.len(), 5, "{shown}");
        let first = &items[0];
        assert_eq!((&first["at"], &first["published"], &first["executions"]), (&json!(FROM), &json!(10), &json!(9)));
        assert_eq!((&first["success"], &first["fail"], &first["skipped"], &first["success_share"]), (&json!(9), &json!(0), &json!(0), &json!(1.0)));
        assert_eq!(first["duration_ms"]["mean"], 10.0);
        near(&first["duration_ms"]["p50"], 10.0);
        near(&first["first_call_ms"]["p99"], 4.0);
        let nothing = json!({"at": "2026-03-04T09:01:00Z", "published": 0, "executions": 0, "success": 0, "fail": 0, "skipped": 0,
            "success_share": null, "duration_ms": null, "first_call_ms": null});
        assert_eq!(items[1], nothing);
        assert_eq!((&items[2]["fail"], &items[2]["success_share"]), (&json!(1), &json!(0.0)));
        let total = &shown["total"];
        assert_eq!((&total["published"], &total["executions"], &total["success_share"]), (&json!(10), &json!(10), &json!(0.9)));
        near(&total["duration_ms"]["p99"], 500.0);
    }
}

on_both! {
    async fn steps_are_as_long_as_they_are_asked_for(app) {
        counted(&app).await;
        let shown = async |query: &str| app.get(&format!("/v1/stats/minutes?from=2026-03-04T09:02:00Z&to=2026-03-04T11:00:00Z{query}")).await.ok();
        let of = |shown: &Value| shown["items"].as_array().unwrap().iter().map(|item| item["executions"].as_u64().unwrap()).collect::<Vec<_>>();
        let fives = shown("&step=5m").await;
        assert_eq!((&fives["from"], of(&fives).len(), of(&fives)[0], of(&fives)[12]), (&json!(FROM), 24, 10, 1));
        let hours = shown("&step=1h").await;
        assert_eq!((&hours["from"], of(&hours)), (&json!(FROM), vec![10, 1]));
        let second = shown("&step=1h&handler_id=2").await;
        assert_eq!((of(&second), &second["handler_id"], &second["total"]["published"]), (vec![1, 1], &json!(2), &Value::Null));
        assert_eq!(second["total"]["duration_ms"]["mean"], 400.0);
        assert_eq!(of(&shown("&step=1h&handler_id=3").await), [0, 0]);
    }
}

on_both! {
    async fn handlers_come_in_the_order_that_is_asked_for(app) {
        app.handler("http://127.0.0.1:9/crm", json!({})).await;
        counted(&app).await;
        let shown = async |query: &str| app.get(&format!("/v1/stats/handlers?from={FROM}&to=2026-03-04T11:30:00Z{query}")).await.ok();
        let ids = |shown: &Value| shown["items"].as_array().unwrap().iter().map(|item| item["handler_id"].as_i64().unwrap()).collect::<Vec<_>>();
        assert_eq!(ids(&shown("").await), [2, 1]);
        assert_eq!(ids(&shown("&order=duration").await), [2, 1]);
        let busiest = shown("&order=executions").await;
        assert_eq!((ids(&busiest), &busiest["next_cursor"]), (vec![1, 2], &Value::Null));
        let [first, second] = [&busiest["items"][0], &busiest["items"][1]];
        assert_eq!((&first["name"], &first["executions"], &first["success_share"]), (&json!("CRM"), &json!(9), &json!(1.0)));
        assert_eq!((&second["name"], &second["fail"], &second["success_share"]), (&Value::Null, &json!(1), &json!(0.5)));
        near(&second["duration_ms"]["p50"], 300.0);
        near(&second["duration_ms"]["p99"], 500.0);
        assert_eq!(ids(&shown("&order=executions&limit=1").await), [1]);
        assert_eq!(ids(&shown("&order=failures&order=executions&limit=1").await), [2, 1]);
        assert_eq!(ids(&shown("&order=failures&order=duration&limit=1").await), [2]);
        // Up to two hours go by the minute.
        let within = app.get(&format!("/v1/stats/handlers?from={FROM}&to=2026-03-04T09:02:00Z")).await.ok();
        assert_eq!(ids(&within), [1]);
    }
}

on_both! {
    async fn what_is_published_and_called_is_counted(app) {
        let receiver = Receiver::start().await;
        receiver.script("/crm", rules::always(Said::status(404)));
        let handler = app.handler(&receiver.url("/crm"), json!({})).await;
        app.restart().await;
        app.dispatch();
        let id = app.publish("clients.create", json!(1)).await;
        app.event_that_is(&id, "failed").await;
        app.publish("clients.archive", json!(1)).await;
        let shown = eventually(SOON, "the call to be counted", async || {
            app.store.write_counts(Utc::now()).await.unwrap();
            let shown = app.get("/v1/stats/minutes").await.ok();
            (shown["total"]["executions"] == 1).then_some(shown)
        })
        .await;
        assert_eq!((&shown["total"]["published"], &shown["total"]["fail"], &shown["items"].as_array().unwrap().len()), (&json!(2), &json!(1), &61));
        assert!(shown["total"]["first_call_ms"]["p50"].as_f64().unwrap() > 0.0);
        let failing = app.get("/v1/stats/handlers").await.ok();
        assert_eq!((&failing["items"][0]["handler_id"], &failing["items"][0]["fail"]), (&handler["id"], &json!(1)));
    }
}

#[tokio::test]
async fn what_cannot_be_shown_is_refused() {
    let app = TestApp::sqlite().await;
    for (query, fields) in [
        ("minutes?step=2m", &["step"][..]),
        ("minutes?handler_id=0", &["handler_id"]),
        ("minutes?from=yesterday", &["from"]),
        ("minutes?from=2026-03-04T09:00:00Z&to=2026-03-05T09:00:01Z", &["from"]),
        ("minutes?from=2026-03-04T09:00:00Z&to=2026-03-10T09:00:01Z&step=5m", &["from"]),
        ("minutes?from=0001-01-01T00:00:00Z&to=9999-12-31T00:00:00Z&step=1h", &["from"]),
        ("minutes?from=2026-03-04T09:00:00Z&to=2026-03-04T09:00:00Z", &["to"]),
        ("minutes?order=failures", &["order"]),
        ("handlers?order=name&limit=201", &["order", "limit"]),
        ("handlers?from=2026-03-04T09:00:00Z&to=2026-03-11T09:00:01Z", &["from"]),
    ] {
        assert_eq!(app.get(&format!("/v1/stats/{query}")).await.refused(), fields, "{query}");
    }
    for edge in ["from=0001-01-01T00:00:00Z&to=0001-01-01T00:30:00Z", "from=9999-12-31T23:00:00Z&to=9999-12-31T23:59:59Z"] {
        let shown = app.get(&format!("/v1/stats/minutes?{edge}")).await.ok();
        assert_eq!(shown["total"]["executions"], 0);
    }
}
