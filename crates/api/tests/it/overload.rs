//! A database that is slow or gone: nothing is acknowledged that is not stored, and clients learn what to do.

use axum::http::StatusCode;
use baton_api::{AppendError, Appender};
use baton_domain::{Catalogue, NewEvent, event};
use chrono::Utc;
use serde_json::{Value, json};

use crate::app::{SOON, TestApp, on_both};
use crate::proxy::Way;

fn publication(bytes: usize) -> Value {
    json!({"event": {"events_id": "clients.create", "object_id": 1}, "data": {"s": "x".repeat(bytes)}})
}

fn new_event(object_id: usize) -> NewEvent {
    let text = format!(r#"{{"event":{{"events_id":"clients.create","object_id":{object_id}}},"data":{{}}}}"#);
    let publication: event::Publication = serde_json::from_str(&text).unwrap();
    publication.check(&Catalogue::default(), None, Utc::now()).unwrap()
}

#[tokio::test]
async fn what_does_not_fit_into_the_queue_is_refused_and_the_rest_is_stored() {
    let (app, proxy) = TestApp::behind_proxy().await;
    proxy.set(Way::Stopped);
    // Each takes a little more than 1 MiB of the 64 that may wait.
    let body = publication(1024 * 1024 - 100);
    let answers = futures_util::future::join_all((0..70).map(|_| async {
        let answer = app.post("/v1/events", &body).await;
        if answer.status == StatusCode::SERVICE_UNAVAILABLE {
            let problem = answer.problem(503, "overloaded");
            assert!(answer.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds > 0), "{problem}");
            // Those that wait have been told nothing yet: now they can go on.
            proxy.set(Way::Open);
        }
        answer.status
    }))
    .await;
    let accepted = answers.iter().filter(|status| **status == StatusCode::ACCEPTED).count();
    let refused = answers.iter().filter(|status| **status == StatusCode::SERVICE_UNAVAILABLE).count();
    assert!(accepted >= 60 && refused >= 1 && accepted + refused == 70, "{accepted} {refused}");
    let published = app.get("/v1/stats").await.ok()["published"].as_u64().unwrap();
    assert_eq!(published, accepted as u64);
}

#[tokio::test]
async fn a_database_that_is_gone_is_said_to_be_and_comes_back() {
    let (app, proxy) = TestApp::behind_proxy().await;
    let handler = app.handler("http://127.0.0.1:5000/api", json!({})).await;
    proxy.set(Way::Cut);
    for path in ["/v1/handlers", "/v1/events", "/v1/stats", "/v1/services", "/v1/cache", "/v1/event-types"] {
        let answer = app.get(path).await;
        answer.problem(503, "unavailable");
        assert!(!answer.header("retry-after").is_empty(), "{path}");
    }
    let problem = app.post("/v1/events", &publication(1)).await.problem(503, "unavailable");
    assert!(problem["detail"].as_str().unwrap().contains("Idempotency-Key"), "{problem}");
    app.patch(&format!("/v1/handlers/{}", handler["id"]), &json!({"priority": 1})).await.problem(503, "unavailable");
    proxy.set(Way::Open);
    baton_testkit::eventually(SOON, "the database to be back", async || {
        (app.post("/v1/events", &publication(1)).await.status == StatusCode::ACCEPTED).then_some(())
    })
    .await;
    assert_eq!(app.get(&format!("/v1/handlers/{}", handler["id"])).await.ok()["priority"], 100);
}

#[tokio::test]
async fn a_lost_connection_costs_a_publisher_nothing() {
    let (app, proxy) = TestApp::behind_proxy().await;
    app.publish("clients.create", json!(1)).await;
    // Every connection is closed; new ones are let through at once.
    proxy.set(Way::Cut);
    proxy.set(Way::Open);
    for n in 0..5 {
        app.publish("clients.create", json!(n)).await;
    }
    let published = baton_testkit::eventually(SOON, "the account", async || {
        let stats = app.get("/v1/stats").await;
        (stats.status == StatusCode::OK).then(|| stats.ok()["published"].clone())
    })
    .await;
    assert_eq!(published, 6);
}

on_both! {
    async fn what_was_queued_is_stored_before_the_end(app) {
        let (appender, appending) = Appender::start(app.store.clone(), app.cache.hints().clone());
        let waiting = futures_util::future::join_all((0..300).map(|n| {
            let appender = appender.clone();
            async move { appender.append(vec![new_event(n), new_event(n)]).await }
        }));
        let waiting = tokio::spawn(waiting);
        drop(appender);
        let appended = tokio::time::timeout(SOON, waiting).await.unwrap().unwrap();
        assert!(appended.iter().all(|result| result.as_ref().is_ok_and(|two| two.len() == 2)));
        tokio::time::timeout(SOON, appending).await.unwrap().unwrap();
        assert_eq!(app.get("/v1/stats").await.ok()["published"], 600);
    }
}

on_both! {
    async fn one_publication_that_cannot_be_stored_does_not_take_others_with_it(app) {
        let (appender, _appending) = Appender::start(app.store.clone(), app.cache.hints().clone());
        // The database cannot hold NUL, and no check lets it through to here.
        let mut broken = new_event(0);
        broken.ordering_key = "a\0b".into();
        let mut events: Vec<_> = (1..50).map(new_event).collect();
        events.insert(25, broken);
        let results = futures_util::future::join_all(events.into_iter().map(|event| appender.append(vec![event]))).await;
        let stored = results.iter().filter(|result| result.is_ok()).count();
        if app.store.is_sqlite() {
            // SQLite takes it.
            assert!(stored >= 49, "{stored}");
        } else {
            assert_eq!((&results[25], stored), (&Err(AppendError::Failed), 49));
        }
        assert_eq!(app.get("/v1/stats").await.ok()["published"], stored);
        // The task goes on.
        tokio::time::timeout(SOON, appender.append(vec![new_event(1)])).await.unwrap().unwrap();
    }
}
