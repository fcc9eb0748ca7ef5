//! What is saved goes live by a restart of the Cache Manager, and by nothing else.

use std::time::Duration;

use baton_testkit::{Program, Receiver, RedisServer, eventually};
use serde_json::{Value, json};

use crate::rig::bodies::{event, http, with};
use crate::rig::machine::calm;
use crate::rig::{Api, Embedded, GOES_LIVE, Installation, SOON, Services};

/// Handlers of one event: two live, then one of them edited, one disabled, one created.
struct Story {
    api: Api,
    receiver: Receiver,
    edited: i64,
    disabled: i64,
    created: i64,
    /// The generation before the edits.
    before: i64,
}

impl Story {
    /// Makes two handlers live, then edits, disables and creates.
    async fn begin(api: &Api) -> Self {
        let receiver = Receiver::start().await;
        let handler = |name: &str, path: &str| http(name, "clients.update", receiver.url(path));
        let edited = api.create(&with(handler("Edited", "/before"), json!({"priority": 10}))).await;
        let disabled = api.create(&handler("Disabled", "/disabled")).await;
        let before = api.restart().await["generation"].as_i64().unwrap();

        let task = json!({"type": "http", "url": receiver.url("/after")});
        api.edit(edited, &json!({"task": task, "priority": 5, "notes": "not a part of what runs"})).await;
        assert_eq!(api.order(&format!("/v1/handlers/{disabled}/toggle")).await.expect(200)["status"], "disabled");
        let created = api.create(&handler("Created", "/created")).await;
        Self { api: api.clone(), receiver, edited, disabled, created, before }
    }

    /// Publishes an event; the generation it ran under and the paths that were called, sorted.
    async fn called(&self) -> (i64, Vec<String>) {
        self.receiver.forget();
        let ended = self.api.finished(&self.api.publish(&event("clients.update", 7, json!({}))).await).await;
        assert_eq!(ended["status"], "delivered", "{ended}");
        let mut paths: Vec<_> = self.receiver.calls().iter().map(|call| call.path.clone()).collect();
        paths.sort();
        (ended["generation"].as_i64().unwrap(), paths)
    }

    /// Checks that the edits are pending, with their fields, and that events go the way of the live generation.
    async fn assert_pending(&self, generation: i64) {
        let cache = self.api.cache().await;
        assert_eq!((&cache["generation"], &cache["handlers"]), (&json!(generation), &json!(2)), "{cache}");
        let pending = &cache["pending"];
        assert_eq!(pending["added"], json!([{"id": self.created, "name": "Created"}]));
        assert_eq!(pending["removed"], json!([{"id": self.disabled, "name": "Disabled"}]));
        let changed = pending["changed"].as_array().unwrap();
        assert_eq!((changed.len(), &changed[0]["id"], &changed[0]["name"]), (1, &json!(self.edited), &json!("Edited")));
        self.assert_fields(&changed[0]["fields"]);
        for (id, live) in [(self.edited, "changed"), (self.disabled, "removed"), (self.created, "new")] {
            assert_eq!(self.api.handler(id).await["live"], live);
        }
        let (ran_under, called) = self.called().await;
        assert_eq!((ran_under, called), (generation, vec!["/before".to_owned(), "/disabled".to_owned()]));
    }

    /// Checks that what differs is named, as it is live and as it is saved. Where a lane is the target, it differs with it.
    fn assert_fields(&self, fields: &Value) {
        let fields = fields.as_array().unwrap();
        let field = |name: &str| fields.iter().find(|field| field["field"] == name);
        let priority = field("priority").expect("the priority differs");
        assert_eq!((&priority["live"], &priority["saved"]), (&json!(10), &json!(5)));
        let task = fields.iter().find(|field| field["field"].as_str().unwrap().starts_with("task")).expect("the task differs");
        assert!(task["live"].to_string().contains("/before") && task["saved"].to_string().contains("/after"), "{task}");
        assert!(field("notes").is_none() && field("name").is_none() && field("timeout_ms").is_none(), "{fields:?}");
    }

    /// Restarts the Cache Manager and checks that what was pending is live within a second of the answer.
    async fn go_live(&self) {
        let restart = self.api.restart().await;
        let generation = self.before + 1;
        let changed = self.in_use(generation).await;
        assert_eq!(changed, ["/after", "/created"]);
        assert_eq!((&restart["generation"], &restart["handlers"]), (&json!(generation), &json!(2)), "{restart}");
        assert!(restart["took_ms"].as_u64().is_some(), "{restart}");
        let changes = &restart["changes"];
        assert_eq!(changes["added"][0]["id"], self.created);
        assert_eq!(changes["removed"][0]["id"], self.disabled);
        self.assert_fields(&changes["changed"][0]["fields"]);
        self.assert_nothing_pending(generation).await;
    }

    async fn assert_nothing_pending(&self, generation: i64) {
        let cache = self.api.cache().await;
        assert_eq!(
            (&cache["generation"], &cache["pending"]),
            (&json!(generation), &json!({"added": [], "removed": [], "changed": []}))
        );
        for (id, live) in [(self.edited, "live"), (self.disabled, "off"), (self.created, "live")] {
            assert_eq!(self.api.handler(id).await["live"], live);
        }
        let (ran_under, called) = self.called().await;
        assert_eq!((ran_under, called), (generation, vec!["/after".to_owned(), "/created".to_owned()]));
    }

    /// Waits until events run under a generation, at most for the time that the contract gives; the paths that were called then.
    async fn in_use(&self, generation: i64) -> Vec<String> {
        eventually(GOES_LIVE, &format!("generation {generation} to be in use"), async || {
            let (ran_under, called) = self.called().await;
            (ran_under == generation).then_some(called)
        })
        .await
    }

    /// Goes back to the generation before the edits: they are pending again.
    async fn roll_back(&self) {
        let rollback = self.api.rollback(self.before).await;
        let generation = self.before + 2;
        assert_eq!(self.in_use(generation).await, ["/before", "/disabled"]);
        assert_eq!((&rollback["generation"], &rollback["handlers"]), (&json!(generation), &json!(2)), "{rollback}");
        self.assert_pending(generation).await;
    }

    /// The history names all generations and what each changed.
    async fn assert_history(&self) {
        let history = self.api.list("/v1/cache/generations?").await;
        let mut numbers: Vec<_> = history.iter().map(|g| g["generation"].as_i64().unwrap()).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=self.before + 2).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn embedded_an_edit_waits_for_the_restart_whatever_happens_to_the_process() {
    let _calm = calm().await;
    let mut baton = Embedded::start().await;
    let story = Story::begin(&baton.api).await;
    story.assert_pending(story.before).await;

    assert!(baton.process.terminate(SOON).await.success());
    baton.process.restart().await;
    story.assert_pending(story.before).await;
    baton.process.kill9();
    baton.process.restart().await;
    story.assert_pending(story.before).await;

    story.go_live().await;
    baton.process.kill9();
    baton.process.restart().await;
    story.assert_nothing_pending(story.before + 1).await;
    story.roll_back().await;
    baton.process.kill9();
    baton.process.restart().await;
    story.assert_pending(story.before + 2).await;
    story.assert_history().await;
}

#[tokio::test]
async fn an_edit_waits_for_the_restart_whatever_happens_to_services_and_redis() {
    let _calm = calm().await;
    let mut redis = RedisServer::start().await;
    let mut services = Services::start(Installation::on_redis(&redis.url(), "baton").await, 1).await;
    let story = Story::begin(&services.api.clone()).await;
    story.assert_pending(story.before).await;

    redis.flush().await;
    story.assert_pending(story.before).await;
    redis.restart().await;
    story.assert_pending(story.before).await;
    restart_all(&mut services, false).await;
    story.assert_pending(story.before).await;
    // Everything is lost but the database.
    redis.flush().await;
    restart_all(&mut services, true).await;
    story.assert_pending(story.before).await;

    story.go_live().await;
    redis.restart().await;
    restart_all(&mut services, false).await;
    story.assert_nothing_pending(story.before + 1).await;
    story.roll_back().await;
    redis.flush().await;
    restart_all(&mut services, false).await;
    story.assert_pending(story.before + 2).await;
    story.assert_history().await;
}

/// Restarts every service, all of them down at the same time.
async fn restart_all(services: &mut Services, by_kill: bool) {
    for process in services.processes() {
        if by_kill {
            process.kill9();
        } else {
            assert!(process.terminate(SOON).await.success());
        }
    }
    for process in services.processes() {
        process.restart().await;
    }
}

#[tokio::test]
async fn a_failed_build_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let program = |key: &str| {
        let program = Program::named("baton").args(["serve"]).env("BATON_DATA_DIR", folder.path());
        program.env("BATON_ADMIN_TOKEN", "token").env("BATON_SECRET_KEY", key)
    };
    let receiver = Receiver::start().await;
    let first = program("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=").start().await;
    let api = Api::new(first.url(""), "token");
    api.first_generation().await;
    let signed = with(http("Signed", "clients.create", receiver.url("/signed")), json!({"secret": "generate"}));
    api.create(&signed).await;
    let before = api.cache().await;
    drop(first);

    // Another key does not open the secret: the handler could not be called.
    let second = program("ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=").start().await;
    let api = Api::new(second.url(""), "token");
    let problem = api.order("/v1/services/cache-manager/restart?wait=30").await.expect(409);
    let detail = problem["detail"].as_str().unwrap();
    assert!(problem["code"] == "restart_failed" && detail.contains("Signed") && detail.contains("BATON_SECRET_KEY"), "{problem}");
    let after = api.cache().await;
    assert_eq!((&after["generation"], &after["checksum"]), (&before["generation"], &before["checksum"]));
    let services = api.get("/v1/services").await;
    let manager = services["items"].as_array().unwrap().iter().find(|s| s["name"] == "cache-manager").unwrap();
    assert_eq!(manager["last_run"]["status"], "failed", "{manager}");
}

#[tokio::test]
async fn a_retry_uses_the_handler_as_it_is_live_and_ends_as_skipped_where_it_is_gone() {
    let receiver = Receiver::start().await;
    let baton = Embedded::start().await;
    receiver.script("/broken", |_| baton_testkit::Answer::status(500));
    let retry = json!({"max_attempts": 50, "first_delay_ms": 300, "max_delay_ms": 300});
    let handler = |name: &str, path: &str| with(http(name, "clients.create", receiver.url(path)), json!({"retry": retry}));
    let ids = baton.api.create_live([handler("Mended", "/broken"), handler("Gone", "/broken?gone")]).await;
    let id = baton.api.publish(&event("clients.create", 1, json!({}))).await;
    receiver.wait_for(SOON, "/broken", 2).await;

    let mended = json!({"type": "http", "url": receiver.url("/mended")});
    baton.api.edit(ids[0], &json!({"task": mended})).await;
    baton.api.order(&format!("/v1/handlers/{}/toggle", ids[1])).await.expect(200);
    let generation = baton.api.restart().await["generation"].clone();
    let ended = baton.api.finished(&id).await;
    let of = |id: i64| {
        let executions = ended["executions"].as_array().unwrap();
        executions.iter().rfind(|e| e["handler_id"] == id).unwrap().clone()
    };
    let (retried, skipped) = (of(ids[0]), of(ids[1]));
    assert_eq!((&retried["status"], &retried["generation"]), (&json!("success"), &generation), "{ended}");
    assert_eq!(receiver.wait_for(Duration::ZERO, "/mended", 1).await.len(), 1);
    assert_eq!(skipped["status"], "skipped");
    assert!(skipped["error"].as_str().unwrap().contains(&format!("generation {generation}")), "{skipped}");
}
