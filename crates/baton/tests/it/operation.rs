//! Health, metrics, tokens, and how programs end.

use std::time::Instant;

use baton_testkit::{Process, Program};
use reqwest::Method;
use serde_json::json;

use crate::rig::machine::calm;
use crate::rig::{Api, Embedded, IDLE_STOP, Installation, SOON, Services};

/// Asks each of these paths without a token.
async fn ask(process: &Process, paths: &[&str]) {
    let api = Api::new(process.url(""), "no token");
    for path in paths {
        let answer = api.send(api.anonymous(Method::GET, path)).await;
        let moved = answer.status == 308 && *path == "/docs";
        assert!(answer.status == 200 || moved, "{path}: {} {}", answer.status, answer.text);
    }
    let metrics = api.send(api.anonymous(Method::GET, "/metrics")).await;
    assert!(metrics.header("content-type").starts_with("text/plain"));
    assert!(metrics.text.lines().any(|line| line.starts_with("baton_generation ")), "{}", metrics.text);
}

#[tokio::test]
async fn every_program_tells_its_health_without_a_token_and_stops_at_once_when_idle() {
    let _calm = calm().await;
    let mut services = Services::start(Installation::new().await, 1).await;
    services.api.restart().await;
    ask(&services.api_process, &["/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"]).await;
    for process in [&services.cache_manager, &services.dispatchers[0]] {
        ask(process, &["/healthz", "/readyz", "/metrics"]).await;
    }
    let healthcheck = async |name: &str, process: &Process| {
        let listen = process.address().to_string();
        services.installation.program(name).env("BATON_LISTEN", listen).args(["healthcheck"]).run(SOON).await
    };
    let named = [
        ("baton-api", &services.api_process),
        ("baton-cache-manager", &services.cache_manager),
        ("baton-dispatcher", &services.dispatchers[0]),
    ];
    for (name, process) in named {
        assert!(healthcheck(name, process).await.status.success(), "{name}");
    }
    for process in services.processes() {
        let asked = Instant::now();
        let status = process.terminate(SOON).await;
        assert!(status.success() && asked.elapsed() <= IDLE_STOP, "{status} after {:?}", asked.elapsed());
    }
    let gone = Program::named("baton-api").env("BATON_LISTEN", services.api_process.address().to_string());
    assert!(!gone.args(["healthcheck"]).run(SOON).await.status.success());
}

#[tokio::test]
async fn the_embedded_default_does_so_too() {
    let _calm = calm().await;
    let mut baton = Embedded::start().await;
    ask(&baton.process, &["/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"]).await;
    let asked = Instant::now();
    let status = baton.process.terminate(SOON).await;
    assert!(status.success() && asked.elapsed() <= IDLE_STOP, "{status} after {:?}", asked.elapsed());
}

#[tokio::test]
async fn everything_under_v1_needs_the_token() {
    let baton = Embedded::start().await;
    let document = baton.api.send(baton.api.anonymous(Method::GET, "/openapi.json")).await.expect(200);
    let paths = document["paths"].as_object().unwrap();
    let operations =
        paths.iter().flat_map(|(path, methods)| methods.as_object().unwrap().keys().map(move |method| (path, method)));
    let under_v1: Vec<_> = operations.filter(|(path, _)| path.starts_with("/v1/")).collect();
    assert!(under_v1.len() >= 25, "{under_v1:?}");
    let other = baton.api.with_token("another token");
    for (path, method) in under_v1 {
        let path = path.replace("{id}", "1");
        let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
        for request in [baton.api.anonymous(method.clone(), &path), other.request(method.clone(), &path)] {
            let answer = baton.api.send(request.header("content-type", "application/json").body("{}")).await;
            assert_eq!((answer.status, answer.header("content-type")), (401, "application/problem+json"), "{}", answer.asked);
            assert_eq!(answer.json()["code"], json!("unauthorized"));
            assert!(answer.header("www-authenticate").starts_with("Bearer"), "{:?}", answer.headers);
        }
    }
}
