//! Hints that get lost cost time, and the way they travel is found again.

use std::time::Duration;

use baton_handler_cache::Hint;
use baton_testkit::{RedisServer, eventually, within};
use tokio::time::Instant;

use crate::fixture::{LATE, SOON, Site, name_of};
use crate::relay::Relay;

#[tokio::test]
async fn a_generation_whose_hint_is_lost_is_found_by_looking() {
    let server = RedisServer::start().await;
    let relay = Relay::to(&server.url()).await;
    let site = Site::new(server.url(), "baton").await;
    let (one, two) = (site.process().await, site.process_by(&relay.url()).await);
    one.publish(1).await;
    two.live(1, LATE).await;
    site.subscribed(2).await;
    relay.fall_silent();
    for number in 2..=4 {
        one.publish(number).await;
        assert_eq!(name_of(&*two.live(number, LATE).await), format!("of generation {number}"));
    }
}

#[tokio::test]
async fn a_generation_published_into_silence_is_found_by_looking() {
    let server = RedisServer::start().await;
    let relay = Relay::to(&server.url()).await;
    let site = Site::new(server.url(), "baton").await;
    let (one, two) = (site.process_by(&relay.url()).await, site.process().await);
    one.publish(1).await;
    two.live(1, LATE).await;
    relay.fall_silent();
    let began = Instant::now();
    one.publish(2).await;
    assert!(began.elapsed() < LATE, "publishing took {:?}", began.elapsed());
    assert_eq!(one.number(), Some(2));
    two.live(2, LATE).await;
    // Whoever still reaches Redis puts it there.
    site.filled(2).await;
}

#[tokio::test]
async fn a_subscription_that_fell_silent_is_made_anew() {
    let server = RedisServer::start().await;
    let relay = Relay::to(&server.url()).await;
    let site = Site::new(server.url(), "baton").await;
    let (one, two) = (site.process().await, site.process_by(&relay.url()).await);
    site.subscribed(2).await;
    relay.fall_silent();
    // Connections that are silent stay so; what is connected from now on works.
    relay.speak();
    let mut hints = two.cache.hints().subscribe();
    while hints.try_recv().is_ok() {}
    // The first that is heard again is what every new subscription begins with.
    within(Duration::from_secs(10), "the subscription to be made anew", async {
        while hints.recv().await != Ok(Hint::Partitions) {}
    })
    .await;
    one.cache.hints().send(Hint::RunFinished);
    within(LATE, "a hint", async { while hints.recv().await != Ok(Hint::RunFinished) {} }).await;
}

#[tokio::test]
async fn a_connection_that_fell_silent_is_made_anew() {
    let server = RedisServer::start().await;
    let relay = Relay::to(&server.url()).await;
    let site = Site::new(server.url(), "baton").await;
    let (one, two) = (site.process_by(&relay.url()).await, site.process().await);
    one.publish(1).await;
    two.live(1, LATE).await;
    relay.fall_silent();
    relay.speak();
    let mut hints = two.cache.hints().subscribe();
    eventually(SOON, "a hint to pass again", async || {
        one.cache.hints().send(Hint::RunFinished);
        std::iter::from_fn(|| hints.try_recv().ok()).find(|hint| *hint == Hint::RunFinished)
    })
    .await;
    eventually(SOON, "a generation to be put into Redis again", async || {
        let next = 1 + one.number().unwrap();
        one.publish(next).await;
        (site.pointed_to().await == Some(next)).then_some(())
    })
    .await;
}
