// cargo add axum serde_json standardwebhooks && cargo add tokio --features full; CRM_WEBHOOK_SECRET=whsec_… cargo run
use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use standardwebhooks::Webhook;

struct Receiver {
    webhook: Webhook,
    done: Mutex<HashSet<Vec<u8>>>, // in earnest: a table with a unique key, written together with the work
}

async fn hooks(State(receiver): State<Arc<Receiver>>, headers: HeaderMap, body: Bytes) -> (StatusCode, Json<Value>) {
    if let Err(error) = receiver.webhook.verify(&body, &headers) {
        return (StatusCode::UNAUTHORIZED, Json(json!({"error": error.to_string()})));
    }
    let Ok(event) = serde_json::from_slice::<Value>(&body) else {
        return (StatusCode::BAD_REQUEST, Json(json!({"error": "not JSON"})));
    };
    let call = headers["webhook-id"].as_bytes();
    let mut done = receiver.done.lock().unwrap();
    if done.contains(call) {
        return (StatusCode::OK, Json(json!({"ok": true, "repeated": true})));
    }
    println!("{} {}", event["event"]["events_id"], event["data"]);
    done.insert(call.to_vec());
    (StatusCode::OK, Json(json!({"ok": true})))
}

#[tokio::main]
async fn main() {
    let secret = std::env::var("CRM_WEBHOOK_SECRET").expect("CRM_WEBHOOK_SECRET is set");
    let receiver = Receiver { webhook: Webhook::new(&secret).expect("the secret is base64"), done: Mutex::default() };
    let router = Router::new().route("/hooks", post(hooks)).with_state(Arc::new(receiver));
    let listen = std::env::var("LISTEN").unwrap_or("127.0.0.1:5001".into());
    let listener = tokio::net::TcpListener::bind(listen).await.unwrap();
    axum::serve(listener, router).await.unwrap();
}
