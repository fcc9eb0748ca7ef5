use baton_testkit::{PostgresServer, Shutdown};
use sqlx::{Connection, PgConnection};

async fn count(url: &str) -> i64 {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::query_scalar("SELECT count(*) FROM kept").fetch_one(&mut connection).await.unwrap()
}

#[tokio::test]
async fn an_own_server_keeps_what_it_acknowledged_over_both_kinds_of_stop() {
    let mut server = PostgresServer::start().await;
    let url = server.url();
    assert_eq!(url, server.url_at(server.port()));
    let mut connection = PgConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("CREATE TABLE kept AS SELECT 1 AS n").execute(&mut connection).await.unwrap();
    for how in [Shutdown::Immediate, Shutdown::Fast] {
        server.stop(how).await;
        assert!(connection.ping().await.is_err() && PgConnection::connect(&url).await.is_err(), "{how:?}");
        server.restart().await;
        assert_eq!(count(&url).await, 1, "{how:?}");
        connection = PgConnection::connect(&url).await.unwrap();
    }
    // Nobody has to stop it first.
    server.restart().await;
    assert_eq!(count(&url).await, 1);
}

#[tokio::test]
async fn an_own_server_has_databases_and_parameters() {
    let mut server = PostgresServer::start().await;
    let database = server.database().await;
    assert_ne!(database.url(), server.url());
    server.configure("wal_writer_delay", "7s").await;
    server.restart().await;
    let mut connection = PgConnection::connect(database.url()).await.unwrap();
    let delay: String = sqlx::query_scalar("SHOW wal_writer_delay").fetch_one(&mut connection).await.unwrap();
    assert_eq!(delay, "7s");
}
