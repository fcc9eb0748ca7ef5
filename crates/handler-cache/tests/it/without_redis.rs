//! Redis is down from the start: programs start, generations go live through the database, and Redis is used when it comes.

use baton_handler_cache::{HandlerCache, Hint, RedisSettings};
use baton_testkit::{RedisServer, within};
use tokio::time::Instant;

use crate::fixture::{LATE, SOON, Site, name_of, store_generation};

async fn stopped() -> (RedisServer, Site) {
    let mut server = RedisServer::start().await;
    let site = Site::small(server.url(), "baton").await;
    server.stop();
    (server, site)
}

async fn quick<T>(what: &str, work: impl Future<Output = T>) -> T {
    let began = Instant::now();
    let done = work.await;
    assert!(began.elapsed() < LATE, "{what} took {:?}", began.elapsed());
    done
}

#[tokio::test]
async fn generations_go_live_and_redis_is_used_once_it_is_there() {
    let (mut server, site) = stopped().await;
    let one = quick("starting", site.process()).await;
    let two = quick("starting", site.process()).await;
    for number in 1..=3 {
        quick("publishing", one.publish(number)).await;
        assert_eq!(one.number(), Some(number));
        assert_eq!(name_of(&*two.live(number, LATE).await), format!("of generation {number}"));
    }
    store_generation(&one.store, 4).await;
    assert_eq!(quick("refresh", two.cache.refresh()).await.unwrap().unwrap().number.0, 4);

    server.restart().await;
    site.filled(4).await;
    site.subscribed(2).await;
    let mut hints = two.cache.hints().subscribe();
    while hints.try_recv().is_ok() {}
    one.cache.hints().send(Hint::Partitions);
    within(SOON, "a hint", async { while hints.recv().await != Ok(Hint::Partitions) {} }).await;
}

#[tokio::test]
async fn a_cache_without_redis_stops_when_it_is_told_to() {
    let (_server, site) = stopped().await;
    let process = site.process().await;
    process.publish(1).await;
    for _ in 0..100 {
        process.cache.hints().send(Hint::Appended);
    }
    quick("stopping", process.end()).await;
}

#[tokio::test]
async fn a_url_that_cannot_be_used_is_named() {
    let (_server, site) = stopped().await;
    let (_, store) = site.cache().await;
    let settings = RedisSettings { url: "http://127.0.0.1:1".into(), prefix: "baton".into() };
    let error = HandlerCache::redis(store, &settings).err().unwrap().to_string();
    assert!(error.contains("BATON_REDIS_URL"), "{error}");
}
