//! Both databases have one schema, and every statement fits it.

use std::collections::BTreeSet;

use baton_storage::{StorageError, Store, StoreSettings, statements};
use sqlx::{Connection, Executor, PgConnection, Row, SqlSafeStr, SqliteConnection};

use crate::fixture::{Fixture, on_both};

on_both!(migrations_are_applied_once, the_store_says_what_it_is);

async fn migrations_are_applied_once(f: Fixture) {
    assert!(f.store.pending_migrations().await.unwrap().is_empty());
    let fresh = if f.store.is_sqlite() {
        baton_testkit::TestDatabase::sqlite().await
    } else {
        baton_testkit::TestDatabase::postgres().await
    };
    let settings = StoreSettings { url: fresh.url().to_owned(), max_connections: 2 };
    let (one, two) = (Store::connect(&settings).await.unwrap(), Store::connect(&settings).await.unwrap());
    let pending = one.pending_migrations().await.unwrap();
    assert_eq!(pending.first().map(String::as_str), Some("0001_handlers"));
    let (first, second) = tokio::join!(one.migrate(), two.migrate());
    first.unwrap();
    second.unwrap();
    assert!(two.pending_migrations().await.unwrap().is_empty());
    assert_eq!(one.partition_owners().await.unwrap().len(), 64);
}

async fn the_store_says_what_it_is(f: Fixture) {
    assert_eq!(f.store.is_sqlite(), f.database.file().is_some());
    f.store.ping().await.unwrap();
    f.store.close().await;
    assert!(matches!(f.store.ping().await, Err(StorageError::Unavailable(_))));
}

#[tokio::test]
async fn urls_that_lead_nowhere_are_told_apart() {
    let connect = |url: &str| {
        let settings = StoreSettings { url: url.to_owned(), max_connections: 1 };
        async move { Store::connect(&settings).await.unwrap_err() }
    };
    for bad in ["", "mysql://x", "postgres", "postgres://host:port/x", "sqlite:x?mode=no"] {
        assert!(matches!(connect(bad).await, StorageError::BadUrl(_)), "{bad}");
    }
    let server = std::env::var(baton_testkit::POSTGRES_URL).unwrap();
    let error = connect(&format!("{server}_no_such_database")).await;
    assert!(matches!(&error, StorageError::BadUrl(why) if why.contains("does not exist")), "{error:?}");
    let closed = baton_testkit::free_port();
    let error = connect(&format!("postgres://user:hunter2@127.0.0.1:{closed}/x")).await;
    assert!(matches!(error, StorageError::Unavailable(_)), "{error:?}");
    assert!(!format!("{error:?}").contains("hunter2"));
    assert!(matches!(connect("sqlite:/no/such/folder/x.db").await, StorageError::Unavailable(_)));
}

#[tokio::test]
async fn every_statement_is_prepared_on_both() {
    let (postgres, sqlite) = (Fixture::postgres().await, Fixture::sqlite().await);
    let mut pg = PgConnection::connect(postgres.database.url()).await.unwrap();
    let mut lite = SqliteConnection::connect(sqlite.database.url()).await.unwrap();
    let mut prepared = 0;
    for statement in statements() {
        if !statement.postgres.is_empty() {
            pg.prepare(statement.postgres.into_sql_str())
                .await
                .unwrap_or_else(|e| panic!("{} on PostgreSQL: {e}", statement.name));
            prepared += 1;
        }
        if !statement.sqlite.is_empty() {
            lite.prepare(statement.sqlite.into_sql_str()).await.unwrap_or_else(|e| panic!("{} on SQLite: {e}", statement.name));
            prepared += 1;
        }
    }
    assert!(prepared > 100, "{prepared}");
}

#[tokio::test]
async fn both_schemas_have_the_same_tables_columns_and_indexes() {
    let (postgres, sqlite) = (Fixture::postgres().await, Fixture::sqlite().await);
    let mut pg = PgConnection::connect(postgres.database.url()).await.unwrap();
    let mut lite = SqliteConnection::connect(sqlite.database.url()).await.unwrap();

    let columns = "SELECT table_name::text || '.' || ordinal_position || ' ' || column_name || CASE is_nullable WHEN 'YES' THEN ' null' ELSE '' END
        FROM information_schema.columns WHERE table_schema = 'public' AND table_name NOT LIKE '\\_sqlx%'";
    let in_pg: BTreeSet<String> = pg.fetch_all(columns).await.unwrap().iter().map(|row| row.get(0)).collect();
    // The key of a rowid table is never null, whatever the pragma says.
    let columns = "SELECT m.name || '.' || (c.cid + 1) || ' ' || c.name || CASE WHEN c.\"notnull\" = 0 AND c.pk = 0 THEN ' null' ELSE '' END
        FROM sqlite_schema m JOIN pragma_table_info(m.name) c
        WHERE m.type = 'table' AND m.name NOT LIKE '\\_sqlx%' ESCAPE '\\' AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
    let in_lite: BTreeSet<String> = lite.fetch_all(columns).await.unwrap().iter().map(|row| row.get(0)).collect();
    assert_eq!(in_pg, in_lite);
    assert!(in_pg.len() > 90, "{}", in_pg.len());

    let indexes = "SELECT indexname::text FROM pg_indexes WHERE schemaname = 'public' AND indexname NOT LIKE '%\\_pkey'";
    let in_pg: BTreeSet<String> = pg.fetch_all(indexes).await.unwrap().iter().map(|row| row.get(0)).collect();
    let indexes = "SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL";
    let in_lite: BTreeSet<String> = lite.fetch_all(indexes).await.unwrap().iter().map(|row| row.get(0)).collect();
    assert_eq!(in_pg, in_lite);
    assert!(in_pg.contains("dispatches_partition"));
}
