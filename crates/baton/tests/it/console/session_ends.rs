//! A session ends while somebody works: what was entered is kept, and nothing is carried out without a click.

use baton_testkit::Receiver;
use reqwest::Method;
use serde_json::json;

use super::pages::{Operator, between, form};
use crate::rig::bodies::http;
use crate::rig::{Answer, Browser, Embedded, Scripts};

const NEW: &str = "/console/provisioning/new";

#[tokio::test]
async fn a_form_is_kept_through_the_sign_in() {
    is_kept(Scripts::On).await;
}

#[tokio::test]
async fn a_form_is_kept_through_the_sign_in_without_scripts() {
    is_kept(Scripts::Off).await;
}

async fn is_kept(scripts: Scripts) {
    let baton = Embedded::start().await;
    let receiver = Receiver::start().await;
    let browser = Browser::signed_in(&baton, scripts).await;
    browser.open(NEW).await;
    browser.fill("#name", "CRM: Ünïcode & <more>").await;
    browser.choose("#event", "clients.create").await;
    browser.fill("#url", &receiver.url("/hook")).await;
    browser.fill("#notes", "first line\nsecond = 100 %").await;
    browser.fill("input[name=header_name]", "X-Api-Key").await;
    browser.fill("input[name=header_value]", "very secret").await;
    browser.lose_session().await;
    browser.press("Save").await;
    browser.see("h1", "Sign in").await;
    browser.see(".said.warn", "Your session has ended. Sign in, and what you entered is kept").await;
    browser.fill("#token", "not the token").await;
    browser.press("Sign in").await;
    browser.see(".error", "That is not the admin token.").await;
    browser.fill("#token", baton.api.token()).await;
    browser.press("Sign in").await;
    browser.see("h1", "Not sent yet").await;
    browser.see("p", "save the new handler CRM: Ünïcode & <more>").await;
    browser.press("What you entered").await;
    browser.see("dl.entered", "second = 100 %").await;
    let shown = browser.texts("main").await.concat();
    assert!(!shown.contains("very secret"), "{shown}");
    assert!(!browser.address().await.contains("secret"), "{}", browser.address().await);
    assert!(baton.api.list("/v1/handlers?").await.is_empty(), "nothing is carried out without a click");

    browser.press("Send it now").await;
    browser.see(".said.good", "CRM: Ünïcode & <more> is saved").await;
    let saved = baton.api.list("/v1/handlers?").await.remove(0);
    assert_eq!((&saved["name"], &saved["headers"]), (&json!("CRM: Ünïcode & <more>"), &json!({"x-api-key": null})));
    assert_eq!(saved["notes"].as_str().unwrap().replace("\r\n", "\n"), "first line\nsecond = 100 %");
    browser.press("Test").await;
    browser.see(".outcome .tag.good", "success").await;
    let [call] = receiver.calls().try_into().unwrap();
    assert_eq!(call.header("x-api-key"), Some("very secret"));
}

#[tokio::test]
async fn scripts_say_that_the_session_has_ended_and_one_may_go_on_without_the_form() {
    let baton = Embedded::start().await;
    let id = baton.api.create(&http("CRM", "clients.create", "http://127.0.0.1:9/x")).await;
    let browser = Browser::signed_in(&baton, Scripts::On).await;
    browser.open(&format!("/console/provisioning/{id}")).await;
    browser.lose_session().await;
    browser.fill("#priority", "7").await;
    browser.see("#ended", "Your session has ended.").await;
    browser.press("Save").await;
    browser.see("h1", "Sign in").await;
    browser.fill("#token", baton.api.token()).await;
    browser.press("Sign in").await;
    browser.see("p", &format!("save handler {id}")).await;
    browser.press("Go on without it").await;
    browser.see("h1", "CRM").await;
    assert_eq!(browser.address().await, format!("/console/provisioning/{id}"));
    assert_eq!(baton.api.handler(id).await["version"], 1);
    // Buttons of the list too: the way back is what they carry.
    browser.open("/console/provisioning?priority=100").await;
    browser.lose_session().await;
    browser.click("button.state").await;
    browser.fill("#token", baton.api.token()).await;
    browser.press("Sign in").await;
    browser.see("p", &format!("disable handler {id}")).await;
    browser.press("Send it now").await;
    browser.see(".said.good", "CRM is disabled").await;
    assert_eq!(browser.address().await, "/console/provisioning?priority=100");
}

/// Deletes a handler without a session.
async fn delete(baton: &Embedded, id: i64, headers: &[(&str, &str)]) -> Answer {
    let request = baton.api.anonymous(Method::POST, &format!("/console/provisioning/{id}/delete"));
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    baton.api.send(form(request, &[("csrf", "x"), ("back", "/console/provisioning")])).await
}

/// Signs in with what a page of the sign-in carried.
async fn sign_in_with(baton: &Embedded, page: &Answer, cookie: Option<&str>, to: Option<&str>) -> Answer {
    let request = baton.api.anonymous(Method::POST, "/console/sign-in").header("sec-fetch-site", "same-origin");
    let request = cookie.into_iter().fold(request, |request, cookie| request.header("cookie", cookie));
    let value = |name: &str| between(&page.text, &format!("name=\"{name}\" value=\""), "\"").replace("&amp;", "&");
    let (kept_to, fields) = (to.map_or_else(|| value("kept_to"), str::to_owned), value("kept_fields"));
    let sent = [("token", baton.api.token()), ("kept_to", &kept_to), ("kept_fields", &fields), ("next", "/console/events")];
    baton.api.send(form(request, &sent)).await
}

#[tokio::test]
async fn no_other_site_can_prepare_a_form_for_the_sign_in() {
    let baton = Embedded::start().await;
    let id = baton.api.create(&http("CRM", "clients.create", "http://127.0.0.1:9/x")).await;
    let own = ("sec-fetch-site", "same-origin");
    for site in ["cross-site", "same-site"] {
        assert_eq!(delete(&baton, id, &[("sec-fetch-site", site)]).await.status, 403, "{site}");
    }
    let host = baton.api.url().trim_start_matches("http://").to_owned();
    let (here, there) = (format!("http://{host}"), "http://evil.example");
    for unknown in [&[][..], &[("origin", there)], &[("origin", "null")], &[("cookie", "baton_session=x")]] {
        let answer = delete(&baton, id, unknown).await;
        assert_eq!((answer.status, answer.header("location")), (303, "/console/sign-in"), "{unknown:?}");
    }
    // Plain http: a browser names the origin and nothing else.
    assert_eq!(delete(&baton, id, &[("origin", &here)]).await.status, 401);

    let page = delete(&baton, id, &[own]).await;
    assert_eq!((page.status, page.header("cache-control")), (401, "no-store"));
    let cookie = page.header("set-cookie").split(';').next().unwrap().to_owned();
    for part in ["baton_kept=", "HttpOnly", "SameSite=Strict", "Path=/console"] {
        assert!(page.header("set-cookie").contains(part), "{}", page.header("set-cookie"));
    }
    // Whoever has not got it from this browser's own form: signed in, and no form.
    let other = delete(&baton, id + 1, &[own]).await;
    for (page, cookie, to) in [
        (&page, None, None),
        (&page, Some("baton_kept=x"), None),
        (&other, Some(cookie.as_str()), None),
        (&page, Some(cookie.as_str()), Some("/console/scheduler/restart")),
        (&page, Some(cookie.as_str()), Some("https://evil.example/")),
    ] {
        let answer = sign_in_with(&baton, page, cookie, to).await;
        assert_eq!((answer.status, answer.header("location")), (303, "/console/events"), "{to:?} {cookie:?}");
    }
    let asked = sign_in_with(&baton, &page, Some(&cookie), None).await;
    assert_eq!((asked.status, asked.header("cache-control")), (200, "no-store"));
    assert!(asked.text.contains(&format!("delete handler {id}")), "{}", asked.text);
    baton.api.handler(id).await;
}

#[tokio::test]
async fn a_form_of_an_older_session_is_asked_about_when_it_is_the_consoles_own() {
    let baton = Embedded::start().await;
    let id = baton.api.create(&http("CRM", "clients.create", "http://127.0.0.1:9/x")).await;
    let (operator, older) = (Operator::of(&baton).await, Operator::of(&baton).await);
    let path = format!("/console/provisioning/{id}/priority");
    let request = operator.request(Method::POST, &path).header("sec-fetch-site", "same-origin");
    let asked = baton.api.send(form(request, &[("csrf", &older.csrf), ("priority", "5")])).await;
    assert_eq!(asked.status, 403);
    assert!(asked.text.contains("Send it now") && asked.text.contains(&operator.csrf) && !asked.text.contains(&older.csrf));
    assert_eq!(baton.api.handler(id).await["priority"], 100);
    let huge = "x".repeat(1024 * 1024);
    let request = baton.api.anonymous(Method::POST, &path).header("sec-fetch-site", "same-origin");
    assert_eq!(baton.api.send(form(request, &[("priority", &huge)])).await.status, 400);
    // What a script asks is answered in a sentence.
    let request = baton.api.anonymous(Method::GET, "/console/").header("baton-script", "1");
    let answer = baton.api.send(request).await;
    assert_eq!((answer.status, answer.text.as_str()), (401, "Your session has ended. Sign in again."));
}
