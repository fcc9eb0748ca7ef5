//! Signing secrets and header values: sealed, never shown again, two valid during a rotation.

use baton_domain::HandlerId;
use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};

use crate::app::{TestApp, on_both};

const URL: &str = "http://127.0.0.1:5000/api";
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// The secrets as they are stored, opened, and whether each ends.
async fn secrets(app: &TestApp, handler: &Value) -> Vec<(String, bool)> {
    let stored = app.store.handler(HandlerId(handler["id"].as_i64().unwrap())).await.unwrap().unwrap();
    let opened = stored.spec.secrets.iter().map(|secret| (app.vault.open(&secret.sealed).unwrap(), secret.valid_until.is_some()));
    opened.collect()
}

on_both! {
    async fn a_generated_secret_is_shown_once(app) {
        let created = app.handler(URL, json!({"secret": "generate"})).await;
        let secret = created["secret"].as_str().unwrap();
        assert!(secret.starts_with("whsec_") && secret.len() > 40, "{secret}");
        let path = format!("/v1/handlers/{}", created["id"]);
        let text = app.get(&path).await.text + &app.get("/v1/handlers").await.text;
        assert!(!text.contains("whsec_") && !text.contains("\"secret\""), "{text}");
        assert_eq!(secrets(&app, &created).await, [(secret.to_owned(), false)]);
        assert_eq!(app.patch(&path, &json!({"notes": "n"})).await.ok().get("secret"), None);
        assert_eq!(secrets(&app, &created).await.len(), 1);
    }
}

on_both! {
    async fn a_rotation_keeps_the_one_before_for_a_day(app) {
        let created = app.handler(URL, json!({"secret": SECRET})).await;
        assert_eq!((created.get("secret"), &created["secrets_valid"]), (None, &json!(1)));
        let path = format!("/v1/handlers/{}", created["id"]);
        let rotated = app.patch(&path, &json!({"secret": OTHER})).await.ok();
        assert_eq!(rotated["secrets_valid"], 2);
        assert_eq!(secrets(&app, &created).await, [(OTHER.to_owned(), false), (SECRET.to_owned(), true)]);
        let stored = app.store.handler(HandlerId(created["id"].as_i64().unwrap())).await.unwrap().unwrap();
        let left = stored.spec.secrets[1].valid_until.unwrap() - Utc::now();
        assert!(left > TimeDelta::hours(23) && left <= TimeDelta::hours(24), "{left}");
        // At most two: the third pushes the first out.
        let generated = app.patch(&path, &json!({"secret": "generate"})).await.ok();
        let new = generated["secret"].as_str().unwrap().to_owned();
        assert_eq!(secrets(&app, &created).await, [(new, false), (OTHER.to_owned(), true)]);
        let cleared = app.patch(&path, &json!({"secret": null})).await.ok();
        assert_eq!((&cleared["secrets_valid"], secrets(&app, &created).await.len()), (&json!(0), 0));
    }
}

on_both! {
    async fn of_a_key_pair_the_public_half_is_shown_and_nothing_else(app) {
        let created = app.handler(URL, json!({"secret": "generate_ed25519"})).await;
        let [(secret, _)] = &secrets(&app, &created).await[..] else { panic!("one") };
        assert!(secret.starts_with("whsk_") && !created.to_string().contains(&secret[5..]), "{created}");
        let first = created["public_keys"][0].as_str().unwrap();
        assert!(first.starts_with("whpk_") && created.get("secret").is_none(), "{created}");
        let path = format!("/v1/handlers/{}", created["id"]);
        let given = "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
        let rotated = app.patch(&path, &json!({"secret": given})).await.ok();
        assert_eq!(rotated["public_keys"], json!(["whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", first]));
        // What was read can be sent back.
        let mut again = app.get(&path).await.ok();
        again["notes"] = json!("n");
        assert_eq!(app.put(&path, &again).await.ok()["public_keys"], rotated["public_keys"]);
        let twice = "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2CdYbGd7/1aYLqESvSS7CzEREnFaXsyaRlwO6wDHK5/YA==";
        let refused = app.patch(&path, &json!({"secret": twice})).await.problem(422, "validation_failed");
        assert!(refused.to_string().contains("does not belong to its seed"), "{refused}");
        assert_eq!(app.patch(&path, &json!({"secret": null})).await.ok().get("public_keys"), None);
    }
}

on_both! {
    async fn the_same_secret_and_value_again_change_nothing(app) {
        let created = app.handler(URL, json!({"secret": SECRET, "headers": {"x-key": "k"}})).await;
        app.restart().await;
        let path = format!("/v1/handlers/{}", created["id"]);
        let again = app.patch(&path, &json!({"secret": SECRET, "headers": {"X-Key": "k"}})).await.ok();
        assert_eq!((&again["live"], &again["secrets_valid"]), (&json!("live"), &json!(1)));
        let changed = app.patch(&path, &json!({"secret": OTHER, "headers": {"x-key": "other"}})).await.ok();
        assert_eq!(changed["live"], "changed");
        let pending = app.get("/v1/cache").await.ok();
        let fields = &pending["pending"]["changed"][0]["fields"];
        assert_eq!(fields, &json!([
            {"field": "headers.x-key", "live": "set", "saved": "set to another value"},
            {"field": "secret", "live": "set", "saved": "set to another value"},
        ]));
    }
}

on_both! {
    async fn nothing_secret_is_stored_or_shown_in_the_clear(app) {
        let created = app.handler(URL, json!({"secret": SECRET, "headers": {"authorization": "Bearer hunter2"}})).await;
        app.restart().await;
        let stored = format!("{:?}", app.store.handler(HandlerId(created["id"].as_i64().unwrap())).await.unwrap().unwrap());
        let live = format!("{:?}", app.cache.live().unwrap());
        for text in [stored, live, app.get("/v1/handlers").await.text, app.get("/v1/cache").await.text] {
            assert!(!text.contains("hunter2") && !text.contains(SECRET), "{text}");
        }
    }
}
