//! `/docs`: everything that the page loads comes from Baton itself.

use std::collections::BTreeSet;

use reqwest::Method;
use url::Url;

use crate::rig::{Answer, Api, Embedded};

/// What stands between `before` and a quote or bracket, everywhere in a text.
fn references(text: &str, before: &str) -> Vec<String> {
    let value = |rest: &str| {
        let rest = rest.trim_start_matches(['"', '\'']);
        rest.split(['"', '\'', ')', '>', ' ']).next().unwrap_or_default().to_owned()
    };
    text.split(before).skip(1).map(value).collect()
}

async fn load(api: &Api, url: &Url) -> Answer {
    let answer = api.send(api.anonymous(Method::GET, url.path())).await;
    assert_eq!(answer.status, 200, "{url}");
    answer
}

/// The addresses that a file loads, against its own.
fn loaded_by(url: &Url, answer: &Answer) -> BTreeSet<Url> {
    let words: &[&str] = match answer.header("content-type") {
        kind if kind.starts_with("text/html") => &["src=", "href="],
        kind if kind.starts_with("text/css") => &["url(", "@import "],
        _ => &[],
    };
    let found = words.iter().flat_map(|word| references(&answer.text, word));
    found.filter(|reference| !reference.starts_with("data:")).map(|reference| url.join(&reference).unwrap()).collect()
}

#[tokio::test]
async fn the_page_and_all_that_it_loads_come_from_baton() {
    let baton = Embedded::start().await;
    let api = &baton.api;
    let moved = api.send(api.anonymous(Method::GET, "/docs")).await;
    let base = Url::parse(api.url()).unwrap();
    let page = if moved.status == 200 { base.join("/docs").unwrap() } else { base.join(moved.header("location")).unwrap() };
    let html = load(api, &page).await;
    assert!(html.header("content-type").starts_with("text/html"));

    let mut seen = BTreeSet::from([page.clone()]);
    let mut open: Vec<Url> = loaded_by(&page, &html).into_iter().collect();
    let mut scripts = String::new();
    while let Some(url) = open.pop() {
        assert_eq!(url.origin(), base.origin(), "{url} is loaded from elsewhere");
        if !seen.insert(url.clone()) {
            continue;
        }
        let answer = load(api, &url).await;
        open.extend(loaded_by(&url, &answer));
        if answer.header("content-type").contains("javascript") {
            scripts.push_str(&answer.text);
        }
    }
    assert!(seen.len() >= 5 && scripts.len() > 100_000, "a page with its scripts and styles: {seen:?}");

    // What the scripts load at run time: the document, from here, and no badge of a validator.
    let start = scripts.split("SwaggerUIBundle({").nth(1).and_then(|rest| rest.split("presets").next()).unwrap();
    assert!(start.contains("\"/openapi.json\"") && !start.contains("://"), "{start}");
    let validator = references(start, "\"validatorUrl\": ");
    assert_eq!(validator, ["none"], "{start}");
    api.send(api.anonymous(Method::GET, "/openapi.json")).await.expect(200);

    // And the browser is told to load nothing from elsewhere, whatever the scripts would like to.
    let policy = html.header("content-security-policy");
    let directives: Vec<Vec<&str>> = policy.split(';').map(|directive| directive.split_whitespace().collect()).collect();
    assert!(directives.contains(&vec!["default-src", "'self'"]), "{policy}");
    let known = ["'self'", "'none'", "'unsafe-inline'", "data:"];
    for directive in directives.iter().filter(|directive| directive[0].ends_with("-src")) {
        assert!(directive[1..].iter().all(|source| known.contains(source)), "{policy}");
    }
}
