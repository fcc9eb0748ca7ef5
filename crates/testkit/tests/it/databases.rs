use baton_testkit::{POSTGRES_URL, TestDatabase};
use sqlx::{Connection, PgConnection};

async fn exists(name: &str) -> bool {
    let server = std::env::var(POSTGRES_URL).unwrap();
    let mut connection = PgConnection::connect(&server).await.unwrap();
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_database WHERE datname = $1")
        .bind(name)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    count == 1
}

#[tokio::test]
async fn a_postgres_database_is_fresh_and_goes_away_though_it_is_in_use() {
    let (one, two) = (TestDatabase::postgres().await, TestDatabase::postgres().await);
    assert_ne!(one.url(), two.url());
    assert!(one.url().starts_with("postgres:"));
    let name = one.url().rsplit('/').next().unwrap().to_owned();
    let mut connection = PgConnection::connect(one.url()).await.unwrap();
    let tables: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(tables, 0);
    assert!(exists(&name).await);
    drop(one);
    assert!(!exists(&name).await);
    assert!(connection.ping().await.is_err(), "its connections are cut");
}

#[tokio::test]
async fn a_sqlite_file_lives_as_long_as_its_database() {
    let database = TestDatabase::sqlite().await;
    let file = database.file().unwrap();
    assert_eq!(database.url(), format!("sqlite:{}", file.display()));
    assert!(!file.exists());
    std::fs::write(&file, "").unwrap();
    drop(database);
    assert!(!file.exists());
}
