//! Replays of events and dead letters.

use baton_domain::{CallStatus, EventId, EventStatus, GenerationNumber, HandlerId, Seq};
use baton_storage::{DeadLetterSearch, DeliveryState, FedDispatch, ProgressState, Record, StorageError, audit};

use crate::fixture::{Fixture, after, delivers, delivery, dies, ends, execution, finished, on_both, page};

on_both!(
    a_dead_letter_goes_to_its_handler_again,
    letters_go_in_the_order_of_their_events,
    a_search_chooses_what_is_replayed,
    replaying_one_of_two_dead_handlers_leaves_the_event_failed,
    a_letter_replayed_while_its_event_is_under_way,
    a_replay_of_an_event_replaces_its_letters,
    an_event_ends_with_the_last_of_its_dispatches,
    what_was_delivered_in_one_go_is_sent_again,
    two_replays_at_once_take_each_letter_once,
    a_replay_as_it_was_keeps_its_generation,
);

fn all() -> DeadLetterSearch {
    DeadLetterSearch::default()
}

async fn letters(f: &Fixture) -> Vec<(Seq, i64)> {
    let found = f.store.search_dead_letters(&all(), &page(100)).await.unwrap().items;
    let mut letters: Vec<_> = found.iter().map(|v| (v.seq, v.handler_id.0)).collect();
    letters.sort();
    letters
}

async fn a_dead_letter_goes_to_its_handler_again(f: Fixture) {
    let owner = f.owner().await;
    let fed = f.dispatches(&[1]).await.remove(0);
    f.store.record(owner, &dies(&fed, &[7])).await.unwrap();
    assert_eq!((f.status(fed.event_id).await, f.sums().await), (EventStatus::Failed, [1, 0, 1, 0, 0, 0]));

    assert_eq!(f.store.replay_dead_letters(&all(), 10, after(9)).await.unwrap(), 1);
    assert_eq!((f.status(fed.event_id).await, f.sums().await), (EventStatus::Pending, [1, 0, 0, 0, 1, 0]));
    assert_eq!(f.store.replay_dead_letters(&all(), 10, after(9)).await.unwrap(), 0);
    let again = f.unfinished().await;
    assert_eq!(again.len(), 1);
    let d = &again[0];
    assert_eq!((d.seq, d.handler_id, d.event_id, d.partition), (Seq(2), Some(HandlerId(7)), fed.event_id, fed.partition));
    assert_eq!((&d.data, d.received_at), (&fed.data, after(9)));
    assert_eq!(f.store.backlog().await.unwrap().oldest_pending, Some(after(9)));
    assert_eq!(f.store.event(fed.event_id).await.unwrap().unwrap().seq, Seq(1));

    f.store.record(owner, &ends(&again, EventStatus::Delivered)).await.unwrap();
    assert_eq!((f.status(fed.event_id).await, f.sums().await), (EventStatus::Delivered, [1, 1, 0, 0, 0, 0]));
    assert!(letters(&f).await.is_empty());
}

async fn letters_go_in_the_order_of_their_events(f: Fixture) {
    let owner = f.owner().await;
    let fed = f.dispatches(&[1, 2, 3, 4]).await;
    // Died the other way round, and two of one event.
    for (d, handlers) in [(&fed[3], &[1][..]), (&fed[1], &[2, 1]), (&fed[2], &[1]), (&fed[0], &[1])] {
        f.store.record(owner, &dies(d, handlers)).await.unwrap();
    }
    assert_eq!(f.store.replay_dead_letters(&all(), 3, after(9)).await.unwrap(), 3);
    assert_eq!(f.store.replay_dead_letters(&all(), 3, after(9)).await.unwrap(), 2);
    let again: Vec<_> = f.unfinished().await.iter().map(|d| (d.seq.0, d.event_id, d.handler_id.unwrap().0)).collect();
    let id = |n: usize| fed[n].event_id;
    assert_eq!(again, [(5, id(0), 1), (6, id(1), 1), (7, id(1), 2), (8, id(2), 1), (9, id(3), 1)]);
    assert_eq!(f.sums().await, [4, 0, 0, 0, 4, 0]);
}

async fn a_search_chooses_what_is_replayed(f: Fixture) {
    let owner = f.owner().await;
    let fed = f.dispatches(&[1, 2, 3]).await;
    for d in &fed {
        f.store.record(owner, &dies(d, &[1, 2])).await.unwrap();
    }
    let replay = |search: DeadLetterSearch| {
        let store = f.store.clone();
        async move { store.replay_dead_letters(&search, 10, after(9)).await.unwrap() }
    };
    let one = DeadLetterSearch { ids: vec![(fed[0].event_id, HandlerId(2)), (fed[1].event_id, HandlerId(9))], ..all() };
    assert_eq!(replay(one).await, 1);
    assert_eq!(replay(DeadLetterSearch { object_id: Some("3".into()), ..all() }).await, 2);
    assert_eq!(replay(DeadLetterSearch { to: Some(after(0)), ..all() }).await, 0);
    assert_eq!(letters(&f).await, [(Seq(1), 1), (Seq(2), 1), (Seq(2), 2)]);
}

async fn replaying_one_of_two_dead_handlers_leaves_the_event_failed(f: Fixture) {
    let owner = f.owner().await;
    let fed = f.dispatches(&[1]).await.remove(0);
    f.store.record(owner, &dies(&fed, &[1, 2])).await.unwrap();
    let one = DeadLetterSearch { handler_id: Some(HandlerId(1)), ..all() };
    f.store.replay_dead_letters(&one, 10, after(9)).await.unwrap();
    f.store.record(owner, &ends(&f.unfinished().await, EventStatus::Delivered)).await.unwrap();
    assert_eq!((f.status(fed.event_id).await, f.sums().await), (EventStatus::Failed, [1, 0, 1, 0, 0, 0]));
    f.store.replay_dead_letters(&all(), 10, after(9)).await.unwrap();
    f.store.record(owner, &ends(&f.unfinished().await, EventStatus::Delivered)).await.unwrap();
    assert_eq!((f.status(fed.event_id).await, f.sums().await), (EventStatus::Delivered, [1, 1, 0, 0, 0, 0]));
}

/// The first handler is dead while another is retried: its letter can be replayed, and whoever takes the partition over still knows that
/// it is dead.
async fn a_letter_replayed_while_its_event_is_under_way(f: Fixture) {
    for replay_first in [true, false] {
        let owner = f.store.instances(None).await.unwrap().first().map(|i| i.id);
        let owner = if let Some(id) = owner { id } else { f.owner().await };
        let fed = f.dispatches(&[1]).await.remove(0);
        let dead = Record {
            executions: vec![execution(&fed, 1, 1, CallStatus::Fail)],
            retries: vec![delivery(&fed, 1, DeliveryState::Dead, 1)],
            partitions: vec![fed.partition],
            ..Record::default()
        };
        f.store.record(owner, &dead).await.unwrap();
        assert_eq!(f.store.replay_dead_letters(&all(), 10, after(9)).await.unwrap(), 1);
        assert_eq!(f.store.replay_dead_letters(&all(), 10, after(9)).await.unwrap(), 0);
        assert!(letters(&f).await.is_empty());
        let progress = f.store.recorded_progress(&[(fed.seq, fed.event_id)]).await.unwrap();
        assert_eq!(progress.iter().map(|p| (p.handler_id.0, p.state)).collect::<Vec<_>>(), [(1, ProgressState::Dead)]);
        // Recording it once more does not make it a letter again.
        f.store.record(owner, &dead).await.unwrap();
        assert!(letters(&f).await.is_empty());

        let replay: Vec<_> = f.unfinished().await.into_iter().filter(|d| d.seq != fed.seq).collect();
        let original =
            Record { finished: vec![finished(&fed, EventStatus::Failed)], partitions: vec![fed.partition], ..Record::default() };
        let replayed = ends(&replay, EventStatus::Delivered);
        let order = if replay_first { [&replayed, &original] } else { [&original, &replayed] };
        f.store.record(owner, order[0]).await.unwrap();
        assert_eq!(f.status(fed.event_id).await, EventStatus::Pending);
        f.store.record(owner, order[1]).await.unwrap();
        assert_eq!(f.status(fed.event_id).await, EventStatus::Delivered, "replay first: {replay_first}");
        assert!(f.store.event_deliveries(fed.event_id).await.unwrap().is_empty());
    }
    assert_eq!(f.sums().await, [2, 2, 0, 0, 0, 0]);
}

async fn a_replay_of_an_event_replaces_its_letters(f: Fixture) {
    let owner = f.owner().await;
    let fed = f.dispatches(&[1]).await.remove(0);
    f.store.record(owner, &dies(&fed, &[1, 2, 3])).await.unwrap();
    let missing = f.store.replay_event(EventId::generate(), None, after(9)).await;
    assert!(matches!(missing, Err(StorageError::NotFound)));

    assert_eq!(f.store.replay_event(fed.event_id, Some(HandlerId(2)), after(9)).await.unwrap(), Seq(2));
    assert_eq!(letters(&f).await, [(Seq(1), 1), (Seq(1), 3)]);
    let again = f.unfinished().await;
    assert_eq!(again[0].handler_id, Some(HandlerId(2)));
    f.store.record(owner, &dies(&again[0], &[2])).await.unwrap();
    assert_eq!((f.status(fed.event_id).await, f.sums().await), (EventStatus::Failed, [1, 0, 1, 0, 0, 0]));

    assert_eq!(f.store.replay_event(fed.event_id, None, after(9)).await.unwrap(), Seq(3));
    assert!(letters(&f).await.is_empty());
    let again = f.unfinished().await;
    assert_eq!(again[0].handler_id, None);
    f.store.record(owner, &ends(&again, EventStatus::Unmatched)).await.unwrap();
    assert_eq!((f.status(fed.event_id).await, f.sums().await), (EventStatus::Unmatched, [1, 0, 0, 1, 0, 0]));
}

async fn an_event_ends_with_the_last_of_its_dispatches(f: Fixture) {
    let owner = f.owner().await;
    let fed = f.dispatches(&[1]).await.remove(0);
    f.store.replay_event(fed.event_id, None, after(9)).await.unwrap();
    f.store.replay_event(fed.event_id, Some(HandlerId(1)), after(9)).await.unwrap();
    let of: Vec<FedDispatch> = f.unfinished().await;
    assert_eq!(of.len(), 3);
    assert_eq!(f.sums().await, [1, 0, 0, 0, 1, 0]);
    let retried =
        Record { started: vec![(of[1].seq, GenerationNumber(4))], partitions: vec![of[1].partition], ..Record::default() };
    f.store.record(owner, &retried).await.unwrap();
    assert_eq!((f.status(fed.event_id).await, f.sums().await), (EventStatus::Retrying, [1, 0, 0, 0, 0, 1]));
    f.store.record(owner, &ends(&of[..1], EventStatus::Delivered)).await.unwrap();
    assert_eq!((f.status(fed.event_id).await, f.sums().await), (EventStatus::Retrying, [1, 0, 0, 0, 0, 1]));
    // The last two in one record.
    let mut last = ends(&of[1..], EventStatus::Delivered);
    last.finished[1].status = EventStatus::Unmatched;
    f.store.record(owner, &last).await.unwrap();
    assert_eq!((f.status(fed.event_id).await, f.sums().await), (EventStatus::Unmatched, [1, 0, 0, 1, 0, 0]));
}

async fn what_was_delivered_in_one_go_is_sent_again(f: Fixture) {
    let owner = f.owner().await;
    let fed = f.dispatches(&[1, 2]).await;
    f.store.record(owner, &delivers(&fed)).await.unwrap();
    assert_eq!(f.sums().await, [2, 2, 0, 0, 0, 0]);
    f.store.replay_event(fed[0].event_id, None, after(5)).await.unwrap();
    assert_eq!((f.status(fed[0].event_id).await, f.sums().await), (EventStatus::Pending, [2, 1, 0, 0, 1, 0]));
    // Once more while it is under way: it is one event all the same.
    f.store.replay_event(fed[0].event_id, None, after(6)).await.unwrap();
    assert_eq!(f.sums().await, [2, 1, 0, 0, 1, 0]);
    let again = f.unfinished().await;
    assert_eq!(again.len(), 2);
    f.store.record(owner, &delivers(&again[..1])).await.unwrap();
    assert_eq!((f.status(fed[0].event_id).await, f.sums().await), (EventStatus::Pending, [2, 1, 0, 0, 1, 0]));
    f.store.record(owner, &delivers(&again[1..])).await.unwrap();
    assert_eq!((f.status(fed[0].event_id).await, f.sums().await), (EventStatus::Delivered, [2, 2, 0, 0, 0, 0]));
    // It fails the next time, and then is delivered again.
    f.store.replay_event(fed[0].event_id, None, after(7)).await.unwrap();
    f.store.record(owner, &dies(&f.unfinished().await[0], &[1])).await.unwrap();
    assert_eq!((f.status(fed[0].event_id).await, f.sums().await), (EventStatus::Failed, [2, 1, 1, 0, 0, 0]));
    f.store.replay_event(fed[0].event_id, None, after(8)).await.unwrap();
    f.store.record(owner, &delivers(&f.unfinished().await)).await.unwrap();
    assert_eq!((f.status(fed[0].event_id).await, f.sums().await), (EventStatus::Delivered, [2, 2, 0, 0, 0, 0]));
    assert_eq!(audit(f.database.url()).await.unwrap().imbalances(), []);
}

async fn two_replays_at_once_take_each_letter_once(f: Fixture) {
    let owner = f.owner().await;
    let objects: Vec<_> = (0..60).collect();
    for d in &f.dispatches(&objects).await {
        f.store.record(owner, &dies(d, &[1])).await.unwrap();
    }
    let replayers = [f.store.clone(), f.other_store().await].map(|store| {
        tokio::spawn(async move {
            let mut replayed = 0;
            loop {
                match store.replay_dead_letters(&all(), 7, after(9)).await.unwrap() {
                    0 => return replayed,
                    n => replayed += n,
                }
            }
        })
    });
    let mut replayed = 0;
    for replayer in replayers {
        replayed += replayer.await.unwrap();
    }
    assert_eq!(replayed, 60);
    assert_eq!(f.unfinished().await.len(), 60);
    assert_eq!(f.sums().await, [60, 0, 0, 0, 60, 0]);
}

async fn a_replay_as_it_was_keeps_its_generation(f: Fixture) {
    let owner = f.owner().await;
    let fed = f.dispatches(&[1]).await.remove(0);
    let original = async || {
        let event = f.store.event(fed.event_id).await.unwrap().unwrap();
        f.store.original_generation(&event).await.unwrap()
    };
    assert_eq!(original().await, None);
    let mut calls = [1, 2].map(|attempt| execution(&fed, 7, attempt, CallStatus::Fail));
    calls[1].generation = GenerationNumber(5);
    let mut died = dies(&fed, &[7]);
    died.executions = calls.into();
    died.finished[0].generation = Some(GenerationNumber(5));
    f.store.record(owner, &died).await.unwrap();
    // The one that it began under, not that of its last retry.
    assert_eq!(original().await, Some(GenerationNumber(3)));

    let under = |number| f.store.replay_event_under(fed.event_id, None, Some(GenerationNumber(number)), after(9));
    assert!(matches!(under(3).await, Err(StorageError::Conflict)));
    assert_eq!((f.status(fed.event_id).await, letters(&f).await), (EventStatus::Failed, vec![(Seq(1), 7)]));
    for number in 1..=3 {
        let snapshot = baton_domain::Snapshot::new(GenerationNumber(number), after(0), []);
        let new = baton_storage::NewGeneration {
            snapshot: &snapshot,
            changes: &baton_domain::Changes::default(),
            took_ms: 0,
            cause: baton_storage::GenerationCause::Restart,
            rolled_back_to: None,
        };
        assert!(f.store.insert_generation(&new).await.unwrap());
    }
    let seq = under(3).await.unwrap();
    let again = f.unfinished().await;
    assert_eq!((again[0].seq, again[0].generation, again[0].retrying), (seq, Some(GenerationNumber(3)), false));
    assert_eq!((f.status(fed.event_id).await, f.store.unfinished_events().await.unwrap()), (EventStatus::Pending, 1));
    let started = Record {
        started: vec![(seq, GenerationNumber(3))],
        partitions: vec![fed.partition],
        retries: vec![delivery(&again[0], 7, DeliveryState::Retrying, 1)],
        ..Record::default()
    };
    f.store.record(owner, &started).await.unwrap();
    let again = f.unfinished().await;
    assert_eq!((again[0].generation, again[0].retrying), (Some(GenerationNumber(3)), true));
    f.store.record(owner, &ends(&again, EventStatus::Delivered)).await.unwrap();
    assert_eq!((f.sums().await, f.store.unfinished_events().await.unwrap()), ([1, 1, 0, 0, 0, 0], 0));
}
