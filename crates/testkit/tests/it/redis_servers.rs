use baton_testkit::{RedisServer, TestRedis};
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;

async fn connect(url: &str) -> MultiplexedConnection {
    redis::Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap()
}

#[tokio::test]
async fn flushing_a_prefix_leaves_the_others_alone() {
    let (one, two) = (TestRedis::shared(), TestRedis::shared());
    assert_ne!(one.prefix(), two.prefix());
    let mut connection = connect(one.url()).await;
    for n in 0..2500 {
        let _: () = connection.set(format!("{}{n}", one.prefix()), n).await.unwrap();
    }
    let _: () = connection.set(format!("{}x", two.prefix()), 1).await.unwrap();
    one.flush().await;
    let left: Vec<String> = connection.keys(format!("{}*", one.prefix())).await.unwrap();
    assert_eq!(left, Vec::<String>::new());
    assert!(connection.exists::<_, bool>(format!("{}x", two.prefix())).await.unwrap());
    two.flush().await;
}

#[tokio::test]
async fn an_own_server_can_be_flushed_stopped_and_restarted_empty() {
    let mut server = RedisServer::start().await;
    let url = server.url();
    let set = async || -> () { connect(&url).await.set("key", 1).await.unwrap() };
    let there = async || connect(&url).await.exists::<_, bool>("key").await.unwrap();
    set().await;
    assert!(there().await);
    server.flush().await;
    assert!(!there().await);
    set().await;
    server.restart().await;
    assert!(!there().await);
    server.stop();
    assert!(redis::Client::open(url.as_str()).unwrap().get_multiplexed_async_connection().await.is_err());
}

#[tokio::test]
async fn an_own_server_can_be_made_to_refuse_writes() {
    let server = RedisServer::start().await;
    let mut connection = connect(&server.url()).await;
    server.configure("maxmemory", "1").await;
    let refused: redis::RedisResult<()> = connection.set("key", 1).await;
    assert!(refused.unwrap_err().to_string().contains("OOM"));
    server.configure("maxmemory", "0").await;
    let _: () = connection.set("key", 1).await.unwrap();
}
