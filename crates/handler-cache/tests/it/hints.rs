//! Hints: sent without waiting, joined together on their way, and never relied upon.

use std::time::Duration;

use baton_handler_cache::Hint;
use baton_testkit::{RedisServer, TestRedis, within};
use futures_util::StreamExt;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::time::Instant;

use crate::fixture::{LATE, Process, SOON, Site, store_generation};
use crate::relay::Relay;

const KINDS: [Hint; 5] = [Hint::RunRequested, Hint::RunFinished, Hint::Generation, Hint::Partitions, Hint::Pauses];
/// Far more than a listener may be behind.
const BURST: usize = 100_000;

async fn site() -> Site {
    let redis = TestRedis::shared();
    Site::small(redis.url(), redis.prefix()).await
}

fn burst(process: &Process, hint: Hint) -> Duration {
    let began = Instant::now();
    for _ in 0..BURST {
        process.cache.hints().send(hint);
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
}

/// Forgets what has come so far.
fn drain(hints: &mut Receiver<Hint>) {
    while hints.try_recv().is_ok() {}
}

#[tokio::test]
async fn appends_are_told_to_those_who_want_to_hear_of_them() {
    let site = site().await;
    let (one, two, three) = (site.process().await, site.process().await, site.process().await);
    site.subscribed(3).await;
    let (mut near, mut far) = (one.cache.hints().subscribe_appends(), two.cache.hints().subscribe_appends());
    let mut others = three.cache.hints().subscribe();
    // Whoever begins to listen looks once.
    assert_eq!(within(LATE, "the first look", near.recv()).await, Ok(Hint::Appended));
    assert_eq!(within(LATE, "the first look", far.recv()).await, Ok(Hint::Appended));
    drain(&mut others);
    // What was appended by one process is not what others have in memory.
    one.cache.hints().send(Hint::AppendedHere);
    assert_eq!(near.try_recv(), Ok(Hint::AppendedHere));
    assert_eq!(within(LATE, "the hint", far.recv()).await, Ok(Hint::Appended));
    two.cache.hints().send(Hint::Appended);
    assert_eq!(within(LATE, "the hint", near.recv()).await, Ok(Hint::Appended));
    // Nobody else is bothered: a later hint is the next that comes.
    two.cache.hints().send(Hint::Pauses);
    assert_eq!(within(LATE, "the hint", others.recv()).await, Ok(Hint::Pauses));
    assert_eq!((near.try_recv(), far.try_recv()), (Err(TryRecvError::Empty), Ok(Hint::Appended)));
}

#[tokio::test]
async fn appends_of_a_program_of_before_are_heard() {
    let site = site().await;
    let process = site.process().await;
    site.subscribed(1).await;
    let mut appends = process.cache.hints().subscribe_appends();
    assert_eq!(within(LATE, "the first look", appends.recv()).await, Ok(Hint::Appended));
    let mut redis = site.redis().await;
    redis::cmd("PUBLISH").arg(site.channel()).arg("appended of-before").exec_async(&mut redis).await.unwrap();
    assert_eq!(within(LATE, "the hint", appends.recv()).await, Ok(Hint::Appended));
}

#[tokio::test]
async fn appends_that_nobody_hears_of_are_told_seldom_and_the_last_one_always() {
    // A Redis of its own, since its messages are counted.
    let server = RedisServer::start().await;
    let site = Site::small(server.url(), "baton").await;
    let process = site.process().await;
    site.subscribed(1).await;
    let mut listener = redis::Client::open(server.url()).unwrap().get_async_pubsub().await.unwrap();
    let (before, began) = (site.published().await, Instant::now());
    for _ in 0..50 {
        process.cache.hints().send(Hint::Appended);
        // Time enough for each to go out by itself.
        site.published().await;
    }
    let unheard = site.published().await - before;
    let pauses = began.elapsed().as_millis() / 100;
    assert!((1..=pauses + 1).contains(&u128::from(unheard)), "{unheard} messages in {pauses} pauses");
    // What is appended within the pause is told after it, to whoever listens by then.
    listener.subscribe(site.appends_channel()).await.unwrap();
    process.cache.hints().send(Hint::Appended);
    within(SOON, "the hint", listener.on_message().next()).await.unwrap();
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
    listener.subscribe(&[site.channel(), site.appends_channel()]).await.unwrap();
    // On this test's one thread nothing is sent on before the burst is over.
    burst(&process, Hint::Appended);
    burst(&process, Hint::RunFinished);
    process.cache.hints().send(Hint::RunRequested);
    let mut messages = listener.into_on_message();
    let mut words = Vec::new();
    while words.len() < 3 {
        let message = within(SOON, "the last message", messages.next()).await.unwrap();
        let text = message.get_payload::<String>().unwrap();
        // Behind the word stands whose it is.
        words.push(text.split_once(' ').unwrap().0.to_owned());
    }
    words.sort();
    assert_eq!(words, ["appended", "run-finished", "run-requested"]);
    // Nothing else is on its way: what is sent now is the next that comes.
    process.cache.hints().send(Hint::Pauses);
    let message = within(SOON, "the hint", messages.next()).await.unwrap();
    assert!(message.get_payload::<String>().unwrap().starts_with("pauses "));
}

#[tokio::test]
async fn a_listener_that_lags_hears_so_and_goes_on() {
    let site = site().await;
    let process = site.process().await;
    let mut hints = process.cache.hints().subscribe();
    burst(&process, Hint::RunFinished);
    assert!(matches!(hints.recv().await, Err(RecvError::Lagged(_))));
    assert_eq!(hints.recv().await, Ok(Hint::RunFinished));
    drain(&mut hints);
    process.cache.hints().send(Hint::Pauses);
    within(SOON, "a hint", async { while hints.recv().await != Ok(Hint::Pauses) {} }).await;
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
    assert!(burst(&process, Hint::Appended) < LATE, "with Redis");
    relay.fall_silent();
    assert!(burst(&process, Hint::Appended) < LATE, "with a Redis that hangs");
    server.stop();
    assert!(burst(&process, Hint::Appended) < LATE, "without Redis");
    // Nothing of it has piled up: what comes next is done next.
    process.publish(1).await;
    process.end().await;
}
