//! Redis is emptied, restarted, or full: nothing changes about what is live, and it is filled again when it can be.

use std::process::Command;
use std::time::Duration;

use baton_handler_cache::Hint;
use baton_testkit::{RedisServer, within};
use redis::AsyncCommands;
use tokio::sync::broadcast::Receiver;
use tokio::time::Instant;

use crate::fixture::{LATE, Process, SOON, Site, name_of, store_generation};

/// Forgets what has come so far.
fn drain(hints: &mut Receiver<Hint>) {
    while hints.try_recv().is_ok() {}
}

/// Waits for a hint of this kind.
async fn hear(hints: &mut Receiver<Hint>, wanted: Hint, limit: Duration) {
    within(limit, "a hint", async { while hints.recv().await != Ok(wanted) {} }).await;
}

#[tokio::test]
async fn an_emptied_redis_is_filled_again() {
    let server = RedisServer::start().await;
    let site = Site::new(server.url(), "baton").await;
    let (one, two) = (site.process().await, site.process().await);
    one.publish(1).await;
    one.publish(2).await;
    two.live(2, LATE).await;
    server.flush().await;
    site.filled(2).await;
    assert_eq!((one.number(), two.number()), (Some(2), Some(2)));
    // What was put back is what was there.
    let late = site.process().await;
    assert_eq!(name_of(&*late.live(2, LATE).await), "of generation 2");
    // And what comes after goes its usual way.
    one.publish(3).await;
    two.live(3, LATE).await;
    late.live(3, LATE).await;
    assert_eq!(site.pointed_to().await, Some(3));
}

#[tokio::test]
async fn a_snapshot_that_redis_gave_up_is_put_back() {
    let server = RedisServer::start().await;
    let site = Site::new(server.url(), "baton").await;
    let process = site.process().await;
    process.publish(1).await;
    let mut redis = site.redis().await;
    let _: () = redis.del(site.key(1)).await.unwrap();
    site.filled(1).await;
    // The same with a pointer that is none.
    let _: () = redis.set(site.pointer(), "soon").await.unwrap();
    site.filled(1).await;
}

#[tokio::test]
async fn a_restarted_redis_is_filled_and_carries_hints_again() {
    let mut server = RedisServer::start().await;
    let site = Site::new(server.url(), "baton").await;
    let (one, two) = (site.process().await, site.process().await);
    one.publish(1).await;
    two.live(1, LATE).await;
    site.subscribed(2).await;

    server.stop();
    one.publish(2).await;
    assert_eq!(name_of(&*two.live(2, LATE).await), "of generation 2");

    server.restart().await;
    site.filled(2).await;
    site.subscribed(2).await;
    // Not by looking: nobody looks for events here.
    let mut hints = two.cache.hints().subscribe();
    drain(&mut hints);
    one.cache.hints().send(Hint::Partitions);
    hear(&mut hints, Hint::Partitions, SOON).await;
    one.publish(3).await;
    two.live(3, LATE).await;
    assert_eq!(site.pointed_to().await, Some(3));
}

#[tokio::test]
async fn whoever_subscribes_again_looks_at_everything() {
    let mut server = RedisServer::start().await;
    let site = Site::new(server.url(), "baton").await;
    let process = site.process().await;
    site.subscribed(1).await;
    let (mut hints, mut appends) = (process.cache.hints().subscribe(), process.cache.hints().subscribe_appends());
    hear(&mut appends, Hint::Appended, SOON).await;
    drain(&mut hints);
    server.restart().await;
    hear(&mut appends, Hint::Appended, SOON).await;
    for missed in [Hint::RunRequested, Hint::RunFinished, Hint::Generation, Hint::Partitions] {
        hear(&mut hints, missed, SOON).await;
    }
}

async fn limit_memory(site: &Site, bytes: u64) {
    let mut redis = site.redis().await;
    for (name, value) in [("maxmemory-policy", "noeviction".to_owned()), ("maxmemory", bytes.to_string())] {
        redis::cmd("CONFIG").arg("SET").arg(name).arg(value).exec_async(&mut redis).await.unwrap();
    }
}

async fn refuses_writes(site: &Site) -> bool {
    let refused: redis::RedisResult<()> = site.redis().await.set("x", "x").await;
    refused.is_err_and(|error| error.code() == Some("OOM"))
}

#[tokio::test]
async fn a_redis_that_is_full_stops_no_generation() {
    let server = RedisServer::start().await;
    let site = Site::new(server.url(), "baton").await;
    let (one, two) = (site.process().await, site.process().await);
    one.publish(1).await;
    two.live(1, LATE).await;

    limit_memory(&site, 1).await;
    assert!(refuses_writes(&site).await);
    one.publish(2).await;
    assert_eq!(one.number(), Some(2));
    assert_eq!(name_of(&*two.live(2, LATE).await), "of generation 2");
    assert_eq!(site.pointed_to().await, Some(1), "it could not be put there");

    limit_memory(&site, 0).await;
    site.filled(2).await;
}

/// Stalls the Redis server (`-STOP`) or lets it go on (`-CONT`): it is this test's own.
fn signal(server: &str, signal: &str) {
    assert!(Command::new("kill").args([signal, server]).status().unwrap().success());
}

#[tokio::test]
async fn a_redis_that_hangs_makes_nothing_late() {
    let server = RedisServer::start().await;
    let site = Site::new(server.url(), "baton").await;
    let (one, two) = (site.process().await, site.process().await);
    one.publish(1).await;
    two.live(1, LATE).await;
    let about: redis::InfoDict = redis::cmd("INFO").arg("server").query_async(&mut site.redis().await).await.unwrap();
    let process: String = about.get("process_id").unwrap();
    signal(&process, "-STOP");

    let began = Instant::now();
    one.publish(2).await;
    assert!(began.elapsed() < LATE, "publishing took {:?}", began.elapsed());
    assert_eq!(name_of(&*two.live(2, LATE).await), "of generation 2");
    for number in 3..=5 {
        // Told to nobody: found by looking.
        store_generation(&one.store, number).await;
        let live = async |process: &Process| process.live(number, LATE).await;
        tokio::join!(live(&one), live(&two));
    }
    signal(&process, "-CONT");
    site.filled(5).await;
}
