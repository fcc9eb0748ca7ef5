//! The OpenAPI document and the page that shows it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use axum::http::Method;
use serde_json::Value;

use crate::app::{Answer, TestApp};

/// Set to anything but nothing, it has the checked-in document rewritten instead of compared.
const UPDATE: &str = "BATON_UPDATE_OPENAPI";

#[test]
fn the_checked_in_document_is_that_of_the_routes() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../openapi/openapi.json");
    let text = baton_api::openapi_json();
    if std::env::var_os(UPDATE).is_some_and(|value| !value.is_empty()) {
        std::fs::write(&path, text).unwrap();
        return;
    }
    let checked_in = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = checked_in.lines().zip(text.lines()).position(|(a, b)| a != b);
    assert!(
        checked_in == text,
        "openapi/openapi.json differs from line {differs:?} on: run `cargo xtask openapi` (or this test with {UPDATE}=1)"
    );
}

/// Every path of the contract, by method.
const CONTRACT: &[(&str, &str)] = &[
    ("get post", "/v1/handlers"),
    ("get put patch delete", "/v1/handlers/{id}"),
    ("post", "/v1/handlers/{id}/toggle"),
    ("post", "/v1/handlers/priorities"),
    ("post", "/v1/handlers/{id}/test"),
    ("post", "/v1/handlers/{id}/pause"),
    ("post", "/v1/handlers/{id}/resume"),
    ("get post", "/v1/event-types"),
    ("get", "/v1/event-types/{id}/sample"),
    ("put delete", "/v1/event-types/{id}/schema"),
    ("post", "/v1/event-types/{id}/pause"),
    ("post", "/v1/event-types/{id}/resume"),
    ("post", "/v1/pause"),
    ("post", "/v1/resume"),
    ("get", "/v1/pauses"),
    ("get post", "/v1/events"),
    ("post", "/v1/events/batch"),
    ("get", "/v1/events/{id}"),
    ("post", "/v1/events/explain"),
    ("post", "/v1/events/{id}/replay"),
    ("get", "/v1/executions"),
    ("get", "/v1/executions/{id}"),
    ("get", "/v1/dead-letters"),
    ("post", "/v1/dead-letters/replay"),
    ("post", "/v1/handlers/{id}/recover"),
    ("get", "/v1/jobs"),
    ("get", "/v1/jobs/{id}"),
    ("post", "/v1/filters/test"),
    ("post", "/v1/jobs/{id}/cancel"),
    ("get", "/v1/services"),
    ("post", "/v1/services/cache-manager/restart"),
    ("post", "/v1/services/cleaner/run"),
    ("get", "/v1/cache"),
    ("get", "/v1/cache/generations"),
    ("post", "/v1/cache/rollback"),
    ("get", "/v1/stats"),
    ("get", "/v1/stats/backlog"),
    ("get", "/v1/stats/minutes"),
    ("get", "/v1/stats/handlers"),
    ("get", "/healthz"),
    ("get", "/readyz"),
    ("get", "/metrics"),
    ("get", "/openapi.json"),
    ("get", "/docs/"),
];

fn document() -> Value {
    serde_json::from_str(&baton_api::openapi_json()).unwrap()
}

#[test]
fn the_document_has_every_call_of_the_contract_and_no_other() {
    let document = document();
    let mut described = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        described.extend(item.as_object().unwrap().keys().map(|method| format!("{method} {path}")));
    }
    let contract = CONTRACT.iter().flat_map(|(methods, path)| methods.split(' ').map(move |method| format!("{method} {path}")));
    assert_eq!(described, contract.collect());
}

#[test]
fn every_call_says_who_may_make_it_and_what_can_go_wrong() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["security"], serde_json::json!([{"token": []}]));
    assert_eq!(document["components"]["securitySchemes"]["token"]["scheme"], "bearer");
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for operation in item.as_object().unwrap().values() {
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id), "{id} twice");
            assert!(operation["summary"].as_str().is_some_and(|s| s.ends_with('.')), "{id}");
            assert_eq!(operation["tags"].as_array().map(Vec::len), Some(1), "{id}");
            if !path.starts_with("/v1/") {
                assert_eq!(operation["security"], serde_json::json!([]), "{id}");
                continue;
            }
            for status in ["401", "422", "500", "503"] {
                let schema = &operation["responses"][status]["content"]["application/problem+json"]["schema"]["$ref"];
                assert_eq!(schema, "#/components/schemas/Problem", "{id} {status}");
            }
            assert_eq!(operation.get("requestBody").is_some(), operation["responses"].get("415").is_some(), "{id}");
        }
    }
}

#[test]
fn every_reference_leads_somewhere() {
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => fields.iter().for_each(|(key, value)| match value {
                Value::String(to) if key == "$ref" => drop(found.insert(to.clone())),
                value => references(value, found),
            }),
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let document = document();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    for reference in &found {
        assert!(document.pointer(&reference[1..]).is_some(), "{reference}");
    }
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let used = |name: &String| found.contains(&format!("#/components/schemas/{name}"));
    let unused: Vec<_> = schemas.keys().filter(|name| !used(name)).collect();
    assert!(unused.is_empty(), "{unused:?}");
}

#[tokio::test]
async fn the_page_loads_nothing_from_elsewhere() {
    let app = TestApp::sqlite().await;
    let moved = app.stranger(Method::GET, "/docs").send().await.unwrap();
    assert_eq!(moved.url().path(), "/docs/");
    let page = Answer::to(app.stranger(Method::GET, "/docs/")).await;
    assert_eq!((page.status.as_u16(), page.header("content-type")), (200, "text/html"));
    assert!(page.header("content-security-policy").starts_with("default-src 'self';"));
    let mut loaded = 0;
    for part in
        page.text.split(['"', '\'']).filter(|part| part.ends_with(".js") || part.ends_with(".css") || part.ends_with(".png"))
    {
        assert!(!part.contains("//"), "{part} comes from elsewhere");
        let file = Answer::to(app.stranger(Method::GET, &format!("/docs/{}", part.trim_start_matches("./")))).await;
        assert_eq!(file.status.as_u16(), 200, "{part}");
        assert!(!file.header("content-type").is_empty() && file.text.len() > 100, "{part}");
        loaded += 1;
    }
    assert!(loaded >= 5, "{}", page.text);
    let start = Answer::to(app.stranger(Method::GET, "/docs/swagger-initializer.js")).await.text;
    assert!(start.contains("\"/openapi.json\"") && start.contains("\"validatorUrl\": \"none\""), "{start}");
    assert!(!start.contains("http://") && !start.contains("https://"), "{start}");
    let document = Answer::to(app.stranger(Method::GET, "/openapi.json")).await;
    assert_eq!(document.ok(), self::document());
    Answer::to(app.stranger(Method::GET, "/docs/nothing.js")).await.problem(404, "not_found");
}
