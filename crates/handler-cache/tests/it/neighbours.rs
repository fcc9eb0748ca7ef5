//! Installations that share a Redis, on purpose or by mistake.

use baton_handler_cache::Hint;
use baton_testkit::TestRedis;
use redis::AsyncCommands;

use crate::fixture::{LATE, Site, as_kept, name_of, snapshot, store_as, store_generation};

#[tokio::test]
async fn two_prefixes_do_not_see_each_other() {
    let (near, far) = (TestRedis::shared(), TestRedis::shared());
    let (here, there) = (Site::new(near.url(), near.prefix()).await, Site::new(far.url(), far.prefix()).await);
    let (mine, theirs) = (here.process().await, there.process().await);
    here.subscribed(1).await;
    there.subscribed(1).await;
    let mut hints = theirs.cache.hints().subscribe();
    while hints.try_recv().is_ok() {}

    mine.publish(3).await;
    mine.cache.hints().send(Hint::Pauses);
    theirs.publish(1).await;
    let mut redis = there.redis().await;
    redis::cmd("PUBLISH").arg(there.channel()).arg("generation").exec_async(&mut redis).await.unwrap();
    // A hint for the neighbour came by Redis: what was sent before it on the other channel would have come as well.
    let mut heard = Vec::new();
    while heard.iter().filter(|hint| **hint == Hint::Generation).count() < 2 {
        heard.push(baton_testkit::within(LATE, "the hint to come round", hints.recv()).await.unwrap());
    }
    assert!(!heard.contains(&Hint::Pauses), "{heard:?}");
    assert_eq!((mine.number(), theirs.number()), (Some(3), Some(1)));
    assert_eq!((here.pointed_to().await, there.pointed_to().await), (Some(3), Some(1)));
    assert_eq!(theirs.cache.refresh().await.unwrap().unwrap().number.0, 1);
}

#[tokio::test]
async fn a_higher_number_of_another_database_is_not_served() {
    let redis = TestRedis::shared();
    let (here, there) = (Site::new(redis.url(), redis.prefix()).await, Site::new(redis.url(), redis.prefix()).await);
    let theirs = there.process().await;
    theirs.publish(9).await;

    let mine = here.process().await;
    let other = here.process().await;
    for number in 1..=3 {
        mine.publish(number).await;
        assert_eq!(name_of(&*other.live(number, LATE).await), format!("of generation {number}"));
    }
    let late = here.process().await;
    assert_eq!(name_of(&*late.live(3, LATE).await), "of generation 3");
    assert_eq!(mine.cache.refresh().await.unwrap().unwrap().number.0, 3);
    assert_eq!(theirs.number(), Some(9));
    assert_eq!(here.pointed_to().await, Some(9));
}

#[tokio::test]
async fn the_same_number_of_another_database_is_not_served() {
    let redis = TestRedis::shared();
    let here = Site::new(redis.url(), redis.prefix()).await;
    let mut connection = here.redis().await;
    // What was there before the database was set back to an older copy of itself.
    for number in 4..=6 {
        let _: () = connection.set(here.key(number), as_kept(&snapshot(number, "of another history"))).await.unwrap();
    }
    let _: () = connection.set(here.pointer(), 6).await.unwrap();

    let (mine, other) = (here.process().await, here.process().await);
    store_generation(&mine.store, 3).await;
    mine.live(3, LATE).await;
    for number in 4..=7 {
        // Found by looking, before it is published.
        store_as(&mine.store, number, "of this history").await;
        assert_eq!(name_of(&*other.live(number, LATE).await), "of this history");
        let published = mine.live(number, LATE).await;
        mine.cache.publish(published).await;
    }
    assert_eq!(here.pointed_to().await, Some(7));
    let late = here.process().await;
    assert_eq!(name_of(&*late.live(7, LATE).await), "of this history");
}
