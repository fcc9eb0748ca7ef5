//! Bad input: each a problem with the right status, code, field, and a sentence that helps.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use reqwest::Method;
use serde_json::{Value, json};

use crate::rig::bodies::{event, http, script, with};
use crate::rig::{Answer, Embedded};

/// Checks that an answer is a problem (RFC 9457), and its sentence.
#[track_caller]
fn assert_problem(answer: &Answer, status: u16, code: &str, says: &str) -> Value {
    assert_eq!(answer.header("content-type"), "application/problem+json", "{}: {}", answer.asked, answer.text);
    let problem = answer.expect(status);
    assert_eq!((&problem["code"], &problem["status"]), (&json!(code), &json!(status)), "{problem}");
    assert!(problem["type"].is_string() && problem["title"].is_string(), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains(says), "'{says}' in {problem}");
    problem
}

/// The same for a field that is refused.
#[track_caller]
fn assert_refused(answer: &Answer, field: &str, says: &str) {
    let problem = assert_problem(answer, 422, "validation_failed", "");
    let errors = problem["errors"].as_array().unwrap();
    let error = errors.iter().find(|error| error["field"] == field).unwrap_or_else(|| panic!("{field} in {problem}"));
    assert!(error["message"].as_str().unwrap().contains(says), "'{says}' in {error}");
}

#[tokio::test]
async fn handlers_are_refused_with_field_and_reason() {
    let baton = Embedded::start().await;
    let scripts = baton.data().join("scripts");
    fs::write(scripts.join("plain.sh"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(scripts.join("plain.sh"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(scripts.join("open.sh"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(scripts.join("open.sh"), fs::Permissions::from_mode(0o777)).unwrap();
    let good = || http("Hook", "clients.create", "http://127.0.0.1:9/hook");
    let refused = [
        (with(good(), json!({"event": "clients.vanish"})), "event", "clients.vanish"),
        (with(good(), json!({"priority": 0})), "priority", "1 to 65535"),
        (with(good(), json!({"priority": 65_536})), "priority", "1 to 65535"),
        (with(good(), json!({"priority": "first"})), "priority", "integer"),
        (with(good(), json!({"name": ""})), "name", "1 to 200"),
        (with(good(), json!({"timeout_ms": 99})), "timeout_ms", "100 to 300000"),
        (with(good(), json!({"retry": {"max_attempts": 0}})), "retry.max_attempts", "1 to"),
        (with(good(), json!({"on_failure": "explode"})), "on_failure", "continue"),
        (with(good(), json!({"colour": "green"})), "colour", "not known"),
        (http("Hook", "clients.create", "ftp://127.0.0.1/hook"), "task.url", "http"),
        (http("Hook", "clients.create", "not a url"), "task.url", ""),
        (http("Hook", "clients.create", "http://10.1.2.3/hook"), "task.url", "BATON_ALLOW_TARGETS"),
        (http("Hook", "clients.create", "http://169.254.169.254/latest"), "task.url", "169.254.169.254"),
        (script("Script", "clients.create", "missing.sh", &[]), "task.path", "missing.sh"),
        (script("Script", "clients.create", "../admin-token", &[]), "task.path", ""),
        (script("Script", "clients.create", "plain.sh", &[]), "task.path", "executed"),
        (script("Script", "clients.create", "open.sh", &[]), "task.path", "writ"),
    ];
    for (handler, field, says) in refused {
        let answer = baton.api.call(Method::POST, "/v1/handlers", &handler).await;
        assert_refused(&answer, field, says);
    }
    // Everything that is wrong is named at once.
    let all_wrong = json!({"name": "", "event": "x.y", "task": {"type": "http", "url": "http://10.0.0.1/"}, "priority": 0});
    let answer = baton.api.call(Method::POST, "/v1/handlers", &all_wrong).await;
    for field in ["name", "event", "task.url", "priority"] {
        assert_refused(&answer, field, "");
    }
    assert_eq!(baton.api.list("/v1/handlers?").await, Vec::<Value>::new());
}

#[tokio::test]
async fn events_are_refused_with_field_and_reason() {
    let baton = Embedded::start().await;
    let of = |head: Value| json!({"event": head, "data": {}});
    let refused = [
        (of(json!({"events_id": "clients.vanish", "object_id": 1})), "event.events_id", "clients.vanish"),
        (of(json!({"events_id": 7, "object_id": 1})), "event.events_id", "string"),
        (of(json!({"events_id": "clients.create"})), "event.object_id", ""),
        (of(json!({"events_id": "clients.create", "object_id": [1]})), "event.object_id", ""),
        (of(json!({"events_id": "clients.create", "object_id": 1, "dt": "yesterday"})), "event.dt", ""),
        (of(json!({"events_id": "clients.create", "object_id": 1, "dt": "2026-03-04T09:15:27"})), "event.dt", "offset"),
        (json!({"event": {"events_id": "clients.create", "object_id": 1}, "data": [1]}), "data", "object"),
        (json!({"event": {"events_id": "clients.create", "object_id": 1}}), "data", ""),
        (with(event("clients.create", 1, json!({})), json!({"extra": 1})), "extra", "not known"),
    ];
    for (body, field, says) in refused {
        let answer = baton.api.call(Method::POST, "/v1/events", &body).await;
        assert_refused(&answer, field, says);
    }
    // One of a batch: none is stored, and the place is named.
    let mut events = vec![event("clients.create", 1, json!({})); 3];
    events[1] = event("clients.vanish", 1, json!({}));
    let answer = baton.api.call(Method::POST, "/v1/events/batch", &json!({"events": events})).await;
    assert_refused(&answer, "events[1].event.events_id", "clients.vanish");
    assert_eq!(baton.api.stats().await["published"], 0);
}

#[tokio::test]
async fn what_is_too_large_or_no_json_is_refused() {
    let baton = Embedded::start().await;
    let api = &baton.api;
    let large = event("clients.create", 1, json!({"text": "x".repeat(1024 * 1024)}));
    let answer = api.call(Method::POST, "/v1/events", &large).await;
    assert_eq!(answer.status, 413, "{}", answer.text);
    assert!(matches!(answer.json()["code"].as_str(), Some("event_too_large" | "body_too_large")), "{}", answer.text);
    // Just below the limit it is accepted, in a batch too.
    let fits = event("clients.create", 1, json!({"text": "x".repeat(1024 * 1024 - 200)}));
    api.publish(&fits).await;
    let many = json!({"events": vec![fits; 17]});
    assert_problem(&api.call(Method::POST, "/v1/events/batch", &many).await, 413, "body_too_large", "16");
    let thousand_and_one = json!({"events": vec![event("clients.create", 1, json!({})); 1001]});
    assert_refused(&api.call(Method::POST, "/v1/events/batch", &thousand_and_one).await, "events", "1000");

    for broken in ["{\"event\": ", "", "nonsense", "{\"event\":{},}"] {
        assert_problem(&api.call_text(Method::POST, "/v1/events", broken).await, 400, "bad_json", "");
    }
    let as_text = api.request(Method::POST, "/v1/events").header("content-type", "text/plain").body("{}");
    assert_problem(&api.send(as_text).await, 415, "unsupported_media_type", "application/json");
    assert_eq!(api.stats().await["published"], 1);
}

#[tokio::test]
async fn unknown_things_and_parameters_are_told() {
    let baton = Embedded::start().await;
    let api = &baton.api;
    let get = async |path: &str| api.send(api.request(Method::GET, path)).await;
    for path in ["/v1/handlers/77", "/v1/events/01a20bdc-92a9-7601-8da2-b0d97611d4a9", "/v1/nothing", "/nothing"] {
        assert_problem(&get(path).await, 404, "not_found", "");
    }
    assert_problem(&api.order("/v1/stats").await, 405, "method_not_allowed", "");
    for (path, field) in [
        ("/v1/handlers?colour=green", "colour"),
        ("/v1/handlers?limit=201", "limit"),
        ("/v1/handlers?status=gone", "status"),
        ("/v1/handlers?priority=0", "priority"),
        ("/v1/events?from=yesterday", "from"),
        ("/v1/executions?handler_id=x", "handler_id"),
        ("/v1/executions?cursor=%20", "cursor"),
    ] {
        assert_refused(&get(path).await, field, "");
    }
    assert_refused(&api.order("/v1/services/cache-manager/restart?wait=never").await, "wait", "");
}

#[tokio::test]
async fn an_edit_that_others_have_overtaken_and_a_toggle_of_the_archive_are_refused() {
    let baton = Embedded::start().await;
    let api = &baton.api;
    let id = api.create(&http("Hook", "clients.create", "http://127.0.0.1:9/hook")).await;
    let path = format!("/v1/handlers/{id}");
    let tag = api.send(api.request(Method::GET, &path)).await.header("etag").to_owned();
    let edit = async |name: &str| {
        let request = api.request(Method::PATCH, &path).header("if-match", &tag).header("content-type", "application/json");
        api.send(request.body(json!({"name": name}).to_string())).await
    };
    assert_eq!(edit("First").await.expect(200)["name"], "First");
    assert_problem(&edit("Second").await, 412, "version_mismatch", "");
    assert_eq!(api.handler(id).await["name"], "First");
    api.edit(id, &json!({"status": "archived"})).await;
    assert_problem(&api.order(&format!("{path}/toggle")).await, 409, "handler_archived", "");
    assert_eq!(api.list("/v1/handlers?").await, Vec::<Value>::new());
}
