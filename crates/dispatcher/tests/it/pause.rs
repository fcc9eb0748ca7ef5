//! Pauses: what is paused is held in order, loses nothing, and drains in order.

use std::time::Duration;

use baton_domain::{EventStatus, HandlerId, PauseScope};
use baton_testkit::{Receiver, eventually, within};

use crate::rig::{PATIENCE, Rig, handler, on_both_databases};

const CREATE: &str = "clients.create";
const UPDATE: &str = "clients.update";

on_both_databases! {
    a_paused_handler_is_held_and_others_go_on
    an_event_type_and_everything_can_be_paused
    a_pause_outlives_a_dispatcher
}

async fn a_paused_handler_is_held_and_others_go_on(mut rig: Rig) {
    let receiver = Receiver::start().await;
    rig.go_live([handler(1, CREATE, 1, receiver.url("/paused")), handler(2, CREATE, 2, receiver.url("/other"))]).await;
    rig.start();
    let before = rig.publish(&[(CREATE, 1)]).await[0];
    rig.wait_for_status(before, EventStatus::Delivered).await;
    rig.pause(PauseScope::Handler(HandlerId(1))).await;
    let events: Vec<_> = (0..200).map(|n| (CREATE, n % 20)).collect();
    rig.publish_batch(&events).await;
    receiver.wait_for_successes(PATIENCE, "/other", 201).await;
    assert_eq!(receiver.calls_at("/paused").len(), 1);
    rig.resume(PauseScope::Handler(HandlerId(1))).await;
    let calls = receiver.wait_for_successes(PATIENCE, "/paused", 201).await;
    for object in 0..20 {
        let of_object = calls.iter().filter(|c| *c.object_id.as_ref().unwrap() == object);
        assert!(of_object.map(|c| c.webhook_id.clone().unwrap()).is_sorted(), "object {object}");
    }
    rig.assert_balance(201).await;
}

async fn an_event_type_and_everything_can_be_paused(mut rig: Rig) {
    let receiver = Receiver::start().await;
    rig.go_live([handler(1, CREATE, 1, receiver.url("/create")), handler(2, UPDATE, 1, receiver.url("/update"))]).await;
    rig.start();
    rig.pause(PauseScope::EventType(CREATE.into())).await;
    let ids = rig.publish(&[(CREATE, 1), (UPDATE, 1)]).await;
    rig.wait_for_status(ids[1], EventStatus::Delivered).await;
    assert!(receiver.calls_at("/create").is_empty());
    rig.pause(PauseScope::Everything).await;
    rig.resume(PauseScope::EventType(CREATE.into())).await;
    // The event type is free again, but everything is paused: nothing moves, and nothing is lost.
    let more = rig.publish(&[(CREATE, 2), (UPDATE, 2)]).await;
    let mut pauses = rig.cache.pauses();
    let one_left = |p: &std::sync::Arc<baton_domain::Pauses>| !p.contains(&PauseScope::EventType(CREATE.into()));
    within(Duration::from_secs(5), "the resume to be known", pauses.wait_for(one_left)).await.unwrap();
    assert_eq!(receiver.calls().len(), 1);
    rig.resume(PauseScope::Everything).await;
    for id in ids.iter().chain(&more) {
        rig.wait_for_status(*id, EventStatus::Delivered).await;
    }
    rig.assert_balance(4).await;
}

async fn a_pause_outlives_a_dispatcher(mut rig: Rig) {
    let receiver = Receiver::start().await;
    rig.go_live([handler(1, CREATE, 1, receiver.url("/paused")), handler(2, UPDATE, 1, receiver.url("/update"))]).await;
    rig.pause(PauseScope::Handler(HandlerId(1))).await;
    let first = rig.dispatcher("first");
    let ids = rig.publish(&[(CREATE, 1), (UPDATE, 1)]).await;
    rig.wait_for_status(ids[1], EventStatus::Delivered).await;
    first.stop().await;
    rig.start();
    let more = rig.publish(&[(UPDATE, 2)]).await;
    rig.wait_for_status(more[0], EventStatus::Delivered).await;
    assert!(receiver.calls_at("/paused").is_empty());
    rig.resume(PauseScope::Handler(HandlerId(1))).await;
    eventually(PATIENCE, "the held event", async || (receiver.calls_at("/paused").len() == 1).then_some(())).await;
    rig.wait_for_status(ids[0], EventStatus::Delivered).await;
}
