//! Overview: what was just published, and what failed.

use baton_testkit::rules::always;
use baton_testkit::{Answer, Receiver, eventually};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::pages::Operator;
use crate::rig::bodies::{event, http};
use crate::rig::{Browser, Embedded, SOON, Scripts, Theme};

#[tokio::test]
async fn what_was_published_and_what_failed_is_seen() {
    is_seen(Scripts::On).await;
}

#[tokio::test]
async fn what_was_published_and_what_failed_is_seen_without_scripts() {
    is_seen(Scripts::Off).await;
}

async fn is_seen(scripts: Scripts) {
    let baton = Embedded::start().await;
    let receiver = Receiver::start().await;
    receiver.script("/bad", always(Answer::status(400)));
    let browser = Browser::signed_in(&baton, scripts).await;
    browser.press("Overview").await;
    browser.see(".empty", "Nothing has been published yet").await;
    browser.see(".empty", "Create a handler").await;
    let good = http("CRM", "clients.create", receiver.url("/crm"));
    let bad = http("Mail", "clients.create", receiver.url("/bad"));
    baton.api.create_live([good, bad]).await;
    let ids = baton.api.publish_batch(&[1, 2].map(|client| event("clients.create", client, json!({})))).await;
    for id in &ids {
        baton.api.finished(id).await;
    }
    // Statistics are written every few seconds.
    eventually(SOON, "the statistics to be written", async || {
        let total = baton.api.get("/v1/stats/minutes").await["total"].clone();
        (total["published"] == 2 && total["executions"] == 4).then_some(())
    })
    .await;
    // With scripts it comes by itself.
    if scripts == Scripts::Off {
        browser.press("Refresh").await;
    }
    browser.see(".tile", "= 0 delivered + 2 failed + 0 unmatched + 0 unfinished").await;
    browser.see(".tile .figure", "50 %").await;
    browser.see("section[aria-label='Failing handlers'] td.name", "Mail").await;
    browser.see("section[aria-label='Slowest handlers'] td.name", "CRM").await;
    browser.see_count("svg.plot", 5).await;
    // All within a minute, or just across the end of one.
    assert!(browser.run("return document.querySelectorAll('svg.plot .mark.no').length").await.as_u64() >= Some(1));
    browser.click("section[aria-label='Executions per minute'] summary").await;
    browser.see("section[aria-label='Executions per minute'] td.num", "2").await;
    browser.press("24 h").await;
    browser.see(".spans [aria-current]", "24 h").await;
    assert_eq!(browser.address().await, "/console/?span=24h");
    browser.see(".tile .figure", "50 %").await;
}

/// What an attribute or a text is, for each of these elements.
async fn each(browser: &Browser, css: &str, of: &str) -> Vec<String> {
    let script = format!("return [...document.querySelectorAll(`{css}`)].map((one) => {of})");
    browser.run(&script).await.as_array().unwrap().iter().map(|one| one.as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn plots_are_read_by_keyboard_and_in_the_readers_zone() {
    let baton = Embedded::start().await;
    let receiver = Receiver::start().await;
    baton.api.create_live([http("CRM", "clients.create", receiver.url("/crm"))]).await;
    baton.api.finished(&baton.api.publish(&event("clients.create", 1, json!({}))).await).await;
    eventually(SOON, "the statistics to be written", async || {
        (baton.api.get("/v1/stats/minutes").await["total"]["executions"] == 1).then_some(())
    })
    .await;
    // 5 h 45 min ahead of UTC.
    let browser = Browser::start_at(&baton, Scripts::On, Theme::Light, "Asia/Kathmandu").await;
    browser.sign_in(&baton).await;
    browser.see_count(".plotbox [role=slider][tabindex='0']", 5).await;
    browser.see_count(".plot .zone", 0).await;
    let (instants, shown) = (
        each(&browser, ".plot text[data-at]", "one.dataset.at").await,
        each(&browser, ".plot text[data-at]", "one.textContent").await,
    );
    assert!(instants.len() >= 20, "{instants:?}");
    for (instant, shown) in instants.iter().zip(&shown) {
        let there = instant.parse::<DateTime<Utc>>().unwrap() + TimeDelta::minutes(345);
        assert_eq!(*shown, there.format("%H:%M").to_string(), "{instant}");
    }

    let slider = "section[aria-label='Executions per minute'] [role=slider]";
    let said = async || each(&browser, slider, "one.getAttribute('aria-valuetext')").await.remove(0);
    let steps = each(&browser, slider, "one.getAttribute('aria-valuemax')").await.remove(0).parse::<usize>().unwrap();
    // From the newest step back to the one with the call, which is among the last.
    browser.keys(slider, "\u{e012}").await;
    browser.see("section[aria-label='Executions per minute'] .read", "success: ").await;
    browser.keys(slider, "\u{e010}").await;
    let mut found = Vec::new();
    for _ in 0..steps {
        found.push(said().await);
        browser.keys(slider, "\u{e012}").await;
    }
    let calls = found.iter().filter(|said| said.contains("success: 1 ")).count();
    assert_eq!(calls, 1, "{found:#?}");
    assert_eq!(found.iter().collect::<std::collections::HashSet<_>>().len(), steps, "each step is said once");
    browser.keys(slider, "\u{e011}").await;
    browser.see_count(".plot .hover.here", 1).await;
    let first = each(&browser, ".plot .hover.here", "one.previousElementSibling?.matches('.hover') ? 'no' : 'first'").await;
    assert_eq!(first, ["first"]);
}

#[tokio::test]
async fn plots_say_utc_where_no_script_has_run() {
    let baton = Embedded::start().await;
    baton.api.publish(&event("clients.create", 1, json!({}))).await;
    let page = Operator::of(&baton).await.page("/console/").await;
    assert_eq!(page.matches(">UTC</text>").count(), 5);
}

#[tokio::test]
async fn each_span_is_a_small_page() {
    let baton = Embedded::start().await;
    baton.api.publish(&event("clients.create", 1, json!({}))).await;
    let operator = Operator::of(&baton).await;
    for (span, steps) in [("1h", 60), ("6h", 72), ("24h", 24), ("none", 60)] {
        let page = operator.page(&format!("/console/?span={span}")).await;
        assert!(page.len() < 150_000, "{span}: {} bytes", page.len());
        let drawn = page.matches("class=\"hover\"").count() / 5;
        assert!((steps..=steps + 1).contains(&drawn), "{span}: {drawn}");
    }
}
