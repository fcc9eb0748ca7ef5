//! Filters: who does not want an event is not called, and the log says so.

use baton_domain::handler::HandlerSpec;
use baton_domain::{CallStatus, EventStatus};
use baton_testkit::{Answer, Receiver};

use crate::rig::{PATIENCE, Rig, handler, on_both_databases};

const CREATE: &str = "clients.create";

on_both_databases! {
    who_does_not_want_an_event_is_skipped_with_the_reason
    an_event_that_nobody_wants_is_unmatched
    a_retry_asks_the_filter_that_is_live_then
}

/// Events of the rig have the data `{"n": 1.50}`.
fn wanting(filter: &str, spec: HandlerSpec) -> HandlerSpec {
    HandlerSpec { filter: Some(filter.into()), ..spec }
}

async fn who_does_not_want_an_event_is_skipped_with_the_reason(mut rig: Rig) {
    let receiver = Receiver::start().await;
    let stop = |spec| HandlerSpec { on_failure: baton_domain::OnFailure::Stop, ..spec };
    rig.go_live([
        stop(wanting("data.n > 2", handler(1, CREATE, 1, receiver.url("/large")))),
        wanting("data.n == 1.5 && event.object_id == 7", handler(2, CREATE, 2, receiver.url("/seven"))),
        wanting("data.missing == 1", handler(3, CREATE, 3, receiver.url("/missing"))),
        handler(4, CREATE, 4, receiver.url("/all")),
    ])
    .await;
    rig.start();
    let id = rig.publish(&[(CREATE, 7)]).await[0];
    rig.wait_for_status(id, EventStatus::Failed).await;
    let executions = rig.store.event_executions(id).await.unwrap();
    let brief: Vec<_> = executions.iter().map(|e| (e.handler_id.0, e.attempt, e.status)).collect();
    let expected =
        [(1, 0, CallStatus::Skipped), (2, 1, CallStatus::Success), (3, 1, CallStatus::Fail), (4, 1, CallStatus::Success)];
    assert_eq!(brief, expected);
    assert_eq!(executions[0].error.as_deref(), Some("not called: its filter does not want this event (data.n > 2)"));
    assert!(executions[2].error.as_ref().unwrap().contains("the event has no 'missing'"));
    let called: Vec<_> = receiver.calls().iter().map(|call| call.path.clone()).collect();
    assert_eq!(called, ["/seven", "/all"]);
    rig.assert_balance(1).await;
}

async fn an_event_that_nobody_wants_is_unmatched(mut rig: Rig) {
    let receiver = Receiver::start().await;
    rig.go_live([wanting("event.object_id > 100", handler(1, CREATE, 1, receiver.url("/")))]).await;
    rig.start();
    let ids = rig.publish(&[(CREATE, 1), (CREATE, 101), (CREATE, 1)]).await;
    for (id, status) in ids.iter().zip([EventStatus::Unmatched, EventStatus::Delivered, EventStatus::Unmatched]) {
        rig.wait_for_status(*id, status).await;
    }
    assert_eq!(receiver.count(), 1);
    rig.assert_balance(3).await;
}

async fn a_retry_asks_the_filter_that_is_live_then(mut rig: Rig) {
    let receiver = Receiver::start().await;
    receiver.script("/", |_| Answer::status(503));
    let mut spec = handler(1, CREATE, 1, receiver.url("/"));
    spec.retry.max_attempts = 1000;
    rig.go_live([spec.clone()]).await;
    rig.start();
    let id = rig.publish(&[(CREATE, 1)]).await[0];
    rig.wait_for_status(id, EventStatus::Retrying).await;
    rig.go_live([wanting("false", spec)]).await;
    rig.wait_for_status(id, EventStatus::Unmatched).await;
    let last = rig.executions(id).await.pop().unwrap();
    assert!(last.1 >= 1 && last.2 == CallStatus::Skipped, "{last:?}");
    baton_testkit::eventually(PATIENCE, "no dead letter", async || {
        let page = baton_storage::Page { limit: 10, cursor: None };
        rig.store.search_dead_letters(&Default::default(), &page).await.unwrap().items.is_empty().then_some(())
    })
    .await;
    rig.assert_balance(1).await;
}
