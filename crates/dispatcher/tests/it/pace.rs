//! Limits of one handler: calls at once and calls a second.

use std::time::Duration;

use baton_domain::connection::CallLimits;
use baton_domain::handler::HandlerSpec;
use baton_testkit::{Answer, Gate, Receiver, eventually};

use crate::rig::{PATIENCE, Rig, handler, on_both_databases};

const CREATE: &str = "clients.create";

on_both_databases! {
    calls_a_second_are_limited_and_spread
    what_a_filter_does_not_want_uses_up_no_calls
    calls_at_once_are_limited
}

fn limited(concurrency: Option<u16>, per_second: Option<u16>, spec: HandlerSpec) -> HandlerSpec {
    HandlerSpec { limits: CallLimits { concurrency, per_second }, ..spec }
}

async fn calls_a_second_are_limited_and_spread(mut rig: Rig) {
    let receiver = Receiver::start().await;
    rig.go_live([
        limited(None, Some(20), handler(1, CREATE, 1, receiver.url("/limited"))),
        handler(2, CREATE, 1, receiver.url("/free")),
    ])
    .await;
    rig.start();
    let events: Vec<_> = (0..31).map(|n| (CREATE, n)).collect();
    rig.publish_batch(&events).await;
    let calls = receiver.wait_for_successes(PATIENCE, "/limited", 31).await;
    // Two at once, the others 50 ms apart: 29 such times lie between the first call and the last.
    assert!(calls[30].at - calls[0].at >= Duration::from_millis(29 * 50 - 100), "{:?}", calls[30].at - calls[0].at);
    // Who is not limited did not wait for who is.
    let free = receiver.wait_for_successes(PATIENCE, "/free", 31).await;
    assert!(free[30].at < calls[30].at);
    rig.assert_balance(31).await;
}

async fn what_a_filter_does_not_want_uses_up_no_calls(mut rig: Rig) {
    let receiver = Receiver::start().await;
    let spec = limited(None, Some(1), handler(1, CREATE, 1, receiver.url("/")));
    rig.go_live([HandlerSpec { filter: Some("event.object_id == 999".into()), ..spec }]).await;
    rig.start();
    let begun = std::time::Instant::now();
    let mut events: Vec<_> = (0..200).map(|n| (CREATE, n)).collect();
    events.push((CREATE, 999));
    rig.publish_batch(&events).await;
    receiver.wait_for_successes(PATIENCE, "/", 1).await;
    rig.assert_balance(201).await;
    // At one a second the 200 would have taken minutes.
    assert!(begun.elapsed() < PATIENCE);
    assert_eq!(receiver.count(), 1);
}

async fn calls_at_once_are_limited(mut rig: Rig) {
    let receiver = Receiver::start().await;
    let gate = Gate::closed();
    let behind = gate.clone();
    receiver.script("/limited", move |_| Answer::ok().behind(&behind));
    rig.go_live([
        limited(Some(3), None, handler(1, CREATE, 1, receiver.url("/limited"))),
        handler(2, CREATE, 2, receiver.url("/free")),
    ])
    .await;
    rig.start();
    let events: Vec<_> = (0..20).map(|n| (CREATE, n)).collect();
    rig.publish_batch(&events).await;
    let at_limited = |count| {
        let receiver = &receiver;
        async move { eventually(PATIENCE, "calls", async || (receiver.calls_at("/limited").len() == count).then_some(())).await }
    };
    at_limited(3).await;
    for released in 1..=17 {
        gate.let_through(1);
        at_limited(3 + released).await;
    }
    gate.open();
    receiver.wait_for_successes(PATIENCE, "/limited", 20).await;
    receiver.wait_for_successes(PATIENCE, "/free", 20).await;
    rig.assert_balance(20).await;
}
