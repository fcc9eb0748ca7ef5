//! Statement texts and the values bound to them, in one form for both databases.

use std::borrow::Cow;
use std::fmt::Write as _;

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::error::BoxDynError;
use sqlx::postgres::PgArguments;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, AssertSqlSafe, SqlSafeStr, SqlStr};
use uuid::Uuid;

use crate::error::{Result, StorageError};
use crate::record::RecordedCall;

/// A statement: one text for each database, the same one where that will do. An empty text says that the database does without it.
#[derive(Debug, Clone, Copy)]
pub struct Statement {
    /// What it is called in tests and plans.
    pub name: &'static str,
    /// The text for PostgreSQL.
    pub postgres: &'static str,
    /// The text for SQLite.
    pub sqlite: &'static str,
}

/// Defines statements as constants, and `STATEMENTS` with all of them.
macro_rules! statements {
    (@pair $text:literal) => { ($text, $text) };
    (@pair { both: $text:expr $(,)? }) => { ($text, $text) };
    (@pair { postgres: $postgres:expr, sqlite: $sqlite:expr $(,)? }) => { ($postgres, $sqlite) };
    ($($(#[$doc:meta])* $name:ident = $text:tt;)*) => {
        $(
            $(#[$doc])*
            pub(crate) const $name: $crate::sql::Statement = {
                let (postgres, sqlite) = $crate::sql::statements!(@pair $text);
                $crate::sql::Statement { name: stringify!($name), postgres, sqlite }
            };
        )*
        /// Every statement of this module.
        pub(crate) const STATEMENTS: &[$crate::sql::Statement] = &[$($name),*];
    };
}
pub(crate) use statements;

/// The text of a statement: a constant, or put together by a search.
pub(crate) enum Text {
    Constant(Statement),
    Built(String),
}

impl Text {
    pub(crate) fn postgres(self) -> SqlStr {
        match self {
            Self::Constant(statement) => statement.postgres.into_sql_str(),
            Self::Built(text) => AssertSqlSafe(text).into_sql_str(),
        }
    }

    pub(crate) fn sqlite(self) -> SqlStr {
        match self {
            Self::Constant(statement) => statement.sqlite.into_sql_str(),
            Self::Built(text) => AssertSqlSafe(text).into_sql_str(),
        }
    }
}

impl From<Statement> for Text {
    fn from(statement: Statement) -> Self {
        Self::Constant(statement)
    }
}

/// An instant as it is stored: whole microseconds, years 1 to 9999, so that PostgreSQL takes it and the text that SQLite compares is of
/// one form.
pub(crate) fn stored(instant: DateTime<Utc>) -> DateTime<Utc> {
    let edge = |year, month, day| {
        NaiveDate::from_ymd_opt(year, month, day)
            .and_then(|d| d.and_hms_opt(0, 0, 0))
            .map_or(DateTime::UNIX_EPOCH, |d| d.and_utc())
    };
    let within = instant.clamp(edge(1, 1, 1), edge(9999, 12, 31));
    DateTime::from_timestamp_micros(within.timestamp_micros()).unwrap_or(within)
}

/// The text of a stored instant on SQLite: what sqlx binds, needed where rows travel as JSON.
fn text(instant: DateTime<Utc>) -> String {
    stored(instant).to_rfc3339_opts(SecondsFormat::AutoSi, false)
}

/// A value for one placeholder, or for one for each column where it is a batch on PostgreSQL.
#[derive(Debug, Clone)]
pub(crate) enum Value<'a> {
    Int(Option<i64>),
    Text(Option<Cow<'a, str>>),
    Uuid(Option<Uuid>),
    Instant(Option<DateTime<Utc>>),
    Bool(bool),
    /// Rows by column: an array for each column on PostgreSQL, one JSON array of arrays on SQLite.
    Rows(Vec<Column<'a>>),
    /// One column: an array on PostgreSQL, a JSON array on SQLite.
    List(Column<'a>),
    /// Calls, as an array of rows; on PostgreSQL only.
    Calls(Vec<RecordedCall<'a>>),
}

/// A column of a batch.
#[derive(Debug, Clone)]
pub(crate) enum Column<'a> {
    Ints(Vec<Option<i64>>),
    Texts(Vec<Option<Cow<'a, str>>>),
    Uuids(Vec<Option<Uuid>>),
    Instants(Vec<Option<DateTime<Utc>>>),
    Bools(Vec<bool>),
}

/// The values of a statement, each into its [`Value`].
macro_rules! values {
    ($($value:expr),* $(,)?) => { vec![$($crate::sql::Value::from($value)),*] };
}
pub(crate) use values;

macro_rules! conversions {
    ($($from:ty => $variant:ident, |$value:ident| $into:expr;)*) => {
        $(
            impl<'a> From<$from> for Value<'a> {
                fn from($value: $from) -> Self {
                    Self::$variant($into)
                }
            }
        )*
    };
}

conversions! {
    i64 => Int, |v| Some(v);
    Option<i64> => Int, |v| v;
    &'a str => Text, |v| Some(v.into());
    Option<&'a str> => Text, |v| v.map(Cow::from);
    String => Text, |v| Some(v.into());
    Uuid => Uuid, |v| Some(v);
    Option<Uuid> => Uuid, |v| v;
    DateTime<Utc> => Instant, |v| Some(stored(v));
    Option<DateTime<Utc>> => Instant, |v| v.map(stored);
    bool => Bool, |v| v;
    Column<'a> => List, |v| v;
    Vec<Column<'a>> => Rows, |v| v;
    Vec<RecordedCall<'a>> => Calls, |v| v;
}

impl<'a> Column<'a> {
    /// Integers.
    pub(crate) fn ints(values: impl IntoIterator<Item = impl Into<Option<i64>>>) -> Self {
        Self::Ints(values.into_iter().map(Into::into).collect())
    }

    /// Texts.
    pub(crate) fn texts<T: Into<Cow<'a, str>>>(values: impl IntoIterator<Item = T>) -> Self {
        Self::Texts(values.into_iter().map(|v| Some(v.into())).collect())
    }

    /// Texts that may be missing.
    pub(crate) fn optional_texts<T: Into<Cow<'a, str>>>(values: impl IntoIterator<Item = Option<T>>) -> Self {
        Self::Texts(values.into_iter().map(|v| v.map(Into::into)).collect())
    }

    /// Uuids.
    pub(crate) fn uuids(values: impl IntoIterator<Item = Uuid>) -> Self {
        Self::Uuids(values.into_iter().map(Some).collect())
    }

    /// Instants.
    pub(crate) fn instants(values: impl IntoIterator<Item = impl Into<Option<DateTime<Utc>>>>) -> Self {
        Self::Instants(values.into_iter().map(|v| v.into().map(stored)).collect())
    }

    /// Truths.
    pub(crate) fn bools(values: impl IntoIterator<Item = bool>) -> Self {
        Self::Bools(values.into_iter().collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn len(&self) -> usize {
        match self {
            Self::Ints(v) => v.len(),
            Self::Texts(v) => v.len(),
            Self::Uuids(v) => v.len(),
            Self::Instants(v) => v.len(),
            Self::Bools(v) => v.len(),
        }
    }

    fn push_json(&self, row: usize, out: &mut String) {
        // Writing to a String cannot fail.
        let _ = match self {
            Self::Ints(v) => match v.get(row) {
                Some(Some(n)) => write!(out, "{n}"),
                _ => out.write_str("null"),
            },
            Self::Texts(v) => match v.get(row) {
                Some(Some(text)) => out.write_str(&serde_json::to_string(text).unwrap_or_default()),
                _ => out.write_str("null"),
            },
            Self::Uuids(v) => match v.get(row) {
                Some(Some(id)) => write!(out, "\"{}\"", id.as_simple()),
                _ => out.write_str("null"),
            },
            Self::Instants(v) => match v.get(row) {
                Some(Some(instant)) => write!(out, "\"{}\"", text(*instant)),
                _ => out.write_str("null"),
            },
            Self::Bools(v) => match v.get(row) {
                Some(truth) => write!(out, "{truth}"),
                None => out.write_str("null"),
            },
        };
    }

    fn add_array(self, arguments: &mut PgArguments) -> Result<(), BoxDynError> {
        match self {
            Self::Ints(v) => arguments.add(v),
            Self::Texts(v) => arguments.add(v),
            Self::Uuids(v) => arguments.add(v),
            Self::Instants(v) => arguments.add(v),
            Self::Bools(v) => arguments.add(v),
        }
    }
}

fn json_list(column: &Column<'_>) -> String {
    let mut out = String::from("[");
    for row in 0..column.len() {
        if row > 0 {
            out.push(',');
        }
        column.push_json(row, &mut out);
    }
    out.push(']');
    out
}

fn json_rows(columns: &[Column<'_>]) -> String {
    let mut out = String::from("[");
    for row in 0..columns.first().map_or(0, Column::len) {
        out.push_str(if row > 0 { ",[" } else { "[" });
        for (index, column) in columns.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            column.push_json(row, &mut out);
        }
        out.push(']');
    }
    out.push(']');
    out
}

pub(crate) fn postgres_arguments(values: Vec<Value<'_>>) -> Result<PgArguments, BoxDynError> {
    let mut arguments = PgArguments::default();
    for value in values {
        match value {
            Value::Int(v) => arguments.add(v)?,
            Value::Text(v) => arguments.add(v)?,
            Value::Uuid(v) => arguments.add(v)?,
            Value::Instant(v) => arguments.add(v)?,
            Value::Bool(v) => arguments.add(v)?,
            Value::List(column) => column.add_array(&mut arguments)?,
            Value::Rows(columns) => columns.into_iter().try_for_each(|column| column.add_array(&mut arguments))?,
            Value::Calls(calls) => arguments.add(calls)?,
        }
    }
    Ok(arguments)
}

pub(crate) fn sqlite_arguments(values: Vec<Value<'_>>) -> Result<SqliteArguments, BoxDynError> {
    let mut arguments = SqliteArguments::default();
    for value in values {
        match value {
            Value::Int(v) => arguments.add(v)?,
            Value::Text(v) => arguments.add(v.map(Cow::into_owned))?,
            Value::Uuid(v) => arguments.add(v)?,
            Value::Instant(v) => arguments.add(v)?,
            Value::Bool(v) => arguments.add(v)?,
            Value::List(column) => arguments.add(json_list(&column))?,
            Value::Rows(columns) => arguments.add(json_rows(&columns))?,
            Value::Calls(_) => return Err("SQLite knows no rows of calls".into()),
        }
    }
    Ok(arguments)
}

/// A text that PostgreSQL takes: it refuses U+0000, which stands in what programs print.
pub(crate) fn without_nul(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { text.into() }
}

/// The JSON text of something that is stored whole.
pub(crate) fn json<T: Serialize + ?Sized>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|e| StorageError::Bug(sqlx::Error::Encode(e.into())))
}

/// Reads it back; `what` says what it is.
pub(crate) fn parsed<T: DeserializeOwned>(what: &str, json: &str) -> Result<T> {
    serde_json::from_str(json).map_err(|e| StorageError::corrupt(format!("{what}: {e}")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Instants that share long prefixes of their text as well as ones far apart.
    fn instants() -> impl Strategy<Value = DateTime<Utc>> {
        let near = (0..3_i64, prop::sample::select(vec![0_u32, 1, 999, 1000, 1001, 100_000, 120_000, 123_456, 123_457, 999_999]));
        let near = near.prop_map(|(s, us)| DateTime::from_timestamp(1_764_000_000 + s, us * 1000).unwrap());
        let far = (-62_135_596_800_i64..253_402_214_400, 0_u32..1_000_000_000)
            .prop_map(|(s, ns)| DateTime::from_timestamp(s, ns).unwrap());
        prop_oneof![near, far]
    }

    proptest! {
        #[test]
        fn the_texts_of_instants_compare_like_the_instants(a in instants(), b in instants()) {
            prop_assert_eq!(text(a).cmp(&text(b)), stored(a).cmp(&stored(b)), "{} {}", text(a), text(b));
        }

        #[test]
        fn an_instant_is_read_back_as_it_was_stored(a in instants()) {
            prop_assert_eq!(DateTime::parse_from_rfc3339(&text(a)).unwrap(), stored(a));
        }
    }

    #[test]
    fn instants_are_whole_microseconds_of_four_digit_years() {
        let of = |text: &str| stored(text.parse().unwrap()).to_rfc3339();
        assert_eq!(of("2026-11-24T10:00:00.123456789Z"), "2026-11-24T10:00:00.123456+00:00");
        assert_eq!(of("1969-12-31T23:59:59.999999999Z"), "1969-12-31T23:59:59.999999+00:00");
        assert_eq!(of("2016-12-31T23:59:60.5Z"), "2017-01-01T00:00:00.500+00:00");
        assert_eq!(text(DateTime::<Utc>::MIN_UTC), "0001-01-01T00:00:00+00:00");
        assert_eq!(text(DateTime::<Utc>::MAX_UTC), "9999-12-31T00:00:00+00:00");
    }

    #[test]
    fn rows_become_json() {
        let id = Uuid::from_u128(0xab);
        let rows = json_rows(&[
            Column::ints([Some(1), None]),
            Column::optional_texts([Some("a\"\n\u{0}é"), None]),
            Column::uuids([id, Uuid::nil()]),
            Column::instants([Some(DateTime::UNIX_EPOCH), None]),
            Column::bools([true, false]),
        ]);
        let parsed: serde_json::Value = serde_json::from_str(&rows).unwrap();
        let expected = serde_json::json!([
            [1, "a\"\n\u{0}é", "000000000000000000000000000000ab", "1970-01-01T00:00:00+00:00", true],
            [null, null, "00000000000000000000000000000000", null, false]
        ]);
        assert_eq!(parsed, expected);
        assert_eq!(json_list(&Column::ints(Vec::<i64>::new())), "[]");
    }
}
