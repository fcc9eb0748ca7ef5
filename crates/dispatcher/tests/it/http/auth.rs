//! Who Baton is to a receiver: basic authentication and tokens of an authorization server.

use baton_dispatcher::call::Opened;
use baton_domain::connection::{Auth, CredentialsIn};
use baton_testkit::{Answer, Receiver};

use super::*;

fn oauth2(token_url: &str) -> Auth<String> {
    Auth::Oauth2 {
        token_url: token_url.into(),
        client_id: "baton".into(),
        client_secret: "s%e/c ret".into(),
        scope: Some("events.write events.read".into()),
        audience: Some("crm".into()),
        credentials_in: CredentialsIn::Header,
    }
}

fn with(url: &str, auth: Auth<String>, timeout: Duration) -> Target {
    Target::new(&spec(url, timeout), Opened { auth: Some(auth), ..Opened::default() }).unwrap()
}

fn token(token: &str, seconds: u64) -> Answer {
    let body = format!(r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":{seconds}}}"#);
    Answer::ok().header("content-type", "application/json").body(body)
}

/// A receiver that gives the tokens `t1`, `t2`, … at `/token` and takes events at `/hook`.
async fn receiver(lifetime: u64) -> Receiver {
    let receiver = Receiver::start().await;
    let mut given = 0;
    receiver.script("/token", move |_| {
        given += 1;
        token(&format!("t{given}"), lifetime)
    });
    receiver
}

fn authorizations(receiver: &Receiver) -> Vec<String> {
    receiver.calls_at("/hook").iter().map(|call| call.header("authorization").unwrap_or("none").to_owned()).collect()
}

#[tokio::test]
async fn user_and_password_are_in_every_request() {
    let receiver = Receiver::start().await;
    let basic = Auth::Basic { username: "baton".into(), password: "pä:ss".into() };
    let target = with(&receiver.url("/hook"), basic, AMPLE);
    assert_eq!(status(&call(&caller(&[], true), &target, 1).await), 200);
    // RFC 7617, UTF-8.
    assert_eq!(authorizations(&receiver), ["Basic YmF0b246cMOkOnNz"]);
}

#[tokio::test]
async fn a_token_is_asked_for_once_and_kept() {
    let receiver = receiver(3600).await;
    let (caller, target) = (caller(&[], true), with(&receiver.url("/hook"), oauth2(&receiver.url("/token")), AMPLE));
    let calls = (1..=8).map(|attempt| call(&caller, &target, attempt));
    for outcome in futures_util::future::join_all(calls).await {
        assert_eq!(status(&outcome), 200);
    }
    assert_eq!(authorizations(&receiver), ["Bearer t1"; 8]);
    let asked = receiver.calls_at("/token");
    let [asked] = &asked[..] else { panic!("asked {} times", asked.len()) };
    assert_eq!(asked.header("content-type"), Some("application/x-www-form-urlencoded"));
    // Both are form-encoded first (RFC 6749, section 2.3.1): baton:s%25e%2Fc+ret.
    assert_eq!(asked.header("authorization"), Some("Basic YmF0b246cyUyNWUlMkZjK3JldA=="));
    let body = std::str::from_utf8(&asked.body).unwrap();
    for part in ["grant_type=client_credentials", "scope=events.write+events.read", "audience=crm"] {
        assert!(body.split('&').any(|of| of == part), "{body}");
    }
}

#[tokio::test]
async fn credentials_can_travel_in_the_body() {
    let receiver = receiver(3600).await;
    let Auth::Oauth2 { token_url, client_id, client_secret, .. } = oauth2(&receiver.url("/token")) else { panic!() };
    let credentials_in = CredentialsIn::Body;
    let auth = Auth::Oauth2 { token_url, client_id, client_secret, scope: None, audience: None, credentials_in };
    assert_eq!(status(&call(&caller(&[], true), &with(&receiver.url("/hook"), auth, AMPLE), 1).await), 200);
    let asked = &receiver.calls_at("/token")[0];
    assert_eq!(asked.header("authorization"), None);
    let body = std::str::from_utf8(&asked.body).unwrap();
    assert!(body.contains("client_id=baton") && body.contains("client_secret=s%25e%2Fc+ret"), "{body}");
}

#[tokio::test]
async fn a_token_that_has_run_out_is_not_sent() {
    let receiver = receiver(0).await;
    let (caller, target) = (caller(&[], true), with(&receiver.url("/hook"), oauth2(&receiver.url("/token")), AMPLE));
    for attempt in 1..=2 {
        assert_eq!(status(&call(&caller, &target, attempt).await), 200);
    }
    assert_eq!(authorizations(&receiver), ["Bearer t1", "Bearer t2"]);
}

#[tokio::test]
async fn a_token_that_was_withdrawn_is_replaced_within_the_call() {
    let receiver = receiver(3600).await;
    let (caller, target) = (caller(&[], true), with(&receiver.url("/hook"), oauth2(&receiver.url("/token")), AMPLE));
    assert_eq!(status(&call(&caller, &target, 1).await), 200);
    receiver.script("/hook", |call| Answer::status(if call.header("authorization") == Some("Bearer t1") { 401 } else { 200 }));
    assert_eq!(status(&call(&caller, &target, 2).await), 200);
    assert_eq!(authorizations(&receiver), ["Bearer t1", "Bearer t1", "Bearer t2"]);
    // A new token that is not taken either: the receiver means it.
    receiver.script("/hook", |_| Answer::status(401));
    let refused = call(&caller, &target, 3).await;
    assert_eq!((status(&refused), refused.verdict), (401, baton_domain::Verdict::Failed));
    assert_eq!(receiver.calls_at("/token").len(), 3);
}

#[tokio::test]
async fn without_a_token_nothing_is_sent_and_nothing_is_given_up() {
    let receiver = Receiver::start().await;
    let caller = caller(&[], true);
    let answers = [
        (Answer::status(401).body(r#"{"error":"invalid_client","error_description":"who?"}"#), "invalid_client"),
        (Answer::status(503), "answered 503"),
        (Answer::status(302).header("location", "http://127.0.0.1/"), "answered 302"),
        (Answer::ok().body("<html>"), "holds no token"),
        (Answer::ok().body("x".repeat(100_000)), "more than 64 KiB"),
        (Answer::reset(), "reset the connection"),
    ];
    for (answer, part) in answers {
        receiver.script("/token", move |_| answer.clone());
        let target = with(&receiver.url("/hook"), oauth2(&receiver.url("/token")), AMPLE);
        let outcome = call(&caller, &target, 1).await;
        assert_eq!(outcome.verdict, baton_domain::Verdict::Retry { after: None }, "{part}");
        let why = outcome.error.unwrap();
        assert!(why.contains(part) && !why.contains("c ret"), "{part}: {why}");
    }
    receiver.script("/token", |_| Answer::hang());
    let slow = call(&caller, &with(&receiver.url("/hook"), oauth2(&receiver.url("/token")), BRIEF), 1).await;
    assert!(slow.error.unwrap().contains("no token"));
    assert!(receiver.calls_at("/hook").is_empty());
}

#[tokio::test]
async fn a_token_server_passes_the_address_policy_too() {
    let receiver = receiver(3600).await;
    let strict = caller(&["127.0.0.0/8"], false);
    let target = with(&receiver.url("/hook"), oauth2("http://[::1]:9/token"), AMPLE);
    let outcome = call(&strict, &target, 1).await;
    assert_eq!(outcome.verdict, baton_domain::Verdict::Failed);
    let why = outcome.error.unwrap();
    assert!(why.contains("auth.token_url") && why.contains("BATON_ALLOW_TARGETS"), "{why}");
    let errors = strict.inspect_connection(Some(&oauth2("http://[::1]:9/token")), None).await;
    assert_eq!(errors.0[0].field, "auth.token_url");
}

#[tokio::test]
async fn what_a_receiver_repeats_of_credentials_is_not_kept() {
    let receiver = Receiver::start().await;
    receiver.script("/hook", |call| {
        let (authorization, key) = (call.header("authorization").unwrap(), call.header("x-key").unwrap());
        let body = format!("no entry for {authorization}, which is billing:correct horse, nor for {key}; attempt 1");
        Answer::status(302).header("location", &format!("/login?key={key}")).header("x-seen", authorization).body(body)
    });
    let auth = Auth::Basic { username: "billing".into(), password: "correct horse".into() };
    let headers = vec![("X-Key".to_owned(), "k-123456789".to_owned())];
    let opened = Opened { auth: Some(auth), headers, ..Opened::default() };
    let target = Target::new(&spec(&receiver.url("/hook"), AMPLE), opened).unwrap();
    let outcome = call(&caller(&[], true), &target, 1).await;
    let kept = format!("{:?} {:?}", outcome.error, outcome.response);
    for secret in ["k-123456789", "correct horse", "YmlsbGluZzpjb3JyZWN0IGhvcnNl"] {
        assert!(!kept.contains(secret), "{kept}");
    }
    assert!(kept.contains("no entry for ••••, which is ••••, nor for ••••; attempt 1"), "{kept}");
}
