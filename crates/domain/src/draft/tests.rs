use proptest::prelude::*;

use super::*;
use crate::connection::CredentialsIn;

fn form() -> HandlerForm {
    HandlerForm {
        name: Some("CRM".into()),
        event: Some("clients.create".into()),
        task: Some(Task::Http { url: "http://crm.lan:8080/api".into() }),
        ..HandlerForm::default()
    }
}

fn refused(form: HandlerForm) -> Vec<String> {
    form.check(&Catalogue::default()).map_or_else(|e| e.0.into_iter().map(|e| e.field).collect(), |_| Vec::new())
}

#[test]
fn the_defaults_are_those_of_the_contract() {
    let draft = form().check(&Catalogue::default()).unwrap();
    assert_eq!((draft.priority, draft.timeout_ms, draft.on_failure), (100, 10_000, OnFailure::Continue));
    assert_eq!((draft.status, draft.retry, draft.lane), (HandlerStatus::Enabled, RetryPolicy::default(), None));
}

#[test]
fn everything_wrong_is_said_at_once() {
    assert_eq!(refused(HandlerForm::default()), ["name", "event", "task"]);
    let wrong = HandlerForm {
        name: Some(" ".into()),
        event: Some("no.such".into()),
        task: Some(Task::Http { url: "ftp://x".into() }),
        priority: Some(0),
        timeout_ms: Some(99),
        retry: (Some(0), Some(5000), Some(1000)),
        lane: Some(String::new()),
        headers: BTreeMap::from([("Host".into(), None), ("a b".into(), None), ("x".into(), Some("é".into()))]),
        secret: SecretChange::Set("whsec_short".into()),
        notes: Some("\0".into()),
        ..HandlerForm::default()
    };
    let fields = ["name", "event", "task.url", "priority", "timeout_ms", "retry.max_attempts", "lane"];
    let rest = ["headers.Host", "headers.a b", "headers.x", "secret", "notes"];
    assert_eq!(refused(wrong), [&fields[..], &rest[..]].concat());
}

#[test]
fn tasks_are_checked_by_form() {
    let url = |url: &str| refused(HandlerForm { task: Some(Task::Http { url: url.into() }), ..form() });
    for bad in ["", "crm.lan/api", "http://", "http://u:p@crm.lan/", "http://crm.lan:0/", "file:///etc/passwd", "http://a b/"] {
        assert_eq!(url(bad), ["task.url"], "{bad}");
    }
    for good in ["http://crm.lan", "https://[2001:db8::1]:8443/x?y=z", "http://127.0.0.1:5000/api"] {
        assert!(url(good).is_empty(), "{good}");
    }
    let path = |path: &str| refused(HandlerForm { task: Some(Task::Script { path: path.into(), args: vec![] }), ..form() });
    for bad in ["", "/etc/passwd", "../x", "a/../b", "a//b", "./a", "a/", "a\0b"] {
        assert_eq!(path(bad), ["task.path"], "{bad:?}");
    }
    assert!(path("vcs/script.py").is_empty());
}

#[test]
fn a_lane_that_is_the_target_is_the_default() {
    let draft = HandlerForm { lane: Some("http://crm.lan:8080/api".into()), ..form() }.check(&Catalogue::default()).unwrap();
    assert_eq!(draft.lane, None);
}

#[test]
fn secrets_are_for_http_and_long_enough() {
    let secret = |s: &str| refused(HandlerForm { secret: SecretChange::Set(s.into()), ..form() });
    assert!(secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").is_empty());
    for bad in ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS!"] {
        assert_eq!(secret(bad), ["secret"], "{bad}");
    }
    assert!(secret("whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=").is_empty());
    assert_eq!(secret("whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), ["secret"]);
    let script = HandlerForm { task: Some(Task::Script { path: "a.sh".into(), args: vec![] }), ..form() };
    assert_eq!(refused(HandlerForm { secret: SecretChange::Generate, ..script }), ["secret"]);
}

proptest! {
    #[test]
    fn any_form_is_checked_without_a_panic(
        name in ".{0,300}", event in ".{0,40}", url in ".{0,80}", priority: i64, timeout: i64,
        retry: (Option<i64>, Option<i64>, Option<i64>), lane in proptest::option::of(".{0,20}"),
        headers in proptest::collection::btree_map(".{0,20}", proptest::option::of(".{0,20}"), 0..4), secret in ".{0,60}",
    ) {
        let form = HandlerForm {
            name: Some(name), event: Some(event), task: Some(Task::Http { url }), priority: Some(priority),
            timeout_ms: Some(timeout), retry, lane, headers, secret: SecretChange::Set(secret), ..HandlerForm::default()
        };
        if let Err(errors) = form.check(&Catalogue::default()) {
            prop_assert!(!errors.0.is_empty());
        }
    }
}

#[test]
fn a_filter_is_read_when_it_is_saved() {
    let filter = |text: &str| refused(HandlerForm { filter: Some(text.into()), ..form() });
    assert!(filter("data.balance < 0").is_empty());
    assert_eq!(filter("data.balance <"), ["filter"]);
}

#[test]
fn limits_have_ranges() {
    let limits = |at_once, a_second| HandlerForm { limits: (at_once, a_second), ..form() };
    let draft = limits(Some(4), None).check(&Catalogue::default()).unwrap();
    assert_eq!((draft.limits.concurrency, draft.limits.per_second), (Some(4), None));
    assert_eq!(refused(limits(Some(0), Some(10_001))), ["limits.concurrency", "limits.per_second"]);
}

#[test]
fn who_baton_is_there_is_checked_field_by_field() {
    let basic =
        |username: &str, password: Option<&str>| Auth::Basic { username: username.into(), password: password.map(Into::into) };
    let auth = |auth| HandlerForm { auth: Some(auth), ..form() };
    assert!(refused(auth(basic("crm", None))).is_empty());
    assert_eq!(refused(auth(basic("a:b", Some("a\nb")))), ["auth.username", "auth.password"]);
    let oauth2 = |token_url: &str| Auth::Oauth2 {
        token_url: token_url.into(),
        client_id: "baton".into(),
        client_secret: Some("s".into()),
        scope: Some(" ".into()),
        audience: None,
        credentials_in: CredentialsIn::Header,
    };
    assert_eq!(refused(auth(oauth2("ftp://login.example"))), ["auth.token_url", "auth.scope"]);
    let both = HandlerForm { headers: BTreeMap::from([("Authorization".into(), Some("x".into()))]), ..auth(basic("crm", None)) };
    assert_eq!(refused(both), ["headers.Authorization"]);
    let script = HandlerForm { task: Some(Task::Script { path: "a.sh".into(), args: vec![] }), ..auth(basic("crm", None)) };
    assert_eq!(refused(script), ["auth"]);
}

#[test]
fn tls_is_for_https_and_whole() {
    let tls = |url: &str, tls| HandlerForm { task: Some(Task::Http { url: url.into() }), tls: Some(tls), ..form() };
    let none = Tls { ca: None, client_certificate: None, client_key: None, verify: true };
    let pem = |label: &str| format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n");
    assert!(refused(tls("https://crm.lan/", Tls { verify: false, ..none.clone() })).is_empty());
    assert_eq!(refused(tls("http://crm.lan/", Tls { verify: false, ..none.clone() })), ["tls"]);
    assert_eq!(refused(tls("https://crm.lan/", Tls { ca: Some("x".into()), ..none.clone() })), ["tls.ca"]);
    let with_key = Some(pem("CERTIFICATE") + &pem("RSA PRIVATE KEY"));
    assert_eq!(refused(tls("https://crm.lan/", Tls { ca: with_key, ..none.clone() })), ["tls.ca"]);
    let key = pem("PRIVATE KEY");
    for beside in
        [key.replace("-----", "----"), key.to_lowercase(), key.replace("BEGIN ", "BEGIN\t"), "AAAA\n".into(), "# AAAA\n".into()]
    {
        for text in [
            pem("CERTIFICATE") + &beside,
            beside.clone() + &pem("CERTIFICATE"),
            pem("CERTIFICATE").replace("AAAA\n", &beside.replace("AAAA", "#")),
        ] {
            assert_eq!(refused(tls("https://crm.lan/", Tls { ca: Some(text.clone()), ..none.clone() })), ["tls.ca"], "{text}");
        }
    }
    let two = Some(pem("CERTIFICATE").replace('\n', "\r\n") + "\n" + &pem("CERTIFICATE"));
    assert!(refused(tls("https://crm.lan/", Tls { ca: two, ..none.clone() })).is_empty());
    let shown = Some(pem("CERTIFICATE"));
    assert_eq!(refused(tls("https://crm.lan/", Tls { client_certificate: shown.clone(), ..none.clone() })), ["tls.client_key"]);
    assert_eq!(refused(tls("https://crm.lan/", Tls { client_key: Some(None), ..none.clone() })), ["tls.client_certificate"]);
    let key = Some(Some(pem("PRIVATE KEY")));
    assert!(refused(tls("https://crm.lan/", Tls { client_certificate: shown, client_key: key, ..none })).is_empty());
}
