//! A handler that fails, in a browser: seen in the logs, its dead letter replayed, delivered.

use baton_testkit::rules::always;
use baton_testkit::{Answer, Receiver, eventually};
use serde_json::json;

use crate::rig::bodies::{event, http, quick_retry, with};
use crate::rig::{Browser, Embedded, SOON, Scripts};

#[tokio::test]
async fn a_failure_is_followed_from_the_log_to_its_end() {
    let (baton, receiver) = (Embedded::start().await, Receiver::start().await);
    receiver.script("/crm", always(Answer::status(503).body("{\"error\":\"is restarting\"}")));
    let crm = with(http("CRM", "clients.create", receiver.url("/crm")), json!({"retry": quick_retry(2), "priority": 1}));
    let mail = with(http("Mail", "clients.create", receiver.url("/mail")), json!({"priority": 20}));
    baton.api.create_live([crm, mail]).await;
    let browser = Browser::signed_in(&baton, Scripts::On).await;

    // The log grows by itself.
    browser.open("/console/executions").await;
    browser.see(".empty", "Nothing has run yet").await;
    browser.see(".live-tail", "Live").await;
    let first = baton.api.publish(&event("clients.create", 4107, json!({"name": "Northwind"}))).await;
    baton.api.finished(&first).await;
    browser.see_count("#log tr[data-id]", 3).await;
    browser.see(".live-tail", "Live").await;
    let second = baton.api.publish(&event("clients.create", 4108, json!({"name": "Contoso"}))).await;
    baton.api.finished(&second).await;
    browser.see_count("#log tr[data-id]", 6).await;
    browser.see_count("#log tr.fresh", 3).await;

    // Searched, and followed to the details.
    browser.press("Advanced Search").await;
    browser.choose("#status", "fail").await;
    browser.fill("#handler_id", "crm").await;
    browser.fill("#data", "NORTHwind").await;
    browser.press("Search").await;
    browser.see_count("#log tr[data-id]", 2).await;
    browser.see("#log tr[data-id] td.why", "not tried again").await;
    browser.see_count(".live-tail", 0).await;
    browser.see_count("#search[open]", 1).await;
    browser.click("#log tr[data-id] td.key a").await;
    browser.see("h1", "Attempt 2 · CRM").await;
    browser.see("dl.facts", "503 Service Unavailable").await;
    browser.see("dl.facts", "not tried again").await;
    browser.see("pre.json", "is restarting").await;
    browser.see("pre.json", "Northwind").await;
    browser.see("pre.wire", "webhook-id").await;

    // The event as a timeline.
    browser.click("dl.facts a[href^='/console/events/']").await;
    browser.see("h1", "clients.create · client 4107").await;
    browser.see(".lane .how", "dead letter, 2 of 2 tried").await;
    browser.see(".lane .how", "success").await;
    browser.see_count(".lane", 2).await;
    browser.see_count("svg.track rect.no", 2).await;
    browser.see_count("svg.track rect.ok", 1).await;

    receiver.script("/crm", always(Answer::ok()));
    delivered_by_replays(&baton, &browser, [&first, &second]).await;
    to_one_handler(&baton, &browser, &receiver, &second).await;
}

/// Dead letters of two events: one is sent again by its button, the other by a job that sends all.
async fn delivered_by_replays(baton: &Embedded, browser: &Browser, [first, second]: [&String; 2]) {
    browser.open("/console/dead-letters?object_id=4107").await;
    browser.see_count("td.acts", 1).await;
    browser.press("Replay").await;
    browser.see(".said.good", "1 dead letter is on its way again").await;
    assert_eq!(baton.api.finished(first).await["status"], "delivered");
    browser.press("Show all dead letters").await;
    browser.see_count("td.acts", 1).await;
    browser.press("Replay all…").await;
    browser.press("Replay all").await;
    browser.see("[data-ended]", "1 of 1 on their way again").await;
    assert_eq!(baton.api.finished(second).await["status"], "delivered");
    browser.open(&format!("/console/events/{second}")).await;
    browser.see(".lane .how", "success").await;
    browser.see_count("svg.track rect.ok", 2).await;
}

/// The whole event once more, to its second handler.
async fn to_one_handler(baton: &Embedded, browser: &Browser, receiver: &Receiver, event: &str) {
    receiver.forget();
    browser.press("Replay…").await;
    browser.run("document.querySelector('#replay-to').selectedIndex = 2").await;
    browser.press("Replay").await;
    browser.see(".said.good", "to one handler").await;
    receiver.wait_for(SOON, "/mail", 1).await;
    baton.api.finished(event).await;
    assert_eq!(receiver.calls_at("/crm").len(), 0);
}

#[tokio::test]
async fn what_is_not_tried_yet_says_what_it_waits_for() {
    let (baton, receiver) = (Embedded::start().await, Receiver::start().await);
    receiver.script("/slow", always(Answer::status(503)));
    let slow = with(
        http("First", "clients.create", receiver.url("/slow")),
        json!({"priority": 1, "on_failure": "wait", "retry": {"max_attempts": 5, "first_delay_ms": 600_000, "max_delay_ms": 600_000}}),
    );
    let then = with(http("Then", "clients.create", receiver.url("/then")), json!({"priority": 2}));
    baton.api.create_live([slow, then]).await;
    let first = baton.api.publish(&event("clients.create", 1, json!({}))).await;
    receiver.wait_for(SOON, "/slow", 1).await;
    let second = baton.api.publish(&event("clients.create", 1, json!({}))).await;
    let browser = Browser::signed_in(&baton, Scripts::Off).await;
    for (id, said) in [(&first, "until First has succeeded or is used up"), (&second, "its lane is held by an earlier event")] {
        eventually(SOON, said, async || {
            browser.open(&format!("/console/events/{id}")).await;
            browser.texts(".lane .how").await.iter().any(|how| how.contains(said)).then_some(())
        })
        .await;
    }
    browser.open("/console/executions").await;
    browser.see_count("#log tr[data-id]", 1).await;
    browser.press("Refresh").await;
    browser.see_count("#log tr[data-id]", 1).await;
}

#[tokio::test]
async fn a_retry_that_is_due_says_what_holds_it() {
    let (baton, receiver) = (Embedded::start().await, Receiver::start().await);
    receiver.script("/crm", always(Answer::status(503)));
    let retry = json!({"max_attempts": 50, "first_delay_ms": 1000, "max_delay_ms": 1000});
    let crm = with(http("CRM", "clients.create", receiver.url("/crm")), json!({"retry": retry}));
    let ids = baton.api.create_live([crm]).await;
    let id = baton.api.publish(&event("clients.create", 1, json!({}))).await;
    receiver.wait_for(SOON, "/crm", 1).await;
    baton.api.order(&format!("/v1/handlers/{}/pause", ids[0])).await;
    let browser = Browser::signed_in(&baton, Scripts::Off).await;
    eventually(SOON, "what holds the retry", async || {
        browser.open(&format!("/console/events/{id}")).await;
        let how = browser.texts(".lane .how").await.concat();
        (how.contains("of 50 tried") && how.contains("due: ") && how.contains("this handler is paused")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_event_is_explained_before_it_is_published() {
    let baton = Embedded::start().await;
    let live = http("Live one", "clients.archive", "http://127.0.0.1:9/a");
    baton.api.create_live([live]).await;
    let off = with(http("Off one", "clients.archive", "http://127.0.0.1:9/b"), json!({"status": "disabled"}));
    let new = with(http("New one", "clients.archive", "http://127.0.0.1:9/c"), json!({"priority": 3}));
    baton.api.create(&off).await;
    baton.api.create(&new).await;
    let browser = Browser::signed_in(&baton, Scripts::Off).await;
    browser.open("/console/events").await;
    browser.see(".empty", "No events yet").await;
    browser.open("/console/events/explain").await;
    assert!(browser.value("#data").await.contains("Northwind"), "{}", browser.value("#data").await);
    browser.choose("#events_id", "clients.archive").await;
    browser.press("Fill in a sample").await;
    browser.see_count(".explained", 0).await;
    assert_eq!(browser.value("#data").await, "{}");
    browser.press("Explain").await;
    browser.see("section[aria-labelledby=live-title]", "Live one").await;
    browser.see("section[aria-labelledby=saved-title]", "New one").await;
    browser.see("ul.reasons", "Off one: disabled").await;
    browser.see("ul.reasons", "New one: new: saved but not live").await;
    assert!(!browser.texts("section[aria-labelledby=live-title]").await[0].contains("New one"));
    browser.fill("#data", "[1]").await;
    browser.press("Explain").await;
    browser.see("#data-error", "must be an object").await;
    assert_eq!(browser.value("#data").await, "[1]");
}

#[tokio::test]
async fn a_selection_and_all_are_replayed_without_scripts() {
    let (baton, receiver) = (Embedded::start().await, Receiver::start().await);
    receiver.script("/crm", always(Answer::status(400)));
    baton.api.create_live([http("CRM", "clients.create", receiver.url("/crm"))]).await;
    let mut ids = Vec::new();
    for object in [1, 2, 3] {
        let id = baton.api.publish(&event("clients.create", object, json!({}))).await;
        baton.api.finished(&id).await;
        ids.push(id);
    }
    receiver.script("/crm", always(Answer::ok()));
    let browser = Browser::signed_in(&baton, Scripts::Off).await;
    browser.open("/console/dead-letters").await;
    browser.press("Replay selected").await;
    browser.see(".said.bad", "Nothing is selected").await;
    browser.click("tbody tr:nth-child(1) input[name=pick]").await;
    browser.click("tbody tr:nth-child(3) input[name=pick]").await;
    browser.press("Replay selected").await;
    browser.see(".said.good", "2 dead letters are on their way again").await;
    browser.see_count("td.acts", 1).await;
    for id in [&ids[0], &ids[2]] {
        assert_eq!(baton.api.finished(id).await["status"], "delivered");
    }
    assert_eq!(baton.api.event(&ids[1]).await["status"], "failed");

    browser.press("Advanced Search").await;
    browser.fill("#handler_id", "nobody").await;
    browser.press("Search").await;
    browser.see("#handler_id-error", "no saved handler has this name").await;
    browser.press("Clear").await;
    browser.press("Replay all…").await;
    browser.press("Replay all").await;
    browser.see("h1", "Replay of dead letters").await;
    eventually(SOON, "the job to end", async || {
        browser.open(&browser.address().await).await;
        browser.texts("[data-ended]").await.iter().any(|said| said.contains("1 of 1 on their way again")).then_some(())
    })
    .await;
    assert_eq!(baton.api.finished(&ids[1]).await["status"], "delivered");
    browser.press("To the dead letters").await;
    browser.see(".empty", "No dead letters").await;
    browser.see("section[aria-labelledby=jobs-title]", "Replay of dead letters: all of them").await;
}
