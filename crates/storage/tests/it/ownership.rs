//! Who owns what, and who must not write any more.

use std::collections::HashSet;

use baton_domain::{EventStatus, PartitionId, Seq};
use baton_storage::{FeedQuery, Record, StorageError, Store, Work};
use uuid::Uuid;

use crate::fixture::{Fixture, after, ends, everything, now, on_both};

on_both!(
    instances_come_and_go,
    partitions_are_shared_out_and_given_back,
    an_expired_dispatcher_is_fenced_and_its_partitions_are_taken,
    a_renewed_lease_is_not_taken,
    only_the_owner_records,
    claims_at_once_never_share_a_partition,
    two_that_believe_they_own_a_partition_cannot_both_record,
    a_release_waits_for_the_record_and_refuses_the_next,
);

async fn instances_come_and_go(f: Fixture) {
    let (a, b) = (Uuid::now_v7(), Uuid::now_v7());
    f.store.register_instance(a, "api", "host/1", now(), after(10)).await.unwrap();
    f.store.register_instance(b, "dispatcher", "host/2", after(1), after(10)).await.unwrap();
    let twice = f.store.register_instance(a, "api", "host/1", now(), after(10)).await;
    assert!(matches!(twice, Err(StorageError::Conflict)));
    assert!(f.store.renew_instance(b, after(20), &Work { held: 7, ..Work::default() }).await.unwrap());
    assert!(!f.store.renew_instance(Uuid::now_v7(), after(20), &Work::default()).await.unwrap());
    let all = f.store.instances(None).await.unwrap();
    assert_eq!(all.iter().map(|i| i.id).collect::<Vec<_>>(), [a, b]);
    let of = f.store.instances(Some("dispatcher")).await.unwrap();
    assert_eq!(of.len(), 1);
    assert_eq!(
        (of[0].name.as_str(), of[0].started_at, of[0].lease_until, of[0].fenced, of[0].work.held),
        ("host/2", after(1), after(20), false, 7)
    );
    assert_eq!(f.store.backlog().await.unwrap().held, 7);
    assert_eq!(f.store.remove_dead_instances(after(15)).await.unwrap(), 1);
    f.store.remove_instance(b).await.unwrap();
    assert!(f.store.instances(None).await.unwrap().is_empty());
    assert_eq!(f.store.backlog().await.unwrap().held, 0);
}

async fn partitions_are_shared_out_and_given_back(f: Fixture) {
    let (a, b) = (f.dispatcher().await, f.dispatcher().await);
    let taken = f.store.claim_partitions(a, now(), 40).await.unwrap();
    assert_eq!(taken, (0..40).map(|n| (PartitionId(n), 1)).collect::<Vec<_>>());
    assert_eq!(f.store.claim_partitions(b, now(), 40).await.unwrap().len(), 24);
    assert!(f.store.claim_partitions(a, now(), 40).await.unwrap().is_empty());
    f.store.release_partitions(a, &[PartitionId(3), PartitionId(4), PartitionId(63)]).await.unwrap();
    assert_eq!(f.store.claim_partitions(b, now(), 1).await.unwrap(), [(PartitionId(3), 2)]);
    assert_eq!(f.store.owned_partitions(a).await.unwrap().len(), 38);
    let owners = f.store.partition_owners().await.unwrap();
    assert_eq!(owners.len(), 64);
    assert_eq!(owners[3..6], [(PartitionId(3), Some(b), 2), (PartitionId(4), None, 1), (PartitionId(5), Some(a), 1)]);
    f.store.remove_instance(a).await.unwrap();
    assert!(f.store.owned_partitions(a).await.unwrap().is_empty());
    assert_eq!(f.store.claim_partitions(b, now(), 64).await.unwrap().len(), 39);
    assert!(matches!(f.store.claim_partitions(a, now(), 64).await, Err(StorageError::Fenced)));
    let api = Uuid::now_v7();
    f.store.register_instance(api, "api", "x", now(), after(60)).await.unwrap();
    assert!(matches!(f.store.claim_partitions(api, now(), 64).await, Err(StorageError::Fenced)));
}

async fn an_expired_dispatcher_is_fenced_and_its_partitions_are_taken(f: Fixture) {
    let a = f.owner().await;
    let fed = f.dispatches(&[1]).await;
    let b = f.dispatcher().await;
    assert!(f.store.renew_instance(b, after(120), &Work::default()).await.unwrap());
    assert!(f.store.claim_partitions(b, after(60), 64).await.unwrap().is_empty());
    let taken = f.store.claim_partitions(b, after(61), 64).await.unwrap();
    assert_eq!(taken.len(), 64);
    assert!(taken.iter().all(|(_, epoch)| *epoch == 2));
    assert!(!f.store.renew_instance(a, after(500), &Work::default()).await.unwrap());
    assert!(matches!(f.store.record(a, &ends(&fed, EventStatus::Delivered)).await, Err(StorageError::Fenced)));
    assert!(matches!(f.store.claim_partitions(a, after(62), 64).await, Err(StorageError::Fenced)));
    f.store.record(b, &ends(&fed, EventStatus::Delivered)).await.unwrap();
    assert_eq!(f.sums().await, [1, 1, 0, 0, 0, 0]);
    // One whose own lease has run out is not served either, and is fenced by its own claim.
    assert!(matches!(f.store.claim_partitions(b, after(121), 64).await, Err(StorageError::Fenced)));
    assert!(f.store.partition_owners().await.unwrap().iter().all(|(_, owner, _)| owner.is_none()));
}

async fn a_renewed_lease_is_not_taken(f: Fixture) {
    let (a, b) = (f.owner().await, f.dispatcher().await);
    for id in [a, b] {
        assert!(f.store.renew_instance(id, after(100), &Work::default()).await.unwrap());
    }
    assert!(f.store.claim_partitions(b, after(99), 64).await.unwrap().is_empty());
    assert_eq!(f.store.owned_partitions(a).await.unwrap().len(), 64);
}

async fn only_the_owner_records(f: Fixture) {
    let (a, b) = (f.dispatcher().await, f.dispatcher().await);
    f.store.claim_partitions(a, now(), 64).await.unwrap();
    let fed = f.dispatches(&[1, 2]).await;
    let refused = |by: Uuid, record: Record| {
        let store = f.store.clone();
        async move { matches!(store.record(by, &record).await, Err(StorageError::Fenced)) }
    };
    assert!(refused(b, ends(&fed, EventStatus::Delivered)).await);
    assert!(refused(Uuid::now_v7(), ends(&fed, EventStatus::Delivered)).await);
    f.store.release_partitions(a, &[fed[1].partition]).await.unwrap();
    assert!(refused(a, ends(&fed, EventStatus::Delivered)).await);
    // A partition counts also where only a finished dispatch names it.
    assert!(refused(a, Record { partitions: vec![], ..ends(&fed[1..], EventStatus::Delivered) }).await);
    assert_eq!(f.sums().await, [2, 0, 0, 0, 2, 0]);
    f.store.record(a, &ends(&fed[..1], EventStatus::Delivered)).await.unwrap();
    assert_eq!(f.sums().await, [2, 1, 0, 0, 1, 0]);
    // Nothing to write is nothing to refuse.
    f.store.record(b, &Record::default()).await.unwrap();
}

async fn claims_at_once_never_share_a_partition(f: Fixture) {
    let stores = [f.store.clone(), f.other_store().await, f.other_store().await];
    for round in 1..=5 {
        let mut claims = Vec::new();
        for store in &stores {
            let (id, store) = (f.dispatcher().await, store.clone());
            claims.push((id, tokio::spawn(async move { store.claim_partitions(id, now(), 30).await.unwrap() })));
        }
        let mut taken = HashSet::new();
        let mut ids = Vec::new();
        for (id, claim) in claims {
            for (partition, epoch) in claim.await.unwrap() {
                assert_eq!(epoch, round);
                assert!(taken.insert(partition), "{partition:?} was given twice");
            }
            ids.push(id);
        }
        assert_eq!(taken.len(), 64);
        for id in ids {
            f.store.remove_instance(id).await.unwrap();
        }
    }
}

/// A dispatcher that takes itself for the owner and records without looking, as one does that was stopped for a while.
async fn record_everything(store: Store, id: Uuid, status: EventStatus) -> usize {
    let mut recorded = 0;
    let mut after = Seq(0);
    loop {
        let query = FeedQuery { after, limit: 7, ..everything() };
        let fed = store.read_dispatches(&query).await.unwrap();
        let Some(last) = fed.last() else { return recorded };
        after = last.seq;
        match store.record(id, &ends(&fed, status)).await {
            Ok(()) => recorded += fed.len(),
            Err(StorageError::Fenced) => return recorded,
            // Gave way to the other; it stays for the next reader.
            Err(StorageError::Unavailable(_)) => after = Seq(0),
            Err(error) => panic!("{error:?}"),
        }
    }
}

async fn two_that_believe_they_own_a_partition_cannot_both_record(f: Fixture) {
    let objects: Vec<_> = (0..300).collect();
    let a = f.owner().await;
    f.dispatches(&objects).await;
    let b = f.dispatcher().await;
    assert!(f.store.renew_instance(b, after(500), &Work::default()).await.unwrap());
    let (one, two, three) = (f.other_store().await, f.other_store().await, f.store.clone());
    let first = tokio::spawn(record_everything(one, a, EventStatus::Delivered));
    let second = tokio::spawn(async move {
        // The lease of the first has run out, as the second sees it: it takes all in the midst of the other's work.
        assert_eq!(three.claim_partitions(b, after(61), 64).await.unwrap().len(), 64);
        record_everything(two, b, EventStatus::Failed).await
    });
    first.await.unwrap();
    second.await.unwrap();
    // Whoever recorded an event, it is counted once, and as what stands in its row.
    let [published, delivered, failed, ..] = f.sums().await;
    assert_eq!((published, delivered + failed), (300, 300));
    assert!(f.unfinished().await.is_empty());
    let rows = crate::fixture::count(&f, "SELECT count(*) FROM results WHERE status = 'delivered'").await;
    assert_eq!(rows, delivered);
    assert!(matches!(f.store.record(a, &ends(&[], EventStatus::Failed)).await, Ok(())));
    assert!(!f.store.renew_instance(a, after(600), &Work::default()).await.unwrap());
}

async fn a_release_waits_for_the_record_and_refuses_the_next(f: Fixture) {
    let objects: Vec<_> = (0..200).collect();
    let a = f.owner().await;
    let fed = f.dispatches(&objects).await;
    let (store, all) = (f.other_store().await, fed.clone());
    let recording = tokio::spawn(async move {
        let mut recorded = 0;
        for part in all.chunks(5) {
            match store.record(a, &ends(part, EventStatus::Delivered)).await {
                Ok(()) => recorded += part.len(),
                Err(StorageError::Fenced) => break,
                Err(error) => panic!("{error:?}"),
            }
        }
        recorded
    });
    let partitions: Vec<_> = PartitionId::all().collect();
    f.store.release_partitions(a, &partitions).await.unwrap();
    // What is unfinished now stays unfinished: the next owner reads it.
    let left = f.unfinished().await.len();
    let recorded = recording.await.unwrap();
    assert_eq!(recorded + left, 200);
    assert_eq!(f.unfinished().await.len(), left);
}
