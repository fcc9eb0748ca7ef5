//! A handler that keeps failing is held, probed, and drained in order when it is back.

use std::collections::HashMap;

use baton_domain::EventStatus;
use baton_domain::breaker::FAILURES_TO_OPEN;
use baton_testkit::{Answer, Receiver, eventually, rules};

use crate::rig::{PATIENCE, Rig, handler, on_both_databases};

const CREATE: &str = "clients.create";
const EVENTS: usize = 1500;
const OBJECTS: u64 = 300;

on_both_databases! {
    a_dead_handler_is_held_beside_a_healthy_one_and_drains_in_order
    a_restart_with_another_url_closes_the_breaker
}

async fn a_dead_handler_is_held_beside_a_healthy_one_and_drains_in_order(mut rig: Rig) {
    let receiver = Receiver::start().await;
    let mut flaky = Receiver::start().await;
    flaky.stop().await;
    let mut dead = handler(1, CREATE, 1, flaky.url("/dead"));
    dead.retry.max_attempts = 1000;
    rig.go_live([dead, handler(2, CREATE, 2, receiver.url("/well"))]).await;
    rig.start();
    let events: Vec<_> = (0..EVENTS).map(|n| (CREATE, n as u64 % OBJECTS)).collect();
    let mut ids = Vec::new();
    for part in events.chunks(300) {
        ids.extend(rig.publish_batch(part).await);
    }
    // The healthy one gets everything although it comes after the dead one in each chain.
    receiver.wait_for_successes(PATIENCE, "/well", EVENTS).await;
    let mut tried = 0;
    for id in &ids {
        tried += rig.executions(*id).await.iter().filter(|e| e.0 == 1).count();
    }
    let open = eventually(PATIENCE, "the open breaker to be told of", async || {
        let breakers: Vec<_> =
            rig.store.instances(Some("dispatcher")).await.unwrap().into_iter().flat_map(|i| i.work.breakers).collect();
        (!breakers.is_empty()).then_some(breakers)
    })
    .await;
    assert_eq!(open.iter().map(|open| open.handler_id.0).collect::<Vec<_>>(), [1]);
    // What was under way when it opened, and a probe now and then: not one call an event.
    assert!(tried >= FAILURES_TO_OPEN as usize && tried < 200, "{tried} calls of a dead handler");

    flaky.resume().await;
    let calls = flaky.wait_for_successes(PATIENCE * 2, "/dead", EVENTS).await;
    let mut by_object = HashMap::<_, Vec<_>>::new();
    for call in &calls {
        by_object.entry(call.object_id.clone().unwrap().to_string()).or_default().push(call.webhook_id.clone().unwrap());
    }
    assert!(by_object.len() == OBJECTS as usize && by_object.values().all(|ids| ids.is_sorted()));
    rig.assert_balance(EVENTS as i64).await;
    eventually(PATIENCE, "no open breaker", async || {
        let instances = rig.store.instances(Some("dispatcher")).await.unwrap();
        instances.iter().all(|instance| instance.work.breakers.is_empty()).then_some(())
    })
    .await;
}

async fn a_restart_with_another_url_closes_the_breaker(mut rig: Rig) {
    let receiver = Receiver::start().await;
    receiver.script("/broken", rules::always(Answer::status(500)));
    let spec = |path: &str| {
        let mut spec = handler(1, CREATE, 1, receiver.url(path));
        (spec.retry.max_attempts, spec.retry.first_delay_ms, spec.retry.max_delay_ms) = (1000, 60_000, 60_000);
        spec.lane = Some("crm".into());
        spec
    };
    rig.go_live([spec("/broken")]).await;
    rig.start();
    let events: Vec<_> = (0..100).map(|object| (CREATE, object)).collect();
    let ids = rig.publish_batch(&events).await;
    receiver.wait_for(PATIENCE, "/broken", FAILURES_TO_OPEN as usize).await;
    rig.go_live([spec("/mended")]).await;
    // What had not been tried goes out at once; what had waits for its retry.
    eventually(PATIENCE, "the held ones", async || {
        let mended = receiver.calls_at("/mended").len();
        let broken = receiver.calls_at("/broken").len();
        (mended + broken >= 100 && mended > 0).then_some(())
    })
    .await;
    rig.wait_for_status(*ids.last().unwrap(), EventStatus::Delivered).await;
}
