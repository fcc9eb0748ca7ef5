//! Who is kept out, and what browsers are told.

use reqwest::Method;
use serde_json::json;

use super::pages::{Operator, form, sign_in};
use crate::rig::Embedded;
use crate::rig::bodies::http;

const LIST: &str = "/console/provisioning";

#[tokio::test]
async fn every_page_says_what_a_browser_may_do_with_it() {
    let baton = Embedded::start().await;
    let operator = Operator::of(&baton).await;
    let policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; \
                  frame-ancestors 'none'; base-uri 'none'";
    for path in [LIST, "/console/provisioning/new", "/console/nothing", "/console/provisioning/x", "/console/sign-in"] {
        let page = baton.api.send(operator.request(Method::GET, path)).await;
        assert_eq!(page.header("content-security-policy"), policy, "{path}");
        assert_eq!(page.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(page.header("referrer-policy"), "same-origin", "{path}");
        assert_eq!(page.header("cache-control"), "no-store", "{path}");
        for inline in [" style=", "<style", " onclick=", " onload=", " onsubmit=", "javascript:"] {
            assert!(!page.text.contains(inline), "{inline} in {path}: {}", page.text);
        }
        let scripts = page.text.matches("<script").count();
        assert_eq!(scripts, page.text.matches("<script src=\"/console/assets/").count(), "{path}");
    }
    for path in ["/console/nothing", "/console/provisioning/x", "/console/provisioning/99"] {
        assert_eq!(baton.api.send(operator.request(Method::GET, path)).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn files_may_be_kept_for_good_and_need_no_session() {
    let baton = Embedded::start().await;
    let page = baton.api.send(baton.api.anonymous(Method::GET, "/console/sign-in")).await.text;
    let style = page.split('"').find(|part| part.ends_with(".css")).unwrap().to_owned();
    let kept = baton.api.send(baton.api.anonymous(Method::GET, &style)).await;
    assert_eq!((kept.status, kept.header("cache-control")), (200, "public, max-age=31536000, immutable"));
    assert!(kept.header("content-type").starts_with("text/css"));
    let other = baton.api.send(baton.api.anonymous(Method::GET, "/console/assets/console.0.css")).await;
    assert_eq!((other.status, other.header("cache-control")), (200, "no-store"));
    assert_eq!(baton.api.send(baton.api.anonymous(Method::GET, "/console/assets/other.css")).await.status, 404);
}

#[tokio::test]
async fn who_is_not_signed_in_is_asked_to_and_sent_back() {
    let baton = Embedded::start().await;
    let api = &baton.api;
    let ask = async |path: &str| api.send(api.anonymous(Method::GET, path)).await;
    assert_eq!(ask("/").await.header("location"), "/console/");
    let asked = ask("/console/provisioning?q=a%20b").await;
    assert_eq!((asked.status, asked.header("location")), (303, "/console/sign-in?next=%2Fconsole%2Fprovisioning%3Fq%3Da%2520b"));
    for cookie in ["baton_session=1.x", "baton_session=", "baton_session=AAAA%3D9999999999.x"] {
        let asked = api.send(api.anonymous(Method::GET, LIST).header("cookie", cookie)).await;
        assert_eq!(asked.status, 303, "{cookie}");
    }
    // A session is no token of the API, and a form without a session does nothing.
    let operator = Operator::of(&baton).await;
    assert_eq!(api.send(operator.request(Method::GET, "/v1/handlers")).await.status, 401);
    let sent = api.send(form(api.anonymous(Method::POST, "/console/provisioning/new"), &[("name", "x")])).await;
    assert_eq!(sent.status, 303);
    assert_eq!(api.get("/v1/handlers").await["items"], json!([]));
}

#[tokio::test]
async fn a_wrong_token_is_refused_and_the_right_one_makes_a_cookie_for_nobody_else() {
    let baton = Embedded::start().await;
    for token in ["", "wrong", &format!("{}x", baton.api.token())] {
        let refused = sign_in(&baton.api, token).await;
        assert_eq!(refused.status, 401);
        assert_eq!(refused.header("set-cookie"), "");
        assert!(refused.text.contains("That is not the admin token"));
    }
    let cookie = sign_in(&baton.api, baton.api.token()).await.header("set-cookie").to_owned();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/console"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Secure") && !cookie.contains(baton.api.token()), "{cookie}");
    let secure = baton.api.anonymous(Method::POST, "/console/sign-in").header("origin", "https://baton.example");
    let secure = baton.api.send(form(secure, &[("token", baton.api.token())])).await;
    assert!(secure.header("set-cookie").contains("Secure"));
}

#[tokio::test]
async fn sign_in_leads_to_pages_of_the_console_only() {
    let baton = Embedded::start().await;
    let api = &baton.api;
    let to = async |next: &str| {
        let request = api.anonymous(Method::POST, "/console/sign-in");
        let answer = api.send(form(request, &[("token", api.token()), ("next", next)])).await;
        answer.header("location").to_owned()
    };
    assert_eq!(to("/console/provisioning/7?x=1").await, "/console/provisioning/7?x=1");
    for elsewhere in
        ["https://evil.example/", "//evil.example", "/\\evil.example", "/console//evil.example", "/v1/handlers", "javascript:x"]
    {
        assert_eq!(to(elsewhere).await, "/console/", "{elsewhere}");
    }
    let operator = Operator::of(&baton).await;
    let id = api.create(&http("CRM", "clients.create", "http://127.0.0.1:9/x")).await;
    let sent = operator.send(&format!("{LIST}/{id}/toggle?to=disabled"), &[("back", "https://evil.example/")]).await;
    assert_eq!((sent.status, sent.header("location")), (303, LIST));
}

#[tokio::test]
async fn forms_of_other_sites_and_sessions_are_refused() {
    let baton = Embedded::start().await;
    let operator = Operator::of(&baton).await;
    let other = Operator::of(&baton).await;
    let id = baton.api.create(&http("CRM", "clients.create", "http://127.0.0.1:9/x")).await;
    let delete = format!("{LIST}/{id}/delete");
    for token in ["", "x", &other.csrf] {
        assert_eq!(operator.send_as(&delete, token, &[]).await.status, 403);
    }
    let without = baton.api.send(form(operator.request(Method::POST, &delete), &[])).await;
    assert_eq!(without.status, 403);
    for site in ["cross-site", "same-site"] {
        let request = operator.request(Method::POST, &delete).header("sec-fetch-site", site);
        assert_eq!(baton.api.send(form(request, &[("csrf", &operator.csrf)])).await.status, 403, "{site}");
        let sign_in = baton.api.anonymous(Method::POST, "/console/sign-in").header("sec-fetch-site", site);
        assert_eq!(baton.api.send(form(sign_in, &[("token", baton.api.token())])).await.status, 403, "{site}");
    }
    let json = operator.request(Method::POST, &delete).header("content-type", "application/json").body("{}");
    assert_eq!(baton.api.send(json).await.status, 400);
    baton.api.handler(id).await;
    let own = operator.request(Method::POST, &delete).header("sec-fetch-site", "same-origin");
    assert_eq!(baton.api.send(form(own, &[("csrf", &operator.csrf)])).await.status, 303);
    assert_eq!(baton.api.get("/v1/handlers").await["items"], json!([]));
}

#[tokio::test]
async fn a_link_from_elsewhere_finds_its_way_with_the_session() {
    let baton = Embedded::start().await;
    let request = baton.api.anonymous(Method::GET, "/console/provisioning?q=%22%3E").header("sec-fetch-site", "cross-site");
    let page = baton.api.send(request).await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("content=\"0;url=/console/provisioning?q=%22%3E\""), "{}", page.text);
}

#[tokio::test]
async fn names_are_text_wherever_they_stand() {
    let baton = Embedded::start().await;
    let operator = Operator::of(&baton).await;
    let hostile = "<script>alert(1)</script>\"' onx=1 &amp;";
    let id = baton.api.create(&http(hostile, "clients.create", "http://127.0.0.1:9/\"><img src=x>")).await;
    let escaped = "&lt;script&gt;alert(1)&lt;/script&gt;&quot;' onx=1 &amp;amp;";
    for path in [LIST.to_owned(), format!("{LIST}/{id}"), format!("{LIST}?q=%3Cscript%3E%22%3E%3Cimg%3E&event=%22%3E%3Cimg%3E")] {
        let page = operator.page(&path).await;
        assert!(!page.contains("<script>alert") && !page.contains("<img"), "{path}");
        assert!(page.contains(escaped), "{path}: {page}");
    }
    let renamed = operator.send(&format!("{LIST}/{id}/toggle?to=disabled"), &[("back", LIST)]).await;
    let said = renamed.header("set-cookie").split(';').next().unwrap().to_owned();
    let cookie = format!("{}; {said}", operator.cookie);
    let page = baton.api.send(baton.api.anonymous(Method::GET, LIST).header("cookie", cookie)).await;
    assert!(page.text.contains(&format!("{escaped} is disabled")), "{}", page.text);
    assert!(page.header("set-cookie").contains("Max-Age=0"), "shown once: {}", page.header("set-cookie"));
}

#[tokio::test]
async fn signing_out_wants_the_sessions_token() {
    let baton = Embedded::start().await;
    let operator = Operator::of(&baton).await;
    assert_eq!(operator.send_as("/console/sign-out", "x", &[]).await.status, 403);
    let out = operator.send("/console/sign-out", &[]).await;
    assert_eq!((out.status, out.header("location")), (303, "/console/sign-in"));
    assert!(out.header("set-cookie").contains("Max-Age=0"), "{}", out.header("set-cookie"));
}
