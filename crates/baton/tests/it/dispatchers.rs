//! A dispatcher of two that goes away under load, and one that comes.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use baton_testkit::{Answer, Process, Received, Receiver, eventually, rules};
use reqwest::Method;
use serde_json::json;

use crate::rig::bodies::{http, quick_retry, with};
use crate::rig::lanes::{ON_ITS_WAY, Seen, assert_in_order, assert_in_order_but_for_repeats, by_object};
use crate::rig::load::Load;
use crate::rig::machine::busy;
use crate::rig::{Api, Installation, SOON, Services, account};

/// How soon the partitions of a killed dispatcher go on.
const TAKEN_OVER: Duration = Duration::from_secs(15);
/// How soon those of a stopped one do: they are handed over, no lease has to run out.
const HANDED_OVER: Duration = Duration::from_secs(5);
const OBJECTS: u64 = 200;
const EVENTS: u64 = 12;

fn kind(_: u64) -> &'static str {
    "clients.update"
}

fn load(numbers: std::ops::Range<u64>) -> Load {
    Load { objects: 0..OBJECTS, numbers, kind }
}

/// Two dispatchers that share the work, and one handler that takes a while for each call, so that calls are under way all the time.
async fn under_load(receiver: &Receiver) -> Services {
    receiver.script("/", rules::always(Answer::ok().delayed(Duration::from_millis(100))));
    let services = Services::start(Installation::new().await, 2).await;
    services.api.create_live([with(http("Slow", kind(0), receiver.url("/")), json!({"retry": quick_retry(20)}))]).await;
    services.live_everywhere().await;
    for dispatcher in &services.dispatchers {
        owns_partitions(dispatcher, |owned| (31..=33).contains(&owned)).await;
    }
    load(0..EVENTS).publish(&services.api, 4, &Arc::new(AtomicU64::new(0))).await;
    receiver.wait_for(SOON, "/", 500).await;
    services
}

/// Waits until a dispatcher owns so many of the 64 partitions, as its metrics say.
async fn owns_partitions(dispatcher: &Process, enough: impl Fn(u32) -> bool) {
    let api = Api::new(dispatcher.url(""), "");
    eventually(SOON, "the dispatchers to share the partitions", async || {
        let metrics = api.try_send(api.anonymous(Method::GET, "/metrics")).await.ok()?.text;
        let owned = metrics.lines().find_map(|line| line.strip_prefix("baton_partitions_owned "))?.parse().ok()?;
        enough(owned).then_some(())
    })
    .await;
}

/// Waits until everything has ended; every call there was.
async fn all_ended(api: &Api, receiver: &Receiver, total: u64) -> Vec<Arc<Received>> {
    let (stats, _) = account::watch(api.clone(), &AtomicU64::new(total), total, SOON * 2).await;
    assert_eq!(account::balanced(&stats), [total, total, 0, 0, 0, 0]);
    receiver.calls()
}

/// How long after an instant the objects got their next call that got one at all, in order.
fn went_on(calls: &[Arc<Received>], after: Instant) -> Vec<Duration> {
    let next = |seen: &Vec<Seen>| seen.iter().find(|call| call.at > after).map(|call| call.at - after);
    let mut waited: Vec<_> = by_object(calls, "/").values().filter_map(next).collect();
    waited.sort_unstable();
    waited
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_partitions_of_a_killed_dispatcher_go_on_and_nothing_is_lost() {
    let _busy = busy().await;
    let receiver = Receiver::start().await;
    let mut services = under_load(&receiver).await;

    let killed = Instant::now();
    services.dispatchers[0].kill9();
    let killed = killed..=Instant::now();
    // Of every object more is published, so that each of its partitions has something to go on with.
    load(EVENTS..EVENTS + 1).publish(&services.api, 4, &Arc::new(AtomicU64::new(0))).await;

    let calls = all_ended(&services.api, &receiver, OBJECTS * (EVENTS + 1)).await;
    // Of what it had begun, nothing is on its way any more after this; the next calls of its objects are its successor's.
    let waited = went_on(&calls, *killed.end() + ON_ITS_WAY);
    assert!(waited.len() as u64 >= OBJECTS / 4, "it had a good part of the objects: {waited:?}");
    assert!(waited.iter().all(|waited| *waited + ON_ITS_WAY <= TAKEN_OVER), "{waited:?}");
    let expected: Vec<u64> = (0..=EVENTS).collect();
    let mut repeats = 0;
    for (object, seen) in by_object(&calls, "/") {
        repeats += assert_in_order_but_for_repeats(&object, &seen, &expected, &killed);
    }
    // What was under way when it was killed is at most its slots, and what it had not written yet.
    assert!(repeats <= 300, "{repeats} calls were repeated");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_dispatcher_finishes_and_hands_over_and_one_that_comes_gets_its_share_without_a_repeated_call() {
    let _busy = busy().await;
    let receiver = Receiver::start().await;
    let mut services = under_load(&receiver).await;

    let asked = Instant::now();
    let status = services.dispatchers[0].terminate(SOON).await;
    assert!(status.success() && asked.elapsed() < HANDED_OVER, "{status} after {:?}", asked.elapsed());
    let stopped = Instant::now();
    load(EVENTS..EVENTS + 1).publish(&services.api, 4, &Arc::new(AtomicU64::new(0))).await;
    let after = |call: &&Arc<Received>| call.at > stopped;
    let gone_on = |calls: &[Arc<Received>]| {
        let calls: Vec<_> = calls.iter().filter(after).cloned().collect();
        by_object(&calls, "/").len() as u64 == OBJECTS
    };
    receiver.wait_until(HANDED_OVER, "every object to go on", gone_on).await;

    // It comes back while there is work, and takes over its share.
    load(EVENTS + 1..EVENTS * 2).publish(&services.api, 4, &Arc::new(AtomicU64::new(0))).await;
    services.dispatchers[0].restart().await;
    owns_partitions(&services.dispatchers[0], |owned| owned >= 31).await;
    load(EVENTS * 2..EVENTS * 2 + 1).publish(&services.api, 4, &Arc::new(AtomicU64::new(0))).await;

    let calls = all_ended(&services.api, &receiver, OBJECTS * (EVENTS * 2 + 1)).await;
    let expected: Vec<u64> = (0..=EVENTS * 2).collect();
    for (object, seen) in by_object(&calls, "/") {
        assert_in_order(&object, &seen, &expected);
    }
}
