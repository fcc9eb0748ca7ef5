//! Whatever is sent is refused or reaches the handler to the letter.

use chrono::DateTime;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::{NewEvent, Publication, body};
use crate::catalogue::Catalogue;
use crate::limits::{OBJECT_ID_MAX, ORDERING_KEY_MAX};

/// The body of a call, read by a stranger.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body<'a> {
    #[serde(borrow)]
    event: Head<'a>,
    #[serde(borrow)]
    data: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Head<'a> {
    dt: String,
    events_id: String,
    #[serde(borrow)]
    object_id: &'a RawValue,
}

/// The event, when what was sent is accepted.
fn accepted(sent: &[u8]) -> Option<NewEvent> {
    let publication: Publication = serde_json::from_slice(sent).ok()?;
    match publication.check(&Catalogue::default(), None, DateTime::UNIX_EPOCH) {
        Ok(event) => Some(event),
        Err(errors) => {
            assert!(!errors.0.is_empty(), "a refusal says why");
            None
        }
    }
}

/// What is sent, read without any rule of ours; the raw text of `object_id` and `data`.
fn raw_parts(sent: &[u8]) -> (String, String) {
    #[derive(Deserialize)]
    struct Sent<'a> {
        #[serde(borrow)]
        event: SentHead<'a>,
        #[serde(borrow)]
        data: &'a RawValue,
    }
    #[derive(Deserialize)]
    struct SentHead<'a> {
        #[serde(borrow)]
        object_id: &'a RawValue,
    }
    let sent: Sent<'_> = serde_json::from_slice(sent).expect("what was accepted is JSON");
    (sent.event.object_id.get().to_owned(), sent.data.get().to_owned())
}

/// Checks the promises that hold for any accepted event.
fn check_accepted(sent: &[u8], event: &NewEvent) {
    let text = body(&event.events_id, &event.object_id, &event.dt, &event.data);
    let read: Body<'_> = serde_json::from_str(&text).expect("the body is JSON");
    let (object_id, data) = raw_parts(sent);
    assert_eq!((read.event.object_id.get(), read.data.get()), (object_id.as_str(), data.as_str()), "to the letter");
    assert_eq!((&read.event.dt, &read.event.events_id), (&event.dt, &event.events_id));
    assert_eq!(Catalogue::default().find(&event.events_id).map(|t| &t.id), Some(&event.events_id), "never an alias");
    assert!(DateTime::parse_from_rfc3339(&event.dt).is_ok());
    assert!((1..=ORDERING_KEY_MAX).contains(&event.ordering_key.chars().count()));
    assert!((1..=OBJECT_ID_MAX).contains(&event.object_id.text().chars().count()));
}

/// Any JSON, a few levels deep.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![vec(inner.clone(), 0..4).prop_map(Value::from), vec((any::<String>(), inner), 0..4).prop_map(object)]
    })
}

fn object(fields: Vec<(String, Value)>) -> Value {
    Value::from(Map::from_iter(fields))
}

/// Mostly a good value, now and then any.
fn mostly(good: impl Strategy<Value = Value> + 'static) -> impl Strategy<Value = Value> {
    prop_oneof![9 => good, 1 => any_json()]
}

/// A publication as a publisher would send it, most of its fields good.
fn any_publication() -> impl Strategy<Value = Value> {
    let events_id =
        prop_oneof![Just("clients.create"), Just("accounts.delete"), Just("clients_packages.renew")].prop_map(Value::from);
    let object_id =
        prop_oneof![any::<i64>().prop_map(Value::from), any::<f64>().prop_map(Value::from), "\\PC{1,20}".prop_map(Value::from)];
    let dt =
        prop_oneof![Just("2026-03-04T09:15:27+00:00"), Just("2026-03-04T09:15:27.000417-11:30"), Just("2026-03-04T09:15:60Z")];
    let data = vec((any::<String>(), any_json()), 0..4).prop_map(object);
    let ordering_key = option::of(mostly("\\PC{1,20}".prop_map(Value::from)));
    let dt = option::of(mostly(dt.prop_map(Value::from)));
    (mostly(events_id), mostly(object_id), dt, mostly(data), ordering_key).prop_map(
        |(events_id, object_id, dt, data, ordering_key)| {
            let mut sent = json!({"event": {"events_id": events_id, "object_id": object_id}, "data": data});
            if let Some(dt) = dt {
                sent["event"]["dt"] = dt;
            }
            if let Some(key) = ordering_key {
                sent["ordering_key"] = key;
            }
            sent
        },
    )
}

/// Text of the form of an instant, which need not be one.
fn almost_an_instant() -> impl Strategy<Value = String> {
    let date = "[0-9]{4}-[0-1][0-9]-[0-3][0-9]";
    let time = "[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{0,12})?";
    (date, time, "Z|[+-][0-9]{2}:[0-9]{2}").prop_map(|(date, time, offset)| format!("{date}T{time}{offset}"))
}

/// A good publication that is not in its shortest form.
const WRITTEN_OUT: &str = r#" { "ordering_key" : "k\u00e9y",
    "data" : { "a" : [ 1.50 , -0 , 1E5 , 12345678901234567890123 ] , "\u0061" : "\ud83d\ude00 é \" \\" , "a" : { } } ,
    "event" : { "dt" : "2026-03-04T09:15:27.5+01:00" , "object_id" : "4\u0031\"7 é" , "events_id" : "accounts.create" } } "#;

proptest! {
    #[test]
    fn any_bytes_are_refused_or_accepted_without_a_panic(bytes: Vec<u8>) {
        if let Some(event) = accepted(&bytes) {
            check_accepted(&bytes, &event);
        }
    }

    #[test]
    fn a_damaged_publication_is_refused_or_reaches_the_handler_as_it_is(
        damage in vec((any::<Index>(), 0..3_u8, prop_oneof![any::<u8>(), select(b"\"\\{}[],:0129eE+-.udT \n".to_vec())]), 0..4),
    ) {
        let mut sent = WRITTEN_OUT.as_bytes().to_vec();
        for (at, kind, byte) in damage {
            let at = at.index(sent.len());
            match kind {
                0 => sent[at] = byte,
                1 => sent.insert(at, byte),
                _ => drop(sent.remove(at)),
            }
        }
        if let Some(event) = accepted(&sent) {
            check_accepted(&sent, &event);
        }
    }

    #[test]
    fn what_is_accepted_reaches_the_handler_with_the_same_object_and_data(sent in any_publication()) {
        let text = serde_json::to_vec(&sent).unwrap();
        if let Some(event) = accepted(&text) {
            check_accepted(&text, &event);
            // Both are read by the same reader, which rounds the last digit of a long fraction.
            let sent: Value = serde_json::from_slice(&text).unwrap();
            let read: Value = serde_json::from_str(&body(&event.events_id, &event.object_id, &event.dt, &event.data)).unwrap();
            prop_assert_eq!(&read["event"]["object_id"], &sent["event"]["object_id"]);
            prop_assert_eq!(&read["data"], &sent["data"]);
            prop_assert_eq!(read.as_object().map(Map::len), Some(2));
            prop_assert_eq!(read["event"].as_object().map(Map::len), Some(3));
        }
    }

    #[test]
    fn any_json_is_refused_or_accepted_without_a_panic(sent in any_json(), event in any_json(), data in any_json()) {
        for sent in [sent, json!({"event": event, "data": data})] {
            let text = serde_json::to_vec(&sent).unwrap();
            if let Some(event) = accepted(&text) {
                check_accepted(&text, &event);
            }
        }
    }

    #[test]
    fn a_good_publication_is_accepted(
        object_id in prop_oneof![any::<i64>().prop_map(Value::from), "\\PC{1,200}".prop_map(Value::from)],
    ) {
        let sent = json!({"event": {"events_id": "clients.create", "object_id": object_id}, "data": {}});
        let event = accepted(&serde_json::to_vec(&sent).unwrap());
        let text = object_id.as_str().map_or_else(|| object_id.to_string(), str::to_owned);
        prop_assert_eq!(event.map(|e| e.ordering_key), Some(format!("client/{text}")));
    }

    #[test]
    fn any_text_as_an_instant_is_refused_or_is_one(dt in prop_oneof![any::<String>(), almost_an_instant()]) {
        let sent = json!({"event": {"events_id": "clients.create", "object_id": 1, "dt": dt}, "data": {}});
        let sent = serde_json::to_vec(&sent).unwrap();
        if let Some(event) = accepted(&sent) {
            check_accepted(&sent, &event);
            prop_assert_eq!(event.dt, dt);
        }
    }
}

#[test]
fn the_undamaged_publication_is_accepted() {
    let event = accepted(WRITTEN_OUT.as_bytes()).expect("it is good");
    check_accepted(WRITTEN_OUT.as_bytes(), &event);
    assert_eq!((event.ordering_key.as_str(), event.object_id.text().as_str()), ("kéy", "41\"7 é"));
}
