//! `baton rekey`: the key of the secrets is changed, and nothing else.

use std::fs;

use baton_testkit::{Program, Receiver};
use serde_json::json;

use crate::rig::bodies::{event, http, with};
use crate::rig::{Api, Embedded, Installation, SOON, Services};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A handler with a header, a signing secret and a password.
fn with_secrets(url: &str) -> serde_json::Value {
    let auth = json!({"type": "basic", "username": "baton", "password": "pass"});
    with(http("CRM", "clients.create", url), json!({"headers": {"x-key": "k"}, "secret": SECRET, "auth": auth}))
}

/// Publishes an event, and checks that it comes with all three.
async fn still_called_with_its_secrets(api: &Api, receiver: &Receiver, calls: usize) {
    let id = api.publish(&event("clients.create", 1, json!({}))).await;
    assert_eq!(api.finished(&id).await["status"], "delivered");
    let all = receiver.calls_at("/hook");
    assert_eq!(all.len(), calls);
    let call = &all[calls - 1];
    assert_eq!((call.header("x-key"), call.header("authorization")), (Some("k"), Some("Basic YmF0b246cGFzcw==")));
    standardwebhooks::Webhook::new(SECRET).unwrap().verify(&call.body, &call.headers).unwrap();
}

#[tokio::test]
async fn the_embedded_default_makes_a_new_key() {
    let receiver = Receiver::start().await;
    let mut baton = Embedded::start().await;
    let id = baton.api.create_live([with_secrets(&receiver.url("/hook"))]).await[0];
    still_called_with_its_secrets(&baton.api, &receiver, 1).await;
    let data = baton.data();
    let rekey = || Program::named("baton").args(["rekey"]).env("BATON_DATA_DIR", &data).run(SOON);

    // Not beside a process that has the old key in memory.
    let elsewhere = data.join("mistyped");
    let mistyped = Program::named("baton").args(["rekey"]).env("BATON_DATA_DIR", &elsewhere).run(SOON).await;
    assert!(mistyped.stderr.contains("there is no database") && !elsewhere.exists(), "{}", mistyped.stderr);
    let refused = rekey().await;
    assert!(!refused.status.success() && refused.stderr.contains("another baton process"), "{}", refused.stderr);

    let key = || fs::read_to_string(data.join("secret-key")).unwrap();
    let before = key();
    baton.process.terminate(SOON).await;
    let said = rekey().await;
    assert!(said.status.success(), "{}", said.stderr);
    assert_eq!(said.stdout.trim(), "Sealed 3 secrets anew, in 1 handlers and 1 generations.");
    assert_ne!(key(), before);
    assert!(!data.join("secret-key.next").exists());

    baton.process.restart().await;
    assert_eq!(baton.api.handler(id).await["live"], "live");
    still_called_with_its_secrets(&baton.api, &receiver, 2).await;
}

#[tokio::test]
async fn a_change_that_was_cut_off_is_served_by_both_keys() {
    let receiver = Receiver::start().await;
    let mut baton = Embedded::start().await;
    baton.api.create_live([with_secrets(&receiver.url("/hook"))]).await;
    baton.process.terminate(SOON).await;
    let data = baton.data();
    let rekey = || Program::named("baton").args(["rekey"]).env("BATON_DATA_DIR", &data).run(SOON);
    let (present, next) = (data.join("secret-key"), data.join("secret-key.next"));
    let before = fs::read(&present).unwrap();
    assert!(rekey().await.status.success());
    // As if it had ended between the database and the folder.
    fs::rename(&present, &next).unwrap();
    fs::write(&present, before).unwrap();

    baton.process.restart().await;
    still_called_with_its_secrets(&baton.api, &receiver, 1).await;
    baton.process.terminate(SOON).await;
    let said = rekey().await;
    assert!(said.stdout.contains("Sealed 0 secrets anew") && !next.exists(), "{}{}", said.stdout, said.stderr);
    baton.process.restart().await;
    still_called_with_its_secrets(&baton.api, &receiver, 2).await;
}

#[tokio::test]
async fn services_change_keys_while_they_run() {
    let receiver = Receiver::start().await;
    let keys = [1_u8, 2].map(|byte| base64(&[byte; 32]));
    let installation = Installation::new().await.set("BATON_SECRET_KEY", &keys[0]).set("BATON_SECRET_KEYS_BEFORE", &keys[1]);
    let services = Services::start(installation, 1).await;
    services.api.create_live([with_secrets(&receiver.url("/hook"))]).await;
    services.live_everywhere().await;
    still_called_with_its_secrets(&services.api, &receiver, 1).await;

    let rekey = |key: &str, before: Option<&str>| {
        let program = services.installation.program("baton").args(["rekey"]).env("BATON_SECRET_KEY", key);
        program.env("BATON_SECRET_KEYS_BEFORE", before.unwrap_or_default()).run(SOON)
    };
    let missing = rekey(&keys[1], None).await;
    assert!(!missing.status.success() && missing.stderr.contains("BATON_SECRET_KEYS_BEFORE"), "{}", missing.stderr);
    let strange = rekey(&keys[1], Some(&base64(&[3; 32]))).await;
    assert!(!strange.status.success() && strange.stderr.contains("nothing was changed"), "{}", strange.stderr);
    let said = rekey(&keys[1], Some(&keys[0])).await;
    assert!(said.status.success() && said.stdout.contains("Sealed 3 secrets anew"), "{}{}", said.stdout, said.stderr);
    // Those that run go on, and what starts with the new key alone does as well.
    still_called_with_its_secrets(&services.api, &receiver, 2).await;
    let lone = services.installation.set("BATON_SECRET_KEY", &keys[1]).set("BATON_SECRET_KEYS_BEFORE", "");
    let api = lone.start("baton-api").await;
    assert_eq!(lone.api(&api).get("/v1/handlers").await["items"][0]["live"], "live");
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
