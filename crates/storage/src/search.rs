//! Puts together the statement of a search with optional filters. Only texts of this crate go into it; what comes from outside is bound.

use std::fmt::Write as _;

use crate::conn::{Conn, Readable, Tx};
use crate::error::Result;
use crate::paging::Page;
use crate::sql::{Column, Text, Value, without_nul};

/// A SELECT that grows.
pub(crate) struct Search<'a> {
    sql: String,
    values: Vec<Value<'a>>,
    sqlite: bool,
    /// How many placeholders the values take: one each, but a batch on PostgreSQL one for each of its columns.
    placeholders: usize,
    conditions: usize,
}

impl<'a> Search<'a> {
    /// Begins with everything up to the WHERE.
    pub(crate) fn new(select: &'static str, sqlite: bool) -> Self {
        Self { sql: select.to_owned(), values: Vec::new(), sqlite, placeholders: 0, conditions: 0 }
    }

    /// Another condition without values.
    pub(crate) fn plain(&mut self, condition: &str) {
        self.sql.push_str(if self.conditions == 0 { " WHERE " } else { " AND " });
        self.sql.push_str(condition);
        self.conditions += 1;
    }

    /// Another condition; each `?` in it stands for the value.
    pub(crate) fn and(&mut self, condition: &str, value: impl Into<Value<'a>>) {
        self.values.push(searchable(value.into()));
        self.placeholders += 1;
        self.plain(&condition.replace('?', &format!("${}", self.placeholders)));
    }

    /// The row of columns stands before or behind (`<` or `>`) the row of values.
    pub(crate) fn and_beyond(&mut self, columns: &str, beyond: &str, values: Vec<Value<'a>>) {
        let first = self.placeholders + 1;
        self.placeholders += values.len();
        self.values.extend(values);
        let places: Vec<_> = (first..=self.placeholders).map(|n| format!("${n}")).collect();
        self.plain(&format!("({columns}) {beyond} ({})", places.join(", ")));
    }

    /// Another condition, where there is a value for it.
    pub(crate) fn and_if(&mut self, condition: &str, value: Option<impl Into<Value<'a>>>) {
        if let Some(value) = value {
            self.and(condition, value);
        }
    }

    /// The column is one of these words of ours. No word at all does not restrict.
    pub(crate) fn and_word(&mut self, column: &str, words: impl IntoIterator<Item = &'static str>) {
        // Literals, so that the planner knows which partial index will do.
        let words: Vec<_> = words.into_iter().map(|word| format!("'{word}'")).collect();
        if !words.is_empty() {
            self.plain(&format!("{column} IN ({})", words.join(", ")));
        }
    }

    /// The column is one of these integers. No integer at all does not restrict.
    pub(crate) fn and_ints(&mut self, column: &str, ints: impl IntoIterator<Item = i64>) {
        let ints = Column::ints(ints);
        if ints.is_empty() {
            return;
        }
        let among = if self.sqlite { "IN (SELECT value FROM json_each(?))" } else { "= ANY(?)" };
        self.and(&format!("{column} {among}"), ints);
    }

    /// The column contains the text, in any case of its letters (on SQLite: of the letters A to Z).
    pub(crate) fn and_contains(&mut self, column: &str, text: Option<&str>) {
        let Some(text) = text else { return };
        let like = if self.sqlite { "LIKE" } else { "ILIKE" };
        self.and(&format!(r"{column} {like} ? ESCAPE '\'"), contains(text));
    }

    /// The pair of columns is one of these pairs of a uuid and an integer. No pair at all does not restrict.
    pub(crate) fn and_pairs(&mut self, uuid: &str, int: &str, pairs: &[(uuid::Uuid, i64)]) {
        if pairs.is_empty() {
            return;
        }
        self.values.push(Value::Rows(vec![Column::uuids(pairs.iter().map(|p| p.0)), Column::ints(pairs.iter().map(|p| p.1))]));
        let first = self.placeholders + 1;
        let (taken, pairs) = if self.sqlite {
            (1, format!("SELECT unhex(value ->> 0), value ->> 1 FROM json_each(${first})"))
        } else {
            (2, format!("SELECT * FROM unnest(${first}::uuid[], ${}::bigint[])", first + 1))
        };
        self.placeholders += taken;
        self.plain(&format!("({uuid}, {int}) IN ({pairs})"));
    }

    /// Ends it with an order and a limit, and with how many rows are passed over before.
    fn finish(mut self, order: &str, limit: i64, passed: i64) -> (Text, Vec<Value<'a>>) {
        let next = self.placeholders + 1;
        // Writing to a String cannot fail.
        let _ = write!(self.sql, " ORDER BY {order} LIMIT ${next}");
        self.values.push(limit.into());
        if passed > 0 {
            let _ = write!(self.sql, " OFFSET ${}", next + 1);
            self.values.push(passed.into());
        }
        (Text::Built(self.sql), self.values)
    }

    /// One row more than the page has.
    pub(crate) async fn fetch<T: Readable>(self, conn: &mut Conn<'_>, order: &str, page: &Page) -> Result<Vec<T>> {
        self.fetch_all(conn, order, page.rows()).await
    }

    /// The first `limit` rows.
    pub(crate) async fn fetch_all<T: Readable>(self, conn: &mut Conn<'_>, order: &str, limit: i64) -> Result<Vec<T>> {
        let (text, values) = self.finish(order, limit, 0);
        conn.fetch_all(text, values).await
    }

    /// `limit` rows behind the first `passed`.
    pub(crate) async fn fetch_behind<T: Readable>(
        self,
        conn: &mut Conn<'_>,
        order: &str,
        passed: i64,
        limit: i64,
    ) -> Result<Vec<T>> {
        let (text, values) = self.finish(order, limit, passed);
        conn.fetch_all(text, values).await
    }

    /// The first `limit` rows, within a transaction.
    pub(crate) async fn fetch_in<T: Readable>(self, tx: &mut Tx<'_>, order: &str, limit: i64) -> Result<Vec<T>> {
        let (text, values) = self.finish(order, limit, 0);
        tx.fetch_all(text, values).await
    }
}

/// PostgreSQL refuses U+0000, which is nowhere in what is searched.
fn searchable(value: Value<'_>) -> Value<'_> {
    match value {
        Value::Text(Some(text)) => Value::Text(Some(without_nul(&text).into_owned().into())),
        other => other,
    }
}

/// The LIKE pattern of texts that contain this one, `\` being the escape.
pub(crate) fn contains(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metacharacters_of_like_are_escaped() {
        assert_eq!(contains(r"50%_\x"), r"%50\%\_\\x%");
    }

    #[test]
    fn conditions_are_numbered_in_their_order() {
        let mut search = Search::new("SELECT x FROM t", false);
        search.and("a = ?", 1);
        search.and_if("b = ?", None::<i64>);
        search.and("(c < ? OR d < ?)", "x");
        search.and_word("s", ["p", "q"]);
        let (text, values) = search.finish("x DESC", 3, 7);
        let Text::Built(sql) = text else { panic!("a built text") };
        assert_eq!(
            sql,
            "SELECT x FROM t WHERE a = $1 AND (c < $2 OR d < $2) AND s IN ('p', 'q') ORDER BY x DESC LIMIT $3 OFFSET $4"
        );
        assert_eq!(values.len(), 4);
    }
}
