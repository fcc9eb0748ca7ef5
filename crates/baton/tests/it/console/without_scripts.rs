//! The same forms in a browser that runs no scripts.

use baton_testkit::Receiver;
use serde_json::json;

use crate::rig::{Browser, Embedded, Scripts};

#[tokio::test]
async fn everything_of_provisioning_works_without_scripts() {
    let baton = Embedded::start().await;
    let receiver = Receiver::start().await;
    let browser = Browser::signed_in(&baton, Scripts::Off).await;
    browser.see_count("html.js", 0).await;
    browser.press("New Handler").await;
    browser.fill("#name", "CRM").await;
    browser.press("Save").await;
    browser.see("#event-error", "required").await;
    browser.choose("#event", "clients.create").await;
    browser.fill("#url", &receiver.url("/hook")).await;
    browser.fill("#max_attempts", "2").await;
    browser.press("Show the times again").await;
    browser.see("#retry", "2 attempts in all").await;
    assert_eq!(browser.address().await, "/console/provisioning/new#retry");
    browser.press("Save").await;
    browser.see(".said.good", "CRM is saved").await;
    browser.press("Test").await;
    browser.see(".outcome .tag.good", "success").await;
    assert_eq!(receiver.calls().len(), 1);

    browser.open("/console/provisioning").await;
    browser.see_count(".grip", 0).await;
    browser.fill("form.prio input[name=priority]", "7").await;
    browser.press("Set").await;
    browser.see(".said.good", "CRM has the priority 7").await;
    browser.press("Restart Cache Manager").await;
    browser.see(".said.good", "Generation 2 is live").await;
    browser.press("Advanced Search").await;
    browser.fill("#q", "nothing like it").await;
    browser.press("Search").await;
    browser.see(".empty", "No handler matches").await;
    browser.press("Show all handlers").await;
    browser.click("button.state").await;
    browser.see(".said.good", "CRM is disabled").await;
    browser.click("details.confirm > summary").await;
    browser.press("Delete").await;
    browser.see(".said.good", "CRM is deleted").await;
    assert_eq!(baton.api.get("/v1/handlers").await["items"], json!([]));
}
