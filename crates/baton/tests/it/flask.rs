//! The Flask application of the Provisioning documentation as a handler.

use baton_testkit::free_port;
use serde_json::{Value, json};

use crate::rig::bodies::{event, http};
use crate::rig::{Embedded, ReceivingProgram, python};

#[tokio::test]
async fn the_application_of_the_documentation_is_a_handler_as_it_is() {
    let environment = python::environment("flask", &["flask==3.1.3"]).await;
    let port = free_port();
    let mut command = environment.command("python");
    command.arg(python::script("flask_application.py")).arg(port.to_string());
    let _application = ReceivingProgram::start(command, port).await;

    let baton = Embedded::start().await;
    baton.api.create_live([http("Flask", "clients.create", format!("http://127.0.0.1:{port}/api"))]).await;
    let data = json!({"id": 4107, "name": "Nørthwind \"Voice\" 電話", "credit": 250.5, "tags": ["wholesale"], "parent": null});
    let mut published = event("clients.create", 4107, data);
    published["event"]["dt"] = json!("2026-03-04T09:15:27+00:00");
    let ended = baton.api.finished(&baton.api.publish(&published).await).await;

    assert_eq!(ended["status"], "delivered", "{ended}");
    let [execution] = ended["executions"].as_array().unwrap().as_slice() else { panic!("one call: {ended}") };
    assert_eq!((&execution["attempt"], &execution["response"]["status"]), (&json!(1), &json!(200)));
    let returned: Value = serde_json::from_str(execution["response"]["body"].as_str().unwrap()).unwrap();
    assert_eq!(returned, published, "it parsed what was posted, and returned it");
}
