//! What became of events: chains, executions, dead letters, replay, the account.

use axum::http::{Method, StatusCode};
use baton_testkit::{Answer as Said, Receiver, rules};
use serde_json::{Value, json};

use crate::app::{Answer, TestApp, on_both};

const QUICK: &str = r#"{"max_attempts":3,"first_delay_ms":1,"max_delay_ms":2}"#;

fn quick() -> Value {
    serde_json::from_str(QUICK).unwrap()
}

/// A delivery's handler, state and attempts.
type Row = (String, String, i64);

/// Every delivery, by stage.
fn chain(event: &Value) -> Vec<(i64, Vec<Row>)> {
    let delivery = |d: &Value| {
        (d["name"].as_str().unwrap().to_owned(), d["state"].as_str().unwrap().to_owned(), d["attempts"].as_i64().unwrap())
    };
    let stage = |s: &Value| (s["priority"].as_i64().unwrap(), s["deliveries"].as_array().unwrap().iter().map(delivery).collect());
    event["chain"].as_array().unwrap().iter().map(stage).collect()
}

fn row(name: &str, state: &str, attempts: i64) -> Row {
    (name.into(), state.into(), attempts)
}

async fn items(app: &TestApp, path: &str) -> Vec<Value> {
    app.get(path).await.ok()["items"].as_array().unwrap().clone()
}

on_both! {
    async fn an_event_shows_its_chain_and_every_execution(app) {
        let receiver = Receiver::start().await;
        receiver.script("/second", rules::fail_first(1, Said::status(503).body("busy")));
        receiver.script("/third", |_| Said::status(200).header("x-token", "t").body(r#"{"token":"t","n":1}"#));
        app.handler(&receiver.url("/first"), json!({"name": "first", "priority": 1})).await;
        app.handler(&receiver.url("/second"), json!({"name": "second", "priority": 2, "on_failure": "wait", "retry": quick(), "lane": "crm"})).await;
        app.handler(&receiver.url("/third"), json!({"name": "third", "priority": 3})).await;
        app.restart().await;
        let id = app.publish("clients.create", json!(4107)).await;
        let waiting = app.get(&format!("/v1/events/{id}")).await.ok();
        assert_eq!(chain(&waiting)[0], (1, vec![row("first", "waiting", 0)]));
        app.dispatch();
        let event = app.event_that_is(&id, "delivered").await;
        assert_eq!(chain(&event), [
            (1, vec![row("first", "succeeded", 1)]), (2, vec![row("second", "succeeded", 2)]), (3, vec![row("third", "succeeded", 1)]),
        ]);
        let second = &event["chain"][1]["deliveries"][0];
        assert_eq!((&second["on_failure"], &second["lane"], &second["next_attempt_at"]), (&json!("wait"), &json!("crm"), &Value::Null));
        assert_eq!(event["generation"], 2);
        assert!(event["finished_at"].is_string());
        let executions = event["executions"].as_array().unwrap();
        let of = |field: &str| executions.iter().map(|e| e[field].clone()).collect::<Vec<_>>();
        assert_eq!(of("handler_name"), ["first", "second", "second", "third"]);
        assert_eq!(of("status"), ["success", "fail", "success", "success"]);
        assert_eq!(of("attempt"), [1, 1, 2, 1]);
        assert_eq!(of("generation"), [2, 2, 2, 2]);
        assert!(executions.iter().all(|e| e["event_id"] == id.as_str() && e["object_id"] == 4107 && e["duration_ms"].is_i64() && e["test"] == false));
        let failed = &executions[1];
        assert!(failed["error"].as_str().is_some_and(|e| e.contains("503")) && failed["retry_at"].is_string(), "{failed}");
        assert_eq!((&failed["response"]["status"], &failed["response"]["body"], &failed["response"]["truncated"]), (&json!(503), &json!("busy"), &json!(false)));
        let masked = &executions[3]["response"];
        assert_eq!((&masked["body"], &masked["headers"]["x-token"]), (&json!(r#"{"token":"••••","n":1}"#), &json!("••••")));
        let mut one = app.get(&format!("/v1/executions/{}", failed["id"].as_str().unwrap())).await.ok();
        let request = one.as_object_mut().unwrap().remove("request").unwrap();
        assert_eq!(&one, failed);
        assert_eq!(request["task"], json!({"type": "http", "url": receiver.url("/second")}));
        assert_eq!(request["body"], serde_json::from_slice::<Value>(&receiver.calls_at("/second")[0].body).unwrap());
        let webhook_id = format!("{id}-{}", failed["handler_id"]);
        assert_eq!((&request["headers"]["webhook-id"], &request["headers"]["baton-attempt"]), (&json!(webhook_id), &json!("1")));
    }
}

on_both! {
    async fn a_delivery_that_waits_says_who_holds_its_lane(app) {
        let receiver = Receiver::start().await;
        receiver.script("/crm", |_| Said::status(503));
        let retry = json!({"max_attempts": 9, "first_delay_ms": 600_000, "max_delay_ms": 600_000});
        let on = |name: &str, event: &str, lane: &str| json!({"name": name, "event": event, "lane": lane, "retry": retry});
        let first = app.handler(&receiver.url("/crm"), on("first", "clients.create", "crm")).await;
        app.handler(&receiver.url("/fax"), on("fax", "clients.create", "fax")).await;
        app.handler(&receiver.url("/crm"), on("second", "clients.update", "crm")).await;
        app.handler(&receiver.url("/fax"), on("fax too", "clients.update", "fax")).await;
        app.handler(&receiver.url("/pager"), on("pager", "clients.delete", "pager")).await;
        app.restart().await;
        let held = async |id: &str| -> Vec<(String, Value)> {
            let event = app.get(&format!("/v1/events/{id}")).await.ok();
            let deliveries = event["chain"].as_array().unwrap().iter().flat_map(|stage| stage["deliveries"].as_array().unwrap());
            deliveries.map(|d| (d["name"].as_str().unwrap().to_owned(), d["held_by"].clone())).collect()
        };
        let by = |event: &str, handler: &Value| json!({"event_id": event, "handler_id": handler["id"], "name": handler["name"]});
        // More of them in front than are read at once, in a lane of their own; and one of another object.
        for _ in 0..65 {
            app.publish("clients.delete", json!(1)).await;
        }
        app.publish("clients.create", json!(2)).await;
        let create = app.publish("clients.create", json!(1)).await;
        let update = app.publish("clients.update", json!(1)).await;
        let last = app.publish("clients.update", json!(1)).await;
        let fax = held(&create).await;
        assert_eq!(fax, [("first".into(), Value::Null), ("fax".into(), Value::Null)]);
        for id in [&update, &last] {
            let chain = held(id).await;
            assert_eq!(chain[0], ("second".into(), by(&create, &first)));
            assert_eq!((&chain[1].1["event_id"], &chain[1].1["name"]), (&json!(create), &json!("fax")));
        }
        app.dispatch();
        app.event_that_is(&create, "retrying").await;
        receiver.wait_for(crate::app::SOON, "/fax", 4).await;
        let free = baton_testkit::eventually(crate::app::SOON, "the fax to be recorded", async || {
            Some(held(&last).await).filter(|chain| chain[1].1.is_null())
        });
        assert_eq!(free.await[0], ("second".into(), by(&create, &first)), "a delivery that is tried again holds its lane");
        assert_eq!(held(&create).await[0].1, Value::Null);
    }
}

on_both! {
    async fn a_script_s_execution_has_its_output(app) {
        app.script("run.sh", "#!/bin/sh\ncat >/dev/null\necho \"$1\"\necho oops >&2\nexit 65\n");
        let body = json!({"name": "S", "event": "clients.create", "task": {"type": "script", "path": "run.sh", "args": ["out"]}});
        app.post("/v1/handlers", &body).await.json(StatusCode::CREATED);
        app.restart().await;
        app.dispatch();
        let id = app.publish("clients.create", json!("a")).await;
        let event = app.event_that_is(&id, "failed").await;
        assert_eq!(event["executions"][0]["response"], json!({"exit_code": 65, "signal": null, "stdout": "out\n", "stderr": "oops\n", "truncated": false}));
        assert_eq!(chain(&event), [(100, vec![row("S", "dead", 1)])]);
        assert_eq!(event["chain"][0]["deliveries"][0]["max_attempts"], 12);
        let one = app.get(&format!("/v1/executions/{}", event["executions"][0]["id"].as_str().unwrap())).await.ok();
        assert_eq!(one["request"]["task"], json!({"type": "script", "path": "run.sh", "args": ["out"]}));
        assert_eq!((&one["request"]["headers"]["BATON_OBJECT_ID"], &one["request"]["body"]["event"]["object_id"]), (&json!("a"), &json!("a")));
    }
}

on_both! {
    async fn executions_are_searched_and_paged(app) {
        let receiver = Receiver::start().await;
        receiver.script("/bad", |_| Said::status(422).body("no"));
        let good = app.handler(&receiver.url("/good"), json!({"name": "good", "priority": 1})).await;
        let bad = app.handler(&receiver.url("/bad"), json!({"name": "bad", "priority": 2, "event": "clients.delete"})).await;
        app.restart().await;
        app.dispatch();
        let text = json!({"event": {"events_id": "clients.create", "object_id": 1}, "data": {"city": "Gebäude 7", "n": 100}});
        let first = app.post("/v1/events", &text).await.json(StatusCode::ACCEPTED)["id"].as_str().unwrap().to_owned();
        app.event_that_is(&first, "delivered").await;
        let second = app.publish("clients.create", json!("two")).await;
        app.event_that_is(&second, "delivered").await;
        let third = app.publish("clients.delete", json!("two")).await;
        app.event_that_is(&third, "failed").await;
        let events = async |query: &str| -> Vec<String> {
            let found = items(&app, &format!("/v1/executions{query}")).await;
            found.iter().map(|e| e["event_id"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(events("").await, [third.clone(), second.clone(), first.clone()]);
        assert_eq!(events(&format!("?handler_id={}", good["id"])).await, [second.clone(), first.clone()]);
        assert_eq!(events(&format!("?handler_id={}&status=success", bad["id"])).await, [""; 0]);
        assert_eq!(events("?status=fail&status=skipped").await, std::slice::from_ref(&third));
        assert_eq!(events("?events_id=clients.delete").await, std::slice::from_ref(&third));
        assert_eq!(events("?object_id=two").await, [third.clone(), second.clone()]);
        assert_eq!(events("?data=gebäude").await, std::slice::from_ref(&first));
        assert_eq!(events("?data=100").await, std::slice::from_ref(&first));
        assert_eq!(events("?data=1_0").await, [""; 0]);
        assert_eq!(events("?error=422").await, std::slice::from_ref(&third));
        assert_eq!(events(&format!("?event_id={second}")).await, std::slice::from_ref(&second));
        let begun = items(&app, &format!("/v1/executions?event_id={second}")).await[0]["started_at"].as_str().unwrap().to_owned();
        assert_eq!(events(&format!("?from={begun}")).await, [third.clone(), second.clone()]);
        assert_eq!(events(&format!("?to={begun}")).await, std::slice::from_ref(&first));
        let page = app.get("/v1/executions?limit=2").await.ok();
        assert_eq!(events(&format!("?limit=2&cursor={}", page["next_cursor"].as_str().unwrap())).await, [first]);
    }
}

on_both! {
    async fn dead_letters_are_listed_and_sent_again(app) {
        let receiver = Receiver::start().await;
        receiver.script("/crm", |_| Said::status(400).body("no"));
        let handler = app.handler(&receiver.url("/crm"), json!({"name": "crm", "retry": quick()})).await;
        app.restart().await;
        app.dispatch();
        let mut ids = Vec::new();
        for n in 0..4 {
            ids.push(app.publish("clients.create", json!(n)).await);
        }
        for id in &ids {
            app.event_that_is(id, "failed").await;
        }
        let letters = items(&app, "/v1/dead-letters").await;
        assert_eq!(letters.len(), 4);
        let last = &letters.iter().find(|letter| letter["event_id"] == ids[3].as_str()).unwrap();
        assert_eq!((&last["handler_id"], &last["handler_name"], &last["attempts"]), (&handler["id"], &json!("crm"), &json!(1)));
        assert_eq!((&last["events_id"], &last["object_id"], &last["generation"]), (&json!("clients.create"), &json!(3), &json!(2)));
        assert!(last["error"].as_str().is_some_and(|e| e.contains("400")) && last["dead_at"].is_string(), "{last}");
        assert_eq!(items(&app, "/v1/dead-letters?object_id=2&error=400").await.len(), 1);
        assert_eq!(items(&app, "/v1/dead-letters?error=500").await.len(), 0);
        assert_eq!(items(&app, "/v1/dead-letters?object_id=2&data=%7B").await.len(), 1);
        assert_eq!(items(&app, "/v1/dead-letters?data=northwind").await.len(), 0);
        assert_eq!(items(&app, &format!("/v1/dead-letters?handler_id={}&events_id=clients.create&limit=3", handler["id"])).await.len(), 3);
        receiver.script("/crm", |_| Said::status(200));
        let replay = async |body: Value| app.post("/v1/dead-letters/replay", &body).await.json(StatusCode::ACCEPTED)["replayed"].clone();
        assert_eq!(replay(json!({"ids": [{"event_id": ids[0], "handler_id": handler["id"]}, {"event_id": ids[0], "handler_id": 99}]})).await, 1);
        let event = app.event_that_is(&ids[0], "delivered").await;
        assert_eq!(chain(&event), [(100, vec![row("crm", "succeeded", 1)])]);
        assert_eq!(event["executions"].as_array().unwrap().len(), 2);
        let search = async |body: Value| app.post("/v1/dead-letters/replay", &json!({"search": body})).await.ok()["replayed"].clone();
        assert_eq!(search(json!({"object_id": "1"})).await, 1);
        assert_eq!(search(json!({"error": "nothing like it"})).await, 0);
        assert_eq!(search(json!({"data": "northwind"})).await, 0);
        assert_eq!(search(json!({})).await, 2);
        for id in &ids {
            app.event_that_is(id, "delivered").await;
        }
        assert_eq!(items(&app, "/v1/dead-letters").await.len(), 0);
        assert_eq!(app.get("/v1/stats").await.ok()["delivered"], 4);
    }
}

on_both! {
    async fn a_replay_of_dead_letters_says_what_it_wants(app) {
        let id = json!({"event_id": "0192f0c1-0000-7000-8000-000000000001", "handler_id": 1});
        for (body, fields) in [
            (json!({}), vec!["body"]),
            (json!({"ids": [id], "search": {}}), vec!["search"]),
            (json!({"ids": []}), vec!["ids"]),
            (json!({"ids": vec![id.clone(); 1001]}), vec!["ids"]),
            (json!({"ids": [{"event_id": "x", "handler_id": "y"}]}), vec!["ids[0].event_id", "ids[0].handler_id"]),
            (json!({"ids": [["0192f0c1-0000-7000-8000-000000000001", 1]]}), vec!["ids[0]"]),
            (json!({"search": {"events_id": "no.such", "from": "x", "to": "y"}}), vec!["search.events_id", "search.from", "search.to"]),
            (json!({"search": {"status": "dead"}}), vec!["search.status"]),
            (json!({"search": []}), vec!["search"]),
            (json!({"all": true}), vec!["all"]),
        ] {
            let mut refused = app.post("/v1/dead-letters/replay", &body).await.refused();
            refused.sort();
            assert_eq!(refused, fields, "{body}");
        }
    }
}

on_both! {
    async fn an_event_is_replayed_to_all_or_to_one(app) {
        let receiver = Receiver::start().await;
        let one = app.handler(&receiver.url("/one"), json!({"name": "one"})).await;
        app.handler(&receiver.url("/two"), json!({"name": "two"})).await;
        let other = app.handler(&receiver.url("/other"), json!({"name": "other", "event": "clients.delete"})).await;
        app.restart().await;
        app.dispatch();
        let id = app.publish("clients.create", json!(1)).await;
        app.event_that_is(&id, "delivered").await;
        let path = format!("/v1/events/{id}/replay");
        let replayed = app.post(&path, &json!({"handler_id": one["id"]})).await.json(StatusCode::ACCEPTED);
        assert_eq!(replayed, json!({"id": id, "status": "pending", "handler_id": one["id"], "generation": null}));
        receiver.wait_for(crate::app::SOON, "/one", 2).await;
        app.event_that_is(&id, "delivered").await;
        assert_eq!(receiver.calls_at("/two").len(), 1);
        let all = Answer::to(app.request(Method::POST, &path)).await.json(StatusCode::ACCEPTED);
        assert_eq!(all["handler_id"], Value::Null);
        receiver.wait_for(crate::app::SOON, "/one", 3).await;
        receiver.wait_for(crate::app::SOON, "/two", 2).await;
        app.event_that_is(&id, "delivered").await;
        for (body, part) in [(json!({"handler_id": 99}), "not live"), (json!({"handler_id": other["id"]}), "clients.delete")] {
            assert!(app.post(&path, &body).await.said_of("handler_id").contains(part), "{body}");
        }
        assert_eq!(app.post(&path, &json!({"handler": 1})).await.refused(), ["handler"]);
        assert_eq!(app.get("/v1/stats").await.ok()["published"], 1);
    }
}

on_both! {
    async fn the_account_balances(app) {
        let receiver = Receiver::start().await;
        receiver.script("/bad", |_| Said::status(400));
        app.handler(&receiver.url("/good"), json!({"event": "clients.create"})).await;
        app.handler(&receiver.url("/bad"), json!({"event": "clients.update"})).await;
        app.restart().await;
        let empty = app.get("/v1/stats").await.ok();
        assert_eq!((&empty["published"], &empty["oldest_pending_seconds"], &empty["by_event"]), (&json!(0), &Value::Null, &json!([])));
        let mut last = String::new();
        for kind in ["clients.create", "clients.create", "clients.update", "clients.delete"] {
            last = app.publish(kind, json!("same")).await;
        }
        let before = app.get("/v1/stats").await.ok();
        assert_eq!((&before["published"], &before["pending"]), (&json!(4), &json!(4)));
        assert!(before["oldest_pending_seconds"].as_f64().is_some_and(|age| age >= 0.0), "{before}");
        app.dispatch();
        app.event_that_is(&last, "unmatched").await;
        let after = baton_testkit::eventually(crate::app::SOON, "everything to end", async || {
            Some(app.get("/v1/stats").await.ok()).filter(|stats| stats["pending"] == 0)
        })
        .await;
        for (field, count) in [("published", 4), ("delivered", 2), ("failed", 1), ("unmatched", 1), ("retrying", 0), ("held", 0)] {
            assert_eq!(after[field], count, "{field}: {after}");
        }
        let update = after["by_event"].as_array().unwrap().iter().find(|row| row["events_id"] == "clients.update").unwrap();
        assert_eq!(update, &json!({"events_id": "clients.update", "published": 1, "delivered": 0, "failed": 1, "unmatched": 0, "pending": 0, "retrying": 0}));
    }
}
