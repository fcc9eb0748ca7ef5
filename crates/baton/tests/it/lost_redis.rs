//! Redis that is not there: speed is lost, nothing else.

use baton_testkit::{Receiver, RedisServer, eventually};
use serde_json::json;

use crate::rig::bodies::{event, http};
use crate::rig::machine::calm;
use crate::rig::{Api, GOES_LIVE, Installation, Services};

/// Publishes an event and waits for its end.
async fn deliver(api: &Api) -> i64 {
    let ended = api.finished(&api.publish(&event("clients.create", 1, json!({}))).await).await;
    assert_eq!(ended["status"], "delivered", "{ended}");
    ended["generation"].as_i64().unwrap()
}

/// Edits a handler, restarts the Cache Manager, and checks that the edit is in use in time.
async fn goes_live(api: &Api, receiver: &Receiver, handler: i64, path: &'static str) {
    api.edit(handler, &json!({"task": {"type": "http", "url": receiver.url(path)}})).await;
    let generation = api.restart().await["generation"].as_i64().unwrap();
    eventually(GOES_LIVE, "the edit to be in use", async || (deliver(api).await == generation).then_some(())).await;
    assert!(!receiver.calls_at(path).is_empty());
    assert_eq!(api.cache().await["pending"], json!({"added": [], "removed": [], "changed": []}));
}

#[tokio::test]
async fn without_redis_from_the_start_events_flow_and_edits_go_live() {
    let _calm = calm().await;
    let mut redis = RedisServer::start().await;
    redis.stop();
    let receiver = Receiver::start().await;
    let services = Services::start(Installation::on_redis(&redis.url(), "baton").await, 1).await;
    let api = &services.api;
    let ids = api.create_live([http("Hook", "clients.create", receiver.url("/one"))]).await;
    eventually(GOES_LIVE, "the handler to be live", async || {
        let ended = api.finished(&api.publish(&event("clients.create", 1, json!({}))).await).await;
        (ended["status"] == "delivered").then_some(())
    })
    .await;
    goes_live(api, &receiver, ids[0], "/two").await;

    // It comes, and everything goes on.
    redis.restart().await;
    goes_live(api, &receiver, ids[0], "/three").await;
}

#[tokio::test]
async fn redis_that_is_lost_and_comes_back_empty_changes_nothing() {
    let _calm = calm().await;
    let mut redis = RedisServer::start().await;
    let receiver = Receiver::start().await;
    let services = Services::start(Installation::on_redis(&redis.url(), "baton").await, 2).await;
    let api = &services.api;
    let ids = api.create_live([http("Hook", "clients.create", receiver.url("/one"))]).await;
    goes_live(api, &receiver, ids[0], "/two").await;

    redis.stop();
    deliver(api).await;
    goes_live(api, &receiver, ids[0], "/three").await;
    let before = api.cache().await;
    redis.restart().await;
    deliver(api).await;
    let after = api.cache().await;
    assert_eq!((&after["generation"], &after["checksum"]), (&before["generation"], &before["checksum"]));
    goes_live(api, &receiver, ids[0], "/four").await;
}
