//! The table of handlers in a browser.

use baton_testkit::eventually;
use reqwest::Method;
use serde_json::json;

use super::pages::Operator;
use crate::rig::bodies::{http, with};
use crate::rig::{Browser, Embedded, SOON, Scripts};

const TARGET: &str = "http://127.0.0.1:9/x";

fn at(name: &str, event: &str, priority: u16) -> serde_json::Value {
    with(http(name, event, TARGET), json!({"priority": priority}))
}

#[tokio::test]
async fn the_list_reads_as_chains_run_and_is_searched() {
    let baton = Embedded::start().await;
    for handler in [at("b", "clients.create", 20), at("a", "clients.create", 3), at("c", "clients.archive", 100)] {
        baton.api.create(&handler).await;
    }
    let old = baton.api.create(&with(at("old", "clients.create", 1), json!({"status": "archived"}))).await;
    let browser = Browser::signed_in(&baton, Scripts::On).await;
    assert_eq!(browser.texts("td.name a").await, ["c", "a", "b"]);
    assert_eq!(browser.texts("tr.group th").await, ["Clients: archive clients.archive", "Clients: create clients.create"]);
    browser.see_count("#search[open]", 0).await;

    browser.press("Advanced Search").await;
    browser.choose("#event", "clients.create").await;
    browser.fill("#priority", "3").await;
    browser.press("Search").await;
    browser.see_count("tr[data-id]", 1).await;
    assert_eq!(browser.address().await, "/console/provisioning?q=&event=clients.create&task_type=&status=&priority=3");
    browser.see_count("#search[open]", 1).await;
    browser.fill("#priority", "many").await;
    browser.press("Search").await;
    browser.see("#priority-error", "must be").await;
    assert_eq!(browser.value("#priority").await, "many");
    browser.press("Clear").await;
    browser.see_count("tr[data-id]", 3).await;
    browser.press("Advanced Search").await;
    browser.choose("#status", "archived").await;
    browser.press("Search").await;
    browser.see_count(&format!("#h{old}"), 1).await;
    browser.see_count("button.state", 0).await;
}

#[tokio::test]
async fn the_icon_switches_and_what_is_deleted_is_asked_about() {
    let baton = Embedded::start().await;
    let id = baton.api.create(&at("CRM", "clients.create", 1)).await;
    let browser = Browser::signed_in(&baton, Scripts::On).await;
    browser.click(&format!("#h{id} button.state")).await;
    browser.see(".said.good", "CRM is disabled").await;
    assert_eq!(baton.api.handler(id).await["status"], "disabled");
    browser.click(&format!("#h{id} button.state")).await;
    browser.see(".said.good", "CRM is enabled").await;
    assert_eq!(baton.api.handler(id).await["status"], "enabled");

    browser.click(&format!("#h{id} details.confirm > summary")).await;
    browser.see(".pop", "Delete CRM for good?").await;
    browser.keys(&format!("#h{id} details.confirm > summary"), "\u{e00c}").await;
    browser.see_count("details.confirm[open]", 0).await;
    browser.click(&format!("#h{id} details.confirm > summary")).await;
    browser.press("Cancel").await;
    browser.see_count("details.confirm[open]", 0).await;
    browser.click(&format!("#h{id} details.confirm > summary")).await;
    browser.press("Delete").await;
    browser.see(".said.good", "CRM is deleted").await;
    browser.see(".empty", "No handlers yet").await;
    assert!(baton.api.list("/v1/handlers?").await.is_empty());
}

#[tokio::test]
async fn priorities_are_changed_by_number_by_keyboard_and_by_dragging() {
    let baton = Embedded::start().await;
    let mut ids = Vec::new();
    for (name, priority) in [("a", 10), ("b", 20), ("c", 30)] {
        ids.push(baton.api.create(&at(name, "clients.create", priority)).await);
    }
    let browser = Browser::signed_in(&baton, Scripts::On).await;
    let order = async |wanted: [&str; 3]| {
        eventually(SOON, &format!("{wanted:?}"), async || (browser.texts("td.name a").await == wanted).then_some(())).await;
    };
    browser.fill(&format!("#h{} input[name=priority]", ids[2]), "15\u{e007}").await;
    browser.see(".said.good", "c has the priority 15").await;
    order(["a", "c", "b"]).await;

    browser.keys(&format!("#h{} .grip", ids[1]), "\u{e013}").await;
    browser.see(".said.good", "b has the priority 12").await;
    order(["a", "b", "c"]).await;
    // The grip that was moved has the focus still.
    let focused = browser.run("return document.activeElement.closest('tr').id").await;
    assert_eq!(focused, json!(format!("h{}", ids[1])));

    let drag = format!(
        "const [from, to] = ['h{}', 'h{}'].map((id) => document.getElementById(id));
         const data = new DataTransfer(), box = to.getBoundingClientRect();
         const at = {{bubbles: true, cancelable: true, dataTransfer: data, clientX: box.left + 5, clientY: box.top + 2}};
         from.querySelector('.grip').dispatchEvent(new DragEvent('dragstart', at));
         to.firstElementChild.dispatchEvent(new DragEvent('dragover', at));
         to.firstElementChild.dispatchEvent(new DragEvent('drop', at));",
        ids[2], ids[0]
    );
    browser.run(&drag).await;
    browser.see(".said.good", "c has the priority 5").await;
    order(["c", "a", "b"]).await;
}

#[tokio::test]
async fn a_typed_priority_is_sent_when_its_field_is_left() {
    let baton = Embedded::start().await;
    let id = baton.api.create(&at("Mail welcome", "clients.create", 10)).await;
    let browser = Browser::signed_in(&baton, Scripts::On).await;
    let field = format!("#h{id} input[name=priority]");
    browser.see_count("form.prio .btn", 1).await;
    browser.keys(&field, "5\u{e00c}").await;
    assert_eq!(browser.value(&field).await, "10", "Escape puts it back");
    // Tab leaves the field.
    browser.fill(&field, "15\u{e004}").await;
    browser.see(".said.good", "Mail welcome has the priority 15").await;
    assert_eq!(baton.api.handler(id).await["priority"], 15);
    browser.fill(&field, "70000\u{e007}").await;
    browser.see(".said.bad", "Mail welcome: priority must be 1 to 65535").await;
    assert_eq!(browser.value(&field).await, "15");
}

/// Whether the buttons of every row can be seen, and how many lines the first target takes.
const FITS: &str = "
    const card = document.querySelector('table.handlers').closest('.panel').getBoundingClientRect();
    const edges = [...document.querySelectorAll('table.handlers td.acts')].map((cell) => cell.getBoundingClientRect().right);
    const address = document.createRange();
    address.selectNodeContents(document.querySelector('td.task code'));
    const lines = new Set([...address.getClientRects()].map((line) => Math.round(line.top))).size;
    return [edges.every((edge) => edge <= card.right + 1), document.documentElement.scrollWidth <= innerWidth, lines];";

#[tokio::test]
async fn long_names_break_and_push_nothing_out_of_the_table() {
    let baton = Embedded::start().await;
    let short = with(http("Short", "clients.create", "http://127.0.0.1:5055/api"), json!({"priority": 1}));
    baton.api.create(&short).await;
    let long = http(&"Donaudampfschiff".repeat(3), "clients.create", format!("http://127.0.0.1:9/{}", "x".repeat(90)));
    let long = baton.api.create(&long).await;
    baton.api.call(Method::POST, &format!("/v1/handlers/{long}/pause"), &json!({})).await;
    let browser = Browser::signed_in(&baton, Scripts::On).await;
    for width in [1000, 1280] {
        browser.resize(width, 900).await;
        browser.open("/console/provisioning").await;
        let fits = browser.run(FITS).await;
        assert_eq!((&fits[0], &fits[1]), (&json!(true), &json!(true)), "at {width}");
        assert_eq!(fits[2], 1, "a short address is not broken at {width}");
        browser.click(&format!("#h{long} details.confirm > summary")).await;
        assert_eq!(browser.run(FITS).await[1], true, "the name breaks in the drop-down at {width}");
    }
}

#[tokio::test]
async fn where_there_is_no_room_those_behind_make_way_all_at_once() {
    let baton = Embedded::start().await;
    let mut ids = Vec::new();
    for (name, priority) in [("a", 1), ("b", 2), ("c", 3), ("d", 4), ("far", 90)] {
        ids.push(baton.api.create(&at(name, "clients.create", priority)).await);
    }
    let browser = Browser::signed_in(&baton, Scripts::On).await;
    browser.keys(&format!("#h{} .grip", ids[3]), "\u{e013}").await;
    browser.see(".said.good", "d has the priority 3. 1 handler after it made way.").await;
    let operator = Operator::of(&baton).await;
    let moved = operator.send(&format!("/console/provisioning/{}/move", ids[2]), &[("before", &ids[0].to_string())]).await;
    assert_eq!(moved.status, 303);
    browser.open("/console/provisioning").await;
    assert_eq!(browser.texts("td.name a").await, ["c", "a", "b", "d", "far"]);
    let mut stored = Vec::new();
    for id in &ids {
        let handler = baton.api.handler(*id).await;
        stored.push((handler["priority"].as_i64().unwrap(), handler["version"].as_i64().unwrap()));
    }
    assert_eq!(stored, [(2, 2), (3, 2), (1, 3), (4, 3), (90, 1)], "nobody is edited who need not be");
}

#[tokio::test]
async fn many_handlers_are_paged_and_each_page_is_small() {
    let baton = Embedded::start().await;
    let (wide, target) = ("w".repeat(190), format!("http://127.0.0.1:9/{}", "x".repeat(1900)));
    for n in 0..120_u16 {
        baton.api.create(&with(http(&format!("{n} {wide}"), "clients.create", &target), json!({"priority": n + 1}))).await;
    }
    let operator = Operator::of(&baton).await;
    let (mut path, mut rows) = ("/console/provisioning".to_owned(), 0);
    loop {
        let page = operator.page(&path).await;
        assert!(page.len() < 150_000, "{} bytes", page.len());
        rows += page.matches("<tr id=\"h").count();
        match page.split_once("rel=\"next\" href=\"") {
            Some((_, rest)) => path = rest.split('"').next().unwrap().replace("&amp;", "&"),
            None => break,
        }
    }
    assert_eq!(rows, 120);
}
