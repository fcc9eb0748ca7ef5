//! Sweeps read by index, whatever the size of the tables and whatever the planner believes.

use std::collections::HashMap;

use baton_storage::{Statement, statements};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row, SqlSafeStr, SqliteConnection};

use crate::fixture::Fixture;

/// The statements with the types and values of their parameters on PostgreSQL; `{n}` stands for numbers, `{id}` for ids.
const SWEEPS: &[(&str, &str, &str)] = &[
    (
        "OLD_EVENTS",
        "timestamptz, timestamptz, uuid, uuid",
        "now(), now(), '00000000-0000-0000-0000-000000000000', '00000000-0000-0000-ffff-000000000000'",
    ),
    ("EXECUTIONS_OF", "uuid[]", "{id}"),
    (
        "OLDEST_EXECUTIONS",
        "timestamptz, uuid, uuid",
        "now(), '00000000-0000-0000-0000-000000000000', '00000000-0000-0000-ffff-000000000000'",
    ),
    ("OLDEST_EVENTS", "uuid, uuid", "'00000000-0000-0000-0000-000000000000', '00000000-0000-0000-ffff-000000000000'"),
    ("FIRST_PLACE_SINCE", "uuid", "'00000000-0000-0000-0000-0000000000ff'"),
    ("NAMED_BY_RESULTS", "uuid", "'00000000-0000-0000-ffff-000000000000'"),
    ("NAMED_BY_DISPATCHES", "bigint", "9000000"),
    ("NAMED_BY_REPLAYS", "uuid", "'00000000-0000-0000-ffff-000000000000'"),
    ("NAMED_BY_DELIVERIES", "uuid", "'00000000-0000-0000-ffff-000000000000'"),
    ("STILL_OLD", "timestamptz, timestamptz, uuid[]", "now(), now(), {id}"),
    ("ENDED_BY_CALLS", "uuid[]", "{id}"),
    ("CALLS_OF", "uuid[]", "{id}"),
    ("NAMED_BY_EXECUTIONS", "uuid", "'00000000-0000-0000-ffff-000000000000'"),
    ("DEAD_LETTERS_OF", "uuid[]", "{id}"),
    ("FORGET_EXECUTIONS", "uuid[]", "{id}"),
    ("FORGET_DEAD_LETTERS", "bigint[], bigint[]", "{n}, {n}"),
    ("FORGET_KEYS_OF", "bigint[], timestamptz", "{n}, now()"),
    ("FORGET_RESULTS", "uuid[]", "{id}"),
    ("FORGET_EVENTS", "bigint[]", "{n}"),
];

const LARGE: [&str; 6] = ["events", "dispatches", "executions", "results", "deliveries", "idempotency_keys"];

const POSTGRES_ROWS: &[&str] = &[
    "INSERT INTO events SELECT n, lpad(to_hex(n), 32, '0')::uuid, 'clients.create', n::text, n::text, 'client/1', 'x', repeat('x', 300), n::text, now()
     FROM generate_series(1, 60000) AS n",
    "INSERT INTO results SELECT lpad(to_hex(n), 32, '0')::uuid, n, 'delivered', 1, now() FROM generate_series(1, 50000) AS n",
    "INSERT INTO executions SELECT lpad(to_hex(n), 32, '0')::uuid, lpad(to_hex(n), 32, '0')::uuid, n, 'clients.create', '1', 1, 'h', 1, 1, 1,
     'success', now(), 1, NULL, NULL, NULL FROM generate_series(1, 60000) AS n",
    "INSERT INTO idempotency_keys SELECT n::text, lpad(to_hex(n), 32, '0')::uuid, now() FROM generate_series(1, 50000) AS n",
    "INSERT INTO dispatches SELECT n, n % 64, n, lpad(to_hex(n), 32, '0')::uuid, 'clients.create', 'client/1', 300, 'pending', NULL, NULL, now()
     FROM generate_series(20001, 60000) AS n",
    "INSERT INTO deliveries SELECT n, 1, lpad(to_hex(n), 32, '0')::uuid, n, 'clients.create', '1', '1', 'h', 1, 'dead', 1, NULL, 'x', now(), NULL
     FROM generate_series(1, 20000) AS n",
];

fn by_name() -> HashMap<&'static str, Statement> {
    statements().into_iter().map(|s| (s.name, s)).collect()
}

async fn plan(pg: &mut PgConnection, (name, types, values): &(&str, &str, &str)) -> String {
    let list = |item: &dyn Fn(u32) -> String| format!("'{{{}}}'", (20_000..20_300).map(item).collect::<Vec<_>>().join(","));
    let values = values.replace("{n}", &list(&|n| n.to_string())).replace("{id}", &list(&|n| format!("{n:032x}")));
    let text = by_name()[name].postgres.trim();
    let prepare = format!("DEALLOCATE ALL; PREPARE s ({types}) AS {text}");
    sqlx::raw_sql(AssertSqlSafe(prepare)).execute(&mut *pg).await.unwrap();
    let explain = format!("EXPLAIN EXECUTE s ({values})");
    let rows = sqlx::raw_sql(AssertSqlSafe(explain)).fetch_all(&mut *pg).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect::<Vec<String>>().join("\n")
}

async fn assert_by_index(pg: &mut PgConnection, belief: &str) {
    pg.execute("BEGIN").await.unwrap();
    // As every transaction of a sweep begins.
    pg.execute(by_name()["LIGHTLY"].postgres).await.unwrap();
    for statement in SWEEPS {
        let plan = plan(pg, statement).await;
        assert_reads_little(statement.0, &plan, belief);
    }
    pg.execute("ROLLBACK").await.unwrap();
}

fn assert_reads_little(name: &str, plan: &str, under: &str) {
    for table in LARGE {
        assert!(!plan.contains(&format!("Seq Scan on {table}")), "{name} reads all of {table} ({under}):\n{plan}");
    }
    // A page is read in its order: nothing is sorted first.
    assert!(!plan.contains("Sort Key"), "{name} sorts ({under}):\n{plan}");
    // Reading all of an index is no better, and that of the partitions has no condition here that it begins with.
    assert!(!plan.contains("dispatches_partition"), "{name} reads all of an index ({under}):\n{plan}");
    let lines: Vec<_> = plan.lines().collect();
    for (line, next) in lines.iter().zip(lines.iter().skip(1)) {
        let of_large = LARGE.iter().any(|table| line.contains(&format!(" on {table}")));
        let led = !(line.contains("Index") && line.contains("Scan using") && of_large) || next.contains("Index Cond");
        assert!(led, "{name} reads all of an index ({under}):\n{plan}");
    }
}

#[tokio::test]
async fn on_postgres_by_index_only() {
    let f = Fixture::postgres().await;
    let mut pg = PgConnection::connect(f.database.url()).await.unwrap();
    for rows in POSTGRES_ROWS {
        pg.execute(*rows).await.unwrap();
    }
    assert_by_index(&mut pg, "never analysed").await;
    pg.execute("ANALYZE").await.unwrap();
    assert_by_index(&mut pg, "analysed").await;
}

/// What the planner believes after a quiet night.
#[tokio::test]
async fn on_postgres_with_the_estimates_of_empty_queues() {
    let f = Fixture::postgres().await;
    let mut pg = PgConnection::connect(f.database.url()).await.unwrap();
    let (full, queues) = POSTGRES_ROWS.split_at(4);
    for table in ["dispatches", "deliveries"] {
        pg.execute(AssertSqlSafe(format!("ALTER TABLE {table} SET (autovacuum_enabled = false)"))).await.unwrap();
    }
    for rows in full {
        pg.execute(*rows).await.unwrap();
    }
    pg.execute("ANALYZE").await.unwrap();
    for rows in queues {
        pg.execute(*rows).await.unwrap();
    }
    assert_by_index(&mut pg, "analysed when empty").await;
}

#[tokio::test]
async fn on_sqlite_by_index_only() {
    let f = Fixture::sqlite().await;
    let mut lite = SqliteConnection::connect(f.database.url()).await.unwrap();
    let statements = by_name();
    for (name, ..) in SWEEPS {
        let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {}", statements[name].sqlite)).into_sql_str();
        let rows = lite.fetch_all(explain).await.unwrap();
        let plan: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
        for line in &plan {
            let all = LARGE
                .iter()
                .chain(&["r", "x", "e", "d", "v", "k"])
                .any(|table| line == &format!("SCAN {table}") || line.starts_with(&format!("SCAN {table} USING")));
            assert!(!all && !line.contains("TEMP B-TREE FOR ORDER"), "{name}:\n{}", plan.join("\n"));
        }
    }
}
