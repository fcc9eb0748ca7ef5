//! The hot statements read by index, however large the tables are and whatever the planner believes about them.

use std::collections::HashMap;

use baton_storage::{Statement, hot_settings, statements};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row, SqlSafeStr, SqliteConnection};

use crate::fixture::Fixture;

/// Tables that grow without end, or with a backlog.
const LARGE: [&str; 6] = ["events", "dispatches", "executions", "results", "deliveries", "idempotency_keys"];

/// The hot statements, with the types and the values of their parameters on PostgreSQL. `{n}` stands for an array of some hundred numbers,
/// `{id}` for one of as many uuids, `{t}` for one of texts, `{at}` for one of instants.
const HOT: &[(&str, &str, &str)] = &[
    ("READ_ALL", "bigint, bigint, text[], bigint, bigint", "1000, 9223372036854775807, '{}', 512, 16000000"),
    (
        "READ_SOME",
        "bigint, bigint, text[], bigint, bigint, bigint[], bigint",
        "0, 9223372036854775807, '{client/1,client/2}', 512, 16000000, '{0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15}', 80",
    ),
    ("READ_KEY", "bigint, text, bigint, bigint, bigint", "3, 'client/3', 0, 50000, 64"),
    ("LOAD", "bigint[]", "{n}"),
    ("ENDED_CALLS", "bigint[], uuid[]", "{n}, {id}"),
    ("OPEN_DELIVERIES", "bigint[]", "{n}"),
    ("LOCK_DISPATCHES", "bigint[]", "{n}"),
    ("START", "bigint[], bigint[]", "{n}, {n}"),
    ("SETTLE", "bigint[], bigint[]", "{n}, {n}"),
    ("KNOWN_KEYS", "text[], timestamptz", "{t}, '2026-11-24T10:00:00Z'"),
    ("STANDINGS", "uuid[]", "{id}"),
];

/// Statements that meet a few rows at a time, on connections with no settings of their own.
const OTHERS: &[(&str, &str, &str)] = &[
    ("EVENT", "uuid", "'00000000-0000-0000-0000-000000000007'"),
    ("EXECUTIONS_OF_EVENT", "uuid", "'00000000-0000-0000-0000-000000000007'"),
    ("LAST_EXECUTIONS", "bigint[]", "{n}"),
    (
        "EARLIER",
        "bigint, text, bigint, bigint, uuid, bigint",
        "3, 'client/3', 0, 50000, '00000000-0000-0000-0000-000000000007', 64",
    ),
    ("ENDED_CALLS", "bigint[], uuid[]", "{n}, {id}"),
    ("OPEN_DELIVERIES", "bigint[]", "{n}"),
    ("DELIVERIES_OF_EVENT", "uuid", "'00000000-0000-0000-0000-000000000007'"),
    ("DEAD_OF_EVENT", "uuid, bigint", "'00000000-0000-0000-0000-000000000007', 1"),
    ("REPLAYABLE", "bigint[]", "{n}"),
    ("LOCK_UNFINISHED", "bigint[], uuid[]", "{n}, {id}"),
    ("TAKE_DEAD", "bigint[], bigint[]", "{n}, {n}"),
    ("MARK_DEAD", "timestamptz, bigint[], bigint[]", "'2026-11-24T10:00:00Z', {n}, {n}"),
    ("ENDED", "bigint[]", "{n}"),
    ("CALLS_OF", "uuid[]", "{id}"),
    ("REOPEN", "uuid[]", "{id}"),
    ("NEXT_EVENT", "bigint", "100"),
    ("NEXT_OF_TYPE", "text, bigint, bigint, bigint", "'clients.create', 100, 60000, 500"),
    ("ENDED_AT_HANDLER", "uuid[], bigint", "{id}, 1"),
    ("GENERATIONS_UNDER_WAY", "bigint[], uuid[]", "{n}, {id}"),
    ("STILL_STORED", "bigint[]", "{n}"),
    ("LOCK_UNDER_WAY", "bigint[], uuid[]", "{n}, {id}"),
    ("DEAD_AT_HANDLER", "uuid[], bigint", "{id}, 1"),
];

const POSTGRES_ROWS: &[&str] = &[
    "INSERT INTO events SELECT n, lpad(to_hex(n), 32, '0')::uuid, 'clients.create', n::text, n::text, 'client/' || n % 5000, 'x', repeat('x', 300), NULL, now()
     FROM generate_series(1, 60000) AS n",
    "INSERT INTO dispatches SELECT n, n % 64, n, lpad(to_hex(n), 32, '0')::uuid, 'clients.create', 'client/' || n % 5000, 300, 'pending', NULL, NULL, now()
     FROM generate_series(20001, 60000) AS n",
    "INSERT INTO results SELECT lpad(to_hex(n), 32, '0')::uuid, n, 'delivered', 1, now() FROM generate_series(1, 20000) AS n",
    "INSERT INTO executions SELECT lpad(to_hex(n), 32, '0')::uuid, lpad(to_hex(n), 32, '0')::uuid, n, 'clients.create', '1', 1, 'h', 1, 1, 1,
     'success', now(), 1, NULL, NULL, NULL FROM generate_series(1, 40000) AS n",
    "INSERT INTO deliveries SELECT n, 1, lpad(to_hex(n), 32, '0')::uuid, n, 'clients.create', '1', '1', 'h', 1, 'dead', 1, NULL, 'x', now(), NULL
     FROM generate_series(1, 20000) AS n",
    "INSERT INTO idempotency_keys SELECT n::text, lpad(to_hex(n), 32, '0')::uuid, now() FROM generate_series(1, 20000) AS n",
];

/// The values of an array: places around the edge between what has ended and what has not.
fn filled(values: &str, around: u32) -> String {
    let places = 20_000 - around..20_000 + around;
    let list = |item: &dyn Fn(u32) -> String| format!("'{{{}}}'", places.clone().map(item).collect::<Vec<_>>().join(","));
    values
        .replace("{n}", &list(&|n| n.to_string()))
        .replace("{id}", &list(&|n| format!("{n:032x}")))
        .replace("{t}", &list(&|_| "failed".into()))
        .replace("{at}", &list(&|_| "2026-11-24T10:00:00Z".into()))
}

fn by_name() -> HashMap<&'static str, Statement> {
    statements().into_iter().map(|s| (s.name, s)).collect()
}

async fn postgres_plans(url: &str, belief: &str) {
    let mut plain = PgConnection::connect(url).await.unwrap();
    let options: PgConnectOptions = url.parse().unwrap();
    let mut hot = PgConnection::connect_with(&options.options(hot_settings().iter().copied())).await.unwrap();
    for mode in ["force_custom_plan", "force_generic_plan"] {
        for statement in HOT {
            let plan = postgres_plan(&mut hot, statement, mode, 200).await;
            assert_by_index(statement.0, &plan, &format!("{mode}, {belief}"));
            assert!(!plan.contains("Bitmap"), "{} sorts the backlog ({mode}, {belief}):\n{plan}", statement.0);
        }
        for statement in OTHERS {
            let plan = postgres_plan(&mut plain, statement, mode, 5).await;
            assert_by_index(statement.0, &plan, &format!("{mode}, {belief}"));
        }
    }
}

/// What a function runs cannot be explained from outside; what it has read can be counted. It is called often enough to get plans of either
/// kind, each time with dispatches of its own.
async fn recording_reads_by_index(url: &str, belief: &str) {
    const PLACES: i64 = 300;
    let options: PgConnectOptions = url.parse().unwrap();
    let mut pg = PgConnection::connect_with(&options.options(hot_settings().iter().copied())).await.unwrap();
    let dispatcher = "00000000-0000-0000-0000-0000000000aa";
    sqlx::raw_sql(AssertSqlSafe(format!(
        "BEGIN; INSERT INTO instances VALUES ('{dispatcher}', 'dispatcher', 'd', now(), now(), false, 0);
         UPDATE partitions SET owner = '{dispatcher}'"
    )))
    .execute(&mut pg)
    .await
    .unwrap();
    for round in 0..8 {
        let first = 20_001 + round * PLACES;
        let call = format!(
            "SELECT record_batch('{dispatcher}', (SELECT array_agg(p) FROM generate_series(0::bigint, 63) AS p), 1, {},
                array_agg(ROW(gen_random_uuid(), lpad(to_hex(n), 32, '0'), n, 'clients.create', '1', 1, 'h', 1, 1, 1, 'fail', now(), 1, 'x', NULL,
                    NULL)::recorded_call),
                array_agg(n), array_agg(lpad(to_hex(n), 32, '0')::uuid), array_agg('clients.create'::text), array_agg('failed'::text),
                array_agg(1::bigint), array_agg(now()), array_agg(true))
             FROM generate_series({first}::bigint, {}) AS n",
            round > 4,
            first + PLACES - 1
        );
        let row = sqlx::raw_sql(AssertSqlSafe(call)).fetch_one(&mut pg).await.unwrap();
        assert!(row.get::<bool, _>(0));
    }
    let read = "SELECT relname::text, seq_scan, coalesce(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables";
    let tables: Vec<(String, i64, i64)> = sqlx::query_as(read).fetch_all(&mut pg).await.unwrap();
    for (table, scans, fetched) in tables {
        assert!(!LARGE.contains(&&*table) || scans == 0, "recording reads all of {table} ({belief})");
        assert!(fetched <= 8 * PLACES * 5, "recording fetched {fetched} rows of {table} ({belief})");
    }
    let left: (i64,) = sqlx::query_as("SELECT count(*) FROM dispatches").fetch_one(&mut pg).await.unwrap();
    assert_eq!(left.0, 40_000 - 8 * PLACES);
    pg.execute("ROLLBACK").await.unwrap();
}

async fn postgres_plan(pg: &mut PgConnection, (name, types, values): &(&str, &str, &str), mode: &str, around: u32) -> String {
    let text = by_name()[name].postgres.trim();
    let prepare = format!("SET plan_cache_mode = {mode}; DEALLOCATE ALL; PREPARE s ({types}) AS {text}");
    sqlx::raw_sql(AssertSqlSafe(prepare)).execute(&mut *pg).await.unwrap();
    let explain = format!("EXPLAIN EXECUTE s ({})", filled(values, around));
    let rows = sqlx::raw_sql(AssertSqlSafe(explain)).fetch_all(&mut *pg).await.unwrap();
    let plan: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    plan.join("\n")
}

fn assert_by_index(name: &str, plan: &str, under: &str) {
    for table in LARGE {
        assert!(!plan.contains(&format!("Seq Scan on {table}")), "{name} reads all of {table} ({under}):\n{plan}");
    }
    // Reading all of an index is no better; every use of one has to be led by a condition.
    let lines: Vec<_> = plan.lines().collect();
    for (line, next) in lines.iter().zip(lines.iter().skip(1)) {
        let of_large = LARGE.iter().any(|table| line.contains(&format!(" on {table}")));
        if line.contains("Index") && line.contains("Scan using") && of_large {
            assert!(next.contains("Index Cond"), "{name} reads all of an index ({under}):\n{plan}");
        }
    }
}

#[tokio::test]
async fn on_postgres_with_true_estimates() {
    let f = Fixture::postgres().await;
    let mut pg = PgConnection::connect(f.database.url()).await.unwrap();
    for rows in POSTGRES_ROWS {
        pg.execute(*rows).await.unwrap();
    }
    pg.execute("ANALYZE").await.unwrap();
    postgres_plans(f.database.url(), "analysed when full").await;
    recording_reads_by_index(f.database.url(), "analysed when full").await;
}

/// What the planner believes after a quiet night, when the load comes back.
#[tokio::test]
async fn on_postgres_with_the_estimates_of_empty_queues() {
    let f = Fixture::postgres().await;
    let mut pg = PgConnection::connect(f.database.url()).await.unwrap();
    pg.execute(
        "ALTER TABLE dispatches SET (autovacuum_enabled = false); ALTER TABLE deliveries SET (autovacuum_enabled = false)",
    )
    .await
    .unwrap();
    for rows in POSTGRES_ROWS {
        let queue = rows.contains("INTO dispatches") || rows.contains("INTO deliveries");
        if !queue {
            pg.execute(*rows).await.unwrap();
        }
    }
    pg.execute("ANALYZE").await.unwrap();
    for rows in POSTGRES_ROWS {
        if rows.contains("INTO dispatches") || rows.contains("INTO deliveries") {
            pg.execute(*rows).await.unwrap();
        }
    }
    postgres_plans(f.database.url(), "analysed when empty").await;
    recording_reads_by_index(f.database.url(), "analysed when empty").await;
}

const SQLITE_ROWS: &[&str] = &[
    "CREATE TEMP TABLE numbers AS WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 20000) SELECT n FROM c",
    "INSERT INTO events SELECT n, unhex(printf('%032x', n)), 'clients.create', n, n, 'client/' || n % 5000, 'x', 'x', NULL, 'x' FROM numbers",
    "INSERT INTO dispatches SELECT n, n % 64, n, unhex(printf('%032x', n)), 'clients.create', 'client/' || n % 5000, 300, 'pending', NULL, NULL, 'x'
     FROM numbers WHERE n > 10000",
    "INSERT INTO results SELECT unhex(printf('%032x', n)), n, 'delivered', 1, 'x' FROM numbers WHERE n <= 10000",
    "INSERT INTO executions SELECT unhex(printf('%032x', n)), unhex(printf('%032x', n)), n, 'clients.create', '1', 1, 'h', 1, 1, 1, 'success', 'x', 1,
     NULL, NULL, NULL FROM numbers",
    "INSERT INTO deliveries SELECT n, 1, unhex(printf('%032x', n)), n, 'clients.create', '1', '1', 'h', 1, 'dead', 1, NULL, 'x', 'x', NULL FROM numbers",
    "INSERT INTO idempotency_keys SELECT n, unhex(printf('%032x', n)), 'x' FROM numbers",
];

#[tokio::test]
async fn on_sqlite_with_and_without_statistics() {
    let f = Fixture::sqlite().await;
    let mut lite = SqliteConnection::connect(f.database.url()).await.unwrap();
    let hot = HOT.iter().chain(OTHERS).map(|(name, ..)| *name).chain(["APPEND_ROWS", "RECORD_ROWS"]);
    let hot: Vec<_> = hot.collect();
    let statements = by_name();
    for belief in ["no statistics", "analysed"] {
        for name in &hot {
            let text = statements[name].sqlite;
            assert!(!text.is_empty(), "{name}");
            let mut plan: Vec<String> = Vec::new();
            for part in text.split(';') {
                let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {part}")).into_sql_str();
                plan.extend(lite.fetch_all(explain).await.unwrap().iter().map(|row| row.get("detail")));
            }
            let plan = plan.join("\n");
            for table in LARGE.into_iter().chain(["d", "e", "v", "x", "k"]) {
                // `d` is also what a bounded subquery is called.
                let scanned =
                    plan.lines().any(|line| line == format!("SCAN {table}") || line.starts_with(&format!("SCAN {table} USING")));
                let bounded = table == "d" && name.starts_with("READ");
                assert!(!scanned || bounded, "{name} reads all of {table} ({belief}):\n{plan}");
            }
        }
        if belief == "no statistics" {
            for rows in SQLITE_ROWS {
                lite.execute(*rows).await.unwrap_or_else(|e| panic!("{rows}: {e}"));
            }
            lite.execute("ANALYZE").await.unwrap();
        }
    }
}
