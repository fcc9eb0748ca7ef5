//! More than one dispatcher: sharing, handing over, taking over.

use baton_domain::{EventStatus, PartitionId, Seq};
use baton_storage::{AppendedHere, FeedQuery, Work};
use baton_testkit::{Answer, Gate, Receiver, eventually, rules};
use chrono::{TimeDelta, Utc};
use uuid::Uuid;

use crate::rig::{PATIENCE, Rig, handler};

const CREATE: &str = "clients.create";
const UPDATE: &str = "clients.update";

async fn rig() -> Rig {
    Rig::on(baton_testkit::TestDatabase::postgres().await).await
}

/// How many partitions each owner has, sorted.
async fn shares(rig: &Rig) -> Vec<usize> {
    let mut shares = std::collections::HashMap::new();
    for (_, owner, _) in rig.store.partition_owners().await.unwrap() {
        *shares.entry(owner).or_insert(0) += 1;
    }
    let mut counts: Vec<_> = shares.into_iter().filter(|(owner, _)| owner.is_some()).map(|(_, n)| n).collect();
    counts.sort_unstable();
    counts
}

async fn wait_for_shares(rig: &Rig, wanted: &[usize]) {
    eventually(PATIENCE, &format!("shares of {wanted:?}"), async || (shares(rig).await == wanted).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dispatchers_share_evenly_and_hand_over_when_they_stop() {
    let rig = rig().await;
    let first = rig.dispatcher("first");
    wait_for_shares(&rig, &[64]).await;
    let second = rig.dispatcher("second");
    wait_for_shares(&rig, &[32, 32]).await;
    first.stop().await;
    wait_for_shares(&rig, &[64]).await;
    second.stop().await;
    wait_for_shares(&rig, &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_under_load_repeats_nothing_and_keeps_order() {
    let mut rig = rig().await;
    let receiver = Receiver::start().await;
    receiver.script("/a", rules::always(Answer::ok().delayed(std::time::Duration::from_millis(2))));
    rig.go_live([handler(1, CREATE, 1, receiver.url("/a"))]).await;
    let first = rig.dispatcher("first");
    wait_for_shares(&rig, &[64]).await;
    let mut last = Vec::new();
    let mut running = Some(first);
    for round in 0..4 {
        let events: Vec<_> = (0..500).map(|n| (CREATE, n % 40)).collect();
        last = rig.publish_batch(&events).await;
        receiver.wait_for(PATIENCE, "/a", round * 500 + 100).await;
        let next = rig.dispatcher("next");
        running.replace(next).unwrap().stop().await;
    }
    let calls = receiver.wait_for_successes(PATIENCE, "/a", 2000).await;
    rig.wait_for_status(*last.last().unwrap(), EventStatus::Delivered).await;
    let mut ids: Vec<_> = calls.iter().map(|c| c.webhook_id.clone().unwrap()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!((calls.len(), ids.len()), (2000, 2000));
    let mut by_object = std::collections::HashMap::<_, Vec<_>>::new();
    for call in &calls {
        by_object.entry(call.object_id.clone().unwrap().to_string()).or_default().push(call.webhook_id.clone().unwrap());
    }
    assert!(by_object.values().all(|ids| ids.is_sorted()));
    rig.assert_balance(2000).await;
}

/// What a process appends is kept for its own dispatcher, which may begin when another has done all of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_owner_has_finished_is_not_taken_from_memory() {
    let mut rig = rig().await;
    let receiver = Receiver::start().await;
    receiver.script("/late", rules::fail_first(1, Answer::status(500)));
    let mut late = handler(2, UPDATE, 1, receiver.url("/late"));
    (late.retry.first_delay_ms, late.retry.max_delay_ms) = (3000, 3000);
    rig.go_live([handler(1, CREATE, 1, receiver.url("/a")), late]).await;
    let unread = FeedQuery {
        partitions: PartitionId::all().collect(),
        after: Seq(0),
        up_to: None,
        except_keys: Vec::new(),
        limit: 1,
        bytes_max: 1,
    };
    assert!(matches!(rig.store.appended_here(&unread), AppendedHere::Unknown), "from now on it is kept");
    let elsewhere = rig.dispatcher_elsewhere("elsewhere").await;
    rig.publish(&[(UPDATE, 99)]).await;
    receiver.wait_for(PATIENCE, "/late", 1).await;
    let events: Vec<_> = (0..50).map(|n| (CREATE, n)).collect();
    for id in rig.publish_batch(&events).await {
        rig.wait_for_status(id, EventStatus::Delivered).await;
    }
    elsewhere.stop().await;
    let here = rig.dispatcher("here");
    // It has read what is left, which lies before all that is done.
    receiver.wait_for(PATIENCE, "/late", 2).await;
    for object in 50..53 {
        let id = rig.publish(&[(CREATE, object)]).await[0];
        rig.wait_for_status(id, EventStatus::Delivered).await;
    }
    here.stop().await;
    assert_eq!(receiver.calls_at("/a").len(), 53);
    rig.assert_balance(54).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dispatcher_that_was_fenced_begins_anew_and_records_nothing_of_before() {
    let mut rig = rig().await;
    let receiver = Receiver::start().await;
    let gate = Gate::closed();
    let behind = gate.clone();
    receiver.script("/a", move |_| Answer::ok().behind(&behind));
    rig.go_live([handler(1, CREATE, 1, receiver.url("/a"))]).await;
    rig.start();
    let id = rig.publish(&[(CREATE, 1)]).await[0];
    receiver.wait_for(PATIENCE, "/a", 1).await;
    // Another takes over for which the lease has run out, as if this process had been stopped for long.
    let thief = Uuid::now_v7();
    let later = Utc::now() + TimeDelta::hours(1);
    rig.store.register_instance(thief, "dispatcher", "thief", Utc::now(), later + TimeDelta::seconds(1)).await.unwrap();
    let stolen = rig.store.claim_partitions(thief, later, 64).await.unwrap();
    assert_eq!(stolen.len(), 64);
    gate.open();
    receiver.wait_for_successes(PATIENCE, "/a", 1).await;
    eventually(PATIENCE, "a new incarnation", async || {
        let alive = rig.store.instances(Some("dispatcher")).await.unwrap();
        alive.iter().any(|i| i.id != thief && !i.fenced).then_some(())
    })
    .await;
    // What the fenced one had called was not recorded: the event is still open for whoever owns it.
    assert_eq!(rig.store.event(id).await.unwrap().unwrap().status, EventStatus::Pending);
    assert!(rig.executions(id).await.is_empty());
    rig.store.remove_instance(thief).await.unwrap();
    rig.wait_for_status(id, EventStatus::Delivered).await;
    assert_eq!(rig.executions(id).await.len(), 1);
    assert_eq!(receiver.calls_at("/a").len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_recorded_is_not_repeated_after_a_takeover() {
    let mut rig = rig().await;
    let receiver = Receiver::start().await;
    receiver.script("/retried", rules::fail_first(1, Answer::status(500)));
    let gate = Gate::closed();
    let behind = gate.clone();
    receiver.script("/slow", move |_| Answer::ok().behind(&behind));
    let mut retried = handler(2, CREATE, 1, receiver.url("/retried"));
    (retried.retry.first_delay_ms, retried.retry.max_delay_ms) = (3000, 3000);
    rig.go_live([
        handler(1, CREATE, 1, receiver.url("/done")),
        retried,
        handler(3, CREATE, 2, receiver.url("/slow")),
        handler(4, CREATE, 3, receiver.url("/last")),
    ])
    .await;
    let first = rig.dispatcher("first");
    let id = rig.publish(&[(CREATE, 1)]).await[0];
    receiver.wait_for(PATIENCE, "/slow", 1).await;
    eventually(PATIENCE, "the first stage to be recorded", async || (rig.executions(id).await.len() == 2).then_some(())).await;
    rig.go_live([handler(9, "clients.update", 1, receiver.url("/other")), handler(2, CREATE, 1, receiver.url("/retried"))]).await;
    gate.open();
    first.stop().await;
    rig.start();
    rig.wait_for_status(id, EventStatus::Delivered).await;
    for path in ["/done", "/slow", "/last"] {
        assert_eq!(receiver.calls_at(path).len(), 1, "{path}");
    }
    assert_eq!(receiver.calls_at("/retried").len(), 2);
    // The chain went on under the generation it had begun with, after the restart of everything.
    assert_eq!(receiver.calls_at("/last")[0].header("baton-generation"), Some("1"));
    rig.assert_balance(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_ran_out_while_the_database_was_away_is_no_death_but_one_that_stays_so_is() {
    let rig = rig().await;
    // One that could not renew for a while, as nobody could.
    let (other, past) = (Uuid::now_v7(), Utc::now() - TimeDelta::seconds(20));
    rig.store.register_instance(other, "dispatcher", "other", past, past + TimeDelta::seconds(9)).await.unwrap();
    assert_eq!(rig.store.claim_partitions(other, past, 64).await.unwrap().len(), 64);
    let first = rig.dispatcher("first");
    eventually(PATIENCE, "the first to register", async || {
        (rig.store.instances(Some("dispatcher")).await.unwrap().len() == 2).then_some(())
    })
    .await;
    assert!(
        rig.store.renew_instance(other, Utc::now() + TimeDelta::seconds(1), &Work::default()).await.unwrap(),
        "it was taken for dead"
    );
    // Back again the other is left alone, until it gives no more signs of life.
    eventually(PATIENCE, "the first to take over", async || {
        let owners = rig.store.partition_owners().await.unwrap();
        owners.iter().all(|(_, owner, _)| owner.is_some_and(|owner| owner != other)).then_some(())
    })
    .await;
    assert!(!rig.store.renew_instance(other, Utc::now(), &Work::default()).await.unwrap());
    first.stop().await;
}
