//! From a saved handler to a live one.

use baton_testkit::Receiver;
use serde_json::json;

use crate::rig::bodies::{event, http};
use crate::rig::{Browser, Embedded, Scripts};

#[tokio::test]
async fn the_bar_says_what_is_not_live_and_the_restart_makes_it_so() {
    let baton = Embedded::start().await;
    let receiver = Receiver::start().await;
    let id = baton.api.create(&http("CRM", "clients.create", receiver.url("/v1"))).await;
    let browser = Browser::signed_in(&baton, Scripts::On).await;
    browser.see(".notice", "1 change is not live.").await;
    browser.see(".notice", "CRM: new").await;
    browser.see(&format!("#h{id} .tag"), "new").await;
    browser.see(&format!("#h{id} .run"), "never").await;
    browser.press("Restart Cache Manager").await;
    browser.see(".said.good", "Generation 2 is live with 1 handler: 1 added. It took").await;
    browser.see_count(".notice", 0).await;
    browser.see(&format!("#h{id} .tag"), "live").await;
    browser.see(".facts", "Generation 2 is live").await;

    let published = baton.api.publish(&event("clients.create", 1, json!({}))).await;
    baton.api.finished(&published).await;
    baton.api.edit(id, &json!({"task": {"url": receiver.url("/v2")}, "priority": 9})).await;
    browser.open("/console/provisioning").await;
    browser.see(&format!("#h{id} .run"), "ms").await;
    browser.see(".notice", &format!("URL {} → {}", receiver.url("/v1"), receiver.url("/v2"))).await;
    browser.see(".notice", "priority 100 → 9").await;
    browser.see(&format!("#h{id} .tag"), "changed").await;
    browser.click(&format!("#h{id} button.state")).await;
    browser.see(".notice", "CRM: will no longer run").await;
    browser.see(&format!("#h{id} .tag"), "will be removed").await;
    browser.press("Restart Cache Manager").await;
    browser.see(".said.good", "Generation 3 is live with 0 handlers: 1 removed.").await;
}
