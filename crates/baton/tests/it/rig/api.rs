//! A client of the API that knows what the contract says, and no more.

use std::sync::Once;

use baton_testkit::eventually;
use reqwest::{Client, Method, RequestBuilder, redirect};
use serde_json::{Value, json};

use super::{Answer, SOON};

/// Speaks to one API with one token. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    client: Client,
    url: String,
    token: String,
}

impl Api {
    /// `url` is scheme, host and port.
    pub(crate) fn new(url: impl Into<String>, token: impl Into<String>) -> Self {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| {
            let _ = rustls::crypto::ring::default_provider().install_default();
        });
        // What the environment says about proxies is not meant for this machine's own address.
        let client = Client::builder().no_proxy().redirect(redirect::Policy::none()).timeout(SOON * 3).build().unwrap();
        Self { client, url: url.into(), token: token.into() }
    }

    /// The same API asked with another token.
    pub(crate) fn with_token(&self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self.clone() }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// A request with the token and nothing else.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token)
    }

    /// A request without a token.
    pub(crate) fn anonymous(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    /// Sends a request and reads the answer; an error where there is none.
    pub(crate) async fn try_send(&self, request: RequestBuilder) -> reqwest::Result<Answer> {
        let request = request.build()?;
        let asked = format!("{} {}", request.method(), request.url());
        let response = self.client.execute(request).await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Answer { asked, status, headers, text: response.text().await? })
    }

    /// Sends a request and reads the answer.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Answer {
        self.try_send(request).await.unwrap_or_else(|error| panic!("no answer from {}: {error:?}", self.url))
    }

    /// A call with a JSON body.
    pub(crate) async fn call(&self, method: Method, path: &str, body: &Value) -> Answer {
        self.call_text(method, path, body.to_string()).await
    }

    /// A call with a body that is said to be JSON.
    pub(crate) async fn call_text(&self, method: Method, path: &str, body: impl Into<String>) -> Answer {
        let request = self.request(method, path).header("content-type", "application/json");
        self.send(request.body(body.into())).await
    }

    /// `GET`, answered with 200.
    pub(crate) async fn get(&self, path: &str) -> Value {
        self.send(self.request(Method::GET, path)).await.expect(200)
    }

    /// `POST` without a body.
    pub(crate) async fn order(&self, path: &str) -> Answer {
        self.send(self.request(Method::POST, path)).await
    }

    /// Creates a handler; its id.
    pub(crate) async fn create(&self, handler: &Value) -> i64 {
        let created = self.call(Method::POST, "/v1/handlers", handler).await.expect(201);
        created["id"].as_i64().unwrap()
    }

    /// Creates handlers and makes them live; their ids.
    pub(crate) async fn create_live(&self, handlers: impl IntoIterator<Item = Value>) -> Vec<i64> {
        let mut ids = Vec::new();
        for handler in handlers {
            ids.push(self.create(&handler).await);
        }
        self.restart().await;
        ids
    }

    /// Edits a handler; as it is saved then.
    pub(crate) async fn edit(&self, id: i64, patch: &Value) -> Value {
        self.call(Method::PATCH, &format!("/v1/handlers/{id}"), patch).await.expect(200)
    }

    pub(crate) async fn handler(&self, id: i64) -> Value {
        self.get(&format!("/v1/handlers/{id}")).await
    }

    /// Waits for the generation that the very first start builds: what is saved from then on is not part of it.
    pub(crate) async fn first_generation(&self) {
        eventually(SOON, "the first generation", async || self.cache().await["generation"].as_i64()).await;
    }

    /// Restarts the Cache Manager and waits for the result.
    pub(crate) async fn restart(&self) -> Value {
        self.order("/v1/services/cache-manager/restart?wait=30").await.expect(200)
    }

    pub(crate) async fn rollback(&self, generation: i64) -> Value {
        self.call(Method::POST, "/v1/cache/rollback?wait=30", &json!({"generation": generation})).await.expect(200)
    }

    /// Publishes an event; its id.
    pub(crate) async fn publish(&self, event: &Value) -> String {
        let accepted = self.call(Method::POST, "/v1/events", event).await.expect(202);
        accepted["id"].as_str().unwrap().to_owned()
    }

    /// Publishes events all or none; their ids.
    pub(crate) async fn publish_batch(&self, events: &[Value]) -> Vec<String> {
        let accepted = self.call(Method::POST, "/v1/events/batch", &json!({"events": events})).await.expect(202);
        let items = accepted["items"].as_array().unwrap();
        assert_eq!(items.len(), events.len());
        items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
    }

    pub(crate) async fn cache(&self) -> Value {
        self.get("/v1/cache").await
    }

    pub(crate) async fn stats(&self) -> Value {
        self.get("/v1/stats").await
    }

    pub(crate) async fn event(&self, id: &str) -> Value {
        self.get(&format!("/v1/events/{id}")).await
    }

    /// The event once every delivery of it has ended.
    pub(crate) async fn finished(&self, id: &str) -> Value {
        eventually(SOON, &format!("event {id} to end"), async || {
            let event = self.event(id).await;
            (!matches!(event["status"].as_str(), Some("pending" | "retrying"))).then_some(event)
        })
        .await
    }

    /// Every item of a list, page by page. `path` has a query.
    pub(crate) async fn list(&self, path: &str) -> Vec<Value> {
        let (mut items, mut cursor) = (Vec::new(), String::new());
        loop {
            let mut page = self.get(&format!("{path}&limit=200{cursor}")).await;
            items.append(page["items"].as_array_mut().unwrap());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return items,
            }
        }
    }
}
