//! Every screen with data in it, light and dark, wide and narrow: nothing runs out of the window, and axe-core finds nothing serious.
//!
//! With `BATON_SCREENSHOTS` set, as `cargo xtask screenshots` does, the pictures are kept in that folder.

use std::fs;
use std::path::{Path, PathBuf};

use baton_testkit::{Answer, Receiver, eventually, rules};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};

use crate::rig::bodies::{event, http, with};
use crate::rig::{Browser, Embedded, SOON, Scripts, Theme, python};
use crate::signatures::PACKAGES;

/// What the pictures are kept in.
const KEEP_IN: &str = "BATON_SCREENSHOTS";
const AXE: &str = "axe-core@4.14.1";
/// Wide and narrow, in pixels.
const WIDTHS: [(&str, u32); 2] = [("wide", 1280), ("narrow", 360)];
/// The tallest picture, in pixels.
const TALLEST: u64 = 1600;

/// Waves of events, of two calls each. Bucket 15 ends at 1.3 ms, 24 at 6.4, 34 at 36.
const AN_HOUR: &str = r#"
    WITH RECURSIVE ago (n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM ago WHERE n < 58),
    counted AS (
        SELECT n, 40 + abs(n % 30 - 15) * 3 + n * 7 % 11 AS events, CASE WHEN n BETWEEN 17 AND 23 THEN 24 - abs(n - 20) * 6 ELSE 0 END AS failed,
            CASE WHEN n BETWEEN 16 AND 24 THEN '34' ELSE '24' END AS slow
        FROM ago
    )
    INSERT INTO minutes (minutes, handler_id, begins_at, id, published, succeeded, failed, skipped, duration_us, durations, first_calls)
    SELECT 1, 0, strftime('%Y-%m-%dT%H:%M:00+00:00', 'now', '-' || n || ' minutes'), randomblob(16), events, events * 2 - failed, failed, 0,
        events * 2600, json_object('15', events * 2 - events / 8, slow, events / 8), json_object('15', events - events / 10, '22', events / 10)
    FROM counted"#;

/// A Baton in which something has happened: deliveries, failures, a filter that skips, a dead letter, edits that are not live.
async fn busy() -> (Embedded, Receiver, Vec<(&'static str, String)>) {
    let baton = Embedded::start().await;
    an_hour_before(&baton).await;
    let receiver = Receiver::start().await;
    receiver.script("/ledger", rules::always(Answer::status(503)));
    receiver.script("/fax", rules::always(Answer::status(410).body("{\"error\":\"the fax machine is gone\"}")));
    let made = |name: &str, of: &str, path: &str, more: Value| with(http(name, of, receiver.url(path)), more);
    let handlers = [
        made("CRM: client created", "clients.create", "/crm", json!({"priority": 10, "lane": "crm"})),
        made("Ledger", "clients.create", "/ledger", json!({"priority": 10, "limits": {"per_second": 20}})),
        made("Welcome mail", "clients.create", "/mail", json!({"priority": 30, "filter": "data.credit > 100"})),
        made("Fax to sales", "clients.create", "/fax", json!({"priority": 40})),
        made("Block outgoing calls", "clients.balance_zero", "/pbx", json!({"priority": 1, "on_failure": "stop"})),
        made("SMS: balance is used up", "clients.balance_zero", "/sms", json!({"priority": 20})),
        made("CRM: package activated", "clients.subscriptions.activate", "/crm", json!({"lane": "crm"})),
    ];
    let ids = baton.api.create_live(handlers).await;
    let mut last = String::new();
    for client in 4100..4112 {
        let data =
            json!({"id": client, "name": format!("Northwind {client}"), "credit": (client - 4100) * 25, "password": "hidden"});
        last = baton.api.publish(&event("clients.create", client, data)).await;
        baton.api.finished(&baton.api.publish(&event("clients.balance_zero", client, json!({}))).await).await;
    }
    let dead = eventually(SOON, "a dead letter", async || baton.api.list("/v1/dead-letters?").await.into_iter().next()).await;
    eventually(SOON, "the statistics", async || {
        let handlers = baton.api.get("/v1/stats/handlers?order=failures").await;
        (handlers["items"][0]["fail"].as_u64() > Some(0)).then_some(())
    })
    .await;
    baton.api.call(Method::POST, &format!("/v1/handlers/{}/pause", ids[6]), &json!({})).await;
    baton.api.edit(ids[2], &json!({"priority": 25})).await;
    baton.api.edit(ids[5], &json!({"status": "disabled"})).await;
    let execution = baton.api.list("/v1/executions?status=fail").await.remove(0)["id"].as_str().unwrap().to_owned();
    let screens = vec![
        ("overview", "/console/".to_owned()),
        ("provisioning", "/console/provisioning".into()),
        ("handler", format!("/console/provisioning/{}", ids[2])),
        ("execution-logs", "/console/executions".into()),
        ("execution", format!("/console/executions/{execution}")),
        ("events", "/console/events".into()),
        ("event", format!("/console/events/{}", dead["event_id"].as_str().unwrap_or(&last))),
        ("explain", "/console/events/explain".into()),
        ("dead-letters", "/console/dead-letters".into()),
        ("task-scheduler", "/console/scheduler".into()),
        ("generation", "/console/scheduler/generations/1".into()),
    ];
    (baton, receiver, screens)
}

/// What the statistics say of an hour in which a receiver was slow and failed for some minutes, so that plots have something to show.
async fn an_hour_before(baton: &Embedded) {
    let file = SqliteConnectOptions::new().filename(baton.data().join("baton.db"));
    let mut database = SqliteConnection::connect_with(&file).await.unwrap();
    sqlx::raw_sql(AN_HOUR).execute(&mut database).await.unwrap();
    database.close().await.unwrap();
}

/// The text of axe-core, fetched once a run.
async fn axe() -> String {
    let environment = python::environment("webhooks", PACKAGES).await;
    let folder = tempfile::tempdir().unwrap();
    let mut npm = environment.command("npm");
    npm.current_dir(folder.path()).args(["install", "--no-audit", "--no-fund", "--loglevel=error", AXE]);
    python::finish(npm, "install axe-core").await;
    fs::read_to_string(folder.path().join("node_modules/axe-core/axe.min.js")).unwrap()
}

/// What axe-core finds that is serious or worse, as `rule: element`.
async fn barriers(browser: &Browser, axe: &str) -> Vec<String> {
    browser.run(axe).await;
    let found = browser
        .run_to_the_end(
            "const done = arguments[arguments.length - 1];
             axe.run(document, {resultTypes: ['violations']}).then((found) => done(found.violations
                .filter((one) => one.impact === 'serious' || one.impact === 'critical')
                .flatMap((one) => one.nodes.map((node) => `${one.id}: ${node.html.slice(0, 200)}`))), (error) => done([String(error)]));",
        )
        .await;
    found.as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect()
}

/// What has to be scrolled sideways to be read, but for the sections where they are a row, and code.
async fn sideways(browser: &Browser) -> Vec<String> {
    let found = browser
        .run(
            "return [...document.querySelectorAll('main, main *')]
                .filter((one) => ['auto', 'scroll'].includes(getComputedStyle(one).overflowX) && one.scrollWidth > one.clientWidth)
                .filter((one) => !one.matches('pre, textarea') && one.clientWidth > 0)
                .map((one) => `${one.tagName}.${one.className} ${one.scrollWidth} > ${one.clientWidth}`);",
        )
        .await;
    found.as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect()
}

async fn keep(browser: &Browser, folder: &Path, name: &str, width: u32) {
    let height = browser.run("return document.documentElement.scrollHeight").await.as_u64().unwrap();
    browser.resize(width, height.clamp(700, TALLEST) as u32 + 140).await;
    fs::write(folder.join(format!("{name}.png")), browser.picture().await).unwrap();
    browser.resize(width, 1000).await;
}

/// The pages between a form that comes too late and its sending, narrow.
async fn session_ends(
    baton: &Embedded,
    browser: &Browser,
    axe: &str,
    folder: Option<&Path>,
    theme: &str,
) -> Vec<(&'static str, Vec<String>)> {
    let mut pages = Vec::new();
    browser.open("/console/provisioning/new?event=clients.create").await;
    browser.fill("#name", "CRM").await;
    browser.fill("#url", "http://127.0.0.1:9/clients").await;
    browser.lose_session().await;
    browser.press("Save").await;
    browser.see(".said.warn", "Your session has ended").await;
    for screen in ["session-ended", "not-sent"] {
        if screen == "not-sent" {
            browser.fill("#token", baton.api.token()).await;
            browser.press("Sign in").await;
            browser.press("What you entered").await;
        }
        let mut found = barriers(browser, axe).await;
        found.extend(sideways(browser).await);
        if let Some(folder) = folder {
            keep(browser, folder, &format!("{screen}-{theme}-narrow"), 360).await;
        }
        pages.push((screen, found));
    }
    pages
}

#[tokio::test]
async fn every_screen_fits_and_can_be_read_by_everybody() {
    let (baton, _receiver, screens) = busy().await;
    let axe = axe().await;
    let folder = std::env::var_os(KEEP_IN).map(PathBuf::from);
    let mut wrong = Vec::new();
    for (theme, word) in [(Theme::Light, "light"), (Theme::Dark, "dark")] {
        let browser = Browser::start_in(&baton, Scripts::On, theme).await;
        assert_eq!(browser.run("return matchMedia('(prefers-color-scheme: dark)').matches").await, theme == Theme::Dark);
        browser.sign_in(&baton).await;
        for (size, width) in WIDTHS {
            browser.resize(width, 1000).await;
            assert_eq!(browser.run("return innerWidth").await, width);
            for (screen, path) in &screens {
                browser.open(path).await;
                browser.see_count("main", 1).await;
                let over = browser.run("return document.documentElement.scrollWidth - innerWidth").await.as_i64().unwrap();
                if over > 0 {
                    wrong.push(format!("{screen}, {word}, {size}: {over} px run out of the window"));
                }
                let sideways = sideways(&browser).await;
                wrong.extend(sideways.into_iter().map(|one| format!("{screen}, {word}, {size}: scrolls sideways: {one}")));
                let found = barriers(&browser, &axe).await;
                wrong.extend(found.into_iter().map(|one| format!("{screen}, {word}, {size}: {one}")));
                if let Some(folder) = &folder {
                    keep(&browser, folder, &format!("{screen}-{word}-{size}"), width).await;
                }
            }
        }
        for (screen, found) in session_ends(&baton, &browser, &axe, folder.as_deref(), word).await {
            wrong.extend(found.into_iter().map(|one| format!("{screen}, {word}, narrow: {one}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
