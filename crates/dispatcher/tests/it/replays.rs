//! Replays of events as they were: under a generation that need not be live.

use baton_domain::{CallStatus, EventId, EventStatus, GenerationNumber, HandlerId, PauseScope};
use baton_handler_cache::Hint;
use baton_testkit::{Answer, Gate, Receiver, rules};
use chrono::Utc;

use crate::rig::{PATIENCE, Rig, handler, on_both_databases};

const CREATE: &str = "clients.create";

on_both_databases! {
    a_generation_that_goes_live_does_not_change_a_replay_that_waits
    a_replay_that_fails_is_retrying_and_its_retry_is_live
    a_pause_holds_handlers_that_are_not_live
    a_replay_that_waits_outlives_a_dispatcher
}

async fn replay(rig: &Rig, id: EventId, generation: i64) {
    rig.store.replay_event_under(id, None, Some(GenerationNumber(generation)), Utc::now()).await.unwrap();
    rig.cache.hints().send(Hint::Appended);
}

/// An event that was delivered under generation 1, to `/old`, and generation 2, with `/new`.
async fn delivered_under_old(rig: &mut Rig, receiver: &Receiver) -> EventId {
    rig.go_live([handler(1, CREATE, 1, receiver.url("/old"))]).await;
    rig.start();
    let id = rig.publish(&[(CREATE, 1)]).await[0];
    rig.wait_for_status(id, EventStatus::Delivered).await;
    rig.go_live([handler(2, CREATE, 1, receiver.url("/new"))]).await;
    id
}

async fn a_generation_that_goes_live_does_not_change_a_replay_that_waits(mut rig: Rig) {
    let receiver = Receiver::start().await;
    let gate = Gate::closed();
    let behind = gate.clone();
    // Handlers share a lane, so that the replay waits for the event before it.
    let in_lane = |id: i64, path: &str| {
        let mut handler = handler(id, CREATE, 1, receiver.url(path));
        handler.lane = Some("shared".into());
        handler
    };
    rig.go_live([in_lane(1, "/old")]).await;
    rig.start();
    let id = rig.publish(&[(CREATE, 1)]).await[0];
    rig.wait_for_status(id, EventStatus::Delivered).await;
    receiver.script("/between", move |_| Answer::ok().behind(&behind));
    rig.go_live([in_lane(2, "/between")]).await;
    let between = rig.publish(&[(CREATE, 1)]).await[0];
    receiver.wait_for(PATIENCE, "/between", 1).await;
    replay(&rig, id, 1).await;
    let waits = rig.publish(&[(CREATE, 1)]).await[0];
    rig.wait_for_held(2).await;
    rig.go_live([in_lane(3, "/new")]).await;
    // Another object shows that the new generation is in use.
    rig.publish(&[(CREATE, 2)]).await;
    receiver.wait_for_successes(PATIENCE, "/new", 1).await;
    gate.open();
    for id in [between, waits, id] {
        rig.wait_for_status(id, EventStatus::Delivered).await;
    }
    let of_object = receiver.calls().into_iter().filter(|call| call.object_id.as_ref().unwrap() == 1);
    let paths: Vec<_> = of_object.map(|call| call.path.clone()).collect();
    assert_eq!(paths, ["/old", "/between", "/old", "/new"]);
    rig.assert_balance(4).await;
}

async fn a_replay_that_fails_is_retrying_and_its_retry_is_live(mut rig: Rig) {
    let receiver = Receiver::start().await;
    let (mut old, mut new) = (handler(1, CREATE, 1, receiver.url("/old")), handler(1, CREATE, 1, receiver.url("/new")));
    for handler in [&mut old, &mut new] {
        (handler.retry.first_delay_ms, handler.retry.max_delay_ms) = (1500, 1500);
    }
    rig.go_live([old]).await;
    rig.start();
    let id = rig.publish(&[(CREATE, 1)]).await[0];
    rig.wait_for_status(id, EventStatus::Delivered).await;
    rig.go_live([new]).await;
    receiver.script("/old", rules::always(Answer::status(500)));
    replay(&rig, id, 1).await;
    // What failed is to be seen in the tables, in the event and in the account.
    rig.wait_for_status(id, EventStatus::Retrying).await;
    let stats = rig.store.stats().await.unwrap();
    assert_eq!(stats.iter().map(|row| (row.pending, row.retrying)).collect::<Vec<_>>(), [(0, 1)]);
    rig.wait_for_status(id, EventStatus::Delivered).await;
    assert_eq!((receiver.calls_at("/old").len(), receiver.calls_at("/new").len()), (2, 1));
    assert_eq!(rig.executions(id).await, [(1, 1, CallStatus::Success), (1, 1, CallStatus::Fail), (1, 2, CallStatus::Success)]);
    rig.assert_balance(1).await;
}

async fn a_pause_holds_handlers_that_are_not_live(mut rig: Rig) {
    let receiver = Receiver::start().await;
    let id = delivered_under_old(&mut rig, &receiver).await;
    for scope in [PauseScope::Handler(HandlerId(1)), PauseScope::EventType(CREATE.into()), PauseScope::Everything] {
        receiver.forget();
        rig.pause(scope.clone()).await;
        replay(&rig, id, 1).await;
        rig.wait_for_held(1).await;
        assert_eq!(receiver.count(), 0, "{scope}");
        rig.resume(scope).await;
        receiver.wait_for_successes(PATIENCE, "/old", 1).await;
        rig.wait_for_status(id, EventStatus::Delivered).await;
    }
    assert!(receiver.calls_at("/new").is_empty());
}

async fn a_replay_that_waits_outlives_a_dispatcher(mut rig: Rig) {
    let receiver = Receiver::start().await;
    rig.go_live([handler(1, CREATE, 1, receiver.url("/old"))]).await;
    let first = rig.dispatcher("first");
    let id = rig.publish(&[(CREATE, 1)]).await[0];
    rig.wait_for_status(id, EventStatus::Delivered).await;
    rig.go_live([handler(2, CREATE, 1, receiver.url("/new"))]).await;
    rig.pause(PauseScope::Everything).await;
    replay(&rig, id, 1).await;
    rig.wait_for_held(1).await;
    first.stop().await;
    rig.start();
    rig.resume(PauseScope::Everything).await;
    receiver.wait_for_successes(PATIENCE, "/old", 2).await;
    rig.wait_for_status(id, EventStatus::Delivered).await;
    assert!(receiver.calls_at("/new").is_empty());
}
