//! Generations.

use std::collections::BTreeMap;

use baton_domain::handler::HandlerSpec;
use baton_domain::{Changes, GenerationNumber, HandlerId, OnFailure, RetryPolicy, Snapshot, Task};
use baton_storage::{GenerationCause, NewGeneration, Page};

use crate::fixture::{Fixture, after, now, on_both, page};

on_both!(generations_are_kept_and_the_highest_is_live, a_number_is_taken_once, generations_are_listed_newest_first);

/// A generation with the handlers 1 to `handlers`, all of `clients.create`.
pub(crate) fn snapshot(number: i64, handlers: i64) -> Snapshot {
    let handler = |id| HandlerSpec {
        id: HandlerId(id),
        name: format!("h{id}"),
        event: "clients.create".into(),
        task: Task::Http { url: "http://crm.lan/".into() },
        priority: 100,
        on_failure: OnFailure::Wait,
        timeout_ms: 100,
        retry: RetryPolicy::default(),
        lane: None,
        headers: BTreeMap::new(),
        secrets: Vec::new(),
        filter: None,
        limits: Default::default(),
        auth: None,
        tls: None,
    };
    Snapshot::new(GenerationNumber(number), after(number), (1..=handlers).map(handler))
}

fn changes(from: &Snapshot, to: &Snapshot) -> Changes {
    Changes::between(from.handlers().iter().map(AsRef::as_ref), to.handlers().iter().map(AsRef::as_ref))
}

async fn insert(f: &Fixture, number: i64, handlers: i64) -> bool {
    let (before, snapshot) = (snapshot(number - 1, 0), snapshot(number, handlers));
    let changes = changes(&before, &snapshot);
    let (cause, rolled_back_to) = match number {
        1 => (GenerationCause::Start, None),
        3 => (GenerationCause::Rollback, Some(GenerationNumber(1))),
        _ => (GenerationCause::Restart, None),
    };
    let new = NewGeneration { snapshot: &snapshot, changes: &changes, took_ms: 12, cause, rolled_back_to };
    f.store.insert_generation(&new).await.unwrap()
}

async fn generations_are_kept_and_the_highest_is_live(f: Fixture) {
    assert_eq!(f.store.live_generation_number().await.unwrap(), None);
    assert!(f.store.live_generation().await.unwrap().is_none());
    for (number, handlers) in [(1, 1), (3, 3), (2, 2)] {
        assert!(insert(&f, number, handlers).await);
    }
    assert_eq!(f.store.live_generation_number().await.unwrap(), Some(GenerationNumber(3)));
    let live = f.store.live_generation().await.unwrap().unwrap();
    assert_eq!((live.number, live.built_at, live.handlers().len()), (GenerationNumber(3), after(3), 3));
    assert_eq!(live.chain("clients.create").len(), 3);

    let stored = f.store.generation(GenerationNumber(3)).await.unwrap().unwrap();
    let expected = snapshot(3, 3);
    assert_eq!((stored.checksum, stored.snapshot.checksum()), (expected.checksum(), expected.checksum()));
    assert_eq!((stored.changes.added.len(), stored.took_ms), (3, 12));
    assert_eq!((stored.cause, stored.rolled_back_to), (GenerationCause::Rollback, Some(GenerationNumber(1))));
    assert!(f.store.generation(GenerationNumber(4)).await.unwrap().is_none());
    assert_eq!(f.store.generation_checksum(GenerationNumber(2)).await.unwrap(), Some(snapshot(2, 2).checksum()));
    assert_eq!(f.store.generation_checksum(GenerationNumber(4)).await.unwrap(), None);
}

async fn a_number_is_taken_once(f: Fixture) {
    assert!(insert(&f, 1, 1).await);
    assert!(!insert(&f, 1, 5).await);
    assert_eq!(f.store.live_generation().await.unwrap().unwrap().handlers().len(), 1);
    let (before, next) = (snapshot(1, 1), snapshot(2, 2));
    let changes = changes(&before, &next);
    let new =
        NewGeneration { snapshot: &next, changes: &changes, took_ms: 1, cause: GenerationCause::Restart, rolled_back_to: None };
    let other = f.other_store().await;
    let (one, two) = tokio::join!(f.store.insert_generation(&new), other.insert_generation(&new));
    assert!(one.unwrap() != two.unwrap());
}

async fn generations_are_listed_newest_first(f: Fixture) {
    for number in 1..=5 {
        insert(&f, number, number % 3).await;
    }
    let first = f.store.list_generations(&page(3)).await.unwrap();
    let second = f.store.list_generations(&Page { limit: 3, cursor: first.next_cursor }).await.unwrap();
    assert!(second.next_cursor.is_none());
    let listed: Vec<_> =
        first.items.iter().chain(&second.items).map(|g| (g.number.0, g.handlers, g.built_at, g.cause.as_str())).collect();
    let expected = [(5, 2, "restart"), (4, 1, "restart"), (3, 0, "rollback"), (2, 2, "restart"), (1, 1, "start")];
    assert_eq!(listed, expected.map(|(number, handlers, cause)| (number, handlers, after(number), cause)));
    assert_eq!(first.items[0].checksum, snapshot(5, 2).checksum());
    assert_eq!(first.items[0].changes.added.len(), 2);
    assert!(first.items[0].built_at > now());
}
