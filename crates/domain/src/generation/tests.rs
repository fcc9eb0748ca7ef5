//! What a generation says of itself, and of what differs from it.

mod properties;
mod specs;

use serde_json::{Value, json};

use self::specs::{Edit, full, instant, plain, sealed};
use super::{Changes, FieldChange, HandlerName, Snapshot};
use crate::handler::{HandlerSpec, OnFailure, SigningSecret, Task};
use crate::ids::{GenerationNumber, HandlerId};

fn snapshot(handlers: impl IntoIterator<Item = HandlerSpec>) -> Snapshot {
    Snapshot::new(GenerationNumber(7), instant(0), handlers)
}

/// The one handler that differs, as `field: live -> saved`.
fn differs(live: &HandlerSpec, saved: &HandlerSpec) -> Vec<String> {
    let changes = Changes::between([live], [saved]);
    assert!(changes.added.is_empty() && changes.removed.is_empty());
    assert_eq!(changes.changed.len(), usize::from(!changes.is_empty()));
    let Some(change) = changes.changed.into_iter().next() else { return Vec::new() };
    assert_eq!((change.id, &change.name), (saved.id, &saved.name));
    change.fields.iter().map(|FieldChange { field, live, saved }| format!("{field}: {live} -> {saved}")).collect()
}

#[test]
fn each_field_is_compared_and_says_what_is_live_and_what_is_saved() {
    type Set = fn(&mut HandlerSpec);
    let table: [(Set, &str); 10] = [
        (|h| h.name = "CRM 2".into(), r#"name: "Handler 1" -> "CRM 2""#),
        (|h| h.event = "clients.update".into(), r#"event: "clients.create" -> "clients.update""#),
        (|h| h.task = Task::Http { url: "http://crm.lan/2".into() }, r#"task.url: "http://crm.lan/1" -> "http://crm.lan/2""#),
        (|h| h.priority = 5, "priority: 100 -> 5"),
        (|h| h.on_failure = OnFailure::Stop, r#"on_failure: "continue" -> "stop""#),
        (|h| h.timeout_ms = 2500, "timeout_ms: 10000 -> 2500"),
        (|h| h.retry.max_attempts = 3, "retry.max_attempts: 12 -> 3"),
        (|h| h.retry.first_delay_ms = 50, "retry.first_delay_ms: 1000 -> 50"),
        (|h| h.retry.max_delay_ms = 60_000, "retry.max_delay_ms: 3600000 -> 60000"),
        (|h| h.lane = Some("crm".into()), r#"lane: null -> "crm""#),
    ];
    for (set, expected) in table {
        let mut saved = plain(1);
        set(&mut saved);
        assert_eq!(differs(&plain(1), &saved), [expected]);
    }
}

#[test]
fn a_script_is_compared_by_path_and_arguments() {
    let with = |path: &str, args: &[&str]| HandlerSpec {
        task: Task::Script { path: path.into(), args: args.iter().map(|&a| a.into()).collect() },
        ..plain(1)
    };
    let live = with("vcs/a.py", &["--fast"]);
    assert_eq!(differs(&live, &with("vcs/b.py", &["--fast"])), [r#"task.path: "vcs/a.py" -> "vcs/b.py""#]);
    assert_eq!(differs(&live, &with("vcs/a.py", &["--fast", "1"])), [r#"task.args: ["--fast"] -> ["--fast","1"]"#]);
    assert_eq!(differs(&live, &with("vcs/b.py", &[])).len(), 2);
}

#[test]
fn a_task_of_another_type_is_shown_whole() {
    let saved = HandlerSpec { task: Task::Script { path: "vcs/a.py".into(), args: vec![] }, ..plain(1) };
    let http = r#"{"type":"http","url":"http://crm.lan/1"}"#;
    let script = r#"{"args":[],"path":"vcs/a.py","type":"script"}"#;
    assert_eq!(differs(&plain(1), &saved), [format!("task: {http} -> {script}")]);
    assert_eq!(differs(&saved, &plain(1)), [format!("task: {script} -> {http}")]);
}

#[test]
fn headers_are_compared_by_name_and_never_shown() {
    let with = |headers: &[(&str, &str)]| HandlerSpec {
        headers: headers.iter().map(|&(name, value)| (name.into(), sealed(value))).collect(),
        ..plain(1)
    };
    let live = with(&[("x-api-key", "k1"), ("x-old", "o"), ("x-same", "s")]);
    let saved = with(&[("x-api-key", "k2"), ("x-new", "n"), ("x-same", "s")]);
    let expected = [
        r#"headers.x-api-key: "set" -> "set to another value""#,
        r#"headers.x-new: null -> "set""#,
        r#"headers.x-old: "set" -> null"#,
    ];
    assert_eq!(differs(&live, &saved), expected);
}

#[test]
fn secrets_are_compared_and_never_shown() {
    let secret = |value: &str, valid_until| SigningSecret { sealed: sealed(value), public_key: None, valid_until };
    let with = |secrets: &[SigningSecret]| HandlerSpec { secrets: secrets.to_vec(), ..plain(1) };
    let (none, one, other) = (with(&[]), with(&[secret("a", None)]), with(&[secret("b", None)]));
    let rotating = with(&[secret("b", None), secret("a", Some(instant(60)))]);
    assert_eq!(differs(&none, &one), [r#"secret: null -> "set""#]);
    assert_eq!(differs(&one, &none), [r#"secret: "set" -> null"#]);
    for (live, saved) in [(&one, &other), (&one, &rotating), (&rotating, &other)] {
        assert_eq!(differs(live, saved), [r#"secret: "set" -> "set to another value""#]);
    }
    assert!(differs(&rotating, &rotating.clone()).is_empty());
}

#[test]
fn a_lane_that_follows_its_target_is_not_a_change_of_its_own() {
    let moved = HandlerSpec { task: Task::Http { url: "http://crm.lan/2?x=1".into() }, ..plain(1) };
    assert_eq!(plain(1).effective_lane(), "http://crm.lan/1");
    assert_eq!(moved.effective_lane(), "http://crm.lan/2");
    assert_eq!(differs(&plain(1), &moved), [r#"task.url: "http://crm.lan/1" -> "http://crm.lan/2?x=1""#]);

    let named = HandlerSpec { lane: Some("crm".into()), ..moved };
    assert_eq!(named.effective_lane(), "crm");
    assert_eq!(differs(&named, &HandlerSpec { lane: None, ..named.clone() }), [r#"lane: "crm" -> null"#]);
}

#[test]
fn what_is_equal_has_no_changes() {
    for handler in [plain(1), full(1)] {
        assert!(differs(&handler, &handler.clone()).is_empty());
    }
    assert!(Changes::between([], []).is_empty());
}

#[test]
fn handlers_that_came_went_and_changed_are_listed_by_id() {
    let renamed = |id| HandlerSpec { name: format!("Renamed {id}"), ..plain(id) };
    let live = [plain(9), plain(4), plain(30), plain(2), plain(5)];
    let saved = [plain(12), renamed(9), plain(5), plain(1), renamed(4)];
    let changes = Changes::between(&live, &saved);
    let named =
        |ids: &[i64]| ids.iter().map(|id| HandlerName { id: HandlerId(*id), name: format!("Handler {id}") }).collect::<Vec<_>>();
    assert_eq!(changes.added, named(&[1, 12]));
    assert_eq!(changes.removed, named(&[2, 30]));
    let changed: Vec<_> = changes.changed.iter().map(|c| (c.id.0, c.name.as_str(), c.fields.len())).collect();
    assert_eq!(changed, [(4, "Renamed 4", 1), (9, "Renamed 9", 1)]);
    assert!(!changes.is_empty());
}

#[test]
fn one_kind_of_change_is_enough_to_be_a_change() {
    let handler = plain(1);
    let other = HandlerSpec { priority: 1, ..plain(1) };
    assert!(!Changes::between([], [&handler]).is_empty());
    assert!(!Changes::between([&handler], []).is_empty());
    assert!(!Changes::between([&handler], [&other]).is_empty());
}

#[test]
fn changes_have_the_shape_that_clients_rely_on() {
    let saved = HandlerSpec { priority: 5, ..plain(2) };
    let changes = Changes::between(&[plain(1), plain(2)], &[saved, plain(3)]);
    let text = json!({
        "added": [{"id": 3, "name": "Handler 3"}],
        "removed": [{"id": 1, "name": "Handler 1"}],
        "changed": [{"id": 2, "name": "Handler 2", "fields": [{"field": "priority", "live": 100, "saved": 5}]}],
    });
    assert_eq!(serde_json::to_value(&changes).unwrap(), text);
    assert_eq!(serde_json::from_value::<Changes>(text).unwrap(), changes);
}

#[test]
fn fields_stand_in_the_order_of_the_form() {
    let (live, mut saved) = (full(1), full(1));
    let fields: Vec<String> = Edit::ALL.iter().flat_map(|edit| edit.make(&mut saved, 0)).collect();
    let changes = Changes::between([&live], [&saved]);
    assert_eq!(changes.changed[0].fields.iter().map(|f| f.field.clone()).collect::<Vec<_>>(), fields);
}

#[test]
fn the_checksum_is_that_of_the_content() {
    let checksum = snapshot([plain(1), full(2)]).checksum();
    assert_eq!((checksum.len(), checksum.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))), (64, true));
    assert_eq!(snapshot([full(2), plain(1)]).checksum(), checksum);
    assert_eq!(Snapshot::new(GenerationNumber(8), instant(99), [plain(1), full(2)]).checksum(), checksum);
    assert_ne!(snapshot([plain(1)]).checksum(), checksum);
    assert_ne!(snapshot([]).checksum(), checksum);
    // Stored generations are compared with new ones by it: the text that it is made of must not change unnoticed.
    assert_eq!(snapshot([]).checksum(), "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945");
}

#[test]
fn any_field_that_changes_gives_another_checksum() {
    let checksum = snapshot([full(1)]).checksum();
    let mut seen = vec![checksum];
    for edit in Edit::ALL {
        let mut edited = full(1);
        assert!(edit.make(&mut edited, 0).is_some(), "{edit:?} has something to edit");
        seen.push(snapshot([edited]).checksum());
    }
    let count = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), count, "each edit gives a checksum of its own");
}

#[test]
fn chains_are_sorted_by_priority_then_id_and_hold_their_event_only() {
    let at = |id, priority, event: &str| HandlerSpec { priority, event: event.into(), ..plain(id) };
    let all = [
        at(9, 1, "clients.create"),
        at(3, 100, "clients.create"),
        at(7, 2, "clients.update"),
        at(4, 1, "clients.create"),
        at(1, 65_535, "clients.create"),
        at(2, 100, "clients.create"),
    ];
    let snapshot = snapshot(all);
    let ids = |chain: &[std::sync::Arc<HandlerSpec>]| chain.iter().map(|h| h.id.0).collect::<Vec<_>>();
    assert_eq!(ids(snapshot.chain("clients.create")), [4, 9, 2, 3, 1]);
    assert_eq!(ids(snapshot.chain("clients.update")), [7]);
    assert_eq!(ids(snapshot.chain("clients.delete")), Vec::<i64>::new());
    assert_eq!(ids(snapshot.handlers()), [4, 9, 7, 2, 3, 1]);
    assert_eq!(snapshot.handler(HandlerId(7)).map(|h| h.priority), Some(2));
    assert!(snapshot.handler(HandlerId(8)).is_none());
}

#[test]
fn a_snapshot_is_stored_with_its_number_and_what_it_leaves_out_is_the_default() {
    let mut text = serde_json::to_value(snapshot([plain(1), full(2)])).unwrap();
    assert_eq!((&text["number"], &text["built_at"]), (&json!(7), &json!("1970-01-01T00:00:00Z")));
    let plain_fields: Vec<_> = text["handlers"][1].as_object().unwrap().keys().collect();
    assert_eq!(plain_fields, ["event", "id", "name", "on_failure", "priority", "retry", "task", "timeout_ms"]);
    text["handlers"].as_array_mut().unwrap().reverse();
    let read: Snapshot = serde_json::from_value(text).unwrap();
    assert_eq!(read.handlers().iter().map(|h| (**h).clone()).collect::<Vec<_>>(), [full(2), plain(1)]);
    assert!(serde_json::from_value::<Snapshot>(json!({"number": 1, "built_at": Value::Null, "handlers": []})).is_err());
}
