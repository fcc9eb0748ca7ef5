//! Pages of a list, by keyset.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{Result, StorageError};

/// Which part of a list.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// At most so many items; 0 counts as 1.
    pub limit: u16,
    /// Where the page before ended: its [`Paged::next_cursor`]. `None` for the first page.
    pub cursor: Option<String>,
}

/// A page of a list.
#[derive(Debug, Clone)]
pub struct Paged<T> {
    /// In the list's order.
    pub items: Vec<T>,
    /// What leads to the next page (opaque base64url); `None` on the last.
    pub next_cursor: Option<String>,
}

impl Page {
    /// Where the page before ended, in the list's own terms. `list` names the list, so that the cursor of another is refused.
    pub(crate) fn cursor<K: DeserializeOwned>(&self, list: &str) -> Result<Option<K>> {
        let Some(cursor) = &self.cursor else { return Ok(None) };
        let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| StorageError::BadCursor)?;
        let value: Value = serde_json::from_slice(&bytes).map_err(|_| StorageError::BadCursor)?;
        // No text that PostgreSQL stores holds one, and it refuses to compare with it.
        if holds_nul(&value) {
            return Err(StorageError::BadCursor);
        }
        let (of, key): (String, K) = serde_json::from_value(value).map_err(|_| StorageError::BadCursor)?;
        if of == list { Ok(Some(key)) } else { Err(StorageError::BadCursor) }
    }

    /// How many rows to read: one more than asked for tells whether there are more.
    pub(crate) fn rows(&self) -> i64 {
        i64::from(self.limit.max(1)) + 1
    }

    /// Makes a page of the rows read; `key` says where one stands in the list.
    pub(crate) fn cut<T, K: Serialize>(&self, list: &str, rows: Vec<T>, key: impl Fn(&T) -> K) -> Paged<T> {
        self.cut_at(list, rows, key, None)
    }

    /// The same where no more was looked at than down to `end`: the next page goes on there, if this one is not full.
    pub(crate) fn cut_at<T, K: Serialize>(
        &self,
        list: &str,
        mut rows: Vec<T>,
        key: impl Fn(&T) -> K,
        end: Option<K>,
    ) -> Paged<T> {
        let more = rows.len() as i64 == self.rows();
        if more {
            rows.pop();
        }
        let next = if more { rows.last().map(key) } else { end };
        // Keys are plain integers, strings and instants, which always serialise.
        let next_cursor = next.map(|key| URL_SAFE_NO_PAD.encode(serde_json::to_vec(&(list, key)).unwrap_or_default()));
        Paged { items: rows, next_cursor }
    }
}

impl<T> Paged<T> {
    /// The page with each item converted.
    pub(crate) fn try_map<U>(self, convert: impl Fn(T) -> Result<U>) -> Result<Paged<U>> {
        let items = self.items.into_iter().map(convert).collect::<Result<_>>()?;
        Ok(Paged { items, next_cursor: self.next_cursor })
    }
}

fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(holds_nul),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_on_in_its_own_list_only() {
        let page = Page { limit: 2, cursor: None };
        let cut = page.cut("numbers", vec![1, 2, 3], |n| *n);
        assert_eq!(cut.items, [1, 2]);
        let next = Page { limit: 2, cursor: cut.next_cursor };
        assert_eq!(next.cursor::<i32>("numbers").unwrap(), Some(2));
        assert!(matches!(next.cursor::<i32>("letters"), Err(StorageError::BadCursor)));
        assert!(matches!(next.cursor::<String>("numbers"), Err(StorageError::BadCursor)));
        assert!(page.cut("numbers", vec![1, 2], |n| *n).next_cursor.is_none());
        for bad in ["", "!", "bnVsbA", "W10"] {
            let page = Page { limit: 2, cursor: Some(bad.into()) };
            assert!(matches!(page.cursor::<i32>("numbers"), Err(StorageError::BadCursor)), "{bad}");
        }
        let text = |text: &str| Page { limit: 2, cursor: page.cut("texts", vec![text; 3], |text| text.to_owned()).next_cursor };
        assert_eq!(text("a").cursor::<String>("texts").unwrap().as_deref(), Some("a"));
        assert!(matches!(text("a\0").cursor::<String>("texts"), Err(StorageError::BadCursor)));
    }
}
