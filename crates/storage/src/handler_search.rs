//! The list of handlers.

use baton_domain::{Handler, HandlerStatus};
use chrono::{DateTime, Utc};

use crate::Store;
use crate::error::{Result, StorageError};
use crate::handlers::{HandlerRead, handler_columns, select_handler};
use crate::paging::{Page, Paged};
use crate::search::{Search, contains};
use crate::sql::Value;

/// What a list of handlers is sorted by; the id decides between equals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HandlerSort {
    /// The id.
    Id,
    /// The priority.
    #[default]
    Priority,
    /// The name, in any case of its letters.
    Name,
    /// The event's id.
    Event,
    /// When it was last edited.
    UpdatedAt,
}

/// The order of a list of handlers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HandlerOrder {
    /// What it is sorted by.
    pub by: HandlerSort,
    /// From the highest to the lowest (the id too).
    pub desc: bool,
}

/// Which handlers; what is `None` does not restrict.
#[derive(Debug, Clone, Default)]
pub struct HandlerSearch {
    /// Part of the name, the notes or the target, in any case of its letters.
    pub q: Option<String>,
    /// The catalogue's id of the event.
    pub event: Option<String>,
    /// `http` or `script`.
    pub task_type: Option<String>,
    /// Any of these; none means enabled and disabled.
    pub status: Vec<HandlerStatus>,
    /// This priority.
    pub priority: Option<u16>,
    /// The order.
    pub order: HandlerOrder,
}

impl HandlerSort {
    /// The column, and what names the list in this order.
    fn place(self, desc: bool) -> (&'static str, String) {
        let (column, word) = match self {
            Self::Id => ("h.id", "id"),
            Self::Priority => ("h.priority", "priority"),
            Self::Name => ("h.name_key", "name"),
            Self::Event => ("h.event", "event"),
            Self::UpdatedAt => ("h.updated_at", "updated_at"),
        };
        (column, format!("handlers by {word}{}", if desc { " down" } else { "" }))
    }

    /// Where a row stands in this order.
    fn key_of(self, row: &HandlerRead) -> serde_json::Value {
        match self {
            Self::Id => row.id.into(),
            Self::Priority => row.priority.into(),
            Self::Name => row.name_key.as_str().into(),
            Self::Event => row.event.as_str().into(),
            Self::UpdatedAt => row.updated_at.to_rfc3339().into(),
        }
    }

    /// The same from a cursor, to be compared with the column.
    fn key(self, key: &serde_json::Value) -> Option<Value<'static>> {
        match self {
            Self::Id | Self::Priority => key.as_i64().map(Value::from),
            Self::Name | Self::Event => key.as_str().map(|text| Value::from(text.to_owned())),
            Self::UpdatedAt => key.as_str()?.parse::<DateTime<Utc>>().ok().map(Value::from),
        }
    }
}

impl Store {
    /// Handlers in the order asked for.
    ///
    /// # Errors
    /// `BadCursor`, also for a cursor of another order.
    pub async fn search_handlers(&self, search: &HandlerSearch, page: &Page) -> Result<Paged<Handler>> {
        let mut conn = self.reader().await?;
        let mut query = Search::new(select_handler!(""), conn.is_sqlite());
        let listed = [HandlerStatus::Enabled, HandlerStatus::Disabled];
        let status = if search.status.is_empty() { &listed[..] } else { &search.status };
        query.and_word("h.status", status.iter().map(|status| status.as_str()));
        query.and_if("h.event = ?", search.event.as_deref());
        query.and_if("h.task_type = ?", search.task_type.as_deref());
        query.and_if("h.priority = ?", search.priority.map(i64::from));
        query.and_if(r"h.search_text LIKE ? ESCAPE '\'", search.q.as_ref().map(|q| contains(&q.to_lowercase())));
        let HandlerOrder { by, desc } = search.order;
        let (column, list) = by.place(desc);
        if let Some((key, id)) = page.cursor::<(serde_json::Value, i64)>(&list)? {
            let key = by.key(&key).ok_or(StorageError::BadCursor)?;
            query.and_beyond(&format!("{column}, h.id"), if desc { "<" } else { ">" }, vec![key, id.into()]);
        }
        let order = if desc { format!("{column} DESC, h.id DESC") } else { format!("{column}, h.id") };
        let rows = query.fetch::<HandlerRead>(&mut conn, &order, page).await?;
        page.cut(&list, rows, |row| (by.key_of(row), row.id)).try_map(TryInto::try_into)
    }
}
