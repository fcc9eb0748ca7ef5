//! A restart makes what is saved live, and says what that changed.

use baton_cache_manager::{RestartResult, SERVICE};
use baton_domain::generation::{FieldChange, HandlerChange, HandlerName};
use baton_domain::handler::SigningSecret;
use baton_domain::{Changes, Handler, HandlerStatus, OnFailure};
use baton_storage::{GenerationCause, NewHandler};
use serde_json::{Value, json};

use crate::fixture::{LATE, Site, handler, on_both};

on_both!(
    an_edit_is_live_after_the_restart_and_not_before,
    the_answer_says_what_was_added_removed_and_changed,
    secrets_are_reported_and_not_shown,
    a_restart_without_an_edit_changes_nothing,
    what_no_call_depends_on_is_no_change,
    the_generation_is_in_the_order_of_priorities,
);

fn name_of(handler: &Handler) -> HandlerName {
    HandlerName { id: handler.spec.id, name: handler.spec.name.clone() }
}

fn field(field: &str, live: Value, saved: Value) -> FieldChange {
    FieldChange { field: field.into(), live, saved }
}

async fn an_edit_is_live_after_the_restart_and_not_before(site: Site) {
    let created = site.create(handler("a", 10)).await;
    let manager = site.started().await;
    let mut edited = created.clone();
    edited.spec.priority = 20;
    site.update(&edited).await;
    for cache in [&site.cache, &manager.cache] {
        assert_eq!(cache.refresh().await.unwrap().unwrap().handlers()[0].priority, 10);
    }
    let result = site.restart().await;
    assert_eq!(result.generation.0, 2);
    assert_eq!(manager.cache.live().unwrap().number.0, 2, "published before it is answered");
    site.live_within(2, LATE).await;
    assert_eq!(site.cache.live().unwrap().handlers()[0].priority, 20);
    // Whoever must see it at once can.
    assert_eq!(site.restart().await.generation.0, 3);
    assert_eq!(site.cache.refresh().await.unwrap().unwrap().number.0, 3);
}

async fn the_answer_says_what_was_added_removed_and_changed(site: Site) {
    let edited = site.create(handler("edited", 10)).await;
    let disabled = site.create(handler("disabled", 10)).await;
    let deleted = site.create(handler("deleted", 10)).await;
    let _untouched = site.create(handler("untouched", 10)).await;
    let _manager = site.started().await;

    let mut edit = edited.clone();
    edit.spec.name = "edited twice".into();
    edit.spec.event = "clients.update".into();
    edit.spec.task = baton_domain::Task::Http { url: "http://crm.example/v2".into() };
    edit.spec.priority = 1;
    edit.spec.on_failure = OnFailure::Stop;
    edit.spec.timeout_ms = 500;
    edit.spec.retry.max_attempts = 3;
    edit.spec.lane = Some("crm".into());
    let edit = site.update(&edit).await;
    site.update(&Handler { status: HandlerStatus::Disabled, ..disabled.clone() }).await;
    site.store.delete_handler(deleted.spec.id, None).await.unwrap();
    let added = site.create(handler("added", 5)).await;

    let run = site.ask().await;
    let (run, result) = site.done(run.id).await;
    let expected = Changes {
        added: vec![name_of(&added)],
        removed: vec![name_of(&disabled), name_of(&deleted)],
        changed: vec![HandlerChange {
            id: edited.spec.id,
            name: edit.spec.name.clone(),
            fields: vec![
                field("name", json!("edited"), json!("edited twice")),
                field("event", json!("clients.create"), json!("clients.update")),
                field("task.url", json!("http://crm.example/edited"), json!("http://crm.example/v2")),
                field("priority", json!(10), json!(1)),
                field("on_failure", json!("continue"), json!("stop")),
                field("timeout_ms", json!(10_000), json!(500)),
                field("retry.max_attempts", json!(12), json!(3)),
                field("lane", Value::Null, json!("crm")),
            ],
        }],
    };
    assert_eq!(result, RestartResult { changes: expected.clone(), ..result.clone() });
    assert_eq!((result.generation.0, result.handlers), (2, 3));
    assert!((0..10_000).contains(&result.took_ms));

    // The run's record and the generation's say the same.
    let recorded = site.store.last_runs(SERVICE).await.unwrap().last.unwrap();
    assert_eq!(recorded, run);
    assert_eq!(recorded.result, Some(json!(result)));
    assert!(recorded.started_at.is_some() && recorded.finished_at >= recorded.started_at);
    let summary = &site.generations().await[0];
    assert_eq!((summary.number.0, summary.handlers, summary.cause), (2, 3, GenerationCause::Restart));
    assert_eq!((&summary.changes, summary.took_ms), (&expected, result.took_ms));
}

async fn secrets_are_reported_and_not_shown(site: Site) {
    let created = site.create(handler("a", 10)).await;
    let _manager = site.started().await;
    let mut edit = created;
    edit.spec.headers.insert("x-api-key".into(), site.vault.seal("hunter2"));
    edit.spec.secrets.push(SigningSecret { sealed: site.vault.seal("whsec_hunter3"), public_key: None, valid_until: None });
    let mut edit = site.update(&edit).await;
    let fields = async || {
        let changes = site.restart().await.changes;
        let text = serde_json::to_string(&changes).unwrap();
        assert!(!text.contains("hunter") && !text.contains("v1:"), "{text}");
        changes.changed[0].fields.clone()
    };
    let set = [field("headers.x-api-key", Value::Null, json!("set")), field("secret", Value::Null, json!("set"))];
    assert_eq!(fields().await, set);

    edit.spec.headers.insert("x-api-key".into(), site.vault.seal("hunter4"));
    edit.spec.secrets.clear();
    site.update(&edit).await;
    let other =
        [field("headers.x-api-key", json!("set"), json!("set to another value")), field("secret", json!("set"), Value::Null)];
    assert_eq!(fields().await, other);
}

async fn a_restart_without_an_edit_changes_nothing(site: Site) {
    site.create(handler("a", 10)).await;
    let _manager = site.started().await;
    let result = site.restart().await;
    assert_eq!((result.generation.0, result.handlers), (2, 1));
    assert_eq!(result.changes, Changes::default());
    let generations = site.generations().await;
    assert_eq!(generations[0].checksum, generations[1].checksum);
}

async fn what_no_call_depends_on_is_no_change(site: Site) {
    let created = site.create(handler("a", 10)).await;
    let hidden = site.create(NewHandler { status: HandlerStatus::Disabled, ..handler("hidden", 10) }).await;
    let _manager = site.started().await;
    site.update(&Handler { notes: "call Ann first".into(), ..created }).await;
    site.update(&Handler { status: HandlerStatus::Archived, ..hidden }).await;
    assert_eq!(site.restart().await.changes, Changes::default());
}

async fn the_generation_is_in_the_order_of_priorities(site: Site) {
    for (name, priority) in [("e", 65_535), ("c", 2), ("a", 1), ("d", 2), ("b", 1)] {
        site.create(handler(name, priority)).await;
    }
    let _manager = site.started().await;
    assert_eq!(site.live_names().await, ["a", "b", "c", "d", "e"]);
    let live = site.cache.live().unwrap();
    let chain: Vec<_> = live.chain("clients.create").iter().map(|handler| handler.name.as_str()).collect();
    assert_eq!(chain, ["a", "b", "c", "d", "e"]);
}
