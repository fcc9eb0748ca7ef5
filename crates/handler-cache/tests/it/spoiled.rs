//! What is wrong in Redis is never served: the database says what is live.

use baton_domain::Snapshot;
use baton_testkit::TestRedis;
use redis::AsyncCommands;

use crate::fixture::{LATE, Site, as_kept, name_of, snapshot, store_as, store_generation};

async fn site() -> Site {
    let redis = TestRedis::shared();
    Site::new(redis.url(), redis.prefix()).await
}

/// What a process serves that starts with this in Redis as generation 1, where generation 1 is another in the database.
async fn served_with(kept: &str) -> String {
    let site = site().await;
    let (_, store) = site.cache().await;
    store_as(&store, 1, "the right one").await;
    let mut redis = site.redis().await;
    let _: () = redis.set(site.key(1), kept).await.unwrap();
    let _: () = redis.set(site.pointer(), 1).await.unwrap();
    let process = site.process().await;
    let live = process.live(1, LATE).await;
    name_of(&live).to_owned()
}

fn replaced(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from} in {text}");
    text.replace(from, to)
}

#[tokio::test]
async fn what_redis_has_is_used_where_it_is_right() {
    // Told apart from the database's copy by the time of its making, which the checksum leaves out.
    let text = replaced(&as_kept(&snapshot(1, "the right one")), "2026-11-24T10:00:00Z", "2026-11-24T11:00:00Z");
    let site = site().await;
    let (cache, store) = site.cache().await;
    store_as(&store, 1, "the right one").await;
    let _: () = site.redis().await.set(site.key(1), text).await.unwrap();
    let live = cache.refresh().await.unwrap().unwrap();
    assert_eq!(live.built_at.to_rfc3339(), "2026-11-24T11:00:00+00:00", "it came from Redis");
}

#[tokio::test]
async fn a_text_that_was_cut_is_not_served() {
    let whole = as_kept(&snapshot(1, "from Redis"));
    for cut in [0, 1, 63, 64, 65, whole.len() / 2, whole.len() - 1] {
        assert_eq!(served_with(&whole[..cut]).await, "the right one", "cut after {cut}");
    }
}

#[tokio::test]
async fn a_text_that_is_no_generation_is_not_served() {
    let checksum = snapshot(1, "the right one").checksum();
    for text in
        ["nonsense", "\n", "{}", "null\n{}", &format!("{checksum}\n"), &format!("{checksum}\nnull"), &format!("{checksum}\n{{}}")]
    {
        assert_eq!(served_with(text).await, "the right one", "{text:?}");
    }
}

#[tokio::test]
async fn another_content_is_not_served() {
    let right = as_kept(&snapshot(1, "the right one"));
    // Changed under its checksum.
    assert_eq!(served_with(&replaced(&right, "the right one", "a wrong one")).await, "the right one");
    // Changed with its checksum, as another installation would have it under this number.
    assert_eq!(served_with(&as_kept(&snapshot(1, "from Redis"))).await, "the right one");
    // The right content under a wrong checksum is not trusted either; the database has the same.
    assert_eq!(served_with(&replaced(&right, &right[..8], "00000000")).await, "the right one");
}

#[tokio::test]
async fn another_number_is_not_served() {
    let text = as_kept(&snapshot(2, "the right one"));
    let site = site().await;
    let (_, store) = site.cache().await;
    store_as(&store, 1, "the right one").await;
    let mut redis = site.redis().await;
    let _: () = redis.set(site.key(1), text).await.unwrap();
    let _: () = redis.set(site.pointer(), 1).await.unwrap();
    let process = site.process().await;
    let live: std::sync::Arc<Snapshot> = process.live(1, LATE).await;
    assert_eq!(live.number.0, 1);
}

#[tokio::test]
async fn a_key_of_another_kind_is_not_served() {
    let site = site().await;
    let (_, store) = site.cache().await;
    store_generation(&store, 1).await;
    let mut redis = site.redis().await;
    let _: () = redis.lpush(site.key(1), "x").await.unwrap();
    let _: () = redis.lpush(site.pointer(), "x").await.unwrap();
    let process = site.process().await;
    process.live(1, LATE).await;
    process.publish(2).await;
    assert_eq!(process.number(), Some(2));
    let other = site.process().await;
    other.live(2, LATE).await;
}
