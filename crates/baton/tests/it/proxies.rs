//! Proxies that are named in the environment see nothing: the address policy would be theirs, not ours.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use baton_testkit::{Program, Receiver};
use reqwest::Method;
use serde_json::json;
use tokio::net::TcpListener;

use crate::rig::Embedded;
use crate::rig::bodies::{event, http};

#[tokio::test]
async fn proxies_of_the_environment_are_not_used() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = format!("http://{}", listener.local_addr().unwrap());
    let seen = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&seen);
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    let mut program = Program::named("baton").args(["serve"]).env("NO_PROXY", "").env("no_proxy", "");
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        program = program.env(name, proxy.as_str());
    }
    let baton = Embedded::of(program).await;
    let receiver = Receiver::start().await;
    let id = baton.api.create_live([http("CRM", "clients.create", receiver.url("/crm"))]).await[0];
    let ended = baton.api.finished(&baton.api.publish(&event("clients.create", 1, json!({}))).await).await;
    assert_eq!(ended["status"], "delivered", "{ended}");
    let tested = baton.api.call(Method::POST, &format!("/v1/handlers/{id}/test"), &json!({})).await.expect(200);
    assert_eq!(tested["status"], "success", "{tested}");
    assert_eq!((receiver.calls_at("/crm").len(), seen.load(Ordering::SeqCst)), (2, 0));
}
