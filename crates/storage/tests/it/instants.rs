//! SQLite compares instants as texts.

use std::sync::OnceLock;

use chrono::{DateTime, Utc};
use proptest::prelude::*;
use sqlx::{Connection, SqliteConnection};
use tokio::runtime::Runtime;
use tokio::sync::Mutex;

fn compared(a: DateTime<Utc>, b: DateTime<Utc>) -> (bool, bool, DateTime<Utc>) {
    static SQLITE: OnceLock<(Runtime, Mutex<SqliteConnection>)> = OnceLock::new();
    let (runtime, connection) = SQLITE.get_or_init(|| {
        let runtime = Runtime::new().unwrap();
        let connection = runtime.block_on(SqliteConnection::connect("sqlite::memory:")).unwrap();
        (runtime, Mutex::new(connection))
    });
    runtime.block_on(async {
        let mut connection = connection.lock().await;
        sqlx::query_as("SELECT $1 < $2, $1 = $2, $1").bind(a).bind(b).fetch_one(&mut *connection).await.unwrap()
    })
}

/// Whole microseconds of the years 1 to 9999, which is all that the store lets through; near ones often.
fn instants() -> impl Strategy<Value = DateTime<Utc>> {
    let near = (0..2_i64, prop::sample::select(vec![0_i64, 1, 10, 1000, 1001, 100_000, 120_000, 123_000, 123_456, 999_999]));
    let near = near.prop_map(|(s, us)| 1_764_000_000_000_000 + s * 1_000_000 + us);
    let far = -62_135_596_800_000_000_i64..253_402_214_400_000_000;
    prop_oneof![near, far].prop_map(|us| DateTime::from_timestamp_micros(us).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]
    #[test]
    fn as_sqlx_writes_them_they_compare_like_instants(a in instants(), b in instants()) {
        prop_assert_eq!(compared(a, b), (a < b, a == b, a));
    }
}
