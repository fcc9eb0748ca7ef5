//! `Idempotency-Key`: what was published twice is one event.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::rig::account::balanced;
use crate::rig::bodies::event;
use crate::rig::{Api, Installation, Services};

const ROUNDS: usize = 60;

async fn publish(api: &Api, key: &str, n: usize) -> Value {
    let request =
        api.request(Method::POST, "/v1/events").header("idempotency-key", key).header("content-type", "application/json");
    api.send(request.body(event("clients.create", n, json!({"n": n})).to_string())).await.expect(202)
}

#[tokio::test]
async fn of_two_apis_that_race_with_one_key_both_name_the_one_event() {
    let services = Services::start(Installation::new().await, 0).await;
    let other = services.installation.start("baton-api").await;
    let apis = [services.api.clone(), services.installation.api(&other)];
    let rounds = (0..ROUNDS).map(|n| {
        let apis = &apis;
        async move {
            let key = format!("key-{n}");
            join_all(apis.iter().map(|api| publish(api, &key, n))).await
        }
    });
    let mut ids = Vec::new();
    for answers in join_all(rounds).await {
        assert_eq!(answers[0]["id"], answers[1]["id"], "{answers:?}");
        let duplicates = answers.iter().filter(|answer| answer["duplicate"] == true).count();
        assert_eq!(duplicates, 1, "{answers:?}");
        ids.push(answers[0]["id"].as_str().unwrap().to_owned());
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), ROUNDS);
    assert_eq!(balanced(&apis[0].stats().await)[0], ROUNDS as u64);
    // Later repetitions too, whatever they bring.
    let again = publish(&apis[1], "key-0", 999).await;
    assert_eq!((&again["duplicate"], ids.contains(&again["id"].as_str().unwrap().to_owned())), (&json!(true), true));
}

#[tokio::test]
async fn a_batch_that_is_repeated_is_stored_once() {
    let services = Services::start(Installation::new().await, 0).await;
    let events: Vec<_> = (0..100).map(|n| event("clients.update", n, json!({"n": n}))).collect();
    let body = json!({"events": events}).to_string();
    let send = async || {
        let request = services.api.request(Method::POST, "/v1/events/batch").header("idempotency-key", "batch-1");
        let answer = services.api.send(request.header("content-type", "application/json").body(body.clone())).await.expect(202);
        answer["items"].as_array().unwrap().clone()
    };
    let (first, second) = (send().await, send().await);
    assert_eq!(first.len(), 100);
    for (first, second) in first.iter().zip(&second) {
        assert_eq!((&first["duplicate"], &second["duplicate"], &first["id"]), (&json!(false), &json!(true), &second["id"]));
    }
    assert_eq!(balanced(&services.api.stats().await)[0], 100);
}
