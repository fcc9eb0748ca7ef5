//! The form of a handler in a browser.

use baton_testkit::{Answer, Receiver};
use serde_json::{Value, json};

use super::pages::{Operator, between};
use crate::rig::bodies::{http, with};
use crate::rig::{Browser, Embedded, Scripts};

#[tokio::test]
async fn a_handler_is_made_with_an_error_first_and_then_tested() {
    let baton = Embedded::start().await;
    let receiver = Receiver::start().await;
    receiver.script("/hook", |_| Answer::ok().header("x-crm", "yes").body("{\"stored\":true}"));
    let browser = Browser::signed_in(&baton, Scripts::On).await;
    browser.see(".empty", "No handlers yet").await;
    browser.press("New Handler").await;
    browser.fill("#name", "CRM: clients").await;
    browser.fill("#priority", "70000").await;
    browser.fill("#url", "http://user:secret@127.0.0.1/").await;
    browser.fill("#notes", "mind the gap").await;
    browser.press("Save").await;
    browser.see("#errors", "Nothing is saved yet.").await;
    browser.see("#event-error", "required").await;
    browser.see("#priority-error", "must be 1 to 65535").await;
    browser.see("#url-error", "").await;
    // What was typed stays.
    assert_eq!(browser.value("#name").await, "CRM: clients");
    assert_eq!(browser.value("#priority").await, "70000");
    assert_eq!(browser.value("#notes").await, "mind the gap");
    assert!(baton.api.list("/v1/handlers?").await.is_empty());

    browser.choose("#event", "clients.create").await;
    browser.fill("#priority", "5").await;
    browser.see("#chain .own", "CRM: clients").await;
    browser.fill("#url", &receiver.url("/hook")).await;
    browser.fill("input[name=header_name]", "X-Api-Key").await;
    browser.fill("input[name=header_value]", "very secret").await;
    browser.press("Save").await;
    browser.see(".said.good", "CRM: clients is saved").await;
    let saved = baton.api.list("/v1/handlers?").await.remove(0);
    assert_eq!(
        (&saved["name"], &saved["priority"], &saved["event"]),
        (&json!("CRM: clients"), &json!(5), &json!("clients.create"))
    );
    assert_eq!(saved["headers"], json!({"x-api-key": null}));

    browser.press("Test").await;
    browser.see(".outcome .tag.good", "success").await;
    browser.see(".outcome", "\"stored\": true").await;
    browser.see(".outcome", "x-crm: yes").await;
    let [call] = receiver.calls().try_into().unwrap();
    assert_eq!(call.header("x-api-key"), Some("very secret"));
    let sent: Value = serde_json::from_slice(&call.body).unwrap();
    let shown = browser.texts(".outcome pre.json").await;
    assert_eq!(serde_json::from_str::<Value>(&shown[0]).unwrap(), sent, "what is shown is what was sent");
    assert!(!browser.run("return document.documentElement.outerHTML").await.to_string().contains("very secret"));
}

#[tokio::test]
async fn an_edit_of_an_older_version_is_refused_and_can_be_made_upon_the_other() {
    let baton = Embedded::start().await;
    let id = baton.api.create(&http("CRM", "clients.create", "http://127.0.0.1:9/x")).await;
    let browser = Browser::signed_in(&baton, Scripts::On).await;
    browser.open(&format!("/console/provisioning/{id}")).await;
    browser.fill("#name", "Mine").await;
    baton.api.edit(id, &json!({"priority": 7, "name": "Theirs"})).await;
    browser.press("Save").await;
    browser.see("#errors", "Somebody else has saved this handler").await;
    browser.see("#errors", "name Theirs → Mine").await;
    browser.see("#errors", "priority 7 → 100").await;
    assert_eq!(baton.api.handler(id).await["name"], "Theirs");
    // The Enter key compares again; it overwrites nothing, however often it is pressed.
    for _ in 0..2 {
        browser.run("document.getElementById('errors').id = 'before'").await;
        browser.fill("#priority", "8\u{e007}").await;
        browser.see("#errors", "priority 7 → 8").await;
        browser.see("#errors", "You began with version 1; version 2 is saved now.").await;
        assert_eq!(baton.api.handler(id).await["name"], "Theirs");
    }
    browser.press("Save mine over version 2").await;
    browser.see(".said.good", "Mine is saved").await;
    let saved = baton.api.handler(id).await;
    assert_eq!((&saved["name"], &saved["priority"], &saved["version"]), (&json!("Mine"), &json!(8), &json!(3)));
}

#[tokio::test]
async fn edits_that_are_not_saved_are_asked_about_and_not_tested() {
    let baton = Embedded::start().await;
    let id = baton.api.create(&http("CRM", "clients.create", "http://127.0.0.1:9/x")).await;
    let browser = Browser::signed_in(&baton, Scripts::On).await;
    browser.open(&format!("/console/provisioning/{id}")).await;
    let asks =
        "const leaves = new Event('beforeunload', {cancelable: true}); dispatchEvent(leaves); return leaves.defaultPrevented;";
    assert_eq!(browser.run(asks).await, false);
    browser.see_count("#unsaved[hidden]", 1).await;
    browser.fill("#url", "https://127.0.0.1:9/x").await;
    browser.see("#unsaved", "There are unsaved edits").await;
    assert_eq!(browser.run(asks).await, true);
    // Which of the two is meant nobody can tell; what was typed stays unsaved.
    browser.run("document.querySelector('input[name=task][value=http]').click()").await;
    browser.press("Save").await;
    browser.see("#url-error", "begins with https://, and HTTP is chosen").await;
    browser.see("#unsaved", "There are unsaved edits").await;
    assert_eq!(browser.run(asks).await, true);
    browser.fill("#url", "http://127.0.0.1:9/y").await;
    browser.press("Save").await;
    browser.see(".said.good", "CRM is saved").await;
    assert_eq!(browser.run(asks).await, false);
}

#[tokio::test]
async fn a_handler_is_paused_and_resumed_from_its_form() {
    let baton = Embedded::start().await;
    let id = baton.api.create(&http("CRM", "clients.create", "http://127.0.0.1:9/x")).await;
    let browser = Browser::signed_in(&baton, Scripts::Off).await;
    browser.open(&format!("/console/provisioning/{id}")).await;
    browser.press("Pause").await;
    browser.see(".pop", "held in order").await;
    browser.press("Pause now").await;
    browser.see(".said.good", "CRM is paused").await;
    browser.see(".said.warn", "drain when it is resumed").await;
    assert_eq!(baton.api.handler(id).await["paused"], true);
    browser.press("Resume").await;
    browser.see(".said.good", "CRM goes on").await;
    assert_eq!(baton.api.handler(id).await["paused"], false);
}

#[tokio::test]
async fn a_generated_secret_is_shown_once_and_stored_ones_stay() {
    let baton = Embedded::start().await;
    let browser = Browser::signed_in(&baton, Scripts::On).await;
    let handler = with(http("CRM", "clients.create", "http://127.0.0.1:9/x"), json!({"headers": {"x-one": "1", "x-two": "2"}}));
    let id = baton.api.create(&handler).await;
    browser.open(&format!("/console/provisioning/{id}")).await;
    browser.choose("#secret_change", "generate").await;
    browser.click("input[name=header_remove][value=x-two]").await;
    browser.press("Save").await;
    browser.see("#secret-once", "whsec_").await;
    browser.see(".said.good", "CRM is saved. It goes live with the next restart of the Cache Manager.").await;
    assert_eq!(browser.address().await, format!("/console/provisioning/{id}"));
    let saved = baton.api.handler(id).await;
    assert_eq!((&saved["headers"], &saved["secrets_valid"]), (&json!({"x-one": null}), &json!(1)));
    // What was generated is nowhere else, and the next save keeps it.
    // A reload sends nothing again and shows it no more.
    browser.run("location.reload()").await;
    browser.see_count("#secret-once", 0).await;
    browser.see_count("#errors", 0).await;
    assert_eq!(baton.api.handler(id).await["version"], saved["version"]);
    browser.fill("#name", "Renamed").await;
    browser.press("Save").await;
    browser.see(".said.good", "Renamed is saved").await;
    let saved = baton.api.handler(id).await;
    assert_eq!((&saved["headers"], &saved["secrets_valid"]), (&json!({"x-one": null}), &json!(1)));
}

#[tokio::test]
async fn the_times_of_the_attempts_and_the_kind_of_task_follow_what_is_typed() {
    let baton = Embedded::start().await;
    let browser = Browser::signed_in(&baton, Scripts::On).await;
    browser.open("/console/provisioning/new?event=clients.create").await;
    browser.see("#retry", "34 min 7 s").await;
    browser.fill("#max_attempts", "3").await;
    browser.see("#retry", "Given up after 3 s, 3 attempts in all.").await;
    browser.fill("#url", "https://crm.example/x").await;
    browser.see_count("input[name=task][value=https]:checked", 1).await;
    browser.keys("input[name=task]:checked", "\u{e014}").await;
    browser.see(".for-script label", "Script").await;
}

#[tokio::test]
async fn fields_that_the_form_does_not_have_stay_as_they_are() {
    let baton = Embedded::start().await;
    let operator = Operator::of(&baton).await;
    let made = with(
        http("CRM", "clients.create", "http://127.0.0.1:9/x?token=1"),
        json!({"lane": "crm", "on_failure": "stop", "retry": {"max_attempts": 3, "first_delay_ms": 20, "max_delay_ms": 30}, "notes": "a\nb"}),
    );
    let id = baton.api.create(&made).await;
    let before = baton.api.handler(id).await;
    let version = before["version"].to_string();
    // Of a form that has only these fields.
    let page = operator.page(&format!("/console/provisioning/{id}")).await;
    assert_eq!(between(&page, "name=\"lane\" type=\"text\" value=\"", "\""), "crm");
    let fields = [
        ("version", version.as_str()),
        ("name", "CRM"),
        ("event", "clients.create"),
        ("task", "http"),
        ("url", "http://127.0.0.1:9/x?token=1"),
        ("status", "enabled"),
        ("priority", "100"),
        ("on_failure", "stop"),
        ("timeout_ms", "10000"),
        ("max_attempts", "3"),
        ("first_delay_ms", "20"),
        ("max_delay_ms", "30"),
        ("lane", "crm"),
        ("notes", "a\r\nb"),
        ("secret_change", "keep"),
    ];
    assert_eq!(operator.send(&format!("/console/provisioning/{id}"), &fields).await.status, 303);
    let after = baton.api.handler(id).await;
    let same = |handler: &Value| with(handler.clone(), json!({"version": 0, "updated_at": ""}));
    assert_eq!(same(&before), same(&after));
}
