//! A rollback makes a new generation with the content of an older one.

use baton_cache_manager::{RestartResult, request_rollback};
use baton_domain::{Changes, GenerationNumber, Handler, HandlerStatus};
use baton_storage::GenerationCause;
use chrono::Utc;

use crate::fixture::{LATE, Site, handler, on_both};

on_both!(
    a_rollback_makes_a_new_generation_with_the_older_content,
    a_rollback_leaves_what_is_saved_alone,
    a_rollback_can_be_rolled_back,
    a_rollback_to_what_is_live_changes_nothing,
);

async fn go_back(site: &Site, to: i64) -> RestartResult {
    let asked = request_rollback(&site.store, site.cache.hints(), GenerationNumber(to), Utc::now()).await.unwrap();
    site.done(asked.id).await.1
}

/// Three generations: `a`; `a` and `b`; `b` and an `a` of another priority.
async fn with_history(site: &Site) -> (Handler, Handler) {
    let a = site.create(handler("a", 10)).await;
    site.live(1).await;
    assert_eq!(site.restart().await.generation.0, 2);
    let b = site.create(handler("b", 20)).await;
    assert_eq!(site.restart().await.generation.0, 3);
    let mut edited = a.clone();
    edited.spec.priority = 30;
    let a = site.update(&edited).await;
    assert_eq!(site.restart().await.generation.0, 4);
    assert_eq!(site.live_names().await, ["b", "a"]);
    (a, b)
}

async fn a_rollback_makes_a_new_generation_with_the_older_content(site: Site) {
    let _manager = site.started().await;
    let (a, b) = with_history(&site).await;
    let result = go_back(&site, 2).await;
    assert_eq!((result.generation.0, result.handlers), (5, 1));
    assert_eq!(result.changes.removed.iter().map(|handler| handler.id).collect::<Vec<_>>(), [b.spec.id]);
    assert_eq!(result.changes.changed.len(), 1);
    let changed = &result.changes.changed[0];
    assert_eq!((changed.id, changed.fields[0].field.as_str()), (a.spec.id, "priority"));
    assert_eq!((&changed.fields[0].live, &changed.fields[0].saved), (&30.into(), &10.into()));
    assert!(result.changes.added.is_empty());
    site.live_within(5, LATE).await;

    let generations = site.generations().await;
    assert_eq!(generations.len(), 5, "nothing was taken out of the history");
    let (newest, older) = (&generations[0], &generations[3]);
    assert_eq!((newest.cause, newest.rolled_back_to), (GenerationCause::Rollback, Some(GenerationNumber(2))));
    assert_eq!((newest.checksum.as_str(), older.number.0), (older.checksum.as_str(), 2));
    assert_eq!(site.cache.live().unwrap().checksum(), older.checksum);
    assert_eq!(newest.changes, result.changes);
}

async fn a_rollback_leaves_what_is_saved_alone(site: Site) {
    let _manager = site.started().await;
    let (a, b) = with_history(&site).await;
    go_back(&site, 2).await;
    assert_eq!(site.store.handler(a.spec.id).await.unwrap().unwrap(), a);
    assert_eq!(site.store.handler(b.spec.id).await.unwrap().unwrap(), b);
    // The next restart makes it live again.
    let result = site.restart().await;
    assert_eq!(result.generation.0, 6);
    assert_eq!(result.changes.added[0].id, b.spec.id);
    assert_eq!(site.live_names().await, ["b", "a"]);
    assert_eq!(site.generations().await[0].cause, GenerationCause::Restart);
}

async fn a_rollback_can_be_rolled_back(site: Site) {
    let _manager = site.started().await;
    let (_, b) = with_history(&site).await;
    // A handler that is disabled and one that is deleted come back as they were.
    site.update(&Handler { status: HandlerStatus::Disabled, ..b }).await;
    site.restart().await;
    let numbers = [go_back(&site, 2).await, go_back(&site, 4).await, go_back(&site, 6).await].map(|result| result.generation.0);
    assert_eq!(numbers, [6, 7, 8], "numbers only grow");
    let generations = site.generations().await;
    assert_eq!(generations[0].checksum, generations[2].checksum);
    assert_eq!(generations[1].checksum, generations[4].checksum);
    assert_eq!(site.store.generation(GenerationNumber(7)).await.unwrap().unwrap().snapshot.handlers().len(), 2);
}

async fn a_rollback_to_what_is_live_changes_nothing(site: Site) {
    site.create(handler("a", 10)).await;
    let _manager = site.started().await;
    let result = go_back(&site, 1).await;
    assert_eq!((result.generation.0, result.changes), (2, Changes::default()));
}
