//! The parts of a handler's form for filter, limits, authentication and TLS, in a browser without scripts.

use baton_testkit::Receiver;
use serde_json::{Value, json};

use crate::rig::bodies::event;
use crate::rig::{Browser, Embedded, Scripts};

#[tokio::test]
async fn a_filter_is_tried_saved_and_shown_where_it_skips() {
    let baton = Embedded::start().await;
    let receiver = Receiver::start().await;
    let browser = Browser::signed_in(&baton, Scripts::Off).await;
    browser.press("New Handler").await;
    browser.fill("#name", "Large credits").await;
    browser.choose("#event", "clients.create").await;
    browser.fill("#url", &receiver.url("/hook")).await;
    browser.fill("#filter", "datum.credit > 100").await;
    browser.click("details.tryout > summary").await;
    browser.press("Try the filter").await;
    browser.see("#filter-error", "does not know 'datum'").await;
    browser.fill("#filter", "data.credit > 100").await;
    browser.press("Try the filter").await;
    browser.see("#tried", "Wanted").await;
    assert_eq!(browser.address().await, "/console/provisioning/new#tried");
    browser.fill("#filter_data", "{\"credit\": 7}").await;
    browser.press("Try the filter").await;
    browser.see("#tried", "Not wanted").await;
    browser.fill("#filter_data", "{}").await;
    browser.press("Try the filter").await;
    browser.see("#tried", "the event has no 'credit'").await;
    browser.fill("#filter_data", "{").await;
    browser.press("Try the filter").await;
    browser.see("#filter_data-error", "is not JSON").await;
    // Nothing of all that is saved.
    assert!(baton.api.list("/v1/handlers?").await.is_empty());
    browser.fill("#concurrency", "4").await;
    browser.fill("#per_second", "0").await;
    browser.press("Save").await;
    browser.see("#per_second-error", "must be 1 to 10000").await;
    browser.fill("#per_second", "20").await;
    browser.press("Save").await;
    browser.see(".said.good", "Large credits is saved").await;
    let saved = baton.api.list("/v1/handlers?").await.remove(0);
    assert_eq!((&saved["filter"], &saved["limits"]), (&json!("data.credit > 100"), &json!({"concurrency": 4, "per_second": 20})));

    browser.press("Restart Cache Manager").await;
    browser.see(".said.good", "Generation 2 is live").await;
    let id = baton.api.publish(&event("clients.create", 1, json!({"credit": 7}))).await;
    assert_eq!(baton.api.finished(&id).await["status"], "unmatched");
    browser.open("/console/executions").await;
    browser.see("td.status", "skipped").await;
    browser.see("td.why", "its filter does not want this event (data.credit > 100)").await;
    assert!(receiver.calls().is_empty());
}

#[tokio::test]
async fn credentials_are_stored_and_never_come_back() {
    let baton = Embedded::start().await;
    let browser = Browser::signed_in(&baton, Scripts::Off).await;
    browser.press("New Handler").await;
    browser.fill("#name", "CRM").await;
    browser.choose("#event", "clients.create").await;
    browser.click("input[name=task][value=https]").await;
    browser.fill("#url", "https://127.0.0.1:9/hook").await;
    browser.choose("#auth", "basic").await;
    browser.fill("#username", "baton").await;
    browser.press("Save").await;
    browser.see("#password-error", "is required").await;
    browser.fill("#password", "very secret").await;
    // A bar stays at the bottom of the window, and what lies below it cannot be clicked.
    browser.run("document.querySelector('details.tls').scrollIntoView({block: 'center'})").await;
    browser.click("details.tls > summary").await;
    browser.run("document.querySelector('#tls_unverified').scrollIntoView({block: 'center'})").await;
    browser.click("#tls_unverified").await;
    browser.press("Save").await;
    browser.see(".said.good", "CRM is saved").await;
    browser.see("form.handler .said.bad", "For a lab only").await;
    assert!(!browser.run("return document.documentElement.outerHTML").await.to_string().contains("very secret"));
    let saved = baton.api.list("/v1/handlers?").await.remove(0);
    assert_eq!((&saved["auth"]["username"], &saved["tls"]["verify"]), (&json!("baton"), &json!(false)));

    // What was stored stays when something else is saved.
    browser.fill("#notes", "seen").await;
    browser.press("Save").await;
    browser.see(".said.good", "CRM is saved").await;
    let again = baton.api.list("/v1/handlers?").await.remove(0);
    assert_eq!((&again["auth"], &again["notes"]), (&saved["auth"], &json!("seen")));
    browser.open("/console/provisioning").await;
    browser.see("td.task", "certificate not checked").await;
    browser.open(&format!("/console/provisioning/{}", saved["id"])).await;
    browser.choose("#auth", "none").await;
    browser.press("Save").await;
    browser.see(".said.good", "CRM is saved").await;
    assert_eq!(baton.api.list("/v1/handlers?").await.remove(0)["auth"], Value::Null);
}
