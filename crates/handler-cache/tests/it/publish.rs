//! A generation goes live: here at once, everywhere else within a second, and never backwards.

use baton_domain::GenerationNumber;
use baton_handler_cache::HandlerCache;
use baton_storage::{Store, StoreSettings};
use baton_testkit::{TestDatabase, TestRedis, eventually};
use redis::AsyncCommands;

use crate::fixture::{LATE, Process, SOON, Site, name_of, snapshot, store_generation};

async fn site() -> Site {
    let redis = TestRedis::shared();
    Site::new(redis.url(), redis.prefix()).await
}

#[tokio::test]
async fn before_the_first_generation_nothing_is_live() {
    let site = site().await;
    let process = site.process().await;
    site.subscribed(1).await;
    assert!(process.cache.live().is_none());
    assert!(process.cache.refresh().await.unwrap().is_none());
    assert_eq!(*process.cache.changes().borrow(), None);
    assert_eq!(site.pointed_to().await, None);
    process.publish(1).await;
    assert_eq!(process.number(), Some(1));
}

#[tokio::test]
async fn a_published_generation_is_live_at_once_here_and_soon_elsewhere() {
    let site = site().await;
    let (one, two) = (site.process().await, site.process().await);
    site.subscribed(2).await;
    for number in 1..=3 {
        let mut changes = one.cache.changes();
        let published = one.publish(number).await;
        assert_eq!(one.number(), Some(number), "without waiting");
        assert!(changes.has_changed().unwrap());
        assert_eq!(*changes.borrow_and_update(), Some(GenerationNumber(number)));
        let there = two.live(number, LATE).await;
        assert_eq!(there.checksum(), published.checksum());
        assert_eq!(name_of(&there), format!("of generation {number}"));
        assert_eq!(site.pointed_to().await, Some(number));
    }
    two.end().await;
    one.end().await;
}

#[tokio::test]
async fn a_process_that_starts_later_finds_what_is_live() {
    let site = site().await;
    let first = site.process().await;
    first.publish(1).await;
    first.publish(2).await;
    first.end().await;
    let late = site.process().await;
    assert_eq!(name_of(&*late.live(2, LATE).await), "of generation 2");
}

#[tokio::test]
async fn an_older_build_does_not_replace_a_newer_one() {
    let site = site().await;
    let process = site.process().await;
    for number in [5, 7, 6] {
        process.publish(number).await;
    }
    assert_eq!(process.number(), Some(7));
    assert_eq!(site.pointed_to().await, Some(7));
    let other = site.process().await;
    assert_eq!(name_of(&*other.live(7, LATE).await), "of generation 7");
    // Nor does one of the same number.
    process.cache.publish(snapshot(7, "another")).await;
    assert_eq!(name_of(&process.cache.live().unwrap()), "of generation 7");
}

#[tokio::test]
async fn what_is_not_live_leaves_redis_in_time() {
    let site = site().await;
    let process = site.process().await;
    for number in [5, 7, 6] {
        process.publish(number).await;
    }
    let mut redis = site.redis().await;
    for old in [5, 6] {
        let left: i64 = redis.ttl(site.key(old)).await.unwrap();
        assert!((1..=600).contains(&left), "generation {old} leaves in {left} s");
    }
    let left: i64 = redis.ttl(site.key(7)).await.unwrap();
    assert_eq!(left, -1, "the live one stays");
}

#[tokio::test]
async fn many_who_publish_at_once_leave_the_newest() {
    let site = site().await;
    let (one, two) = (site.process().await, site.process().await);
    for number in 1..=20 {
        store_generation(&one.store, number).await;
    }
    let of = |number: i64| snapshot(number, &format!("of generation {number}"));
    let publish = async |process: &Process, odd: i64| {
        let all = (1..=10).map(|n| process.cache.publish(of(2 * n - odd)));
        futures_util::future::join_all(all).await;
    };
    tokio::join!(publish(&one, 0), publish(&two, 1));
    assert_eq!(one.number(), Some(20));
    assert_eq!(name_of(&*two.live(20, LATE).await), "of generation 20");
    assert_eq!(site.pointed_to().await, Some(20));
    let mut redis = site.redis().await;
    for old in 1..20 {
        let left: i64 = redis.ttl(site.key(old)).await.unwrap();
        assert!((1..=600).contains(&left), "generation {old} leaves in {left} s");
    }
}

#[tokio::test]
async fn refresh_sees_a_generation_that_nobody_told_of() {
    let site = site().await;
    let (cache, store) = site.cache().await;
    for number in 1..=3 {
        store_generation(&store, number).await;
        let live = cache.refresh().await.unwrap().unwrap();
        assert_eq!(name_of(&live), format!("of generation {number}"));
        assert_eq!(cache.live().unwrap().number, GenerationNumber(number));
    }
}

#[tokio::test]
async fn refresh_may_be_asked_by_many_at_once() {
    let site = site().await;
    let (cache, store) = site.cache().await;
    store_generation(&store, 1).await;
    let all = futures_util::future::join_all((0..20).map(|_| cache.refresh())).await;
    assert!(all.into_iter().all(|live| live.unwrap().unwrap().number == GenerationNumber(1)));
}

#[tokio::test]
async fn one_process_needs_no_redis() {
    let database = TestDatabase::sqlite().await;
    let store = Store::connect(&StoreSettings { url: database.url().to_owned(), max_connections: 4 }).await.unwrap();
    store.migrate().await.unwrap();
    let process = Process::start(HandlerCache::local(store.clone()), store);
    assert!(process.cache.live().is_none());
    let mut changes = process.cache.changes();
    process.publish(1).await;
    assert_eq!(process.number(), Some(1));
    // Told, and found by looking.
    store_generation(&process.store, 2).await;
    process.live(2, LATE).await;
    assert!(changes.has_changed().unwrap());
    assert_eq!(*changes.borrow_and_update(), Some(GenerationNumber(2)));
    process.end().await;
}

#[tokio::test]
async fn a_cache_stops_at_once_though_it_waits_for_hints() {
    let site = site().await;
    let process = site.process().await;
    site.subscribed(1).await;
    process.end().await;
    eventually(SOON, "the subscription to end", async || {
        let mut redis = site.redis().await;
        let channels: Vec<String> =
            redis::cmd("PUBSUB").arg("CHANNELS").arg(site.channel()).query_async(&mut redis).await.ok()?;
        channels.is_empty().then_some(())
    })
    .await;
}
