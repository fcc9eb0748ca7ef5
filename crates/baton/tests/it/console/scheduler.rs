//! Task Scheduler: restart, roll back, the Cleaner, pauses.

use baton_testkit::Receiver;
use reqwest::Method;
use serde_json::{Value, json};

use super::pages::Operator;
use crate::rig::bodies::{event, http, with};
use crate::rig::{Browser, Embedded, Scripts};

const PAGE: &str = "/console/scheduler";

#[tokio::test]
async fn an_operator_restarts_and_rolls_back() {
    restarts_and_rolls_back(Scripts::On).await;
}

#[tokio::test]
async fn an_operator_restarts_and_rolls_back_without_scripts() {
    restarts_and_rolls_back(Scripts::Off).await;
}

async fn restarts_and_rolls_back(scripts: Scripts) {
    let baton = Embedded::start().await;
    let receiver = Receiver::start().await;
    let [id] = baton.api.create_live([http("CRM", "clients.create", receiver.url("/crm"))]).await[..] else { panic!("one") };
    baton.api.edit(id, &json!({"priority": 9})).await;
    let browser = Browser::signed_in(&baton, scripts).await;
    browser.press("Task Scheduler").await;
    browser.see("#dispatcher-instances", "64: 0–63").await;
    browser.click("#cache-manager form button").await;
    browser.see(".said.good", "Generation 3 is live with 1 handler: 1 changed. It took").await;
    browser.see("#g3", "live").await;
    browser.see("#cache-manager", "generation 3").await;

    browser.click("#g2 td.acts a").await;
    browser.see("#rollback", "CRM: priority 9 → 100").await;
    browser.see("#differences", "CRM: new").await;
    browser.press("Roll back").await;
    browser.press("Roll back now").await;
    browser.see(".said.good", "Generation 4 is live with 1 handler: 1 changed.").await;
    browser.see("#g4", "roll back to 2").await;
    assert_eq!(baton.api.handler(id).await["priority"], 9, "what is saved stays");
    // It does what generation 2 does.
    browser.click("#g2 td.acts a").await;
    browser.see("#rollback", "Nothing: generation 4, which is live, does the same.").await;

    browser.open(PAGE).await;
    browser.click("#cleaner form button").await;
    browser.see(".said.good", "The Cleaner removed 0 events").await;
    browser.see("#cleaner", "done").await;
}

#[tokio::test]
async fn an_event_is_paused_and_resumed() {
    let baton = Embedded::start().await;
    let receiver = Receiver::start().await;
    baton.api.create_live([http("CRM", "clients.create", receiver.url("/crm"))]).await;
    let browser = Browser::signed_in(&baton, Scripts::On).await;
    browser.open(PAGE).await;
    browser.see("#pauses", "Nothing is paused.").await;
    browser.press("Pause event").await;
    browser.see(".said.bad", "Choose the event").await;
    browser.choose("#id", "clients.create").await;
    browser.press("Pause event").await;
    browser.see(".said.good", "The event clients.create is paused: its events wait.").await;
    browser.see("#pauses td", "clients.create").await;
    let waiting = baton.api.publish(&event("clients.create", 1, json!({}))).await;
    browser.press("Resume").await;
    browser.see(".said.good", "The event clients.create goes on.").await;
    assert_eq!(baton.api.finished(&waiting).await["status"], "delivered");
    browser.press("Pause everything").await;
    browser.press("Pause now").await;
    browser.see("#pauses td", "Everything").await;
    assert_eq!(baton.api.get("/v1/pauses").await["items"][0]["scope"], "everything");
    browser.press("Resume").await;
    browser.see("#pauses", "Nothing is paused.").await;
}

#[tokio::test]
async fn a_paused_handler_is_listed_by_its_name() {
    let baton = Embedded::start().await;
    let made = async |name: &str, status: &str| {
        let handler = with(http(name, "clients.create", "http://127.0.0.1:9/"), json!({"status": status}));
        let id = baton.api.create(&handler).await;
        assert_eq!(baton.api.order(&format!("/v1/handlers/{id}/pause")).await.status, 200);
        id
    };
    let (kept, archived, deleted) =
        (made("<b>CRM", "enabled").await, made("Fax", "archived").await, made("Pager", "disabled").await);
    baton.api.call(Method::DELETE, &format!("/v1/handlers/{deleted}"), &Value::Null).await;
    let page = Operator::of(&baton).await.page(PAGE).await;
    for (id, name) in [(kept, "&lt;b&gt;CRM"), (archived, "Fax")] {
        assert!(page.contains(&format!("href=\"/console/provisioning/{id}\">{name}</a>")), "{page}");
    }
    assert!(page.contains(&format!("<code>{deleted}</code>, which is deleted")) && !page.contains("Pager"), "{page}");
}

#[tokio::test]
async fn what_was_confirmed_against_another_generation_is_not_rolled_back() {
    let baton = Embedded::start().await;
    let receiver = Receiver::start().await;
    baton.api.create_live([http("<b>CRM", "clients.create", receiver.url("/crm"))]).await;
    let operator = Operator::of(&baton).await;
    let page = operator.page("/console/scheduler/generations/1").await;
    assert!(page.contains("&lt;b&gt;CRM</b>: will no longer run"), "{page}");
    baton.api.restart().await;
    let answer = operator.send("/console/scheduler/generations/1/rollback", &[("live", "2")]).await;
    assert_eq!((answer.status, answer.header("location")), (303, "/console/scheduler/generations/1"));
    assert_eq!(baton.api.cache().await["generation"], 3);
    let forged = operator.send_as("/console/scheduler/restart", "x", &[]).await;
    assert_eq!(forged.status, 403);
    let answer = baton.api.send(operator.request(Method::GET, "/console/scheduler/generations/99")).await;
    assert_eq!(answer.status, 404);
    for at in [("event_type", "../../v1/pause"), ("event_type", "none.such"), ("handler", "x"), ("", "")] {
        operator.send("/console/scheduler/pause", &[("scope", at.0), ("id", at.1)]).await;
    }
    assert_eq!(baton.api.get("/v1/pauses").await["items"], json!([]));
}
