//! What a restart of the Cache Manager means for events under way.

use baton_domain::{CallStatus, EventStatus};
use baton_testkit::{Answer, Gate, Receiver, rules};

use crate::rig::{PATIENCE, Rig, handler, on_both_databases};

const CREATE: &str = "clients.create";

on_both_databases! {
    a_chain_runs_under_the_generation_that_is_live_when_it_starts
    a_chain_that_has_not_started_runs_under_the_new_generation
    a_retry_uses_the_handler_as_it_is_live
    a_retry_of_a_handler_that_is_gone_ends_as_skipped
    events_published_before_the_first_generation_wait_for_it
}

async fn a_chain_runs_under_the_generation_that_is_live_when_it_starts(mut rig: Rig) {
    let receiver = Receiver::start().await;
    let gate = Gate::closed();
    let behind = gate.clone();
    receiver.script("/first", move |_| Answer::ok().behind(&behind));
    rig.go_live([handler(1, CREATE, 1, receiver.url("/first")), handler(2, CREATE, 2, receiver.url("/old"))]).await;
    rig.start();
    let id = rig.publish(&[(CREATE, 1)]).await[0];
    receiver.wait_for(PATIENCE, "/first", 1).await;
    rig.go_live([handler(1, CREATE, 1, receiver.url("/first")), handler(2, CREATE, 2, receiver.url("/new"))]).await;
    gate.open();
    rig.wait_for_status(id, EventStatus::Delivered).await;
    assert_eq!(receiver.calls_at("/old").len(), 1);
    assert_eq!(receiver.calls_at("/old")[0].header("baton-generation"), Some("1"));
    let next = rig.publish(&[(CREATE, 1)]).await[0];
    rig.wait_for_status(next, EventStatus::Delivered).await;
    assert_eq!(receiver.calls_at("/new")[0].header("baton-generation"), Some("2"));
    assert_eq!(rig.store.event(id).await.unwrap().unwrap().generation.unwrap().0, 1);
}

async fn a_chain_that_has_not_started_runs_under_the_new_generation(mut rig: Rig) {
    let receiver = Receiver::start().await;
    let gate = Gate::closed();
    let behind = gate.clone();
    receiver.script("/old", move |_| Answer::ok().behind(&behind));
    rig.go_live([handler(1, CREATE, 1, receiver.url("/old"))]).await;
    rig.start();
    let ids = rig.publish(&[(CREATE, 1), (CREATE, 1), (CREATE, 1)]).await;
    receiver.wait_for(PATIENCE, "/old", 1).await;
    rig.go_live([handler(1, CREATE, 1, receiver.url("/new"))]).await;
    // Another object shows that the new generation is in use, before the first call is let go.
    rig.publish(&[(CREATE, 2)]).await;
    receiver.wait_for_successes(PATIENCE, "/new", 1).await;
    gate.open();
    for id in &ids {
        rig.wait_for_status(*id, EventStatus::Delivered).await;
    }
    assert_eq!((receiver.calls_at("/old").len(), receiver.calls_at("/new").len()), (1, 3));
}

async fn a_retry_uses_the_handler_as_it_is_live(mut rig: Rig) {
    let receiver = Receiver::start().await;
    receiver.script("/old", rules::always(Answer::status(500)));
    let mut old = handler(1, CREATE, 1, receiver.url("/old"));
    (old.retry.first_delay_ms, old.retry.max_delay_ms, old.retry.max_attempts) = (100, 100, 1000);
    let mut new = old.clone();
    new.task = baton_domain::Task::Http { url: receiver.url("/new") };
    rig.go_live([old]).await;
    rig.start();
    let id = rig.publish(&[(CREATE, 1)]).await[0];
    receiver.wait_for(PATIENCE, "/old", 2).await;
    rig.go_live([new]).await;
    rig.wait_for_status(id, EventStatus::Delivered).await;
    let last = &receiver.calls_at("/new")[0];
    assert_eq!(last.header("baton-generation"), Some("2"));
    assert!(last.attempt.unwrap() >= 3);
    rig.assert_balance(1).await;
}

async fn a_retry_of_a_handler_that_is_gone_ends_as_skipped(mut rig: Rig) {
    let receiver = Receiver::start().await;
    receiver.script("/bad", rules::always(Answer::status(500)));
    let mut bad = handler(1, CREATE, 1, receiver.url("/bad"));
    (bad.retry.first_delay_ms, bad.retry.max_delay_ms) = (600_000, 600_000);
    rig.go_live([bad, handler(2, CREATE, 2, receiver.url("/good"))]).await;
    rig.start();
    let id = rig.publish(&[(CREATE, 1)]).await[0];
    rig.wait_for_status(id, EventStatus::Retrying).await;
    rig.go_live([handler(2, CREATE, 2, receiver.url("/good"))]).await;
    rig.wait_for_status(id, EventStatus::Delivered).await;
    let executions = rig.store.event_executions(id).await.unwrap();
    let skipped = executions.iter().find(|e| e.status == CallStatus::Skipped).unwrap();
    assert!(skipped.error.as_ref().unwrap().contains("generation 2"), "{skipped:?}");
    assert!(rig.store.event_deliveries(id).await.unwrap().is_empty());
    rig.assert_balance(1).await;
}

async fn events_published_before_the_first_generation_wait_for_it(mut rig: Rig) {
    let receiver = Receiver::start().await;
    rig.start();
    let id = rig.publish(&[(CREATE, 1)]).await[0];
    rig.go_live([handler(1, CREATE, 1, receiver.url("/a"))]).await;
    rig.wait_for_status(id, EventStatus::Delivered).await;
}
