//! The Cache Manager through the API: restart, pending changes, history, rollback, the Task Scheduler.

use axum::http::StatusCode;
use baton_domain::{GenerationNumber, HandlerId, HandlerStatus};
use baton_storage::NewHandler;
use serde_json::{Value, json};

use crate::app::{SOON, on_both};

const URL: &str = "http://127.0.0.1:5000/api";
const RESTART: &str = "/v1/services/cache-manager/restart";

on_both! {
    async fn an_edit_is_pending_until_a_restart_makes_it_live(app) {
        let empty = app.get("/v1/cache").await.ok();
        assert_eq!((&empty["generation"], &empty["handlers"], &empty["pending_count"]), (&json!(1), &json!(0), &json!(0)));
        let (a, b) = (app.handler(URL, json!({"name": "A"})).await, app.handler(URL, json!({"name": "B"})).await);
        let pending = app.get("/v1/cache").await.ok();
        assert_eq!(pending["pending"], json!({"added": [{"id": a["id"], "name": "A"}, {"id": b["id"], "name": "B"}], "removed": [], "changed": []}));
        let restart = app.restart().await;
        assert_eq!((&restart["generation"], &restart["handlers"]), (&json!(2), &json!(2)));
        assert_eq!(restart["changes"], pending["pending"]);
        assert!(restart["took_ms"].as_i64().is_some_and(|ms| ms >= 0) && restart["run_id"].is_i64(), "{restart}");
        let path = format!("/v1/handlers/{}", a["id"]);
        assert_eq!(app.get(&path).await.ok()["live"], "live");
        assert_eq!(app.patch(&path, &json!({"priority": 5, "notes": "not part of it"})).await.ok()["live"], "changed");
        assert_eq!(app.delete(&format!("/v1/handlers/{}", b["id"])).await.status, StatusCode::NO_CONTENT);
        let cache = app.get("/v1/cache").await.ok();
        let expected = json!({"added": [], "removed": [{"id": b["id"], "name": "B"}],
            "changed": [{"id": a["id"], "name": "A", "fields": [{"field": "priority", "live": 100, "saved": 5}]}]});
        assert_eq!((&cache["pending"], &cache["pending_count"], &cache["generation"]), (&expected, &json!(2), &json!(2)));
        assert_eq!(app.restart().await["changes"], expected);
        let cache = app.get("/v1/cache").await.ok();
        assert_eq!((&cache["pending_count"], &cache["handlers"], &cache["generation"]), (&json!(0), &json!(1), &json!(3)));
        assert_eq!(cache["checksum"].as_str().map(str::len), Some(64));
        assert_eq!(app.patch(&path, &json!({"notes": "other"})).await.ok()["live"], "live");
        assert_eq!(app.patch(&path, &json!({"status": "disabled"})).await.ok()["live"], "removed");
    }
}

on_both! {
    /// As when several processes serve the API of one database.
    async fn what_another_process_saves_is_pending_at_once(app) {
        let id = HandlerId(app.handler(URL, json!({"name": "A", "priority": 7})).await["id"].as_i64().unwrap());
        app.restart().await;
        let pending = async || {
            let cache = app.get("/v1/cache").await.ok();
            let of = |kind: &str| cache["pending"][kind].as_array().unwrap().len();
            let kinds = ["added", "removed", "changed"].map(of);
            assert_eq!(cache["pending_count"], kinds.iter().sum::<usize>(), "{cache}");
            kinds
        };
        assert_eq!(pending().await, [0, 0, 0]);
        assert_eq!(pending().await, [0, 0, 0]);
        let mut handler = app.store.handler(id).await.unwrap().unwrap();
        let now = chrono::Utc::now();
        handler.spec.priority = 8;
        handler = app.store.update_handler(&handler, handler.version, now).await.unwrap();
        assert_eq!(pending().await, [0, 0, 1]);
        handler.spec.priority = 7;
        handler = app.store.update_handler(&handler, handler.version, now).await.unwrap();
        assert_eq!(pending().await, [0, 0, 0]);
        handler.status = HandlerStatus::Disabled;
        handler = app.store.update_handler(&handler, handler.version, now).await.unwrap();
        assert_eq!(pending().await, [0, 1, 0]);
        app.store.create_handler(&NewHandler { status: HandlerStatus::Enabled, ..NewHandler::from(&handler) }, now).await.unwrap();
        assert_eq!(pending().await, [1, 1, 0]);
        app.restart().await;
        assert_eq!(pending().await, [0, 0, 0]);
        app.store.delete_handler(HandlerId(id.0 + 1), None).await.unwrap();
        assert_eq!(pending().await, [0, 1, 0]);
    }
}

on_both! {
    async fn generations_are_listed_and_put_back(app) {
        let handler = app.handler(URL, json!({"priority": 1})).await;
        app.restart().await;
        let path = format!("/v1/handlers/{}", handler["id"]);
        app.patch(&path, &json!({"priority": 2})).await.ok();
        app.restart().await;
        let back = app.post("/v1/cache/rollback", &json!({"generation": 2})).await.ok();
        assert_eq!((&back["generation"], &back["handlers"]), (&json!(4), &json!(1)));
        assert_eq!(back["changes"]["changed"][0]["fields"], json!([{"field": "priority", "live": 2, "saved": 1}]));
        // What is saved stays as it is.
        let saved = app.get(&path).await.ok();
        assert_eq!((&saved["priority"], &saved["live"]), (&json!(2), &json!("changed")));
        let generations = app.get("/v1/cache/generations").await.ok();
        let items = generations["items"].as_array().unwrap();
        let of = |field: &str| items.iter().map(|g| g[field].clone()).collect::<Vec<_>>();
        assert_eq!(of("generation"), [4, 3, 2, 1]);
        assert_eq!(of("cause"), ["rollback", "restart", "restart", "start"]);
        assert_eq!(of("rolled_back_to"), [json!(2), Value::Null, Value::Null, Value::Null]);
        assert_eq!(of("handlers"), [1, 1, 1, 0]);
        assert_eq!(items[0]["checksum"], items[2]["checksum"]);
        assert_eq!(items[1]["changes"]["changed"][0]["fields"][0]["field"], "priority");
        let page = app.get("/v1/cache/generations?limit=3").await.ok();
        let next = app.get(&format!("/v1/cache/generations?cursor={}", page["next_cursor"].as_str().unwrap())).await.ok();
        assert_eq!((&next["items"][0]["generation"], &next["next_cursor"]), (&json!(1), &Value::Null));
        app.post("/v1/cache/rollback", &json!({"generation": 99})).await.problem(404, "not_found");
        app.post("/v1/cache/rollback", &json!({"generation": -1})).await.problem(404, "not_found");
        for bad in [json!({}), json!({"generation": "2"}), json!({"generation": null}), json!({"generation": 1.5})] {
            assert_eq!(app.post("/v1/cache/rollback", &bad).await.refused(), ["generation"], "{bad}");
        }
    }
}

on_both! {
    async fn a_restart_is_queued_and_can_be_waited_for(app) {
        app.handler(URL, json!({})).await;
        let queued = app.post(RESTART, &json!({})).await.json(StatusCode::ACCEPTED);
        assert!(queued["id"].is_i64() && ["queued", "running"].contains(&queued["status"].as_str().unwrap()), "{queued}");
        baton_testkit::eventually(SOON, "generation 2", async || {
            app.cache.live().filter(|live| live.number == GenerationNumber(2))
        })
        .await;
        // The run is written down as ended a moment after the generation is live.
        let done = baton_testkit::eventually(SOON, "the run to end", async || {
            let services = app.get("/v1/services").await.ok();
            let manager = services["items"][0].clone();
            (manager["last_run"]["id"] == queued["id"]).then_some(manager)
        })
        .await;
        assert_eq!((&done["name"], &done["title"], &done["schedule"]), (&json!("cache-manager"), &json!("Cache Manager"), &json!("on demand")));
        assert_eq!((&done["active"], &done["manual_run"], &done["in_queue_from"]), (&json!(true), &json!(true), &Value::Null));
        let last = &done["last_run"];
        assert_eq!((&last["status"], &last["result"]["generation"], &last["error"]), (&json!("done"), &json!(2), &Value::Null));
        assert!(last["started_at"].is_string() && last["finished_at"].is_string(), "{last}");
        assert_eq!((&done["instances"][0]["name"], &done["instances"][0]["alive"]), (&json!("test"), &json!(true)));
        let services = app.get("/v1/services").await.ok();
        assert_eq!((&services["items"][1]["name"], &services["items"][1]["active"]), (&json!("dispatcher"), &json!(false)));
    }
}

on_both! {
    async fn a_restart_that_fails_says_why_and_changes_nothing(app) {
        app.handler(URL, json!({})).await;
        app.restart().await;
        // Something that no form lets through, such as a row that was written by hand.
        let mut broken = app.store.handler(HandlerId(1)).await.unwrap().unwrap();
        broken.spec.event = "no.such".into();
        app.store.update_handler(&broken, 1, chrono::Utc::now()).await.unwrap();
        let problem = app.post(&format!("{RESTART}?wait=30"), &json!({})).await.problem(409, "restart_failed");
        assert!(problem["detail"].as_str().unwrap().contains("no.such"), "{problem}");
        assert_eq!(app.get("/v1/cache").await.ok()["generation"], 2);
        let last = app.get("/v1/services").await.ok()["items"][0]["last_run"].clone();
        assert!(last["status"] == "failed" && last["error"].as_str().is_some_and(|e| e.contains("no.such")), "{last}");
    }
}

on_both! {
    async fn what_cannot_be_done_in_time_is_queued(app) {
        app.without_manager().await;
        let begun = std::time::Instant::now();
        let run = app.post(&format!("{RESTART}?wait=1"), &json!({})).await.json(StatusCode::ACCEPTED);
        assert!(begun.elapsed() >= std::time::Duration::from_secs(1) && run["status"] == "queued", "{run}");
        assert_eq!(app.post(RESTART, &json!({})).await.json(StatusCode::ACCEPTED)["id"], run["id"]);
        let manager = app.get("/v1/services").await.ok()["items"][0].clone();
        assert_eq!((&manager["active"], &manager["in_queue_from"]), (&json!(false), &run["asked_at"]));
        app.post("/v1/cache/rollback?wait=1", &json!({"generation": 1})).await.problem(409, "run_queued");
    }
}
