//! The limit on unfinished events.

use axum::http::{Method, StatusCode};
use baton_testkit::Receiver;
use serde_json::{Value, json};

use crate::app::{Answer, SOON, TOKEN, TestApp, on_both};

fn event(object_id: usize) -> Value {
    json!({"event": {"events_id": "clients.create", "object_id": object_id}, "data": {}})
}

/// Publishes to the API that has the limit.
async fn post(app: &TestApp, url: &str, body: &Value) -> Answer {
    let request = app.elsewhere(Method::POST, url).bearer_auth(TOKEN).header("content-type", "application/json");
    Answer::to(request.body(body.to_string())).await
}

on_both! {
    async fn beyond_the_limit_nothing_is_taken_until_handlers_have_caught_up(app) {
        let receiver = Receiver::start().await;
        app.handler(&receiver.url("/a"), json!({})).await;
        app.restart().await;
        let url = app.limited(10).await;
        let (one, batch) = (format!("{url}/v1/events"), format!("{url}/v1/events/batch"));
        for n in 0..6 {
            post(&app, &one, &event(n)).await.json(StatusCode::ACCEPTED);
        }
        let four = json!({"events": (6..10).map(event).collect::<Vec<_>>()});
        post(&app, &batch, &four).await.json(StatusCode::ACCEPTED);
        for (url, body) in [(&one, &event(10)), (&batch, &four)] {
            let answer = post(&app, url, body).await;
            let problem = answer.problem(503, "backlog_full");
            assert!(problem["detail"].as_str().unwrap().contains("BATON_BACKLOG_MAX"), "{problem}");
            assert!(answer.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds > 0));
        }
        // What is wrong with a request is said all the same, and what does not publish is not held up.
        post(&app, &one, &json!({"event": {"events_id": "no.such", "object_id": 1}, "data": {}})).await.refused();
        let stats = Answer::to(app.elsewhere(Method::GET, &format!("{url}/v1/stats")).bearer_auth(TOKEN)).await.ok();
        assert_eq!((&stats["published"], &stats["pending"]), (&json!(10), &json!(10)));
        let backlog = app.get("/v1/stats/backlog").await.ok();
        assert_eq!((&backlog["unfinished"], &backlog["held"]), (&json!(10), &json!(0)));
        assert!(backlog["oldest_pending_seconds"].as_f64() > Some(0.0), "{backlog}");
        assert_eq!((&backlog["dead_letters"], &backlog["paused"]), (&json!(0), &json!(false)));
        // Another API counts what it has not stored itself, once it has looked.
        let other = format!("{}/v1/events", app.limited(10).await);
        let refused = async || (post(&app, &other, &event(11)).await.status == StatusCode::SERVICE_UNAVAILABLE).then_some(());
        baton_testkit::eventually(SOON, "the other API to have looked", refused).await;

        app.dispatch();
        let accepted = async || (post(&app, &one, &event(12)).await.status == StatusCode::ACCEPTED).then_some(());
        baton_testkit::eventually(SOON, "handlers to have caught up", accepted).await;
        let balanced = async || {
            let stats = app.get("/v1/stats").await.ok();
            (stats["delivered"] == stats["published"] && stats["published"].as_u64() > Some(10)).then_some(())
        };
        baton_testkit::eventually(SOON, "everything to be delivered", balanced).await;
    }
}

on_both! {
    async fn a_repetition_takes_no_room(app) {
        let url = format!("{}/v1/events", app.limited(5).await);
        for n in 0..20 {
            let request = app.elsewhere(Method::POST, &url).bearer_auth(TOKEN).header("content-type", "application/json");
            let request = request.header("idempotency-key", "same").body(event(1).to_string());
            let accepted = Answer::to(request).await.json(StatusCode::ACCEPTED);
            assert_eq!(accepted["duplicate"], json!(n > 0));
        }
    }
}
