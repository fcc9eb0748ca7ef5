//! `baton serve` on PostgreSQL and Redis: the same in one process.

use baton_testkit::Receiver;
use serde_json::json;

use crate::rig::account::balanced;
use crate::rig::bodies::{event, http, with};
use crate::rig::{Installation, SOON};

#[tokio::test]
async fn one_process_does_everything_on_postgres_and_redis() {
    let receiver = Receiver::start().await;
    let installation = Installation::new().await;
    let mut baton = installation.program("baton").args(["serve"]).start().await;
    let api = installation.api(&baton);
    assert!(!baton.dir().join("baton-data").exists(), "nothing of the embedded default is made");

    let first = with(http("First", "clients.create", receiver.url("/first")), json!({"priority": 1}));
    let second = with(http("Second", "clients.create", receiver.url("/second")), json!({"priority": 2}));
    api.create_live([second, first]).await;
    let events: Vec<_> = (0..200).map(|n| event("clients.create", n % 20, json!({"n": n}))).collect();
    let ids = api.publish_batch(&events).await;
    for id in &ids {
        assert_eq!(api.finished(id).await["status"], "delivered");
    }
    assert_eq!(balanced(&api.stats().await), [200, 200, 0, 0, 0, 0]);
    assert_eq!((receiver.calls_at("/first").len(), receiver.calls_at("/second").len()), (200, 200));
    assert!(baton.terminate(SOON).await.success());
}

#[tokio::test]
async fn it_works_beside_services_of_the_same_installation() {
    let receiver = Receiver::start().await;
    let installation = Installation::new().await;
    let baton = installation.program("baton").args(["serve"]).start().await;
    let other = installation.start("baton-api").await;
    let _dispatcher = installation.start("baton-dispatcher").await;
    // Saved and restarted through the one, published through the other.
    installation.api(&baton).create_live([http("Hook", "clients.create", receiver.url("/hook"))]).await;
    let api = installation.api(&other);
    let events: Vec<_> = (0..100).map(|object| event("clients.create", object, json!({}))).collect();
    for id in api.publish_batch(&events).await {
        assert_eq!(api.finished(&id).await["status"], "delivered");
    }
    assert_eq!(receiver.calls_at("/hook").len(), 100);
}

#[tokio::test]
async fn migrate_says_what_it_did() {
    let installation = Installation::new().await;
    let again = installation.program("baton").args(["migrate"]).run(SOON).await;
    assert!(again.status.success() && again.stdout.contains("up to date"), "{}{}", again.stdout, again.stderr);
}
