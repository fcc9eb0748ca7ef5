//! Replays of one event: under today's handlers, or as it was.

use axum::http::StatusCode;
use baton_testkit::Receiver;
use serde_json::{Value, json};

use crate::app::{SOON, on_both};

on_both! {
    async fn an_event_is_replayed_as_it_was(app) {
        let receiver = Receiver::start().await;
        let task = |path: &str| json!({"type": "http", "url": receiver.url(path)});
        let moved = app.handler(&receiver.url("/old"), json!({"name": "moved"})).await;
        let gone = app.handler(&receiver.url("/gone"), json!({"name": "gone", "priority": 200})).await;
        let ran_under = app.restart().await["generation"].clone();
        app.dispatch();
        let id = app.publish("clients.create", json!(1)).await;
        app.event_that_is(&id, "delivered").await;
        app.patch(&format!("/v1/handlers/{}", moved["id"]), &json!({"task": task("/new")})).await.ok();
        app.delete(&format!("/v1/handlers/{}", gone["id"])).await;
        let new = app.handler(&receiver.url("/added"), json!({"name": "added"})).await;
        app.restart().await;
        let path = format!("/v1/events/{id}/replay");

        let replayed = app.post(&path, &json!({"under": "original"})).await.json(StatusCode::ACCEPTED);
        assert_eq!(replayed, json!({"id": id, "status": "pending", "handler_id": null, "generation": ran_under}));
        receiver.wait_for(SOON, "/gone", 2).await;
        let event = app.event_that_is(&id, "delivered").await;
        assert_eq!(event["generation"], ran_under);
        let calls = |path: &str| receiver.calls_at(path).len();
        assert_eq!([calls("/old"), calls("/gone"), calls("/new"), calls("/added")], [2, 2, 0, 0]);
        assert_eq!(receiver.calls_at("/old")[1].header("baton-generation"), Some(&*ran_under.to_string()));

        for body in [json!({}), json!({"under": "live"})] {
            let replayed = app.post(&path, &body).await.json(StatusCode::ACCEPTED);
            assert_eq!(replayed["generation"], Value::Null);
            app.event_that_is(&id, "delivered").await;
        }
        receiver.wait_for(SOON, "/added", 2).await;
        app.event_that_is(&id, "delivered").await;
        assert_eq!([calls("/old"), calls("/gone"), calls("/new"), calls("/added")], [2, 2, 2, 2]);

        // The generation that counts is the one that it first ran under, whatever ran since; the handler has to be in it.
        let one = json!({"under": "original", "handler_id": gone["id"]});
        assert_eq!(app.post(&path, &one).await.json(StatusCode::ACCEPTED)["generation"], ran_under);
        receiver.wait_for(SOON, "/gone", 3).await;
        let said = app.post(&path, &json!({"under": "original", "handler_id": new["id"]})).await.said_of("handler_id");
        assert!(said.contains(&format!("generation {ran_under}")), "{said}");
        assert_eq!(app.post(&path, &json!({"handler_id": gone["id"]})).await.refused(), ["handler_id"]);
        app.event_that_is(&id, "delivered").await;
        assert_eq!([calls("/old"), calls("/gone")], [2, 3]);
    }
}

on_both! {
    async fn an_event_that_never_ran_has_no_original(app) {
        app.dispatch();
        let id = app.publish("clients.create", json!(1)).await;
        app.event_that_is(&id, "unmatched").await;
        let path = format!("/v1/events/{id}/replay");
        let problem = app.post(&path, &json!({"under": "original"})).await.problem(409, "no_original");
        assert!(problem["detail"].as_str().unwrap().contains("live"), "{problem}");
        app.post(&path, &json!({"under": "yesterday"})).await.refused();
        app.event_that_is(&id, "unmatched").await;
    }
}
