//! Filters, limits, and how a handler is connected to: kept, compared with what is live, never shown where they are secret.

use baton_domain::HandlerId;
use baton_domain::handler::HandlerSpec;
use serde_json::{Value, json};

use crate::app::{TestApp, on_both};

const URL: &str = "https://127.0.0.1:5000/api";

fn path(handler: &Value) -> String {
    format!("/v1/handlers/{}", handler["id"])
}

/// What is sealed of a handler, opened.
async fn opened(app: &TestApp, handler: &Value) -> Vec<String> {
    let stored = app.store.handler(HandlerId(handler["id"].as_i64().unwrap())).await.unwrap().unwrap();
    let mut spec: HandlerSpec = stored.spec;
    spec.sealed_mut().map(|sealed| app.vault.open(sealed).unwrap()).collect()
}

/// A certificate and its key in PEM.
fn signed() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["baton.example".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

on_both! {
    async fn what_was_read_can_be_sent_back_and_secrets_are_kept(app) {
        let (certificate, key) = signed();
        let auth = json!({"type": "oauth2", "token_url": "https://127.0.0.1:9/token", "client_id": "baton", "client_secret": "s3cret", "scope": "a b"});
        let tls = json!({"ca": certificate, "client_certificate": certificate, "client_key": key});
        let sent = json!({"filter": "data.balance < 0", "limits": {"concurrency": 4, "per_second": 20}, "auth": auth, "tls": tls});
        let created = app.handler(URL, sent).await;
        assert_eq!(created["filter"], "data.balance < 0");
        assert_eq!(created["limits"], json!({"concurrency": 4, "per_second": 20}));
        assert_eq!(created["auth"], json!({"type": "oauth2", "token_url": "https://127.0.0.1:9/token", "client_id": "baton", "client_secret": null,
            "password": null, "scope": "a b", "credentials_in": "header"}));
        assert_eq!(created["tls"], json!({"ca": certificate, "client_certificate": certificate, "client_key": null, "verify": true}));
        let everything = app.get(&path(&created)).await.text + &app.get("/v1/handlers").await.text;
        assert!(!everything.contains("s3cret") && !everything.contains("PRIVATE KEY"));
        assert_eq!(opened(&app, &created).await, ["s3cret", &key]);

        app.restart().await;
        let mut again = app.get(&path(&created)).await.ok();
        again["notes"] = json!("n");
        let saved = app.put(&path(&created), &again).await.ok();
        assert_eq!((&saved["live"], opened(&app, &created).await), (&json!("live"), vec!["s3cret".to_owned(), key]));

        let edit = json!({"filter": null, "limits": {"per_second": null}, "auth": {"client_secret": "other", "scope": null}, "tls": {"verify": false}});
        let edited = app.patch(&path(&created), &edit).await.ok();
        assert_eq!((&edited["filter"], &edited["limits"]), (&Value::Null, &json!({"concurrency": 4, "per_second": null})));
        assert_eq!((edited["auth"].get("scope"), &edited["tls"]["verify"], &edited["live"]), (None, &json!(false), &json!("changed")));
        let pending = app.get("/v1/cache").await;
        assert!(!pending.text.contains("other\""), "{}", pending.text);
        let fields: Vec<_> = pending.ok()["pending"]["changed"][0]["fields"].as_array().unwrap().iter()
            .map(|f| f["field"].as_str().unwrap().to_owned()).collect();
        assert_eq!(fields, ["filter", "limits.per_second", "auth.scope", "auth.client_secret", "tls.verify"]);

        let cleared = app.patch(&path(&created), &json!({"auth": null, "tls": null})).await.ok();
        assert_eq!((&cleared["auth"], &cleared["tls"]), (&Value::Null, &Value::Null));
        assert!(opened(&app, &created).await.is_empty());
    }
}

#[tokio::test]
async fn a_stored_secret_is_not_sent_elsewhere() {
    let app = TestApp::sqlite().await;
    let oauth2 = |url: &str, secret: Value| json!({"auth": {"type": "oauth2", "token_url": url, "client_id": "b", "client_secret": secret}});
    let created = app.handler(URL, oauth2("https://127.0.0.1:9/token", json!("s"))).await;
    let refused = app.patch(&path(&created), &json!({"auth": {"token_url": "https://127.0.0.1:10/token"}})).await;
    assert!(refused.said_of("auth.client_secret").contains("token_url"));
    app.patch(&path(&created), &oauth2("https://127.0.0.1:10/token", json!("t"))).await.ok();
    assert_eq!(opened(&app, &created).await, ["t"]);
    // Nor does one become a password.
    let basic = json!({"auth": {"type": "basic", "username": "b"}});
    assert!(app.patch(&path(&created), &basic).await.said_of("auth.password").contains("is required"));
}

#[tokio::test]
async fn everything_wrong_is_said_at_once() {
    let app = TestApp::sqlite().await;
    let form = |more: Value| {
        let mut form = json!({"name": "n", "event": "clients.create", "task": {"type": "http", "url": URL}});
        form.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        form
    };
    let cases = [
        (
            json!({"filter": "data.balance <", "limits": {"concurrency": 0, "per_second": 10_001}}),
            vec!["filter", "limits.concurrency", "limits.per_second"],
        ),
        (json!({"limits": {"per_minute": 1}}), vec!["limits.per_minute"]),
        (json!({"auth": {}}), vec!["auth.type"]),
        (json!({"auth": {"type": "digest"}}), vec!["auth.type"]),
        (json!({"auth": {"type": "basic", "token_url": "x"}}), vec!["auth.token_url", "auth.username"]),
        (json!({"auth": {"type": "basic", "username": "u"}}), vec!["auth.password"]),
        (
            json!({"auth": {"type": "basic", "username": "u", "password": "p"}, "headers": {"Authorization": "x"}}),
            vec!["headers.Authorization"],
        ),
        (
            json!({"auth": {"type": "oauth2", "token_url": "http://10.0.0.1/", "client_id": "c", "client_secret": "s"}}),
            vec!["auth.token_url"],
        ),
        (json!({"tls": {"ca": "none", "verify": "no"}}), vec!["tls.ca", "tls.verify"]),
        (json!({"tls": {"ca": "none"}}), vec!["tls.ca"]),
        (json!({"tls": {"ca": "-----BEGIN CERTIFICATE-----\n!"}}), vec!["tls.ca"]),
        (json!({"tls": {"client_certificate": signed().0}}), vec!["tls.client_key"]),
        (json!({"tls": {"client_certificate": signed().0, "client_key": signed().1}}), vec!["tls"]),
        (json!({"task": {"type": "http", "url": "http://127.0.0.1/"}, "tls": {"verify": true}}), vec!["tls"]),
    ];
    for (more, fields) in cases {
        let mut refused = app.post("/v1/handlers", &form(more.clone())).await.refused();
        refused.sort();
        assert_eq!(refused, fields, "{more}");
    }
}

#[tokio::test]
async fn a_filter_is_tried_on_a_sample_or_on_what_is_sent() {
    let app = TestApp::sqlite().await;
    let test = async |body: Value| app.post("/v1/filters/test", &body).await;
    let sample = json!({"events_id": "clients.create"});
    let wanted = test(json!({"filter": "data.credit > 100", "event": sample})).await.ok();
    assert_eq!(
        (&wanted["wanted"], &wanted["error"], &wanted["body"]["data"]["credit"]),
        (&json!(true), &Value::Null, &json!(250.0))
    );
    let sent = json!({"filter": "data.a == 1 && event.object_id == 'x'", "event": {"events_id": "clients.create", "object_id": "x"}, "data": {"a": 2}});
    assert_eq!(test(sent).await.ok()["wanted"], false);
    let unknown = test(json!({"filter": "data.nothing == 1", "event": sample})).await.ok();
    assert_eq!(unknown["wanted"], Value::Null);
    assert!(unknown["error"].as_str().unwrap().contains("has(…)"), "{unknown}");
    assert!(test(json!({"filter": "datum.x", "event": sample})).await.said_of("filter").contains("datum"));
    assert_eq!(test(json!({"filter": "true", "event": {"events_id": "no.such"}})).await.refused(), ["event"]);
}

on_both! {
    async fn explain_asks_the_filters_of_what_is_given(app) {
        for (name, filter) in [("small", "data.n < 10"), ("large", "data.n > 10"), ("odd", "data.other == 1")] {
            app.handler(URL, json!({"name": name, "filter": filter})).await;
        }
        app.restart().await;
        let explain = async |body: Value| app.post("/v1/events/explain", &body).await.ok();
        let names = |stages: &Value| stages[0]["handlers"].as_array().map(|all| all.iter().map(|h| h["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>());
        let given = explain(json!({"event": {"events_id": "clients.create", "object_id": 1}, "data": {"n": 5}})).await;
        assert_eq!((names(&given["live"]), names(&given["saved"])), (Some(vec!["small".into()]), Some(vec!["small".into()])));
        let reasons: Vec<_> = given["unwanted"].as_array().unwrap().iter().map(|h| (h["name"].as_str().unwrap(), h["reason"].as_str().unwrap())).collect();
        assert_eq!(reasons.len(), 4);
        assert_eq!(reasons[0], ("large", "live: its filter does not want this event (data.n > 10)"));
        assert!(reasons[2].0 == "odd" && reasons[2].1.contains("dead letter"), "{reasons:?}");
        // Without data nothing can be asked, and every handler is shown with its filter.
        let all = explain(json!({"event": {"events_id": "clients.create"}})).await;
        assert_eq!((all["live"][0]["handlers"].as_array().unwrap().len(), &all["unwanted"]), (3, &json!([])));
        assert_eq!(all["live"][0]["handlers"][0]["filter"], "data.n < 10");
    }
}
