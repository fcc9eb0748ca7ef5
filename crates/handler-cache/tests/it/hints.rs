//! Hints: sent without waiting, joined together on their way, and never relied upon.

use std::time::Duration;

use baton_handler_cache::Hint;
use baton_testkit::{RedisServer, TestRedis, within};
use futures_util::StreamExt;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::time::Instant;

use crate::fixture::{LATE, Process, SOON, Site, store_generation};
use crate::relay::Relay;

const KINDS: [Hint; 5] = [Hint::Appended, Hint::RunRequested, Hint::RunFinished, Hint::Generation, Hint::Partitions];
/// Far more than a listener may be behind.
const BURST: usize = 100_000;

async fn site() -> Site {
    let redis = TestRedis::shared();
    Site::small(redis.url(), redis.prefix()).await
}

fn burst(process: &Process) -> Duration {
    let began = Instant::now();
    for _ in 0..BURST {
        process.cache.hints().send(Hint::Appended);
    }
    began.elapsed()
}

#[tokio::test]
async fn every_kind_of_hint_reaches_both_processes() {
    let site = site().await;
    let (one, two) = (site.process().await, site.process().await);
    site.subscribed(2).await;
    let (mut near, mut far) = (one.cache.hints().subscribe(), two.cache.hints().subscribe());
    while far.try_recv().is_ok() {}
    while near.try_recv().is_ok() {}
    for kind in KINDS {
        one.cache.hints().send(kind);
        assert_eq!(near.try_recv(), Ok(kind), "at once in the process that sent it");
        assert_eq!(within(LATE, "the hint", far.recv()).await, Ok(kind));
    }
    // What it sent has come round before this, and is not heard of again.
    two.cache.hints().send(Hint::Pauses);
    assert_eq!(within(LATE, "the other's hint", near.recv()).await, Ok(Hint::Pauses));
    // What was appended by one process is not what others have in memory.
    one.cache.hints().send(Hint::AppendedHere);
    assert_eq!(near.try_recv(), Ok(Hint::AppendedHere));
    assert_eq!(far.recv().await, Ok(Hint::Pauses));
    assert_eq!(within(LATE, "the hint", far.recv()).await, Ok(Hint::Appended));
}

#[tokio::test]
async fn words_that_are_no_hints_are_passed_over() {
    let site = site().await;
    let process = site.process().await;
    site.subscribed(1).await;
    let mut hints = process.cache.hints().subscribe();
    while hints.try_recv().is_ok() {}
    let mut redis = site.redis().await;
    for word in [&b"nonsense"[..], b"", b"generation"] {
        redis::cmd("PUBLISH").arg(site.channel()).arg(word).exec_async(&mut redis).await.unwrap();
    }
    assert_eq!(within(LATE, "the hint", hints.recv()).await, Ok(Hint::Generation));
    assert_eq!(hints.try_recv(), Err(TryRecvError::Empty));
}

#[tokio::test]
async fn a_burst_travels_as_one_message() {
    let site = site().await;
    let process = site.process().await;
    site.subscribed(1).await;
    let mut listener = redis::Client::open(TestRedis::shared().url()).unwrap().get_async_pubsub().await.unwrap();
    listener.subscribe(site.channel()).await.unwrap();
    // On this test's one thread nothing is sent on before the burst is over.
    burst(&process);
    process.cache.hints().send(Hint::RunRequested);
    let mut messages = listener.into_on_message();
    let mut words = Vec::new();
    while words.last().map(String::as_str) != Some("run-requested") {
        let message = within(SOON, "the last message", messages.next()).await.unwrap();
        let text = message.get_payload::<String>().unwrap();
        // Behind the word stands whose it is.
        words.push(text.split_once(' ').unwrap().0.to_owned());
    }
    assert_eq!(words, ["appended", "run-requested"]);
}

#[tokio::test]
async fn a_listener_that_lags_hears_so_and_goes_on() {
    let site = site().await;
    let process = site.process().await;
    let mut hints = process.cache.hints().subscribe();
    burst(&process);
    assert!(matches!(hints.recv().await, Err(RecvError::Lagged(_))));
    assert_eq!(hints.recv().await, Ok(Hint::Appended));
    while hints.try_recv().is_ok() {}
    process.cache.hints().send(Hint::RunFinished);
    within(SOON, "a hint", async { while hints.recv().await != Ok(Hint::RunFinished) {} }).await;
    // The cache itself was behind as well, and is not any more.
    store_generation(&process.store, 1).await;
    process.live(1, LATE).await;
}

#[tokio::test]
async fn sending_never_waits() {
    let mut server = RedisServer::start().await;
    let relay = Relay::to(&server.url()).await;
    let site = Site::small(server.url(), "baton").await;
    let process = site.process_by(&relay.url()).await;
    site.subscribed(1).await;
    assert!(burst(&process) < LATE, "with Redis");
    relay.fall_silent();
    assert!(burst(&process) < LATE, "with a Redis that hangs");
    server.stop();
    assert!(burst(&process) < LATE, "without Redis");
    // Nothing of it has piled up: what comes next is done next.
    process.publish(1).await;
    process.end().await;
}
