//! What the programs have counted is in the database when they have ended, and soon while they run.

use baton_testkit::{Receiver, eventually};
use serde_json::json;

use crate::rig::bodies::{event, http};
use crate::rig::{Embedded, Installation, SOON, Services};

#[tokio::test]
async fn what_was_counted_before_an_end_is_shown_after_the_next_start() {
    let receiver = Receiver::start().await;
    let mut baton = Embedded::start().await;
    baton.api.create_live([http("CRM", "clients.create", receiver.url("/crm"))]).await;
    let id = baton.api.publish(&event("clients.create", 1, json!({}))).await;
    baton.api.finished(&id).await;
    // Well before the next write is due.
    assert!(baton.process.terminate(SOON).await.success());
    baton.process.restart().await;
    let total = baton.api.get("/v1/stats/minutes").await["total"].clone();
    assert_eq!(
        (&total["published"], &total["executions"], &total["success_share"]),
        (&json!(1), &json!(1), &json!(1.0)),
        "{total}"
    );
}

#[tokio::test]
async fn services_write_what_they_count_while_they_run() {
    let receiver = Receiver::start().await;
    let services = Services::start(Installation::new().await, 2).await;
    let api = &services.api;
    api.create_live([http("CRM", "clients.create", receiver.url("/crm"))]).await;
    services.live_everywhere().await;
    let events: Vec<_> = (0..40).map(|client| event("clients.create", client, json!({}))).collect();
    api.publish_batch(&events).await;
    let total = eventually(SOON, "all to be shown", async || {
        let total = api.get("/v1/stats/minutes").await["total"].clone();
        (total["published"] == 40 && total["executions"] == 40).then_some(total)
    })
    .await;
    assert_eq!((&total["success"], &total["fail"]), (&json!(40), &json!(0)));
    let handlers = api.get("/v1/stats/handlers?order=executions").await;
    assert_eq!((&handlers["items"][0]["name"], &handlers["items"][0]["executions"]), (&json!("CRM"), &json!(40)));
    let listed = api.get("/v1/services").await;
    let instances = listed["items"][1]["instances"].as_array().unwrap();
    let mut partitions: Vec<_> =
        instances.iter().flat_map(|i| i["partitions"].as_array().unwrap()).filter_map(|p| p.as_i64()).collect();
    partitions.sort_unstable();
    assert_eq!((instances.len(), partitions), (2, (0..64).collect()), "dispatchers are listed with what they own");
}
