//! More waits than is kept in memory: it is put away, and comes back in order.

use std::collections::HashMap;

use baton_domain::{EventStatus, HandlerId, PauseScope};
use baton_testkit::{Answer, Received, Receiver};

use crate::rig::{PATIENCE, Rig, handler, on_both_databases};

const CREATE: &str = "clients.create";
const UPDATE: &str = "clients.update";
const OBJECTS: u64 = 150;

on_both_databases! {
    what_is_paused_is_put_away_and_drains_in_order
    retries_that_are_put_away_come_back_when_they_are_due
}

fn in_order(calls: &[std::sync::Arc<Received>]) -> bool {
    let mut by_object = HashMap::<_, Vec<_>>::new();
    for call in calls.iter().filter(|call| call.succeeded()) {
        by_object.entry(call.object_id.clone().unwrap().to_string()).or_default().push(call.webhook_id.clone().unwrap());
    }
    by_object.values().all(|ids| ids.is_sorted())
}

async fn what_is_paused_is_put_away_and_drains_in_order(mut rig: Rig) {
    rig.events_in_memory = 100;
    let receiver = Receiver::start().await;
    rig.go_live([
        handler(1, CREATE, 1, receiver.url("/paused")),
        handler(2, UPDATE, 1, receiver.url("/other")),
        handler(3, CREATE, 2, receiver.url("/beside")),
    ])
    .await;
    let scopes = [PauseScope::Handler(HandlerId(1)), PauseScope::Handler(HandlerId(3))];
    for scope in scopes.clone() {
        rig.pause(scope).await;
    }
    rig.start();
    let events: Vec<_> = (0..1500).map(|n| (CREATE, n % OBJECTS)).collect();
    for part in events.chunks(300) {
        rig.publish_batch(part).await;
    }
    // Of the same objects, at another receiver, behind all that waits.
    let updates: Vec<_> = (0..OBJECTS).map(|object| (UPDATE, object)).collect();
    rig.publish_batch(&updates).await;
    receiver.wait_for_successes(PATIENCE, "/other", OBJECTS as usize).await;
    assert_eq!(receiver.calls().len(), OBJECTS as usize);
    for scope in scopes {
        rig.resume(scope).await;
    }
    for path in ["/paused", "/beside"] {
        let calls = receiver.wait_for_successes(PATIENCE * 2, path, 1500).await;
        assert!(calls.len() == 1500 && in_order(&calls), "{path}: {} calls", calls.len());
    }
    rig.assert_balance(1500 + OBJECTS as i64).await;
}

async fn retries_that_are_put_away_come_back_when_they_are_due(mut rig: Rig) {
    rig.events_in_memory = 100;
    let receiver = Receiver::start().await;
    // Every other object, so that the breaker stays closed.
    receiver.script("/late", |call: &Received| match (call.object_id.as_ref().unwrap().as_u64(), call.attempt) {
        (Some(object), Some(1)) if object % 2 == 0 => Answer::status(503),
        _ => Answer::ok(),
    });
    let mut late = handler(1, CREATE, 1, receiver.url("/late"));
    (late.retry.first_delay_ms, late.retry.max_delay_ms) = (3000, 3000);
    rig.go_live([late, handler(2, CREATE, 2, receiver.url("/well"))]).await;
    rig.start();
    let events: Vec<_> = (0..400).map(|object| (CREATE, object)).collect();
    let mut ids = rig.publish_batch(&events).await;
    receiver.wait_for_successes(PATIENCE, "/well", 400).await;
    // More of objects whose retry is not due: it keeps its place behind them.
    ids.extend(rig.publish_batch(&events[..50]).await);
    for id in &ids {
        rig.wait_for_status(*id, EventStatus::Delivered).await;
    }
    let calls = receiver.calls_at("/late");
    assert!(in_order(&calls) && calls.iter().filter(|c| c.succeeded()).count() == 450);
    assert_eq!(receiver.calls_at("/well").len(), 450);
    rig.assert_balance(450).await;
}
