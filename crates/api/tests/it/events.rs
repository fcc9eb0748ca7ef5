//! Publishing: to the letter, once, all or none.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::app::{Answer, TestApp, on_both};

/// Publishes with an idempotency key.
async fn keyed(app: &TestApp, path: &str, key: &str, body: &Value) -> Answer {
    let request = app.request(Method::POST, path).header("content-type", "application/json").header("idempotency-key", key);
    Answer::to(request.body(body.to_string())).await
}

fn event(events_id: &str, object_id: &Value) -> Value {
    json!({"event": {"events_id": events_id, "object_id": object_id}, "data": {}})
}

on_both! {
    async fn what_is_published_is_kept_to_the_letter(app) {
        let text = r#"{"event":{"events_id":"accounts.create","object_id":"4\u00e91","dt":"2026-03-04T09:15:27.000417+01:00"},
            "data":{"credit":250.0, "n":12345678901234567890123,"e":1E5,"password":"hunter2","deep":[{"Api_Token":["x"]}],"s":"\u00e9 <b>"},"ordering_key":"mine"}"#;
        let accepted = app.post_text("/v1/events", text).await.json(StatusCode::ACCEPTED);
        assert_eq!((&accepted["status"], &accepted["duplicate"]), (&json!("pending"), &json!(false)));
        let shown = app.get(&format!("/v1/events/{}", accepted["id"].as_str().unwrap())).await;
        for part in [
            r#""object_id":"4\u00e91""#, r#""dt":"2026-03-04T09:15:27.000417+01:00""#, r#""credit":250.0"#, r#""n":12345678901234567890123"#,
            r#""e":1E5"#, r#""password":"••••""#, r#""Api_Token":"••••""#, r#""s":"\u00e9 <b>""#,
        ] {
            assert!(shown.text.contains(part), "{part} is not in {}", shown.text);
        }
        let shown = shown.ok();
        assert_eq!((&shown["events_id"], &shown["ordering_key"], &shown["status"]), (&json!("clients.accounts.create"), &json!("mine"), &json!("pending")));
        assert_eq!((&shown["generation"], &shown["finished_at"]), (&Value::Null, &Value::Null));
        assert_eq!((&shown["executions"], &shown["chain"]), (&json!([]), &json!([])));
        let stored = app.store.event(baton_domain::EventId(accepted["id"].as_str().unwrap().parse().unwrap())).await.unwrap().unwrap();
        assert!(stored.data.starts_with(r#"{"credit":250.0, "n":12345678901234567890123,"e":1E5,"password":"hunter2""#), "{}", stored.data);
        assert!(!app.get("/v1/events").await.text.contains("hunter2"));
    }
}

on_both! {
    async fn numbers_and_strings_are_objects_and_found_by_their_text(app) {
        for id in ["4107", "\"4107\"", "\"a/b c\"", "-1", "1.50", "12345678901234567890123"] {
            let text = format!(r#"{{"event":{{"events_id":"clients.create","object_id":{id}}},"data":{{}}}}"#);
            let accepted = app.post_text("/v1/events", text).await.json(StatusCode::ACCEPTED);
            let shown = app.get(&format!("/v1/events/{}", accepted["id"].as_str().unwrap())).await;
            assert!(shown.text.contains(&format!("\"object_id\":{id}")), "{}", shown.text);
            assert!(chrono::DateTime::parse_from_rfc3339(shown.ok()["dt"].as_str().unwrap()).is_ok());
        }
        let found = app.get("/v1/events?object_id=4107").await.ok();
        assert_eq!(found["items"].as_array().unwrap().len(), 2);
        assert!(found["items"][0].get("executions").is_none());
        assert_eq!(found["items"][0]["ordering_key"], "client/4107");
    }
}

on_both! {
    async fn the_same_key_publishes_once(app) {
        let body = event("clients.create", &json!(1));
        let first = keyed(&app, "/v1/events", "key-1", &body).await.json(StatusCode::ACCEPTED);
        let again = keyed(&app, "/v1/events", "key-1", &body).await.json(StatusCode::ACCEPTED);
        assert_eq!((&again["id"], &again["duplicate"], &again["status"]), (&first["id"], &json!(true), &json!("pending")));
        let other = keyed(&app, "/v1/events", "key-2", &body).await.json(StatusCode::ACCEPTED);
        assert_ne!(other["id"], first["id"]);
        let none = app.post("/v1/events", &body).await.json(StatusCode::ACCEPTED);
        assert_eq!(none["duplicate"], false);
        let at_once = |_| keyed(&app, "/v1/events", "key-3", &body);
        let answers = futures_util::future::join_all((0..8).map(at_once)).await;
        let fresh = answers.iter().filter(|a| a.json(StatusCode::ACCEPTED)["duplicate"] == false).count();
        assert_eq!(fresh, 1);
        assert_eq!(app.get("/v1/stats").await.ok()["published"], 4);
        for bad in ["", " ", "a b", "é", &"x".repeat(201)] {
            assert_eq!(keyed(&app, "/v1/events", bad, &body).await.refused(), ["Idempotency-Key"], "{bad}");
        }
    }
}

on_both! {
    async fn a_batch_is_stored_in_its_order_all_or_none(app) {
        let events: Vec<_> = (0..1000).map(|n| event("clients.update", &json!(n))).collect();
        let accepted = keyed(&app, "/v1/events/batch", "batch", &json!({"events": events})).await.json(StatusCode::ACCEPTED);
        let items = accepted["items"].as_array().unwrap();
        assert_eq!(items.len(), 1000);
        let newest = app.get("/v1/events?limit=200").await.ok();
        for (place, shown) in newest["items"].as_array().unwrap().iter().enumerate() {
            assert_eq!((&shown["object_id"], &shown["id"]), (&json!(999 - place), &items[999 - place]["id"]));
        }
        let again = keyed(&app, "/v1/events/batch", "batch", &json!({"events": &events[..2]})).await.json(StatusCode::ACCEPTED);
        assert_eq!(again["items"][1], json!({"id": items[1]["id"], "status": "pending", "duplicate": true}));
        let mut wrong = events[..3].to_vec();
        wrong[1]["event"]["events_id"] = json!("no.such");
        wrong[2]["data"] = json!([]);
        let refused = app.post("/v1/events/batch", &json!({"events": wrong})).await.refused();
        assert_eq!(refused, ["events[1].event.events_id", "events[2].data"]);
        assert_eq!(app.get("/v1/stats").await.ok()["published"], 1000);
    }
}

on_both! {
    async fn lists_are_searched_and_paged(app) {
        for n in 0..5 {
            app.publish(if n % 2 == 0 { "clients.create" } else { "clients.delete" }, json!(n)).await;
        }
        let ids = async |query: &str| -> Vec<Value> {
            let page = app.get(&format!("/v1/events{query}")).await.ok();
            page["items"].as_array().unwrap().iter().map(|e| e["object_id"].clone()).collect()
        };
        assert_eq!(ids("").await, [4, 3, 2, 1, 0]);
        assert_eq!(ids("?events_id=clients.delete").await, [3, 1]);
        assert_eq!(ids("?status=pending&status=failed&limit=2").await, [4, 3]);
        assert_eq!(ids("?status=failed").await, [0; 0]);
        let third = app.get("/v1/events?object_id=2").await.ok()["items"][0]["received_at"].as_str().unwrap().to_owned();
        assert_eq!(ids(&format!("?from={third}")).await, [4, 3, 2]);
        assert_eq!(ids(&format!("?to={third}")).await, [1, 0]);
        // A plus sign that was not escaped.
        assert_eq!(ids("?from=2026-01-01T00:00:00+00:00").await.len(), 5);
        let first = app.get("/v1/events?limit=3").await.ok();
        assert_eq!(ids(&format!("?limit=3&cursor={}", first["next_cursor"].as_str().unwrap())).await, [1, 0]);
    }
}

on_both! {
    async fn a_page_of_large_events_is_shorter_than_asked_for(app) {
        let large = |n: usize| json!({"event": {"events_id": "clients.create", "object_id": n}, "data": {"s": "x".repeat(100_000)}});
        for start in [0, 60] {
            let events: Vec<_> = (start..start + 60).map(large).collect();
            app.post("/v1/events/batch", &json!({"events": events})).await.json(StatusCode::ACCEPTED);
        }
        let (mut cursor, mut pages, mut seen) = (String::new(), 0, Vec::new());
        loop {
            let page = app.get(&format!("/v1/events?limit=200{cursor}")).await.ok();
            seen.extend(page["items"].as_array().unwrap().iter().map(|e| e["object_id"].as_i64().unwrap()));
            pages += 1;
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!((pages, seen), (3, (0..120).rev().collect::<Vec<_>>()));
    }
}

on_both! {
    async fn an_operators_own_type_can_be_published_at_once(app) {
        assert_eq!(app.post("/v1/events", &event("orders.paid", &json!(1))).await.refused(), ["event.events_id"]);
        app.post("/v1/event-types", &json!({"id": "orders.paid", "group": "Orders", "object_kind": "order"})).await.json(StatusCode::CREATED);
        app.publish("orders.paid", json!(7)).await;
        assert_eq!(app.get("/v1/events").await.ok()["items"][0]["ordering_key"], "order/7");
    }
}

on_both! {
    async fn publishers_at_the_same_time_each_get_their_own(app) {
        let publish = |n: usize| {
            let app = &app;
            async move { (n, app.publish("clients.create", json!(n)).await) }
        };
        for (n, id) in futures_util::future::join_all((0..200).map(publish)).await {
            assert_eq!(app.get(&format!("/v1/events/{id}")).await.ok()["object_id"], n);
        }
        assert_eq!(app.get("/v1/stats").await.ok()["published"], 200);
    }
}
