//! Lanes: one object's events reach each receiver in order; nothing else waits.

use std::collections::HashMap;
use std::sync::Arc;

use baton_domain::EventStatus;
use baton_testkit::{Answer, Gate, Received, Receiver, rules};

use crate::rig::{PATIENCE, Rig, handler, on_both_databases};

const CREATE: &str = "clients.create";
const UPDATE: &str = "clients.update";

on_both_databases! {
    a_retry_holds_later_events_of_its_object_at_its_receiver
    other_objects_and_other_receivers_go_on
    order_holds_across_event_types_that_share_a_receiver
    order_holds_for_many_objects_with_random_failures
    a_long_backlog_of_one_object_starves_nobody
}

/// The objects in the order of their successful calls, with the type of event.
fn successes(calls: &[Arc<Received>]) -> Vec<(String, String)> {
    let name = |call: &Arc<Received>| (call.object_id.clone().unwrap().to_string(), call.events_id.clone().unwrap());
    calls.iter().filter(|call| call.succeeded()).map(name).collect()
}

async fn a_retry_holds_later_events_of_its_object_at_its_receiver(mut rig: Rig) {
    let receiver = Receiver::start().await;
    let gate = Gate::closed();
    let behind = gate.clone();
    let mut first = true;
    receiver.script("/a", move |_| {
        let failure = std::mem::replace(&mut first, false);
        if failure { Answer::status(500).behind(&behind) } else { Answer::ok() }
    });
    rig.go_live([handler(1, CREATE, 1, receiver.url("/a"))]).await;
    rig.start();
    let ids = rig.publish(&[(CREATE, 1), (CREATE, 1), (CREATE, 1)]).await;
    receiver.wait_for(PATIENCE, "/a", 1).await;
    gate.open();
    for id in &ids {
        rig.wait_for_status(*id, EventStatus::Delivered).await;
    }
    let ids_called: Vec<_> = receiver.calls().iter().map(|c| c.webhook_id.clone().unwrap()).collect();
    let expected: Vec<_> = [0, 0, 1, 2].iter().map(|&n: &usize| format!("{}-1", ids[n])).collect();
    assert_eq!(ids_called, expected);
}

async fn other_objects_and_other_receivers_go_on(mut rig: Rig) {
    let receiver = Receiver::start().await;
    receiver.script(
        "/dead",
        |call: &Received| {
            if call.object_id.as_ref().unwrap() == 1 { Answer::status(503) } else { Answer::ok() }
        },
    );
    let mut dead = handler(1, CREATE, 1, receiver.url("/dead"));
    dead.retry.first_delay_ms = 600_000;
    dead.retry.max_delay_ms = 600_000;
    rig.go_live([dead, handler(2, CREATE, 2, receiver.url("/well"))]).await;
    rig.start();
    let events: Vec<_> = (0..20).flat_map(|_| [(CREATE, 1), (CREATE, 2)]).collect();
    let ids = rig.publish_batch(&events).await;
    // The other lane of the same object, and the other object, get all they should; the held lane gets its one try.
    receiver.wait_for_successes(PATIENCE, "/well", 40).await;
    for id in ids.iter().skip(1).step_by(2) {
        rig.wait_for_status(*id, EventStatus::Delivered).await;
    }
    let of_first = receiver.calls_at("/dead").iter().filter(|c| *c.object_id.as_ref().unwrap() == 1).count();
    assert_eq!(of_first, 1);
    rig.wait_for_status(ids[0], EventStatus::Retrying).await;
    rig.wait_for_status(ids[2], EventStatus::Pending).await;
}

async fn order_holds_across_event_types_that_share_a_receiver(mut rig: Rig) {
    let receiver = Receiver::start().await;
    receiver.script("/crm", |call: &Received| match (call.events_id.as_deref(), call.attempt) {
        (Some(CREATE), Some(1 | 2)) => Answer::status(500),
        _ => Answer::ok(),
    });
    let crm = |id, event| handler(id, event, 1, receiver.url(&format!("/crm?handler={id}")));
    rig.go_live([crm(1, CREATE), crm(2, UPDATE)]).await;
    rig.start();
    rig.publish(&[(CREATE, 1), (UPDATE, 1), (UPDATE, 2)]).await;
    let calls = receiver.wait_for_successes(PATIENCE, "/crm", 3).await;
    let of_first: Vec<_> = successes(&calls).into_iter().filter(|(object, _)| object == "1").map(|(_, event)| event).collect();
    assert_eq!(of_first, [CREATE, UPDATE]);
}

async fn order_holds_for_many_objects_with_random_failures(mut rig: Rig) {
    let receiver = Receiver::start().await;
    receiver.script("/flaky", rules::fail_at_random(7, 20, Answer::status(500)));
    let mut flaky = handler(1, CREATE, 1, receiver.url("/flaky"));
    flaky.retry.max_attempts = 50;
    rig.go_live([flaky, handler(2, CREATE, 1, receiver.url("/a")), handler(3, CREATE, 2, receiver.url("/b"))]).await;
    rig.start();
    let events: Vec<_> = (0..1000).map(|n| (CREATE, n % 50)).collect();
    let mut published: HashMap<String, Vec<String>> = HashMap::new();
    for part in events.chunks(100) {
        for (id, (_, object)) in rig.publish_batch(part).await.iter().zip(part) {
            published.entry(object.to_string()).or_default().push(id.to_string());
        }
    }
    for path in ["/flaky", "/a", "/b"] {
        let calls = receiver.wait_for_successes(PATIENCE, path, 1000).await;
        let mut arrived: HashMap<String, Vec<String>> = HashMap::new();
        for call in calls.iter().filter(|call| call.succeeded()) {
            let event = call.webhook_id.as_ref().unwrap().rsplit_once('-').unwrap().0;
            arrived.entry(call.object_id.clone().unwrap().to_string()).or_default().push(event.into());
        }
        assert!(arrived == published, "{path}: each object's events arrive once and in order");
    }
    rig.assert_balance(1000).await;
}

async fn a_long_backlog_of_one_object_starves_nobody(mut rig: Rig) {
    let receiver = Receiver::start().await;
    let gate = Gate::closed();
    let behind = gate.clone();
    receiver.script(
        "/a",
        move |call| {
            if call.object_id.as_ref().unwrap() == 1 { Answer::ok().behind(&behind) } else { Answer::ok() }
        },
    );
    rig.go_live([handler(1, CREATE, 1, receiver.url("/a"))]).await;
    // More of one object than a dispatcher takes into memory, and behind it another object.
    for _ in 0..5 {
        rig.publish_batch(&[(CREATE, 1); 600]).await;
    }
    rig.publish(&[(CREATE, 2)]).await;
    rig.start();
    receiver.wait_until(PATIENCE, "the other object", |calls| calls.iter().any(|c| *c.object_id.as_ref().unwrap() == 2)).await;
    gate.open();
    let calls = receiver.wait_for_successes(PATIENCE * 2, "/a", 3001).await;
    let ids: Vec<_> =
        calls.iter().filter(|c| *c.object_id.as_ref().unwrap() == 1).map(|c| c.webhook_id.clone().unwrap()).collect();
    // Ids sort by the time of their making, which is the order of publication here.
    assert!(ids.is_sorted() && ids.len() == 3000, "{} calls", ids.len());
}
