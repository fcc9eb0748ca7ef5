//! What every call has in common: tokens, paths, methods, bodies, queries.

use axum::http::{Method, StatusCode};
use serde_json::json;

use crate::app::{Answer, TOKEN, TestApp};

/// One call of each path under `/v1`.
const CALLS: &[(&str, &str)] = &[
    ("GET", "/v1/handlers"),
    ("POST", "/v1/handlers"),
    ("GET", "/v1/handlers/1"),
    ("PUT", "/v1/handlers/1"),
    ("PATCH", "/v1/handlers/1"),
    ("DELETE", "/v1/handlers/1"),
    ("POST", "/v1/handlers/1/toggle"),
    ("POST", "/v1/handlers/1/test"),
    ("POST", "/v1/handlers/priorities"),
    ("GET", "/v1/event-types"),
    ("POST", "/v1/event-types"),
    ("PUT", "/v1/event-types/clients.create/schema"),
    ("DELETE", "/v1/event-types/clients.create/schema"),
    ("GET", "/v1/events"),
    ("POST", "/v1/events"),
    ("POST", "/v1/events/batch"),
    ("POST", "/v1/events/explain"),
    ("GET", "/v1/events/0192f0c1-0000-7000-8000-000000000001"),
    ("POST", "/v1/events/0192f0c1-0000-7000-8000-000000000001/replay"),
    ("GET", "/v1/executions"),
    ("GET", "/v1/executions/0192f0c1-0000-7000-8000-000000000001"),
    ("GET", "/v1/dead-letters"),
    ("POST", "/v1/dead-letters/replay"),
    ("POST", "/v1/handlers/1/recover"),
    ("GET", "/v1/jobs"),
    ("GET", "/v1/jobs/0192f0c1-0000-7000-8000-000000000001"),
    ("POST", "/v1/jobs/0192f0c1-0000-7000-8000-000000000001/cancel"),
    ("GET", "/v1/services"),
    ("POST", "/v1/services/cache-manager/restart"),
    ("GET", "/v1/cache"),
    ("GET", "/v1/cache/generations"),
    ("POST", "/v1/cache/rollback"),
    ("GET", "/v1/stats"),
    ("GET", "/v1/stats/backlog"),
    ("GET", "/v1/stats/minutes"),
    ("GET", "/v1/stats/handlers"),
];

fn method(name: &str) -> Method {
    name.parse().unwrap()
}

#[tokio::test]
async fn no_call_without_the_token() {
    let app = TestApp::sqlite().await;
    let wrong = [
        None,
        Some(String::new()),
        Some("Bearer".into()),
        Some("Bearer ".into()),
        Some("Bearer wrong".into()),
        Some(format!("Bearer {TOKEN}x")),
        Some(format!("Basic {TOKEN}")),
        Some(TOKEN.to_owned()),
    ];
    for (name, path) in CALLS {
        for authorization in &wrong {
            let mut request = app.stranger(method(name), path);
            if let Some(value) = authorization {
                request = request.header("authorization", value);
            }
            let answer = Answer::to(request).await;
            answer.problem(401, "unauthorized");
            assert!(answer.header("www-authenticate").starts_with("Bearer"), "{name} {path}");
        }
    }
    let answer = Answer::to(app.stranger(Method::GET, "/v1/stats").header("authorization", format!("bearer  {TOKEN}"))).await;
    answer.ok();
}

#[tokio::test]
async fn a_stranger_gets_an_answer_to_a_large_body_too() {
    let app = TestApp::sqlite().await;
    let request = app.stranger(Method::POST, "/v1/events/batch").body(vec![b'x'; 20 * 1024 * 1024]);
    Answer::to(request).await.problem(401, "unauthorized");
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems() {
    let app = TestApp::sqlite().await;
    for path in ["/", "/v1", "/v1/", "/v2/events", "/v1/handlers/", "/v1/nothing", "/v1/handlers/1/2/3"] {
        app.get(path).await.problem(404, "not_found");
    }
    for (name, path) in [("DELETE", "/v1/events"), ("PUT", "/v1/stats"), ("GET", "/v1/cache/rollback"), ("POST", "/openapi.json")]
    {
        let answer = Answer::to(app.request(method(name), path)).await;
        answer.problem(405, "method_not_allowed");
        assert!(!answer.header("allow").is_empty(), "{name} {path}");
    }
    assert_eq!(Answer::to(app.request(Method::HEAD, "/v1/stats")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn ids_that_lead_nowhere() {
    let app = TestApp::sqlite().await;
    for id in ["0", "-1", "x", "1.5", "99999", "99999999999999999999", "%00", "%ff", "1%2F2"] {
        app.get(&format!("/v1/handlers/{id}")).await.problem(404, "not_found");
        app.delete(&format!("/v1/handlers/{id}")).await.problem(404, "not_found");
    }
    for id in ["1", "x", "0192f0c1-0000-7000-8000-000000000001"] {
        app.get(&format!("/v1/events/{id}")).await.problem(404, "not_found");
        app.get(&format!("/v1/executions/{id}")).await.problem(404, "not_found");
        app.post(&format!("/v1/events/{id}/replay"), &json!({})).await.problem(404, "not_found");
    }
}

#[tokio::test]
async fn no_call_ignores_a_parameter_that_it_does_not_know() {
    let app = TestApp::sqlite().await;
    for (name, path) in CALLS {
        let request = app.request(method(name), &format!("{path}?nonsense=1")).header("content-type", "application/json");
        let answer = Answer::to(if *name == "GET" { request } else { request.body("{}") }).await;
        assert_eq!(answer.refused(), ["nonsense"], "{name} {path}");
    }
}

#[tokio::test]
async fn malformed_parameters_are_named() {
    let app = TestApp::sqlite().await;
    let lists = ["/v1/handlers", "/v1/event-types", "/v1/events", "/v1/executions", "/v1/dead-letters", "/v1/cache/generations"];
    for list in lists {
        for limit in ["0", "201", "-1", "x", "1.5", "", "99999999999999999999"] {
            assert_eq!(app.get(&format!("{list}?limit={limit}")).await.refused(), ["limit"], "{list} {limit}");
        }
        app.get(&format!("{list}?limit=200")).await.ok();
        for cursor in ["x", "bm90aGluZw", "%22", "%00", "e30"] {
            assert_eq!(app.get(&format!("{list}?cursor={cursor}")).await.refused(), ["cursor"], "{list} {cursor}");
        }
        assert_eq!(app.get(&format!("{list}?limit=1&limit=2")).await.refused(), ["limit"]);
    }
    for (query, fields) in [
        ("handlers?status=on&priority=0&task_type=ftp&order=size&event=no.such", "event, status, task_type, priority, order"),
        ("handlers?priority=65536", "priority"),
        ("handlers?q=%00", "q"),
        ("events?status=done&from=yesterday&to=2026-02-30T00:00:00Z", "status, from, to"),
        ("events?events_id=no.such", "events_id"),
        ("executions?handler_id=x&event_id=7&status=ok&from=1", "handler_id, event_id, status, from"),
        ("executions?status=pending", "status"),
        ("dead-letters?handler_id=0&to=x", "handler_id, to"),
    ] {
        let mut refused = app.get(&format!("/v1/{query}")).await.refused();
        let mut fields: Vec<_> = fields.split(", ").map(str::to_owned).collect();
        refused.sort();
        fields.sort();
        assert_eq!(refused, fields, "{query}");
    }
    for wait in ["0", "61", "x", "-5", ""] {
        let answer = app.post(&format!("/v1/services/cache-manager/restart?wait={wait}"), &json!({})).await;
        assert_eq!(answer.refused(), ["wait"], "{wait}");
    }
}

#[tokio::test]
async fn bodies_are_json_and_say_so() {
    let app = TestApp::sqlite().await;
    for (name, path) in CALLS.iter().filter(|(name, path)| *name != "GET" && *name != "DELETE" && !path.ends_with("toggle")) {
        if path.ends_with("/restart") || path.ends_with("/cancel") {
            continue;
        }
        let of_type = |kind: Option<&str>, body: &'static str| {
            let request = app.request(method(name), path).body(body);
            Answer::to(match kind {
                Some(kind) => request.header("content-type", kind),
                None => request,
            })
        };
        let missing = path.contains("/handlers/1") || path.contains("/events/0192");
        // What is not there is not found before its body is looked at, or the other way round: both are right.
        for kind in [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("application/xml")] {
            let answer = of_type(kind, "{\"a\":1}").await;
            if !(missing && answer.status == StatusCode::NOT_FOUND) {
                answer.problem(415, "unsupported_media_type");
            }
        }
        for broken in ["{", "{\"a\":}", "[1,]", "nul", "{\"a\":1} x", "\u{feff}{}"] {
            let answer = of_type(Some("application/json"), broken).await;
            if !(missing && answer.status == StatusCode::NOT_FOUND) {
                let problem = answer.problem(400, "bad_json");
                assert!(problem["detail"].as_str().unwrap().contains("line 1 column"), "{problem}");
            }
        }
    }
}

#[tokio::test]
async fn a_path_that_takes_no_body_refuses_one() {
    let app = TestApp::sqlite().await;
    let handler = app.handler("http://127.0.0.1:9/", json!({})).await;
    for path in [format!("/v1/handlers/{}/toggle", handler["id"]), "/v1/services/cache-manager/restart".into()] {
        assert_eq!(app.post(&path, &json!({"force": true})).await.refused(), ["body"]);
        app.post_text(&path, "{").await.problem(400, "bad_json");
        assert!(app.post(&path, &json!({})).await.status.is_success());
        assert!(Answer::to(app.request(Method::POST, &path)).await.status.is_success());
    }
}

#[tokio::test]
async fn a_panic_is_a_problem() {
    let broken = axum::Router::new().route("/broken", axum::routing::get(async || -> &'static str { panic!("on purpose") }));
    let app = TestApp::sqlite().await;
    let url = app.beside(broken).await;
    let answer = Answer::to(app.elsewhere(Method::GET, &format!("{url}/broken"))).await;
    let problem = answer.problem(500, "internal");
    assert!(!problem.to_string().contains("purpose"), "{problem}");
    Answer::to(app.elsewhere(Method::POST, &format!("{url}/broken"))).await.problem(405, "method_not_allowed");
}
