//! What dispatchers read.

use std::collections::HashMap;

use baton_domain::{CallStatus, EventStatus, GenerationNumber, HandlerId, NewEvent, PartitionId, Seq};
use baton_storage::{DeliveryState, FedDispatch, FeedQuery, ProgressState, Record};

use crate::fixture::{Fixture, after, delivery, ends, event, everything, execution, on_both};

on_both!(
    dispatches_come_in_their_order_with_their_payload,
    bounds_keys_and_sizes_are_kept_to,
    some_partitions_are_read_to_the_end,
    the_backlog_of_a_key_and_chosen_dispatches,
    progress_is_what_was_recorded,
    what_is_in_front_of_an_event,
);

fn seqs(fed: &[FedDispatch]) -> Vec<i64> {
    fed.iter().map(|d| d.seq.0).collect()
}

async fn dispatches_come_in_their_order_with_their_payload(f: Fixture) {
    let events: Vec<_> = (0..50).map(event).collect();
    f.append(&events).await;
    let fed = f.unfinished().await;
    assert_eq!(seqs(&fed), (1..=50).collect::<Vec<_>>());
    for (d, e) in fed.iter().zip(&events) {
        assert_eq!((d.event_id, &d.data, &d.dt, &d.events_id, &d.object_id), (e.id, &e.data, &e.dt, &e.events_id, &e.object_id));
        assert_eq!((d.partition, &d.ordering_key, d.received_at), (e.partition(), &e.ordering_key, e.received_at));
        assert_eq!((d.handler_id, d.generation), (None, None));
    }
}

async fn bounds_keys_and_sizes_are_kept_to(f: Fixture) {
    let events: Vec<_> = (0..20).map(|n| event(n % 4)).collect();
    f.append(&events).await;
    let read = |query: FeedQuery| {
        let store = f.store.clone();
        async move { seqs(&store.read_dispatches(&query).await.unwrap()) }
    };
    let all = everything;
    assert_eq!(read(FeedQuery { after: Seq(5), up_to: Some(Seq(8)), ..all() }).await, [6, 7, 8]);
    assert_eq!(read(FeedQuery { limit: 2, after: Seq(18), ..all() }).await, [19, 20]);
    assert_eq!(read(FeedQuery { limit: 0, ..all() }).await, [0; 0]);
    assert_eq!(read(FeedQuery { partitions: vec![], ..all() }).await, [0; 0]);
    let keys = vec!["client/0".into(), "client/2".into(), "client/3".into()];
    assert_eq!(read(FeedQuery { except_keys: keys, ..all() }).await, [2, 6, 10, 14, 18]);
    // Each payload has this many bytes; the one that reaches the bound is still given.
    let size = events[0].data.len();
    assert_eq!(read(FeedQuery { bytes_max: 3 * size, ..all() }).await, [1, 2, 3]);
    assert_eq!(read(FeedQuery { bytes_max: 3 * size + 1, ..all() }).await, [1, 2, 3, 4]);
    assert_eq!(read(FeedQuery { bytes_max: 0, ..all() }).await, [1]);
    let of_one = FeedQuery { partitions: vec![events[1].partition()], bytes_max: 2 * size, ..all() };
    assert_eq!(read(of_one).await, [2, 6]);
}

/// One partition with far more than the others: reading on from the last place must find everything, in order.
async fn some_partitions_are_read_to_the_end(f: Fixture) {
    let events: Vec<_> = (0..600).map(|n| event(if n % 10 == 0 { n } else { 7 })).collect();
    f.append(&events).await;
    let mine: Vec<PartitionId> = PartitionId::all().filter(|p| p.0 % 2 == events[1].partition().0 % 2).collect();
    let expected: Vec<_> = (1..).zip(&events).filter(|(_, e)| mine.contains(&e.partition())).map(|(n, _)| n).collect();
    assert!(expected.len() > 550 && expected.len() < 600);
    for limit in [1, 7, 64, 1000] {
        let (mut read, mut after) = (Vec::new(), Seq(0));
        loop {
            let query = FeedQuery { partitions: mine.clone(), after, limit, ..everything() };
            let fed = f.store.read_dispatches(&query).await.unwrap();
            let Some(last) = fed.last() else { break };
            assert!(fed.len() <= limit as usize);
            after = last.seq;
            read.extend(seqs(&fed));
            // Whoever believes that this was all must not miss anything.
            assert!(!query.exhausted_by(&fed) || read == expected, "limit {limit}: {} of {}", read.len(), expected.len());
        }
        assert_eq!(read, expected, "limit {limit}");
    }
}

async fn the_backlog_of_a_key_and_chosen_dispatches(f: Fixture) {
    let events: Vec<_> = (0..12).map(|n| event(n % 3)).collect();
    f.append(&events).await;
    let backlog = |after, up_to, limit| {
        let (store, partition) = (f.store.clone(), events[1].partition());
        async move { seqs(&store.read_key_backlog(partition, "client/1", Seq(after), Seq(up_to), limit).await.unwrap()) }
    };
    assert_eq!(backlog(0, 100, 10).await, [2, 5, 8, 11]);
    assert_eq!(backlog(2, 8, 10).await, [5, 8]);
    assert_eq!(backlog(0, 100, 1).await, [2]);
    let owner = f.owner().await;
    let fed = f.unfinished().await;
    f.store.record(owner, &ends(&fed[4..5], EventStatus::Delivered)).await.unwrap();
    let loaded = f.store.load_dispatches(&[Seq(9), Seq(5), Seq(1), Seq(77)]).await.unwrap();
    assert_eq!(seqs(&loaded), [1, 9]);
    assert_eq!(loaded[1].data, events[8].data);
    assert!(f.store.load_dispatches(&[]).await.unwrap().is_empty());
}

async fn progress_is_what_was_recorded(f: Fixture) {
    let owner = f.owner().await;
    let fed = f.dispatches(&[1, 2]).await;
    let mut retrying = delivery(&fed[0], 14, DeliveryState::Retrying, 2);
    retrying.generation = GenerationNumber(5);
    let record = Record {
        executions: vec![
            execution(&fed[0], 11, 1, CallStatus::Success),
            execution(&fed[0], 12, 1, CallStatus::Skipped),
            execution(&fed[0], 13, 1, CallStatus::Fail),
            execution(&fed[0], 14, 2, CallStatus::Fail),
            execution(&fed[1], 11, 4, CallStatus::Success),
        ],
        retries: vec![delivery(&fed[0], 13, DeliveryState::Dead, 1), retrying],
        started: vec![(fed[0].seq, GenerationNumber(3))],
        partitions: fed.iter().map(|d| d.partition).collect(),
        ..Record::default()
    };
    f.store.record(owner, &record).await.unwrap();

    let of: Vec<_> = fed.iter().map(|d| (d.seq, d.event_id)).collect();
    let progress = f.store.recorded_progress(&of).await.unwrap();
    let states: Vec<_> = progress.iter().map(|p| (p.seq, p.handler_id.0, p.state, p.attempts, p.generation.0)).collect();
    assert_eq!(
        states,
        [
            (fed[0].seq, 11, ProgressState::Succeeded, 1, 3),
            (fed[0].seq, 12, ProgressState::Skipped, 1, 3),
            (fed[0].seq, 13, ProgressState::Dead, 1, 3),
            (fed[0].seq, 14, ProgressState::Retrying { next_attempt_at: after(30) }, 2, 5),
            (fed[1].seq, 11, ProgressState::Succeeded, 4, 3),
        ]
    );
    let reread = f.unfinished().await;
    assert_eq!(reread.iter().map(|d| d.generation).collect::<Vec<_>>(), [Some(GenerationNumber(3)), None]);

    // A replay of the same event has a story of its own.
    let replay = f.store.replay_event(fed[0].event_id, Some(HandlerId(11)), after(2)).await.unwrap();
    let progress = f.store.recorded_progress(&[(replay, fed[0].event_id)]).await.unwrap();
    assert!(progress.is_empty(), "{progress:?}");
    // The delivery that succeeded after a retry is settled.
    let settled = Record {
        executions: vec![execution(&fed[0], 14, 3, CallStatus::Success)],
        settled: vec![(fed[0].seq, HandlerId(14))],
        partitions: vec![fed[0].partition],
        ..Record::default()
    };
    f.store.record(owner, &settled).await.unwrap();
    let by_handler: HashMap<_, _> =
        f.store.recorded_progress(&of[..1]).await.unwrap().into_iter().map(|p| (p.handler_id.0, (p.state, p.attempts))).collect();
    assert_eq!(by_handler[&14], (ProgressState::Succeeded, 3));
    assert!(f.store.recorded_progress(&[]).await.unwrap().is_empty());
}

async fn what_is_in_front_of_an_event(f: Fixture) {
    let owner = f.owner().await;
    let fed = f.dispatches(&[1, 2, 1, 1, 1, 1]).await;
    let record = Record {
        executions: vec![execution(&fed[2], 11, 1, CallStatus::Success)],
        retries: vec![delivery(&fed[2], 12, DeliveryState::Retrying, 1)],
        started: vec![(fed[2].seq, GenerationNumber(3))],
        ..ends(&fed[..1], EventStatus::Delivered)
    };
    f.store.record(owner, &record).await.unwrap();
    let ahead = async |of: &FedDispatch, after: i64, limit| {
        let event = f.store.event(of.event_id).await.unwrap().unwrap();
        let (earlier, progress) = f.store.earlier_dispatches(&event, Seq(after), limit).await.unwrap();
        let places: Vec<_> = earlier.iter().map(|d| (d.seq.0, d.handler_id, d.generation.map(|number| number.0))).collect();
        let states: Vec<_> = progress.iter().map(|p| (p.seq.0, p.handler_id.0, p.state)).collect();
        (places, states)
    };
    let retrying = (3, 12, ProgressState::Retrying { next_attempt_at: after(30) });
    let states = vec![(3, 11, ProgressState::Succeeded), retrying];
    assert_eq!(ahead(&fed[5], 0, 10).await, (vec![(3, None, Some(3)), (4, None, None), (5, None, None)], states.clone()));
    assert_eq!(ahead(&fed[5], 0, 1).await, (vec![(3, None, Some(3))], states));
    assert_eq!(ahead(&fed[5], 3, 10).await, (vec![(4, None, None), (5, None, None)], vec![]));
    for first in [&fed[0], &fed[1], &fed[2]] {
        assert_eq!(ahead(first, 0, 10).await, (vec![], vec![]), "it has ended, or nothing is in front of it");
    }
    // A replay is behind all of them, and in front of what comes after it.
    f.store.replay_event(fed[0].event_id, Some(HandlerId(11)), after(2)).await.unwrap();
    assert_eq!(ahead(&fed[0], 5, 10).await.0, [(6, None, None)]);
    let last = f.dispatches(&[1]).await;
    assert_eq!(ahead(&last[0], 5, 10).await.0, [(6, None, None), (7, Some(HandlerId(11)), None)]);
}

#[test]
fn the_events_of_these_tests_fall_into_different_partitions() {
    let partitions: std::collections::HashSet<_> = (0..4).map(|n| NewEvent::partition(&event(n))).collect();
    assert_eq!(partitions.len(), 4);
}
