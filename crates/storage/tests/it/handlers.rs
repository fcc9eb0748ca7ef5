//! Handlers and event types.

use std::collections::BTreeMap;

use baton_domain::handler::{Sealed, SigningSecret};
use baton_domain::{EventType, Handler, HandlerId, HandlerStatus, OnFailure, RetryPolicy, Task};
use baton_storage::{
    EnabledVersions, HandlerOrder, HandlerSearch, HandlerSort, NewHandler, NewPriority, Page, Stale, StorageError,
};

use crate::fixture::{Fixture, after, now, on_both, page};

on_both!(
    a_handler_is_kept_whole,
    edits_are_guarded_by_the_version,
    priorities_change_all_or_none,
    ids_are_never_used_again,
    handlers_by_every_filter,
    every_order_pages_through_equals,
    enabled_handlers_stand_in_the_order_of_their_chain,
    every_edit_of_an_enabled_handler_gives_other_versions,
    event_types_are_added_once,
);

pub(crate) fn new(name: &str) -> NewHandler {
    NewHandler {
        name: name.into(),
        event: "clients.create".into(),
        task: Task::Http { url: "http://crm.lan:8080/clients?x=1".into() },
        status: HandlerStatus::Enabled,
        priority: 100,
        on_failure: OnFailure::Continue,
        timeout_ms: 10_000,
        retry: RetryPolicy::default(),
        lane: None,
        headers: BTreeMap::new(),
        secrets: Vec::new(),
        filter: None,
        limits: Default::default(),
        auth: None,
        tls: None,
        notes: String::new(),
    }
}

pub(crate) async fn create(f: &Fixture, handler: NewHandler) -> Handler {
    f.store.create_handler(&handler, now()).await.unwrap()
}

async fn a_handler_is_kept_whole(f: Fixture) {
    let handler = NewHandler {
        task: Task::Script { path: "vcs/é.py".into(), args: vec!["a \"b\"".into(), String::new()] },
        status: HandlerStatus::Archived,
        priority: u16::MAX,
        on_failure: OnFailure::Stop,
        timeout_ms: 300_000,
        retry: RetryPolicy { max_attempts: 1000, first_delay_ms: 1, max_delay_ms: 604_800_000 },
        lane: Some("crm".into()),
        headers: BTreeMap::from([("x-api-key".into(), Sealed("v1:abc".into()))]),
        secrets: vec![
            SigningSecret { sealed: Sealed("v1:new".into()), public_key: None, valid_until: None },
            SigningSecret { sealed: Sealed("v1:old".into()), public_key: None, valid_until: Some(after(60)) },
        ],
        notes: "line\nline".into(),
        ..new("Ünïcode")
    };
    let created = create(&f, handler.clone()).await;
    assert_eq!((created.version, created.created_at, created.updated_at), (1, now(), now()));
    let spec = &created.spec;
    assert_eq!(
        (&spec.name, &spec.event, &spec.task, spec.priority),
        (&handler.name, &handler.event, &handler.task, handler.priority)
    );
    assert_eq!((spec.on_failure, spec.timeout_ms, spec.retry), (handler.on_failure, handler.timeout_ms, handler.retry));
    assert_eq!((&spec.lane, &spec.headers, &spec.secrets), (&handler.lane, &handler.headers, &handler.secrets));
    assert_eq!((created.status, &created.notes), (handler.status, &handler.notes));
    assert_eq!(f.store.handler(spec.id).await.unwrap().as_ref(), Some(&created));
    assert_eq!(f.store.handler(HandlerId(999)).await.unwrap(), None);
}

async fn edits_are_guarded_by_the_version(f: Fixture) {
    let mut handler = create(&f, new("a")).await;
    handler.spec.name = "b".into();
    handler.spec.task = Task::Script { path: "x.py".into(), args: vec![] };
    handler.status = HandlerStatus::Disabled;
    let edited = f.store.update_handler(&handler, 1, after(5)).await.unwrap();
    assert_eq!((edited.version, edited.created_at, edited.updated_at), (2, now(), after(5)));
    assert_eq!((&edited.spec, edited.status), (&handler.spec, HandlerStatus::Disabled));
    assert_eq!(f.store.handler(edited.spec.id).await.unwrap().as_ref(), Some(&edited));
    assert!(matches!(f.store.update_handler(&handler, 1, after(6)).await, Err(StorageError::Conflict)));
    assert!(matches!(f.store.delete_handler(handler.spec.id, Some(1)).await, Err(StorageError::Conflict)));
    assert_eq!(f.store.delete_handler(handler.spec.id, Some(2)).await.unwrap(), edited);
    assert!(matches!(f.store.update_handler(&handler, 2, after(6)).await, Err(StorageError::NotFound)));
    assert!(matches!(f.store.delete_handler(handler.spec.id, None).await, Err(StorageError::NotFound)));

    // Of two edits at once one is lost, and told so.
    let handler = create(&f, new("c")).await;
    let other = f.other_store().await;
    let (one, two) = tokio::join!(f.store.update_handler(&handler, 1, after(7)), other.update_handler(&handler, 1, after(7)));
    assert!(one.is_ok() != two.is_ok());
}

async fn priorities_change_all_or_none(f: Fixture) {
    let mut ids = Vec::new();
    for name in ["a", "b", "c"] {
        ids.push(create(&f, new(name)).await.spec.id);
    }
    let (a, b, c) = (ids[0], ids[1], ids[2]);
    let to = |id, priority, version| NewPriority { id, priority, version };
    let stored = async || {
        let mut stored = Vec::new();
        for id in &ids {
            stored.extend(f.store.handler(*id).await.unwrap().map(|of| (of.spec.priority, of.version, of.updated_at)));
        }
        stored
    };
    assert_eq!(f.store.set_priorities(&[to(c, 65_535, 1), to(a, 1, 1)], after(5)).await.unwrap(), []);
    assert_eq!(stored().await, [(1, 2, after(5)), (100, 1, now()), (65_535, 2, after(5))]);
    // One of another version, one that is gone: both are named, and the rest stays as it is.
    f.store.delete_handler(b, None).await.unwrap();
    let stale = f.store.set_priorities(&[to(c, 3, 1), to(b, 2, 1), to(a, 9, 2)], after(6)).await.unwrap();
    assert_eq!(stale, [Stale { id: b, version: None }, Stale { id: c, version: Some(2) }]);
    assert_eq!(stored().await, [(1, 2, after(5)), (65_535, 2, after(5))]);
    // Of two at once, in whichever order they name them, one is lost and told so.
    let other = f.other_store().await;
    let (one, two) = ([to(a, 5, 2), to(c, 6, 2)], [to(c, 7, 2), to(a, 8, 2)]);
    let (one, two) = tokio::join!(f.store.set_priorities(&one, after(7)), other.set_priorities(&two, after(7)));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert!(one.is_empty() != two.is_empty() && one.len() + two.len() == 2, "{one:?} {two:?}");
}

async fn ids_are_never_used_again(f: Fixture) {
    let first = create(&f, new("a")).await.spec.id;
    let second = create(&f, new("b")).await.spec.id;
    f.store.delete_handler(second, None).await.unwrap();
    let third = create(&f, new("c")).await.spec.id;
    assert!(first < second && second < third, "{first} {second} {third}");
}

async fn found(f: &Fixture, search: HandlerSearch) -> Vec<String> {
    f.store.search_handlers(&search, &page(50)).await.unwrap().items.into_iter().map(|h| h.spec.name).collect()
}

async fn handlers_by_every_filter(f: Fixture) {
    create(&f, NewHandler { notes: "asks for 50% more".into(), ..new("ÄRGER mit CRM") }).await;
    create(&f, NewHandler { status: HandlerStatus::Disabled, priority: 7, ..new("snake_case") }).await;
    create(&f, NewHandler { status: HandlerStatus::Archived, ..new("snakeXcase") }).await;
    let script = Task::Script { path: "vcs/Sync.py".into(), args: vec![] };
    create(&f, NewHandler { task: script, event: "clients.update".into(), ..new("back\\slash") }).await;

    let expect = |search: HandlerSearch, expected: &'static [&'static str]| {
        let f = &f;
        async move { assert_eq!(found(f, search.clone()).await, expected, "{search:?}") }
    };
    let all = HandlerSearch::default;
    let q = |q: &str| HandlerSearch { q: Some(q.into()), ..all() };
    expect(all(), &["snake_case", "ÄRGER mit CRM", "back\\slash"]).await;
    let statuses = vec![HandlerStatus::Archived, HandlerStatus::Disabled];
    expect(HandlerSearch { status: statuses, ..all() }, &["snake_case", "snakeXcase"]).await;
    expect(HandlerSearch { event: Some("clients.update".into()), ..all() }, &["back\\slash"]).await;
    let ids: Vec<_> = f.store.enabled_handlers().await.unwrap().iter().map(|h| h.spec.id).chain([HandlerId(999)]).collect();
    expect(HandlerSearch { ids: ids.clone(), ..all() }, &["ÄRGER mit CRM", "back\\slash"]).await;
    expect(HandlerSearch { ids: ids[1..].to_vec(), ..all() }, &["back\\slash"]).await;
    expect(HandlerSearch { ids: ids[2..].to_vec(), ..all() }, &[]).await;
    expect(HandlerSearch { task_type: Some("script".into()), ..all() }, &["back\\slash"]).await;
    expect(HandlerSearch { priority: Some(7), ..all() }, &["snake_case"]).await;
    expect(q("ärger MIT"), &["ÄRGER mit CRM"]).await;
    expect(q("crm.lan:8080"), &["snake_case", "ÄRGER mit CRM"]).await;
    expect(q("SYNC.PY"), &["back\\slash"]).await;
    expect(q("50% M"), &["ÄRGER mit CRM"]).await;
    expect(q("snake_"), &["snake_case"]).await;
    expect(q("k\\s"), &["back\\slash"]).await;
    expect(q("k%s"), &[]).await;
    expect(q("nowhere\0"), &[]).await;
}

async fn every_order_pages_through_equals(f: Fixture) {
    for n in 0..10 {
        let name = ["beta", "Alpha", "alpha", "Ähre"][n % 4];
        let event = ["clients.create", "clients.update"][n % 2];
        let mut handler = create(&f, NewHandler { priority: (n % 3) as u16 + 1, event: event.into(), ..new(name) }).await;
        handler.notes = "edited".into();
        f.store.update_handler(&handler, 1, after(n as i64 / 2)).await.unwrap();
    }
    type Key = fn(&Handler) -> String;
    let orders: [(HandlerSort, Key); 6] = [
        (HandlerSort::Id, |_| String::new()),
        (HandlerSort::Priority, |h| format!("{:05}", h.spec.priority)),
        (HandlerSort::Name, |h| h.spec.name.to_lowercase()),
        (HandlerSort::Event, |h| h.spec.event.clone()),
        (HandlerSort::UpdatedAt, |h| h.updated_at.to_rfc3339()),
        (HandlerSort::Chain, |h| format!("{} {:05}", h.spec.event, h.spec.priority)),
    ];
    let everything = f.store.search_handlers(&HandlerSearch::default(), &page(50)).await.unwrap().items;
    for (by, key) in orders {
        for desc in [false, true] {
            let search = HandlerSearch { order: HandlerOrder { by, desc }, ..Default::default() };
            let (mut listed, mut cursor) = (Vec::new(), None);
            loop {
                let paged = f.store.search_handlers(&search, &Page { limit: 3, cursor }).await.unwrap();
                listed.extend(paged.items.iter().map(|h| h.spec.id));
                cursor = paged.next_cursor;
                if cursor.is_none() {
                    break;
                }
            }
            let mut expected = everything.clone();
            expected.sort_by_key(|h| (key(h), h.spec.id));
            if desc {
                expected.reverse();
            }
            assert_eq!(listed, expected.iter().map(|h| h.spec.id).collect::<Vec<_>>(), "{by:?} {desc}");
        }
    }
    // A cursor of one order does not lead through another.
    let cursor = f.store.search_handlers(&HandlerSearch::default(), &page(2)).await.unwrap().next_cursor;
    let by_name = HandlerSearch { order: HandlerOrder { by: HandlerSort::Name, desc: false }, ..Default::default() };
    let refused = f.store.search_handlers(&by_name, &Page { limit: 2, cursor }).await;
    assert!(matches!(refused, Err(StorageError::BadCursor)));
}

async fn enabled_handlers_stand_in_the_order_of_their_chain(f: Fixture) {
    for (name, priority, status) in [
        ("c", 3, HandlerStatus::Enabled),
        ("a", 1, HandlerStatus::Enabled),
        ("x", 1, HandlerStatus::Disabled),
        ("b", 1, HandlerStatus::Enabled),
        ("y", 1, HandlerStatus::Archived),
    ] {
        create(&f, NewHandler { priority, status, ..new(name) }).await;
    }
    let names: Vec<_> = f.store.enabled_handlers().await.unwrap().into_iter().map(|h| h.spec.name).collect();
    assert_eq!(names, ["a", "b", "c"]);
}

async fn event_types_are_added_once(f: Fixture) {
    let catalogue = f.store.catalogue().await.unwrap();
    let built_in = catalogue.types().len();
    let paid = EventType::custom(&catalogue, "orders.paid", "Orders", None, None, "order").unwrap();
    let open = EventType::custom(&catalogue, "orders.opened", "Orders", Some("open"), Some("Order: opened"), "order").unwrap();
    f.store.create_event_type(&paid, after(1)).await.unwrap();
    f.store.create_event_type(&open, now()).await.unwrap();
    assert!(matches!(f.store.create_event_type(&paid, after(2)).await, Err(StorageError::Conflict)));
    assert_eq!(f.store.custom_event_types().await.unwrap(), [open, paid.clone()]);
    let catalogue = f.store.catalogue().await.unwrap();
    assert_eq!(catalogue.types().len(), built_in + 2);
    assert_eq!(catalogue.find("orders.paid"), Some(&paid));
}

async fn every_edit_of_an_enabled_handler_gives_other_versions(f: Fixture) {
    let versions = async || {
        let versions = f.store.enabled_versions().await.unwrap();
        assert_eq!(
            versions,
            EnabledVersions::of(&f.store.enabled_handlers().await.unwrap()),
            "told from the handlers as from the database"
        );
        versions
    };
    let mut seen = vec![versions().await];
    let mut changed = async |what: &str| {
        let now = versions().await;
        assert!(!seen.contains(&now), "{what}: {now:?}");
        seen.push(now);
    };
    // Ids of two digits too, which sort otherwise as texts.
    let mut handlers = Vec::new();
    for n in 0..12 {
        handlers.push(create(&f, NewHandler { priority: 100 - n, ..new(&format!("{n}")) }).await);
        changed("one more").await;
    }
    let mut edited = handlers[3].clone();
    edited.notes = "edited".into();
    f.store.update_handler(&edited, 1, now()).await.unwrap();
    changed("an edit").await;
    f.store.update_handler(&handlers[3], 2, now()).await.unwrap();
    changed("the edit undone").await;
    let off = Handler { status: HandlerStatus::Disabled, ..handlers[4].clone() };
    f.store.update_handler(&off, 1, now()).await.unwrap();
    changed("switched off").await;
    f.store.update_handler(&handlers[4], 2, now()).await.unwrap();
    changed("switched on").await;
    f.store.delete_handler(handlers[11].spec.id, None).await.unwrap();
    create(&f, new("in its place")).await;
    changed("another in the place of the last").await;
    create(&f, NewHandler { status: HandlerStatus::Archived, ..new("archived") }).await;
    assert_eq!(seen.last(), Some(&f.store.enabled_versions().await.unwrap()), "what is not enabled does not matter");
}
