//! What is called is counted, when it is recorded.

use std::time::Duration;

use baton_domain::{EventStatus, HandlerId, OnFailure};
use baton_storage::{Counts, Span};
use baton_testkit::{Answer, Receiver, eventually, rules};
use chrono::{TimeDelta, Utc};

use crate::rig::{PATIENCE, Rig, handler, on_both_databases};

const CREATE: &str = "clients.create";

on_both_databases! {
    attempts_and_skips_are_counted_for_their_handler_and_for_all
}

/// What was counted in the last hours.
async fn counted(rig: &Rig, handler: Option<i64>) -> Counts {
    rig.store.write_counts(Utc::now()).await.unwrap();
    let (from, to) = (Utc::now() - TimeDelta::hours(2), Utc::now());
    let hours = rig.store.minutes(Span::Hour, handler.map(HandlerId), from, to).await.unwrap();
    let mut sum = Counts::default();
    hours.values().for_each(|counts| sum.merge(counts));
    sum
}

async fn attempts_and_skips_are_counted_for_their_handler_and_for_all(mut rig: Rig) {
    let receiver = Receiver::start().await;
    receiver.script("/busy", rules::always(Answer::status(503)));
    let mut stops = handler(2, CREATE, 2, receiver.url("/busy"));
    stops.on_failure = OnFailure::Stop;
    rig.go_live([handler(1, CREATE, 1, receiver.url("/well")), stops, handler(3, CREATE, 3, receiver.url("/never"))]).await;
    rig.start();
    for id in rig.publish(&[(CREATE, 1), (CREATE, 2)]).await {
        rig.wait_for_status(id, EventStatus::Failed).await;
    }
    // What is recorded is counted a moment later.
    let all = eventually(PATIENCE, "everything to be counted", async || {
        Some(counted(&rig, None).await).filter(|all| all.attempts() + all.skipped == 10)
    })
    .await;
    assert_eq!((all.succeeded, all.failed, all.skipped), (2, 6, 2));
    assert_eq!((all.durations.count(), all.first_calls.count()), (8, 2), "an event has one first call");
    assert!(Duration::from_micros(all.duration_us) < PATIENCE, "{all:?}");
    let well = counted(&rig, Some(1)).await;
    assert_eq!((well.succeeded, well.failed, well.skipped, well.first_calls.count()), (2, 0, 0, 2));
    let busy = counted(&rig, Some(2)).await;
    assert_eq!(
        (busy.succeeded, busy.failed, busy.durations.count(), busy.first_calls.count()),
        (0, 6, 6, 2),
        "retries are not first calls"
    );
    let never = counted(&rig, Some(3)).await;
    assert_eq!((never.attempts(), never.skipped, never.durations.count()), (0, 2, 0));
}
