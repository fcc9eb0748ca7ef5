//! What is wrong in Redis is never served: the database says what is live.

use baton_testkit::TestRedis;
use redis::AsyncCommands;

use crate::fixture::{LATE, Site, as_kept, name_of, snapshot, store_as, store_generation};

/// The name of the handler that the database has.
const RIGHT: &str = "the right one";

async fn site() -> Site {
    let redis = TestRedis::shared();
    Site::small(redis.url(), redis.prefix()).await
}

/// Puts each text into Redis as the next generation, of which the database says that its handler is `the right one`; what is served then.
async fn served_with(texts: impl IntoIterator<Item = impl Fn(i64) -> String>) -> Vec<String> {
    let site = site().await;
    let (cache, store) = site.cache().await;
    let mut redis = site.redis().await;
    let mut served = Vec::new();
    for (number, text) in (1..).zip(texts) {
        let _: () = redis.set(site.key(number), text(number)).await.unwrap();
        let _: () = redis.set(site.pointer(), number).await.unwrap();
        store_as(&store, number, RIGHT).await;
        let live = cache.refresh().await.unwrap().unwrap();
        assert_eq!(live.number.0, number);
        served.push(name_of(&live).to_owned());
    }
    served
}

fn right(number: i64) -> String {
    as_kept(&snapshot(number, RIGHT))
}

fn replaced(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from} in {text}");
    text.replace(from, to)
}

#[tokio::test]
async fn what_redis_has_is_used_where_it_is_right() {
    // Told apart from the database's copy by the time of its making, which the checksum leaves out.
    let text = replaced(&right(1), "2026-11-24T10:00:00Z", "2026-11-24T11:00:00Z");
    let site = site().await;
    let (cache, store) = site.cache().await;
    store_as(&store, 1, RIGHT).await;
    let _: () = site.redis().await.set(site.key(1), text).await.unwrap();
    let live = cache.refresh().await.unwrap().unwrap();
    assert_eq!(live.built_at.to_rfc3339(), "2026-11-24T11:00:00+00:00", "it came from Redis");
}

#[tokio::test]
async fn a_text_that_was_cut_is_not_served() {
    let whole = |number| as_kept(&snapshot(number, "from Redis"));
    let length = whole(1).len();
    let cuts = [0, 1, 63, 64, 65, length / 2, length - 1];
    let served = served_with(cuts.map(|cut| move |number| whole(number)[..cut].to_owned())).await;
    assert_eq!(served, [RIGHT; 7]);
    // Nor what is left of the right one.
    let served = served_with(cuts.map(|cut| move |number| right(number)[..cut].to_owned())).await;
    assert_eq!(served, [RIGHT; 7]);
}

#[tokio::test]
async fn a_text_that_is_no_generation_is_not_served() {
    let checksum = snapshot(1, RIGHT).checksum();
    let texts = [
        "nonsense",
        "\n",
        "{}",
        "null\n{}",
        &format!("{checksum}\n"),
        &format!("{checksum}\nnull"),
        &format!("{checksum}\n{{}}"),
    ];
    let served = served_with(texts.map(|text| move |_| text.to_owned())).await;
    assert_eq!(served, [RIGHT; 7]);
}

#[tokio::test]
async fn another_content_is_not_served() {
    let spoilers: [fn(i64) -> String; 3] = [
        // Changed under its checksum.
        |number| replaced(&right(number), RIGHT, "a wrong one"),
        // Changed with its checksum, as another installation would have it under this number.
        |number| as_kept(&snapshot(number, "from Redis")),
        // The right checksum, over another content that is sound in itself.
        |number| replaced(&as_kept(&snapshot(number, "x")), &snapshot(1, "x").checksum(), &snapshot(1, RIGHT).checksum()),
    ];
    assert_eq!(served_with(spoilers).await, [RIGHT; 3]);
}

#[tokio::test]
async fn another_number_or_checksum_is_not_trusted_though_the_content_is_right() {
    let later = |text: String| replaced(&text, "2026-11-24T10:00:00Z", "2026-11-24T11:00:00Z");
    let wrong_number = later(as_kept(&snapshot(2, RIGHT)));
    let wrong_checksum = later(replaced(&right(1), &right(1)[..8], "00000000"));
    for text in [wrong_number, wrong_checksum] {
        let site = site().await;
        let (cache, store) = site.cache().await;
        let stored = store_as(&store, 1, RIGHT).await;
        let _: () = site.redis().await.set(site.key(1), text).await.unwrap();
        let live = cache.refresh().await.unwrap().unwrap();
        assert_eq!((live.number, live.built_at), (stored.number, stored.built_at), "it came from the database");
    }
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
