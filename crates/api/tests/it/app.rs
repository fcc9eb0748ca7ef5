//! The API with a database of its own on a free port, and a client for it.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use axum::http::{HeaderMap, Method, StatusCode};
use baton_api::{ApiParts, ApiState, Appender, JobWorker, router, router_beside};
use baton_cache_manager::CacheManager;
use baton_dispatcher::call::{Caller, CallerSettings, Confinement, SupervisorProgram, supervise_if_asked};
use baton_dispatcher::{Dispatcher, DispatcherSettings};
use baton_domain::address::AddressPolicy;
use baton_handler_cache::HandlerCache;
use baton_storage::{Store, StoreSettings, Vault};
use baton_testkit::TestDatabase;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::proxy::Proxy;

pub(crate) const TOKEN: &str = "correct-horse-battery-staple";
/// More events than any test publishes.
const BACKLOG_MAX: u64 = 1_000_000;
/// More than anything here takes.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// Declares a test that runs on both databases.
macro_rules! on_both {
    ($(#[$attribute:meta])* async fn $name:ident($app:ident) $body:block) => {
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            async fn run($app: crate::app::TestApp) $body

            #[tokio::test]
            async fn sqlite() {
                Box::pin(run(crate::app::TestApp::sqlite().await)).await;
            }

            #[tokio::test]
            async fn postgres() {
                Box::pin(run(crate::app::TestApp::postgres().await)).await;
            }
        }
    };
}
pub(crate) use on_both;

/// The API, serving until it is dropped.
pub(crate) struct TestApp {
    pub(crate) store: Store,
    pub(crate) cache: HandlerCache,
    pub(crate) vault: Vault,
    caller: Caller,
    state: ApiState,
    url: String,
    client: reqwest::Client,
    scripts: TempDir,
    stop: CancellationToken,
    /// Stops the Cache Manager alone.
    manager: CancellationToken,
    /// Stops the worker that does jobs alone.
    jobs: CancellationToken,
    _database: TestDatabase,
}

impl TestApp {
    pub(crate) async fn sqlite() -> Self {
        Self::on(TestDatabase::sqlite().await).await
    }

    pub(crate) async fn postgres() -> Self {
        Self::on(TestDatabase::postgres().await).await
    }

    /// On PostgreSQL, which is reached through a proxy.
    pub(crate) async fn behind_proxy() -> (Self, Proxy) {
        let database = TestDatabase::postgres().await;
        let place =
            database.url().split(['@', '/']).find(|part| part.contains(':') && part.contains("127.0.0.1")).unwrap().to_owned();
        let proxy = Proxy::to(place.clone()).await;
        let url = database.url().replace(&place, &proxy.address.to_string());
        (Self::at(url, database).await, proxy)
    }

    async fn on(database: TestDatabase) -> Self {
        Self::at(database.url().to_owned(), database).await
    }

    async fn at(url: String, database: TestDatabase) -> Self {
        let settings = StoreSettings { url, max_connections: 4 };
        let store = Store::connect(&settings).await.unwrap();
        store.migrate().await.unwrap();
        let scripts = tempfile::tempdir().unwrap();
        let cache = HandlerCache::local(store.clone());
        let vault = Vault::new(&Vault::generate_key()).unwrap();
        let caller = Caller::new(CallerSettings {
            policy: AddressPolicy::new([], true),
            script_root: Some(scripts.path().to_owned()),
            scripts_max: 4,
            confinement: confinement(),
            user_agent: "baton-test".into(),
        })
        .unwrap();
        let stop = CancellationToken::new();
        let state = state(&store, &cache, &caller, &vault, BACKLOG_MAX);
        let url = serve(router(state.clone()), stop.clone()).await;
        tokio::spawn(cache.clone().run(stop.clone()));
        let jobs = stop.child_token();
        tokio::spawn(JobWorker::new(store.clone(), cache.hints().clone()).run(jobs.clone()));
        let manager = stop.child_token();
        tokio::spawn(CacheManager::new("test".into(), store.clone(), cache.clone(), vault.clone()).run(manager.clone()));
        let app =
            Self { store, cache, vault, caller, state, url, client: client(), scripts, stop, manager, jobs, _database: database };
        app.first_generation().await;
        app
    }

    /// The very first build is the Cache Manager's own: wait until it is done, so that the next is this test's.
    async fn first_generation(&self) {
        baton_testkit::eventually(SOON, "generation 1", async || self.cache.live()).await;
    }

    /// Starts a dispatcher, which ends with the app.
    pub(crate) fn dispatch(&self) {
        let settings = DispatcherSettings {
            name: "test".into(),
            calls_max: 64,
            handler_calls_max: 16,
            scripts_max: 4,
            events_in_memory: 10_000,
            alone: true,
        };
        let dispatcher =
            Dispatcher::new(self.store.clone(), self.cache.clone(), self.caller.clone(), self.vault.clone(), settings);
        tokio::spawn(dispatcher.run(self.stop.clone()));
    }

    /// Waits until an event has this status; the event in full.
    pub(crate) async fn event_that_is(&self, id: &str, status: &str) -> Value {
        baton_testkit::eventually(SOON, &format!("event {id} to be {status}"), async || {
            Some(self.get(&format!("/v1/events/{id}")).await.ok()).filter(|event| event["status"] == status)
        })
        .await
    }

    /// Ends the Cache Manager and waits until it is gone.
    pub(crate) async fn without_manager(&self) {
        self.manager.cancel();
        let gone = async || self.store.instances(Some("cache-manager")).await.unwrap().is_empty().then_some(());
        baton_testkit::eventually(SOON, "the Cache Manager to end", gone).await;
    }

    /// From now on nobody takes jobs.
    pub(crate) fn without_jobs(&self) {
        self.jobs.cancel();
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, self.url(path)).bearer_auth(TOKEN)
    }

    /// A request without the token.
    pub(crate) fn stranger(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, self.url(path))
    }

    /// Serves the same API with other routes beside; its URL.
    pub(crate) async fn beside(&self, routes: axum::Router) -> String {
        serve(router_beside(self.state.clone(), routes), self.stop.clone()).await
    }

    /// Serves another API on the same database, which allows so many unfinished events; its URL.
    pub(crate) async fn limited(&self, backlog_max: u64) -> String {
        let state = state(&self.store, &self.cache, &self.caller, &self.vault, backlog_max);
        serve(router(state), self.stop.clone()).await
    }

    /// A request to another address, without the token.
    pub(crate) fn elsewhere(&self, method: Method, url: &str) -> reqwest::RequestBuilder {
        self.client.request(method, url)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::to(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        Answer::to(self.request(Method::POST, path).header("content-type", "application/json").body(body.to_string())).await
    }

    /// Sends a body as it is.
    pub(crate) async fn post_text(&self, path: &str, body: impl Into<reqwest::Body>) -> Answer {
        Answer::to(self.request(Method::POST, path).header("content-type", "application/json").body(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        Answer::to(self.request(Method::PUT, path).header("content-type", "application/json").body(body.to_string())).await
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Answer {
        let request = self.request(Method::PATCH, path).header("content-type", "application/merge-patch+json");
        Answer::to(request.body(body.to_string())).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        Answer::to(self.request(Method::DELETE, path)).await
    }

    /// A handler of `clients.create` at this URL; other fields replace or join its own.
    pub(crate) async fn handler(&self, url: &str, more: Value) -> Value {
        let mut body = json!({"name": "CRM", "event": "clients.create", "task": {"type": "http", "url": url}});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.post("/v1/handlers", &body).await.json(StatusCode::CREATED)
    }

    /// Restarts the Cache Manager and answers with what that did.
    pub(crate) async fn restart(&self) -> Value {
        self.post("/v1/services/cache-manager/restart?wait=30", &json!({})).await.json(StatusCode::OK)
    }

    pub(crate) async fn publish(&self, events_id: &str, object_id: Value) -> String {
        let body = json!({"event": {"events_id": events_id, "object_id": object_id}, "data": {}});
        let accepted = self.post("/v1/events", &body).await.json(StatusCode::ACCEPTED);
        accepted["id"].as_str().unwrap().to_owned()
    }

    /// Writes an executable script under the script root.
    pub(crate) fn script(&self, name: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.scripts.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub(crate) fn script_root(&self) -> &Path {
        self.scripts.path()
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// The supervisors of scripts in these tests: this program once more, which is told to run this one test, and becomes a supervisor there.
#[test]
fn supervisor() {
    supervise_if_asked();
}

fn confinement() -> Confinement {
    let args = ["app::supervisor", "--exact", "--nocapture"].map(String::from).into();
    Confinement { supervisor: SupervisorProgram { path: "/proc/self/exe".into(), args }, ..Confinement::default() }
}

fn state(store: &Store, cache: &HandlerCache, caller: &Caller, vault: &Vault, backlog_max: u64) -> ApiState {
    let (appender, _appending) = Appender::start(store.clone(), cache.hints().clone());
    ApiState::new(ApiParts {
        store: store.clone(),
        cache: cache.clone(),
        caller: caller.clone(),
        vault: vault.clone(),
        appender,
        backlog_max,
        admin_token: TOKEN.into(),
        cleaner_schedule: "every 1h".into(),
    })
}

/// Serves a router on a free port; its URL.
pub(crate) async fn serve(router: axum::Router, stop: CancellationToken) -> String {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await });
    url
}

fn client() -> reqwest::Client {
    // An error says that another test of this process has installed one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().tls_certs_only([]).timeout(Duration::from_secs(120)).build().unwrap()
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) async fn to(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        Self { status, headers, text: response.text().await.unwrap() }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The body of an answer with this status.
    #[track_caller]
    pub(crate) fn json(&self, status: StatusCode) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/json");
        serde_json::from_str(&self.text).unwrap()
    }

    /// The body of an answer with 200.
    #[track_caller]
    pub(crate) fn ok(&self) -> Value {
        self.json(StatusCode::OK)
    }

    /// The problem with this status and code; its form is checked.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, code: &str) -> Value {
        let problem: Value = serde_json::from_str(&self.text).unwrap_or_default();
        assert_eq!((self.status.as_u16(), problem["code"].as_str()), (status, Some(code)), "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(problem["type"], "about:blank");
        assert_eq!(problem["status"], status);
        assert!(problem["title"].as_str().is_some_and(|title| !title.is_empty()), "{problem}");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.len() > 10), "{problem}");
        // Of several things that are edited at once, 412 names those that it is about.
        assert!(status == 412 || problem.get("errors").is_some() == (status == 422), "{problem}");
        problem
    }

    /// The fields that a 422 names, in order.
    #[track_caller]
    pub(crate) fn refused(&self) -> Vec<String> {
        let problem = self.problem(422, "validation_failed");
        let errors = problem["errors"].as_array().unwrap();
        assert!(errors.iter().all(|e| e["message"].as_str().is_some_and(|m| m.len() > 5)), "{problem}");
        errors.iter().map(|e| e["field"].as_str().unwrap().to_owned()).collect()
    }

    /// What a 422 says of a field.
    #[track_caller]
    pub(crate) fn said_of(&self, field: &str) -> String {
        let problem = self.problem(422, "validation_failed");
        let error = problem["errors"].as_array().unwrap().iter().find(|e| e["field"] == field);
        error.unwrap_or_else(|| panic!("nothing is said of {field}: {problem}"))["message"].as_str().unwrap().to_owned()
    }
}
