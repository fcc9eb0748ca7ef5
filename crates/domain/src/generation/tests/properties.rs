//! What holds for any two generations.

use std::collections::{BTreeMap, BTreeSet};

use chrono::DateTime;
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::specs::{Edit, instant, sealed};
use crate::connection::{Auth, CallLimits, CredentialsIn, Tls};
use crate::generation::{Changes, HandlerChange, HandlerName, Snapshot};
use crate::handler::{HandlerSpec, OnFailure, Sealed, SigningSecret, Task};
use crate::ids::{GenerationNumber, HandlerId};
use crate::retry::RetryPolicy;

fn task(text: &'static str) -> impl Strategy<Value = Task> {
    prop_oneof![
        text.prop_map(|url| Task::Http { url }),
        (text, vec(text, 0..3)).prop_map(|(path, args)| Task::Script { path, args }),
    ]
}

/// A filter, limits, who Baton is there, whom it trusts.
type Connection = (Option<String>, CallLimits, Option<Auth<Sealed>>, Option<Tls<Sealed>>);

fn connection(text: &'static str, most: u32) -> impl Strategy<Value = Connection> {
    let number = || option::of(1..=most.min(10_000) as u16);
    let limits = (number(), number()).prop_map(|(concurrency, per_second)| CallLimits { concurrency, per_second });
    let seal = move || text.prop_map(|value| sealed(&value));
    let basic = (text, seal()).prop_map(|(username, password)| Auth::Basic { username, password });
    let oauth2 = (text, text, seal(), option::of(text)).prop_map(|(token_url, client_id, client_secret, scope)| Auth::Oauth2 {
        token_url,
        client_id,
        client_secret,
        scope,
        audience: None,
        credentials_in: CredentialsIn::Header,
    });
    let tls = (option::of(text), option::of(text), option::of(seal()), any::<bool>());
    let tls = tls.prop_map(|(ca, client_certificate, client_key, verify)| Tls { ca, client_certificate, client_key, verify });
    (option::of(text), limits, option::of(prop_oneof![basic, oauth2]), option::of(tls))
}

/// Any handler. `text` and `most` bound what it holds: where they are tight, two handlers are often alike.
fn any_spec(text: &'static str, most: u32) -> impl Strategy<Value = HandlerSpec> {
    let policy = select(vec![OnFailure::Continue, OnFailure::Wait, OnFailure::Stop]);
    let event = select(vec!["clients.create", "clients.update", "orders.paid"]);
    let numbers = (1..=most.min(65_535) as u16, 1..=most, 1..=most, 1..=u64::from(most), 1..=u64::from(most));
    let seal = move || text.prop_map(|value| sealed(&value));
    let secret = (seal(), option::of((0..=i64::from(most)).prop_map(instant)));
    let secrets = vec(secret.prop_map(|(sealed, valid_until)| SigningSecret { sealed, public_key: None, valid_until }), 0..=2);
    let headers = btree_map(prop_oneof![Just("x-api-key"), Just("x.dotted"), Just("x-b")].prop_map(str::to_owned), seal(), 0..=2);
    (text, event, task(text), policy, numbers, option::of(text), headers, secrets, connection(text, most)).prop_map(
        |(
            name,
            event,
            task,
            on_failure,
            (priority, timeout_ms, max_attempts, first_delay_ms, max_delay_ms),
            lane,
            headers,
            secrets,
            (filter, limits, auth, tls),
        )| {
            HandlerSpec {
                id: HandlerId(0),
                name,
                event: event.into(),
                task,
                priority,
                on_failure,
                timeout_ms,
                retry: RetryPolicy { max_attempts, first_delay_ms, max_delay_ms },
                lane,
                headers,
                secrets,
                filter,
                limits,
                auth,
                tls,
            }
        },
    )
}

/// Handlers with ids of their own, in any order.
fn any_handlers(text: &'static str, most: u32) -> impl Strategy<Value = Vec<HandlerSpec>> {
    let with_id = |(id, spec)| HandlerSpec { id: HandlerId(id), ..spec };
    btree_map(1..9_i64, any_spec(text, most), 0..6)
        .prop_map(move |all| all.into_iter().map(with_id).collect::<Vec<_>>())
        .prop_shuffle()
}

fn snapshot(handlers: &[HandlerSpec]) -> Snapshot {
    Snapshot::new(GenerationNumber(1), instant(0), handlers.iter().cloned())
}

/// Handlers, and the same with a few fields edited and a few handlers put in or left out, in another order.
fn before_and_after() -> impl Strategy<Value = (Vec<HandlerSpec>, Vec<HandlerSpec>)> {
    let edits = vec((any::<Index>(), select(Edit::ALL.to_vec()), any::<usize>()), 0..3);
    let drops = prop_oneof![3 => Just(0_usize), 1 => Just(1)];
    let news = prop_oneof![3 => Just(None), 1 => any_spec("[a-c]{0,2}", 3).prop_map(Some)];
    (any_handlers("[a-c]{0,2}", 3), edits, drops, news).prop_flat_map(|(before, edits, drops, new)| {
        let mut after = before.clone();
        for (which, edit, how) in edits {
            if !after.is_empty() {
                let at = which.index(after.len());
                edit.make(&mut after[at], how);
            }
        }
        after.truncate(after.len().saturating_sub(drops));
        after.extend(new.map(|spec| HandlerSpec { id: HandlerId(99), ..spec }));
        (Just(before), Just(after).prop_shuffle())
    })
}

fn ids(handlers: &[HandlerSpec]) -> BTreeSet<HandlerId> {
    handlers.iter().map(|h| h.id).collect()
}

proptest! {
    #[test]
    fn there_are_no_changes_exactly_when_the_checksums_are_equal((before, after) in before_and_after()) {
        let changes = Changes::between(&before, &after);
        prop_assert_eq!(changes.is_empty(), snapshot(&before).checksum() == snapshot(&after).checksum(), "{:?}", changes);
    }

    #[test]
    fn two_handlers_differ_exactly_when_their_checksums_do(
        a in any_spec("[ab]?", 2), b in any_spec("[ab]?", 2), like: [bool; 12],
    ) {
        // Each field is taken from one or the other, so that few differ.
        let take = |like: bool| if like { &a } else { &b };
        let mixed = HandlerSpec {
            id: a.id,
            name: take(like[0]).name.clone(),
            event: take(like[1]).event.clone(),
            task: take(like[2]).task.clone(),
            priority: take(like[3]).priority,
            on_failure: take(like[3]).on_failure,
            timeout_ms: take(like[4]).timeout_ms,
            retry: take(like[4]).retry,
            lane: take(like[5]).lane.clone(),
            headers: take(like[6]).headers.clone(),
            secrets: take(like[7]).secrets.clone(),
            filter: take(like[8]).filter.clone(),
            limits: take(like[9]).limits,
            auth: take(like[10]).auth.clone(),
            tls: take(like[11]).tls.clone(),
        };
        let changes = Changes::between([&a], [&mixed]);
        prop_assert_eq!(changes.is_empty(), a == mixed, "{:?}", changes);
        let (one, other) = (snapshot(std::slice::from_ref(&a)), snapshot(std::slice::from_ref(&mixed)));
        prop_assert_eq!(one.checksum() == other.checksum(), a == mixed);
    }

    #[test]
    fn the_order_of_what_comes_in_makes_no_difference(
        (sorted, shuffled) in any_handlers("[a-z]{0,4}", 70_000)
            .prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
    ) {
        let (one, other) = (snapshot(&sorted), snapshot(&shuffled));
        prop_assert_eq!(one.checksum(), other.checksum());
        prop_assert_eq!(one.handlers(), other.handlers());
        prop_assert!(Changes::between(&sorted, &shuffled).is_empty());
        let names = |all: &[HandlerSpec]| Changes::between([], all).added.iter().map(|h| h.id).collect::<Vec<_>>();
        prop_assert_eq!(names(&sorted), ids(&shuffled).into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn the_fields_listed_are_exactly_those_that_were_edited(
        spec in any_spec("[a-z]{0,8}", 70_000), edits in btree_set(select(Edit::ALL.to_vec()), 0..6), how: usize,
    ) {
        let mut edited = spec.clone();
        let expected: Vec<String> = edits.iter().filter_map(|edit| edit.make(&mut edited, how)).collect();
        let changes = Changes::between([&spec], [&edited]);
        let listed: Vec<String> = changes.changed.iter().flat_map(|c| &c.fields).map(|f| f.field.clone()).collect();
        // Headers are listed by name; the edits of them are in another order.
        let sorted = |fields: &[String]| fields.iter().filter(|f| f.starts_with("headers.")).cloned().collect::<BTreeSet<_>>();
        let others = |fields: &[String]| fields.iter().filter(|f| !f.starts_with("headers.")).cloned().collect::<Vec<_>>();
        prop_assert_eq!(sorted(&listed), sorted(&expected));
        prop_assert_eq!(others(&listed), others(&expected));
        prop_assert_eq!(listed.len(), expected.len());
        prop_assert!(changes.changed.iter().flat_map(|c| &c.fields).all(|f| f.live != f.saved));
    }

    #[test]
    fn seen_from_the_other_side_live_and_saved_change_places((before, after) in before_and_after()) {
        let (there, back) = (Changes::between(&before, &after), Changes::between(&after, &before));
        prop_assert_eq!(&there.added, &back.removed);
        prop_assert_eq!(&there.removed, &back.added);
        let fields = |changes: &Changes| {
            let of = |c: &HandlerChange| c.fields.iter().map(|f| (c.id, f.field.clone())).collect::<Vec<_>>();
            changes.changed.iter().flat_map(of).collect::<Vec<_>>()
        };
        prop_assert_eq!(fields(&there), fields(&back));
    }

    #[test]
    fn every_handler_is_added_removed_changed_or_the_same((before, after) in before_and_after()) {
        let changes = Changes::between(&before, &after);
        let (old, new) = (ids(&before), ids(&after));
        let by_id = |all: &[HandlerSpec]| all.iter().map(|h| (h.id, h.clone())).collect::<BTreeMap<_, _>>();
        let (was, is) = (by_id(&before), by_id(&after));
        let listed = |names: &[HandlerName]| names.iter().map(|h| h.id).collect::<Vec<_>>();
        prop_assert_eq!(listed(&changes.added), new.difference(&old).copied().collect::<Vec<_>>());
        prop_assert_eq!(listed(&changes.removed), old.difference(&new).copied().collect::<Vec<_>>());
        let differing: Vec<_> = old.intersection(&new).filter(|id| was[id] != is[id]).copied().collect();
        prop_assert_eq!(changes.changed.iter().map(|h| h.id).collect::<Vec<_>>(), differing);
        for named in changes.added.iter().chain(&changes.removed) {
            prop_assert_eq!(&named.name, &is.get(&named.id).or(was.get(&named.id)).unwrap().name);
        }
        prop_assert!(changes.changed.iter().all(|c| c.name == is[&c.id].name));
    }

    #[test]
    fn no_sealed_value_is_ever_shown(live in any_handlers("[a-z]{3,8}", 70_000), saved in any_handlers("[a-z]{3,8}", 70_000)) {
        let changes = Changes::between(&live, &saved);
        for shown in [serde_json::to_string(&changes).unwrap(), format!("{changes:?}")] {
            prop_assert!(!shown.contains("sealed<"), "{}", shown);
        }
    }

    #[test]
    fn a_snapshot_comes_back_from_its_text_as_it_was(
        handlers in any_handlers("\\PC{0,8}", 70_000),
        number: i64,
        seconds in -9_999_999_999..99_999_999_999_i64,
        nanos in 0..1_000_000_000_u32,
    ) {
        let built_at = DateTime::from_timestamp(seconds, nanos).unwrap();
        let stored = Snapshot::new(GenerationNumber(number), built_at, handlers.clone());
        let read: Snapshot = serde_json::from_str(&serde_json::to_string(&stored).unwrap()).unwrap();
        prop_assert_eq!((read.number, read.built_at), (stored.number, stored.built_at));
        prop_assert_eq!(read.handlers(), stored.handlers());
        prop_assert_eq!(read.checksum(), stored.checksum());
        for handler in &handlers {
            prop_assert_eq!(read.chain(&handler.event), stored.chain(&handler.event));
            prop_assert_eq!(read.handler(handler.id).map(|h| &**h), Some(handler));
        }
    }

    #[test]
    fn a_chain_is_the_handlers_of_its_event_by_priority_then_id(handlers in any_handlers("[a-z]{0,4}", 3)) {
        let snapshot = snapshot(&handlers);
        for event in ["clients.create", "clients.update", "orders.paid", "clients.delete"] {
            let mut expected: Vec<_> = handlers.iter().filter(|h| h.event == event).collect();
            expected.sort_by_key(|h| h.id);
            expected.sort_by_key(|h| h.priority);
            prop_assert_eq!(snapshot.chain(event).iter().map(|h| &**h).collect::<Vec<_>>(), expected);
        }
    }
}
