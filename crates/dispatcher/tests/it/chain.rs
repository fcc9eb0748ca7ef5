//! Chains: priorities, what a failure means for the rest, and how events end.

use baton_domain::{CallStatus, EventStatus, OnFailure};
use baton_testkit::{Answer, Gate, Receiver, rules};

use crate::rig::{PATIENCE, Rig, handler, on_both_databases};

const CREATE: &str = "clients.create";

on_both_databases! {
    handlers_run_by_priority
    equal_priorities_run_side_by_side
    continue_goes_on_and_retries_in_the_background
    wait_holds_the_rest_until_success
    wait_lets_the_rest_go_when_exhausted
    stop_skips_the_rest_when_exhausted
    what_fails_for_good_is_not_tried_again
    without_a_handler_an_event_is_unmatched
    what_is_published_arrives_to_the_letter
}

async fn handlers_run_by_priority(mut rig: Rig) {
    let receiver = Receiver::start().await;
    let specs = [(1, 30, "/c"), (2, 10, "/a"), (3, 20, "/b")];
    rig.go_live(specs.map(|(id, priority, path)| handler(id, CREATE, priority, receiver.url(path)))).await;
    rig.start();
    let ids = rig.publish(&[(CREATE, 1), (CREATE, 2), (CREATE, 3)]).await;
    for id in &ids {
        rig.wait_for_status(*id, EventStatus::Delivered).await;
        let calls = receiver.calls();
        let of_event = calls.iter().filter(|c| c.webhook_id.as_ref().is_some_and(|w| w.starts_with(&id.to_string())));
        assert_eq!(of_event.map(|c| c.path.as_str()).collect::<Vec<_>>(), ["/a", "/b", "/c"]);
    }
    rig.assert_balance(3).await;
}

async fn equal_priorities_run_side_by_side(mut rig: Rig) {
    let receiver = Receiver::start().await;
    let gate = Gate::closed();
    for path in ["/a", "/b"] {
        let gate = gate.clone();
        receiver.script(path, move |_| Answer::ok().behind(&gate));
    }
    rig.go_live([
        handler(1, CREATE, 5, receiver.url("/a")),
        handler(2, CREATE, 5, receiver.url("/b")),
        handler(3, CREATE, 6, receiver.url("/c")),
    ])
    .await;
    rig.start();
    let id = rig.publish(&[(CREATE, 1)]).await[0];
    // Both are called although neither has answered.
    receiver.wait_for(PATIENCE, "/a", 1).await;
    receiver.wait_for(PATIENCE, "/b", 1).await;
    assert!(receiver.calls_at("/c").is_empty());
    gate.open();
    rig.wait_for_status(id, EventStatus::Delivered).await;
    assert_eq!(receiver.calls_at("/c").len(), 1);
}

async fn continue_goes_on_and_retries_in_the_background(mut rig: Rig) {
    let receiver = Receiver::start().await;
    let gate = Gate::closed();
    let behind = gate.clone();
    receiver.script("/first", move |call| match call.attempt {
        Some(1) => Answer::status(500),
        _ => Answer::ok().behind(&behind),
    });
    rig.go_live([handler(1, CREATE, 1, receiver.url("/first")), handler(2, CREATE, 2, receiver.url("/second"))]).await;
    rig.start();
    let id = rig.publish(&[(CREATE, 1)]).await[0];
    // The second is reached although the first has not succeeded, and only after it was tried.
    receiver.wait_for_successes(PATIENCE, "/second", 1).await;
    rig.wait_for_status(id, EventStatus::Retrying).await;
    gate.open();
    rig.wait_for_status(id, EventStatus::Delivered).await;
    let first_two: Vec<_> = receiver.calls().iter().take(1).map(|c| c.path.clone()).collect();
    assert_eq!(first_two, ["/first"]);
    let executions = rig.executions(id).await;
    assert_eq!(
        executions.iter().filter(|e| e.0 == 1).map(|e| (e.1, e.2)).collect::<Vec<_>>(),
        [(1, CallStatus::Fail), (2, CallStatus::Success)]
    );
    rig.assert_balance(1).await;
}

async fn wait_holds_the_rest_until_success(mut rig: Rig) {
    let receiver = Receiver::start().await;
    receiver.script("/first", rules::fail_first(2, Answer::status(503)));
    let mut first = handler(1, CREATE, 1, receiver.url("/first"));
    first.on_failure = OnFailure::Wait;
    rig.go_live([first, handler(2, CREATE, 2, receiver.url("/second"))]).await;
    rig.start();
    let id = rig.publish(&[(CREATE, 1)]).await[0];
    rig.wait_for_status(id, EventStatus::Delivered).await;
    let paths: Vec<_> = receiver.calls().iter().map(|c| c.path.clone()).collect();
    assert_eq!(paths, ["/first", "/first", "/first", "/second"]);
}

async fn wait_lets_the_rest_go_when_exhausted(mut rig: Rig) {
    let receiver = Receiver::start().await;
    receiver.script("/first", rules::always(Answer::status(503)));
    let mut first = handler(1, CREATE, 1, receiver.url("/first"));
    first.on_failure = OnFailure::Wait;
    rig.go_live([first, handler(2, CREATE, 2, receiver.url("/second"))]).await;
    rig.start();
    let id = rig.publish(&[(CREATE, 1)]).await[0];
    rig.wait_for_status(id, EventStatus::Failed).await;
    let paths: Vec<_> = receiver.calls().iter().map(|c| c.path.clone()).collect();
    assert_eq!(paths, ["/first", "/first", "/first", "/second"]);
}

async fn stop_skips_the_rest_when_exhausted(mut rig: Rig) {
    let receiver = Receiver::start().await;
    receiver.script("/first", rules::always(Answer::status(503)));
    let mut first = handler(1, CREATE, 1, receiver.url("/first"));
    first.on_failure = OnFailure::Stop;
    rig.go_live([
        first,
        handler(2, CREATE, 1, receiver.url("/beside")),
        handler(3, CREATE, 2, receiver.url("/second")),
        handler(4, CREATE, 3, receiver.url("/third")),
    ])
    .await;
    rig.start();
    let id = rig.publish(&[(CREATE, 1)]).await[0];
    rig.wait_for_status(id, EventStatus::Failed).await;
    assert_eq!(receiver.calls_at("/beside").len(), 1);
    assert!(receiver.calls_at("/second").is_empty() && receiver.calls_at("/third").is_empty());
    let mut skipped = rig.executions(id).await;
    skipped.retain(|e| e.2 == CallStatus::Skipped);
    skipped.sort_unstable_by_key(|e| e.0);
    assert_eq!(skipped, [(3, 0, CallStatus::Skipped), (4, 0, CallStatus::Skipped)]);
    let dead = rig.store.event_deliveries(id).await.unwrap();
    assert_eq!(dead.iter().map(|d| (d.handler_id.0, d.attempts)).collect::<Vec<_>>(), [(1, 3)]);
    rig.assert_balance(1).await;
}

async fn what_fails_for_good_is_not_tried_again(mut rig: Rig) {
    let receiver = Receiver::start().await;
    receiver.script("/a", rules::always(Answer::status(422).body("no such client")));
    rig.go_live([handler(1, CREATE, 1, receiver.url("/a"))]).await;
    rig.start();
    let id = rig.publish(&[(CREATE, 1)]).await[0];
    rig.wait_for_status(id, EventStatus::Failed).await;
    assert_eq!(rig.executions(id).await, [(1, 1, CallStatus::Fail)]);
    assert_eq!(receiver.calls().len(), 1);
}

async fn without_a_handler_an_event_is_unmatched(mut rig: Rig) {
    let receiver = Receiver::start().await;
    rig.go_live([handler(1, "clients.update", 1, receiver.url("/a"))]).await;
    rig.start();
    let id = rig.publish(&[(CREATE, 1)]).await[0];
    rig.wait_for_status(id, EventStatus::Unmatched).await;
    assert!(receiver.calls().is_empty());
    rig.assert_balance(1).await;
}

async fn what_is_published_arrives_to_the_letter(mut rig: Rig) {
    let receiver = Receiver::start().await;
    rig.go_live([handler(1, CREATE, 1, receiver.url("/a"))]).await;
    rig.start();
    let id = rig.publish(&[(CREATE, 7)]).await[0];
    let call = &receiver.wait_for_successes(PATIENCE, "/a", 1).await[0];
    let dt = rig.store.event(id).await.unwrap().unwrap().dt;
    let body = format!(r#"{{"event":{{"dt":"{dt}","events_id":"clients.create","object_id":7}},"data":{{"n":1.5}}}}"#);
    assert_eq!(String::from_utf8_lossy(&call.body), body);
    assert_eq!(call.webhook_id.as_deref(), Some(format!("{id}-1").as_str()));
    assert_eq!((call.header("baton-generation"), call.header("baton-handler")), (Some("1"), Some("1")));
}
