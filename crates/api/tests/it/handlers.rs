//! Handlers: create, list, edit, toggle, delete, and how they compare with what is live.

use axum::http::{Method, StatusCode};
use baton_testkit::{Answer as Said, Receiver};
use serde_json::{Value, json};

use crate::app::{Answer, on_both};

const URL: &str = "http://127.0.0.1:5000/api";

on_both! {
    async fn what_is_created_is_shown_with_its_defaults(app) {
        let body = json!({"name": " CRM ", "event": "accounts.create", "task": {"type": "http", "url": format!("{URL}?tenant=1")}});
        let answer = app.post("/v1/handlers", &body).await;
        let created = answer.json(StatusCode::CREATED);
        let id = created["id"].as_i64().unwrap();
        assert_eq!(answer.header("location"), format!("/v1/handlers/{id}"));
        assert_eq!(answer.header("etag"), "\"1\"");
        let expected = json!({
            "id": id, "name": "CRM", "event": "clients.accounts.create", "task": {"type": "http", "url": format!("{URL}?tenant=1")},
            "status": "enabled", "priority": 100, "on_failure": "continue", "timeout_ms": 10000,
            "retry": {"max_attempts": 12, "first_delay_ms": 1000, "max_delay_ms": 3600000}, "lane": URL, "headers": {},
            "secrets_valid": 0, "notes": "", "version": 1, "created_at": created["created_at"], "updated_at": created["created_at"],
            "live": "new", "paused": false, "filter": null, "limits": {"concurrency": null, "per_second": null}, "auth": null, "tls": null,
        });
        assert_eq!(created, expected);
        let shown = app.get(answer.header("location")).await;
        assert_eq!((shown.ok(), shown.header("etag")), (expected, "\"1\""));
    }
}

on_both! {
    async fn a_script_is_a_handler_too(app) {
        app.script("run.sh", "#!/bin/sh\ncat\n");
        let task = json!({"type": "script", "path": "run.sh", "args": ["-v", "é"]});
        let body = json!({"name": "Script", "event": "clients.delete", "task": task, "priority": 65535, "on_failure": "stop", "status": "disabled",
            "timeout_ms": 100, "retry": {"max_attempts": 1}, "lane": "crm", "notes": "two\nlines"});
        let created = app.post("/v1/handlers", &body).await.json(StatusCode::CREATED);
        for field in ["task", "priority", "on_failure", "status", "timeout_ms", "lane", "notes"] {
            assert_eq!(created[field], body[field]);
        }
        assert_eq!((&created["retry"]["max_attempts"], &created["live"]), (&json!(1), &json!("off")));
    }
}

on_both! {
    async fn what_was_read_can_be_written_back(app) {
        let more = json!({"headers": {"X-Key": "k"}, "secret": "generate", "priority": 7, "notes": "n", "retry": {"first_delay_ms": 5}});
        let created = app.handler(URL, more).await;
        let path = format!("/v1/handlers/{}", created["id"]);
        let read = app.get(&path).await.ok();
        assert_eq!(read["headers"], json!({"x-key": null}));
        let before = app.store.handler(baton_domain::HandlerId(created["id"].as_i64().unwrap())).await.unwrap().unwrap();
        let written = app.put(&path, &read).await.ok();
        let mut expected = read.clone();
        expected["version"] = json!(2);
        expected["updated_at"] = written["updated_at"].clone();
        assert_eq!(written, expected);
        // Sealed texts as well: otherwise it would look like a change.
        let after = app.store.handler(before.spec.id).await.unwrap().unwrap();
        assert_eq!(after.spec, before.spec);
        let other = app.handler(URL, json!({})).await;
        assert_eq!(app.put(&format!("/v1/handlers/{}", other["id"]), &read).await.refused(), ["id", "headers.x-key"]);
    }
}

on_both! {
    async fn put_gives_back_defaults_and_patch_keeps_what_it_does_not_name(app) {
        let more = json!({"priority": 7, "on_failure": "wait", "timeout_ms": 500, "lane": "crm", "notes": "n", "status": "disabled",
            "retry": {"max_attempts": 2, "first_delay_ms": 5, "max_delay_ms": 50}, "headers": {"x-a": "1", "x-b": "2"}});
        let created = app.handler(URL, more.clone()).await;
        let path = format!("/v1/handlers/{}", created["id"]);
        let patched = app.patch(&path, &json!({"priority": 8, "retry": {"max_attempts": 3}, "headers": {"X-A": null, "x-c": "3"}})).await.ok();
        let mut expected = created.clone();
        expected["priority"] = json!(8);
        expected["retry"]["max_attempts"] = json!(3);
        expected["headers"] = json!({"x-b": null, "x-c": null});
        expected["version"] = json!(2);
        expected["updated_at"] = patched["updated_at"].clone();
        assert_eq!(patched, expected);
        let nulled = app.patch(&path, &json!({"priority": null, "on_failure": null, "lane": null, "notes": null, "headers": null, "retry": null, "status": null, "timeout_ms": null})).await.ok();
        let body = json!({"name": "CRM", "event": "clients.create", "task": created["task"]});
        let put = app.put(&path, &body).await.ok();
        for shown in [&nulled, &put] {
            assert_eq!((&shown["priority"], &shown["on_failure"], &shown["timeout_ms"]), (&json!(100), &json!("continue"), &json!(10000)));
            assert_eq!((&shown["lane"], &shown["notes"], &shown["headers"]), (&json!(URL), &json!(""), &json!({})));
            assert_eq!((&shown["status"], &shown["retry"]["max_attempts"]), (&json!("enabled"), &json!(12)));
        }
        assert_eq!(put["version"], 4);
    }
}

on_both! {
    async fn a_task_of_another_type_takes_the_place_of_the_whole_task(app) {
        app.script("run.sh", "#!/bin/sh\n");
        let created = app.handler(URL, json!({"secret": "generate"})).await;
        let path = format!("/v1/handlers/{}", created["id"]);
        let patched = app.patch(&path, &json!({"task": {"type": "script", "path": "run.sh"}})).await.ok();
        assert_eq!(patched["task"], json!({"type": "script", "path": "run.sh", "args": []}));
        assert_eq!((&patched["lane"], &patched["secrets_valid"]), (&json!("run.sh"), &json!(0)));
        let patched = app.patch(&path, &json!({"task": {"args": ["-v"]}})).await.ok();
        assert_eq!(patched["task"], json!({"type": "script", "path": "run.sh", "args": ["-v"]}));
    }
}

on_both! {
    async fn a_lane_that_is_the_default_follows_the_task(app) {
        let created = app.handler(URL, json!({})).await;
        let path = format!("/v1/handlers/{}", created["id"]);
        let mut read = app.get(&path).await.ok();
        read["task"]["url"] = json!("http://127.0.0.1:6000/other");
        assert_eq!(app.put(&path, &read).await.ok()["lane"], "http://127.0.0.1:6000/other");
        read["lane"] = json!("crm");
        assert_eq!(app.put(&path, &read).await.ok()["lane"], "crm");
        read["task"]["url"] = json!(URL);
        assert_eq!(app.put(&path, &read).await.ok()["lane"], "crm");
        assert_eq!(app.patch(&path, &json!({"lane": null})).await.ok()["lane"], URL);
    }
}

on_both! {
    async fn toggle_switches_and_archived_handlers_are_edited(app) {
        let created = app.handler(URL, json!({})).await;
        let path = format!("/v1/handlers/{}", created["id"]);
        let toggle = format!("{path}/toggle");
        assert_eq!(app.post(&toggle, &json!({})).await.ok()["status"], "disabled");
        let answer = app.post(&toggle, &json!({})).await;
        assert_eq!((&answer.ok()["status"], answer.header("etag")), (&json!("enabled"), "\"3\""));
        assert_eq!(app.patch(&path, &json!({"status": "archived"})).await.ok()["live"], "off");
        app.post(&toggle, &json!({})).await.problem(409, "handler_archived");
        assert_eq!(app.patch(&path, &json!({"status": "disabled"})).await.ok()["status"], "disabled");
        assert_eq!(app.post(&toggle, &json!({})).await.ok()["status"], "enabled");
        assert_eq!(app.delete(&path).await.status, StatusCode::NO_CONTENT);
        app.get(&path).await.problem(404, "not_found");
        app.delete(&path).await.problem(404, "not_found");
        app.post(&toggle, &json!({})).await.problem(404, "not_found");
        app.put(&path, &created).await.problem(404, "not_found");
        app.patch(&path, &json!({})).await.problem(404, "not_found");
    }
}

on_both! {
    async fn an_edit_of_another_version_is_refused(app) {
        let created = app.handler(URL, json!({})).await;
        let path = format!("/v1/handlers/{}", created["id"]);
        let edit = |method: Method, tag: &'static str| {
            let path = if method == Method::POST { format!("{path}/toggle") } else { path.clone() };
            let body = match method {
                Method::PUT => created.to_string(),
                Method::PATCH => json!({"notes": tag}).to_string(),
                _ => String::new(),
            };
            Answer::to(app.request(method, &path).header("if-match", tag).header("content-type", "application/json").body(body))
        };
        for method in [Method::PUT, Method::PATCH, Method::POST, Method::DELETE] {
            for tag in ["\"2\"", "W/\"1\"", "\"x\""] {
                let problem = edit(method.clone(), tag).await.problem(412, "version_mismatch");
                assert!(problem["detail"].as_str().unwrap().contains("version is 1"), "{problem}");
            }
        }
        assert_eq!(edit(Method::PUT, "\"1\"").await.ok()["version"], 2);
        edit(Method::PUT, "\"1\"").await.problem(412, "version_mismatch");
        assert_eq!(edit(Method::PATCH, "\"2\"").await.ok()["version"], 3);
        assert_eq!(edit(Method::POST, "*").await.ok()["version"], 4);
        assert_eq!(app.patch(&path, &json!({"notes": "without"})).await.ok()["version"], 5);
        assert_eq!(edit(Method::DELETE, "\"5\"").await.status, StatusCode::NO_CONTENT);
        edit(Method::DELETE, "\"5\"").await.problem(404, "not_found");
    }
}

on_both! {
    async fn of_edits_at_the_same_time_none_is_lost(app) {
        let created = app.handler(URL, json!({})).await;
        let path = format!("/v1/handlers/{}", created["id"]);
        // With a condition, one of them wins; without, each is made upon the other.
        let guarded = |n: u32| {
            let request = app.request(Method::PATCH, &path).header("content-type", "application/json").header("if-match", "\"1\"");
            Answer::to(request.body(json!({"priority": n}).to_string()))
        };
        let (a, b, c) = tokio::join!(guarded(1), guarded(2), guarded(3));
        let won = [a, b, c].iter().filter(|answer| answer.status == StatusCode::OK).count();
        assert_eq!(won, 1);
        let (notes, lane) = (json!({"notes": "n"}), json!({"lane": "l"}));
        let (a, b) = tokio::join!(app.patch(&path, &notes), app.patch(&path, &lane));
        assert!(a.status == StatusCode::OK && b.status == StatusCode::OK, "{} {}", a.text, b.text);
        let saved = app.get(&path).await.ok();
        assert_eq!((&saved["notes"], &saved["lane"], &saved["version"]), (&json!("n"), &json!("l"), &json!(4)));
    }
}

on_both! {
    async fn lists_are_searched_sorted_and_paged(app) {
        app.script("run.sh", "#!/bin/sh\n");
        app.handler(URL, json!({"name": "Alpha", "priority": 3})).await;
        app.handler(URL, json!({"name": "beta", "priority": 2, "event": "clients.delete", "status": "disabled"})).await;
        app.handler("http://127.0.0.1:7000/gamma", json!({"name": "Gamma", "priority": 1, "status": "archived"})).await;
        app.handler(URL, json!({"name": "Delta", "priority": 3, "task": {"type": "script", "path": "run.sh"}})).await;
        let names = async |query: &str| -> Vec<String> {
            let page = app.get(&format!("/v1/handlers{query}")).await.ok();
            page["items"].as_array().unwrap().iter().map(|h| h["name"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(names("").await, ["beta", "Alpha", "Delta"]);
        assert_eq!(names("?status=archived").await, ["Gamma"]);
        assert_eq!(names("?status=archived&status=disabled&status=enabled&order=id").await, ["Alpha", "beta", "Gamma", "Delta"]);
        assert_eq!(names("?order=-name").await, ["Delta", "beta", "Alpha"]);
        assert_eq!(names("?q=ALPH").await, ["Alpha"]);
        assert_eq!(names("?q=gamma&status=archived").await, ["Gamma"]);
        assert_eq!(names("?event=clients.delete").await, ["beta"]);
        assert_eq!(names("?task_type=script").await, ["Delta"]);
        assert_eq!(names("?priority=3&task_type=http").await, ["Alpha"]);
        assert_eq!(names("?q=nothing").await, [""; 0]);
        let of = async |name: &str| {
            let page = app.get(&format!("/v1/handlers?q={name}&status=enabled&status=disabled&status=archived")).await.ok();
            page["items"][0]["id"].to_string()
        };
        let (alpha, gamma) = (of("alpha").await, of("gamma").await);
        assert_eq!(names(&format!("?id={alpha}&id={gamma}&id=999")).await, ["Alpha"]);
        assert_eq!(names(&format!("?id={alpha}&id={gamma}&status=archived&status=enabled&order=id")).await, ["Alpha", "Gamma"]);
        assert_eq!(names("?id=999").await, [""; 0]);
        assert_eq!(app.get("/v1/handlers?id=0&id=x&id=1").await.refused(), ["id", "id"]);
        assert_eq!(app.get(&format!("/v1/handlers?{}", "id=1&".repeat(201))).await.refused(), ["id"]);
        let first = app.get("/v1/handlers?limit=2&order=id").await.ok();
        let cursor = first["next_cursor"].as_str().unwrap();
        let second = app.get(&format!("/v1/handlers?limit=2&order=id&cursor={cursor}")).await.ok();
        assert_eq!((&second["items"][0]["name"], &second["next_cursor"]), (&json!("Delta"), &Value::Null));
        assert_eq!(app.get(&format!("/v1/handlers?order=name&cursor={cursor}")).await.refused(), ["cursor"]);
    }
}

on_both! {
    async fn the_last_execution_is_shown_where_it_is_asked_for(app) {
        let receiver = Receiver::start().await;
        receiver.script("/bad", |_| Said::status(503).body("busy"));
        let retry = json!({"max_attempts": 9, "first_delay_ms": 600_000, "max_delay_ms": 600_000});
        let good = app.handler(&receiver.url("/good"), json!({"priority": 1})).await;
        let bad = app.handler(&receiver.url("/bad"), json!({"priority": 2, "retry": retry})).await;
        app.handler(&receiver.url("/never"), json!({"priority": 3, "event": "clients.delete"})).await;
        app.restart().await;
        app.dispatch();
        for object in [1, 2] {
            let id = app.publish("clients.create", json!(object)).await;
            app.event_that_is(&id, "retrying").await;
        }
        let shown = async |query: &str| app.get(&format!("/v1/handlers?{query}")).await.ok()["items"].as_array().unwrap().clone();
        let plain = shown("").await;
        assert!(plain.iter().all(|handler| handler.get("last_execution").is_none()), "{plain:?}");
        let mut with = shown("with=last_execution").await;
        let of = |handler: &Value| {
            let id = handler["id"].clone();
            let app = &app;
            async move {
                let newest = app.get(&format!("/v1/executions?handler_id={id}&limit=1")).await.ok()["items"][0].clone();
                let fields = ["id", "event_id", "status", "attempt", "started_at", "duration_ms", "error", "retry_at"];
                Value::Object(fields.iter().map(|field| ((*field).to_owned(), newest[field].clone())).collect())
            }
        };
        assert_eq!(with[0]["last_execution"], of(&good).await);
        assert_eq!((&with[0]["last_execution"]["status"], &with[0]["last_execution"]["error"]), (&json!("success"), &Value::Null));
        assert_eq!(with[1]["last_execution"], of(&bad).await);
        assert!(with[1]["last_execution"]["retry_at"].is_string(), "{}", with[1]);
        assert_eq!(with[2].get("last_execution"), Some(&Value::Null));
        let path = format!("/v1/handlers/{}", bad["id"]);
        let one = app.get(&format!("{path}?with=last_execution")).await;
        assert_eq!((&one.ok(), one.header("etag")), (&with[1], "\"1\""));
        assert_eq!(app.put(&path, &with[1]).await.ok()["version"], 2, "what was read can be written back");
        for handler in &mut with {
            handler.as_object_mut().unwrap().remove("last_execution");
        }
        assert_eq!(with, plain);
        for path in ["/v1/handlers".to_owned(), path] {
            let answer = app.get(&format!("{path}?with=last_execution&with=body")).await;
            assert_eq!((answer.refused(), answer.said_of("with")), (vec!["with".into()], "must be one of last_execution".into()));
        }
    }
}

on_both! {
    async fn a_test_call_calls_once_and_stores_nothing(app) {
        let receiver = Receiver::start().await;
        receiver.script("/crm", |_| Said::status(201).header("x-auth-token", "t").body(r#"{"id":1,"password":"p"}"#));
        let handler = app.handler(&receiver.url("/crm"), json!({"headers": {"x-key": "k"}, "secret": "generate", "status": "disabled", "priority": 9})).await;
        let path = format!("/v1/handlers/{}/test", handler["id"]);
        let execution = Answer::to(app.request(Method::POST, &path)).await.ok();
        assert_eq!((&execution["status"], &execution["attempt"], &execution["test"]), (&json!("success"), &json!(1), &json!(true)));
        assert_eq!((&execution["events_id"], &execution["object_id"]), (&json!("clients.create"), &json!(4107)));
        assert_eq!((&execution["handler_id"], &execution["handler_name"], &execution["priority"]), (&handler["id"], &json!("CRM"), &json!(9)));
        assert_eq!((&execution["generation"], &execution["response"]["status"]), (&json!(1), &json!(201)));
        let response = execution["response"].to_string();
        assert!(response.contains("••••") && !response.contains("\"t\"") && !response.contains("\\\"p\\\""), "{response}");
        let calls = receiver.calls_at("/crm");
        assert_eq!(calls.len(), 1);
        let call = &calls[0];
        assert_eq!((call.header("x-key"), call.header("baton-test"), call.attempt), (Some("k"), Some("1"), Some(1)));
        assert!(call.header("webhook-signature").is_some_and(|signature| signature.starts_with("v1,")));
        assert_eq!((&call.json()["event"]["object_id"], &call.json()["data"]["id"]), (&json!(4107), &json!(4107)));
        // What is shown as sent is what came, but for what nobody is to see.
        let sent = &execution["request"];
        assert_eq!((&sent["task"]["url"], &sent["body"]), (&json!(receiver.url("/crm")), &call.json()));
        for name in ["webhook-id", "webhook-timestamp", "content-type", "baton-handler", "baton-attempt", "baton-generation", "baton-test"] {
            assert_eq!(sent["headers"][name].as_str(), call.header(name), "{name}");
        }
        assert_eq!((&sent["headers"]["x-key"], &sent["headers"]["webhook-signature"]), (&json!("••••"), &json!("••••")));
        let body = json!({"event": {"object_id": "x-1", "dt": "2026-03-04T09:15:27Z"}, "data": {"n": 1.50}});
        app.post(&path, &body).await.ok();
        assert_eq!(receiver.calls_at("/crm")[1].json(), json!({"event": {"dt": "2026-03-04T09:15:27Z", "events_id": "clients.create", "object_id": "x-1"}, "data": {"n": 1.50}}));
        assert_eq!(app.post(&path, &json!({"event": {"events_id": "clients.delete"}})).await.refused(), ["event.events_id"]);
        assert_eq!(app.post(&path, &json!({"data": []})).await.refused(), ["data"]);
        assert_eq!(app.get("/v1/executions").await.ok()["items"], json!([]));
        assert_eq!(app.get("/v1/stats").await.ok()["published"], 0);
        receiver.script("/crm", |_| Said::status(500));
        let failed = Answer::to(app.request(Method::POST, &path)).await.ok();
        assert!(failed["status"] == "fail" && failed["error"].as_str().is_some_and(|e| e.contains("500")), "{failed}");
    }
}
