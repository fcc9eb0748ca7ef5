//! A job that is cancelled while it runs: it ends, and what it has done is said.

use std::time::Duration;

use baton_testkit::rules::always;
use baton_testkit::{Answer, Gate, Receiver, eventually};
use serde_json::json;

use crate::rig::bodies::{event, http};
use crate::rig::{Browser, Embedded, SOON, Scripts};

/// So many that a job takes some dozen batches, each followed by a rest.
const LETTERS: u64 = 12_000;
const BATCH: u64 = 1000;
/// How long they may take to die on a busy machine.
const DEAD_WITHIN: Duration = Duration::from_secs(180);

#[tokio::test]
async fn a_job_is_cancelled_while_it_runs() {
    let (baton, receiver) = (Embedded::start().await, Receiver::start().await);
    receiver.script("/crm", always(Answer::status(400)));
    baton.api.create_live([http("CRM", "clients.create", receiver.url("/crm"))]).await;
    for batch in 0..LETTERS / BATCH {
        let clients = (0..BATCH).map(|client| event("clients.create", (batch * BATCH + client) as i64, json!({})));
        baton.api.publish_batch(&clients.collect::<Vec<_>>()).await;
    }
    let stats = async || baton.api.get("/v1/stats").await;
    eventually(DEAD_WITHIN, "all of them to be dead", async || (stats().await["failed"] == LETTERS).then_some(())).await;

    // What is sent again stays on its way, so that it can be counted.
    let gate = Gate::closed();
    receiver.script("/crm", always(Answer::ok().behind(&gate)));
    let browser = Browser::signed_in(&baton, Scripts::On).await;
    browser.open("/console/dead-letters").await;
    browser.press("Replay all…").await;
    browser.press("Replay all").await;
    browser.see("[data-progress] .tag", "running").await;
    browser.press("Cancel").await;
    browser.see(".said.good", "What is on its way again stays so.").await;
    browser.see("[data-ended] .tag.warn", "cancelled").await;
    browser.see("[data-ended]", "The rest are dead letters still").await;
    eventually(SOON, "nothing left to cancel", async || {
        browser
            .run("return [...document.querySelectorAll('.while-running')].every((of) => of.hidden)")
            .await
            .as_bool()
            .filter(|is| *is)
    })
    .await;

    let job = baton.api.list("/v1/jobs?").await.remove(0);
    let done = job["done"].as_u64().unwrap();
    assert_eq!((&job["state"], &job["total"]), (&json!("cancelled"), &json!(LETTERS)));
    assert!(done < LETTERS, "{job}");
    browser.see("[data-ended]", &format!("{done} of {LETTERS} on their way again")).await;
    let counted = stats().await;
    assert_eq!(counted["failed"], LETTERS - done, "{counted}");
    assert_eq!(counted["pending"].as_u64().unwrap() + counted["retrying"].as_u64().unwrap(), done, "{counted}");
    browser.press("To the dead letters").await;
    browser.see("section[aria-labelledby=jobs-title] .tag", "cancelled").await;
    gate.open();
    eventually(DEAD_WITHIN, "what is on its way to arrive", async || (stats().await["delivered"] == done).then_some(())).await;
    assert_eq!(stats().await["failed"], LETTERS - done);
}
