//! The OpenAPI document, before public tools: a validator, and a generator of clients.

use baton_testkit::Receiver;
use reqwest::Method;
use serde_json::Value;

use crate::rig::python::{environment, finish, script};
use crate::rig::{Embedded, SOON};

const TOOLS: &[&str] = &["openapi-spec-validator==0.9.0", "openapi-python-client==0.29.1"];

#[tokio::test]
async fn the_document_validates_and_a_generated_client_works() {
    let tools = environment("openapi", TOOLS).await;
    let receiver = Receiver::start().await;
    let baton = Embedded::start().await;
    let folder = tempfile::tempdir().unwrap();
    let document = baton.api.send(baton.api.anonymous(Method::GET, "/openapi.json")).await;
    assert_eq!(document.header("content-type"), "application/json");
    assert!(document.expect(200)["openapi"].as_str().unwrap().starts_with("3.1"));
    let file = folder.path().join("openapi.json");
    std::fs::write(&file, &document.text).unwrap();

    let mut validate = tools.command("openapi-spec-validator");
    validate.arg(&file);
    finish(validate, "validate the document").await;

    let mut generate = tools.command("openapi-python-client");
    generate.args(["generate", "--meta", "none", "--fail-on-warning", "--path"]).arg(&file);
    generate.arg("--output-path").arg(folder.path().join("baton_client")).current_dir(folder.path());
    finish(generate, "generate a client").await;

    let mut client = tools.command("python");
    client.arg(script("generated_client.py")).arg(folder.path()).args([
        baton.api.url(),
        baton.api.token(),
        &receiver.url("/hook"),
    ]);
    assert_eq!(finish(client, "use the generated client").await.trim(), "done");
    assert_eq!(receiver.wait_for(SOON, "/hook", 1).await.len(), 1);
}

#[tokio::test]
async fn the_document_that_is_served_is_the_one_that_is_printed() {
    let baton = Embedded::start().await;
    let served = baton.api.send(baton.api.anonymous(Method::GET, "/openapi.json")).await.expect(200);
    let printed = baton_testkit::Program::named("baton-api").args(["openapi"]).run(SOON).await;
    assert!(printed.status.success() && printed.stderr.is_empty(), "{}", printed.stderr);
    assert_eq!(serde_json::from_str::<Value>(&printed.stdout).unwrap(), served);
}
