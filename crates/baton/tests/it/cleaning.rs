//! The Cleaner as an operator meets it: in `baton serve`, and beside the Cache Manager.

use baton_testkit::{Process, Program, Receiver, eventually};
use reqwest::Method;
use serde_json::{Value, json};

use crate::rig::bodies::{event, http};
use crate::rig::{Api, Embedded, Installation, SOON, Services};

async fn cleaner(api: &Api) -> Value {
    let services = api.get("/v1/services").await;
    services["items"].as_array().unwrap().iter().find(|service| service["name"] == "cleaner").unwrap().clone()
}

/// Runs the Cleaner until it has removed so many events; the run that did.
async fn removes(api: &Api, events: u64) -> Value {
    let mut removed = 0;
    eventually(SOON, "what has ended to be removed", async || {
        let cleaned = api.order("/v1/services/cleaner/run?wait=30").await.expect(200);
        removed += cleaned["events"].as_u64().unwrap();
        (removed == events).then_some(cleaned)
    })
    .await
}

/// How often a process has counted something; `None` where it never has.
async fn counted(process: &Process, line: &str) -> Option<u64> {
    let api = Api::new(process.url(""), "");
    let page = api.send(api.anonymous(Method::GET, "/metrics")).await.text;
    page.lines().find_map(|said| said.strip_prefix(line)?.trim().parse().ok())
}

#[tokio::test]
async fn the_embedded_process_keeps_events_as_long_as_it_is_told() {
    let receiver = Receiver::start().await;
    let baton = Embedded::of(Program::named("baton").args(["serve"]).env("BATON_KEEP_EVENTS", "2s")).await;
    baton.api.create_live([http("CRM", "clients.create", receiver.url("/crm"))]).await;
    let events: Vec<_> = (0..50).map(|n| event("clients.create", n, json!({"n": n}))).collect();
    let ids = baton.api.publish_batch(&events).await;
    for id in &ids {
        baton.api.finished(id).await;
    }
    let stats = baton.api.stats().await;
    removes(&baton.api, 50).await;
    assert_eq!(baton.api.list("/v1/events?").await.len(), 0);
    assert_eq!(baton.api.list("/v1/executions?").await.len(), 0);
    assert_eq!(baton.api.stats().await, stats, "the balance does not notice");
    let audit = Program::named("baton").args(["audit", "--json"]).env("BATON_DATA_DIR", baton.data()).run(SOON).await;
    assert_eq!(audit.status.code(), Some(0), "{}{}", audit.stdout, audit.stderr);
    let audit: Value = serde_json::from_str(&audit.stdout).unwrap();
    assert_eq!((&audit["published"], &audit["delivered"], &audit["stored"]["events"]), (&json!(50), &json!(50), &json!(0)));
    let cleaner = cleaner(&baton.api).await;
    assert_eq!(
        (&cleaner["schedule"], &cleaner["active"], &cleaner["manual_run"]),
        (&json!("every 1h"), &json!(true), &json!(true))
    );
    let rows = counted(&baton.process, "baton_cleaner_rows_total{kind=\"events\"}").await;
    assert_eq!(rows, Some(50));
}

#[tokio::test]
async fn beside_the_cache_manager_it_removes_what_others_have_done() {
    let receiver = Receiver::start().await;
    let installation = Installation::new().await.set("BATON_KEEP_EVENTS", "off").set("BATON_KEEP_EXECUTIONS", "2s");
    let services = Services::start(installation.set("BATON_CLEAN_EVERY", "6h"), 1).await;
    let api = &services.api;
    api.create_live([http("CRM", "clients.create", receiver.url("/crm"))]).await;
    services.live_everywhere().await;
    let id = api.publish(&event("clients.create", 1, json!({}))).await;
    assert_eq!(api.finished(&id).await["executions"].as_array().unwrap().len(), 1);
    eventually(SOON, "the execution to be removed", async || {
        let cleaned = api.order("/v1/services/cleaner/run?wait=30").await.expect(200);
        (cleaned["executions"] == 1).then_some(())
    })
    .await;
    let event = api.event(&id).await;
    assert_eq!((&event["status"], &event["executions"]), (&json!("delivered"), &json!([])), "the event stays");
    let cleaner = cleaner(api).await;
    assert_eq!((&cleaner["schedule"], &cleaner["title"]), (&json!("every 6h"), &json!("Cleaner")));
    assert_eq!(cleaner["instances"].as_array().unwrap().len(), 1);
    assert_eq!(counted(&services.cache_manager, "baton_cleaner_rows_total{kind=\"executions\"}").await, Some(1));
}

#[tokio::test]
async fn a_bad_age_is_named_before_a_port_is_bound() {
    for name in
        ["BATON_KEEP_EVENTS", "BATON_KEEP_EXECUTIONS", "BATON_KEEP_GENERATIONS", "BATON_KEEP_STATISTICS", "BATON_CLEAN_EVERY"]
    {
        let said = crate::rig::refusal(Program::named("baton").args(["serve"]).env(name, "soon")).await;
        assert!(said.contains(name) && said.contains("90d"), "{said}");
    }
}
