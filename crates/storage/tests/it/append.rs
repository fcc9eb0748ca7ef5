//! Appending: order, duplicates, durability of what was answered.

use std::time::Duration;

use baton_domain::{EventStatus, NewEvent, ObjectId, Seq};
use baton_storage::{FeedQuery, StorageError};
use baton_testkit::{eventually, within};
use sqlx::{Connection, Executor, PgConnection};

use crate::fixture::{Fixture, after, count, ends, event, everything, keyed, now, on_both};

const SOON: Duration = Duration::from_secs(20);

on_both!(
    events_are_stored_to_the_letter,
    places_follow_the_order_given,
    a_key_within_one_call_makes_duplicates,
    a_key_across_calls_makes_duplicates_for_a_day,
    a_duplicate_answers_with_the_present_status,
    an_append_repeated_after_a_lost_answer_stores_nothing_twice,
    an_append_repeated_with_keys_stores_nothing_twice,
    appends_beyond_one_statement_are_whole,
    places_become_visible_in_their_order,
    a_race_for_one_key_has_one_winner,
);

async fn events_are_stored_to_the_letter(f: Fixture) {
    let published = NewEvent {
        object_id: ObjectId::from_json(r#""4\"1é""#).unwrap(),
        ordering_key: "client/4\"1é".into(),
        dt: "2026-03-04T09:15:27.000417+01:00".into(),
        data: r#"{"credit":250.0,"n":12345678901234567890123,"s":"\u0000\u00e9 – \\ <b>", "e":1E5}"#.into(),
        idempotency_key: Some("k'\"\\".into()),
        received_at: "2026-11-24T10:00:00.123456789Z".parse().unwrap(),
        ..event(1)
    };
    let appended = f.append(std::slice::from_ref(&published)).await;
    assert_eq!(appended[0].seq, Seq(1));
    let stored = f.store.event(published.id).await.unwrap().unwrap();
    assert_eq!(
        (stored.object_id, stored.ordering_key, stored.dt, stored.data, stored.events_id),
        (published.object_id, published.ordering_key, published.dt, published.data, published.events_id)
    );
    assert_eq!(stored.received_at.to_rfc3339(), "2026-11-24T10:00:00.123456+00:00");
    assert_eq!((stored.status, stored.generation, stored.finished_at), (EventStatus::Pending, None, None));
    assert!(f.store.event(event(1).id).await.unwrap().is_none());
}

async fn places_follow_the_order_given(f: Fixture) {
    assert!(f.append(&[]).await.is_empty());
    let events: Vec<_> = [5, 3, 9, 3].map(event).into();
    let appended = f.append(&events).await;
    assert_eq!(appended.iter().map(|a| a.seq.0).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert!(appended.iter().zip(&events).all(|(a, e)| a.id == e.id && a.status == EventStatus::Pending && !a.duplicate));
    assert_eq!(f.append(&[event(1)]).await[0].seq, Seq(5));
    let fed = f.unfinished().await;
    assert_eq!(fed.iter().map(|d| d.event_id).collect::<Vec<_>>()[..4], events.iter().map(|e| e.id).collect::<Vec<_>>());
    assert_eq!(f.sums().await, [5, 0, 0, 0, 5, 0]);
}

async fn a_key_within_one_call_makes_duplicates(f: Fixture) {
    let events = [keyed(1, "a"), event(2), keyed(3, "a"), keyed(4, "b")];
    let appended = f.append(&events).await;
    assert_eq!(appended.iter().map(|a| a.duplicate).collect::<Vec<_>>(), [false, false, true, false]);
    assert_eq!((appended[2].id, appended[2].seq), (events[0].id, appended[0].seq));
    assert_eq!(f.unfinished().await.len(), 3);
    assert_eq!(f.sums().await[0], 3);
}

async fn a_key_across_calls_makes_duplicates_for_a_day(f: Fixture) {
    let first = f.append(&[keyed(1, "a")]).await.remove(0);
    let day = 24 * 3600;
    let append = |client, at| {
        let store = f.store.clone();
        async move { store.append_events(&[keyed(client, "a")], after(at)).await.unwrap().remove(0) }
    };
    let second = append(2, day - 1).await;
    assert_eq!((second.id, second.seq, second.duplicate), (first.id, first.seq, true));
    let third = append(3, day).await;
    assert!(!third.duplicate && third.id != first.id);
    // The key now stands for the new one, from its own instant on.
    let fourth = append(4, 2 * day - 1).await;
    assert_eq!((fourth.id, fourth.duplicate), (third.id, true));
}

async fn a_duplicate_answers_with_the_present_status(f: Fixture) {
    let owner = f.owner().await;
    f.append(&[keyed(1, "a"), keyed(2, "b")]).await;
    let fed = f.unfinished().await;
    f.store.record(owner, &ends(&fed[..1], EventStatus::Unmatched)).await.unwrap();
    let again = f.append(&[keyed(3, "b"), keyed(3, "a"), keyed(3, "c")]).await;
    assert_eq!(
        again.iter().map(|a| (a.status, a.duplicate)).collect::<Vec<_>>(),
        [(EventStatus::Pending, true), (EventStatus::Unmatched, true), (EventStatus::Pending, false)]
    );
}

async fn an_append_repeated_after_a_lost_answer_stores_nothing_twice(f: Fixture) {
    let events: Vec<_> = (0..3).map(event).collect();
    let first = f.append(&events[..2]).await;
    let again = f.append(&events).await;
    assert_eq!(again[..2], first[..]);
    assert_eq!((again[2].id, again[2].duplicate), (events[2].id, false));
    assert_eq!(f.unfinished().await.len(), 3);
    assert_eq!(f.sums().await, [3, 0, 0, 0, 3, 0]);
}

async fn an_append_repeated_with_keys_stores_nothing_twice(f: Fixture) {
    for events in [vec![keyed(1, "a"), event(2)], vec![keyed(3, "c"), keyed(4, "d")]] {
        let first = f.append(&events).await;
        assert_eq!(f.append(&events).await, first);
        assert!(first.iter().all(|a| !a.duplicate));
    }
    assert_eq!(f.sums().await[0], 4);
}

async fn appends_beyond_one_statement_are_whole(f: Fixture) {
    let big = |n: i64| NewEvent { data: format!(r#"{{"x":"{}"}}"#, "é\\\"".repeat(250_000)), ..event(n) };
    let events: Vec<_> = (0..14).map(big).collect();
    let appended = f.append(&events).await;
    assert_eq!(appended.iter().map(|a| a.seq.0).collect::<Vec<_>>(), (1..=14).collect::<Vec<_>>());
    let query = FeedQuery { bytes_max: 3_000_000, ..everything() };
    let fed = f.store.read_dispatches(&query).await.unwrap();
    assert_eq!(fed.len(), 3);
    assert_eq!(fed[2].data, events[2].data);
}

/// Two appenders at work, and a reader with a cursor: it must never find a place that it has passed.
async fn places_become_visible_in_their_order(f: Fixture) {
    const CALLS: i64 = 60;
    let stores = [f.store.clone(), f.other_store().await];
    let appenders = stores.map(|store| {
        tokio::spawn(async move {
            for n in 0..CALLS {
                let events: Vec<_> = (0..=n % 4).map(event).collect();
                // With a key now and then, to take both ways of appending.
                let events: Vec<_> =
                    if n % 5 == 0 { events.into_iter().map(|e| keyed(1, &e.id.to_string())).collect() } else { events };
                store.append_events(&events, now()).await.unwrap();
            }
        })
    });
    let reader = f.other_store().await;
    let (mut seen, mut after) = (Vec::new(), Seq(0));
    let mut last_round = false;
    loop {
        let fed = reader.read_dispatches(&FeedQuery { after, limit: 50, ..everything() }).await.unwrap();
        after = fed.last().map_or(after, |d| d.seq);
        seen.extend(fed.iter().map(|d| d.seq.0));
        if fed.is_empty() {
            if last_round {
                break;
            }
            // Only what is read after both have ended tells that nothing is left.
            last_round = appenders.iter().all(tokio::task::JoinHandle::is_finished);
            tokio::task::yield_now().await;
        }
    }
    for appender in appenders {
        appender.await.unwrap();
    }
    let published = 2 * (0..CALLS).map(|n| n % 4 + 1).sum::<i64>();
    assert_eq!(seen, (1..=published).collect::<Vec<_>>());
}

async fn a_race_for_one_key_has_one_winner(f: Fixture) {
    let other = f.other_store().await;
    for round in 0..20 {
        let key = format!("key {round}");
        let (one, two) = ([keyed(1, &key), event(1)], [keyed(2, &key), event(2)]);
        let (one, two) = tokio::join!(f.store.append_events(&one, now()), other.append_events(&two, now()));
        let (one, two): (Result<_, StorageError>, _) = (one, two);
        let (one, two) = (one.unwrap(), two.unwrap());
        assert_eq!(one[0].id, two[0].id, "round {round}");
        assert_ne!(one[0].duplicate, two[0].duplicate);
    }
    assert_eq!(f.sums().await[0], 60);
}

/// One process's second append waits within the database, and begins when the first is committed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_appends_of_one_store_wait_for_their_turn() {
    let f = Fixture::postgres().await;
    assert_eq!(f.store.appends_at_once(), 2);
    let mut ahead = PgConnection::connect(f.database.url()).await.unwrap();
    ahead.execute("BEGIN; SELECT seq FROM append_position WHERE id = 1 FOR UPDATE").await.unwrap();
    let append = |objects: std::ops::Range<i64>, keyed_too: bool| {
        let store = f.store.clone();
        let mut events: Vec<_> = objects.map(event).collect();
        events.extend(keyed_too.then(|| keyed(9, "a key")));
        tokio::spawn(async move { store.append_events(&events, now()).await.unwrap() })
    };
    let (one, two) = (append(0..3, false), append(3..5, true));
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    eventually(SOON, "both to wait", async || (count(&f, waiting).await == 2).then_some(())).await;
    ahead.execute("COMMIT").await.unwrap();
    let (one, two) = (within(SOON, "one", one).await.unwrap(), within(SOON, "the other", two).await.unwrap());
    let mut places: Vec<_> = one.iter().chain(&two).map(|appended| appended.seq.0).collect();
    assert!(one.is_sorted_by_key(|a| a.seq) && two.is_sorted_by_key(|a| a.seq), "{places:?}");
    places.sort_unstable();
    assert_eq!(places, [1, 2, 3, 4, 5, 6]);
    assert_eq!(f.sums().await[0], 6);
}
