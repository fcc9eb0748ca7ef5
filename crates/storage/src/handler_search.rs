//! The list of handlers.

use baton_domain::{Handler, HandlerId, HandlerStatus};
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
    /// As chains run: by event, then by priority.
    Chain,
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
    /// Any of these.
    pub ids: Vec<HandlerId>,
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
    /// The columns, and what names the list in this order.
    fn place(self, desc: bool) -> (&'static str, String) {
        let (columns, word) = match self {
            Self::Id => ("h.id", "id"),
            Self::Priority => ("h.priority", "priority"),
            Self::Name => ("h.name_key", "name"),
            Self::Event => ("h.event", "event"),
            Self::UpdatedAt => ("h.updated_at", "updated_at"),
            Self::Chain => ("h.event, h.priority", "chain"),
        };
        (columns, format!("handlers by {word}{}", if desc { " down" } else { "" }))
    }

    /// Where a row stands in this order.
    fn key_of(self, row: &HandlerRead) -> serde_json::Value {
        match self {
            Self::Id => row.id.into(),
            Self::Priority => row.priority.into(),
            Self::Name => row.name_key.as_str().into(),
            Self::Event => row.event.as_str().into(),
            Self::UpdatedAt => row.updated_at.to_rfc3339().into(),
            Self::Chain => serde_json::json!([row.event, row.priority]),
        }
    }

    /// The same from a cursor, to be compared with the columns.
    fn key(self, key: &serde_json::Value) -> Option<Vec<Value<'static>>> {
        Some(vec![match self {
            Self::Id | Self::Priority => Value::from(key.as_i64()?),
            Self::Name | Self::Event => Value::from(key.as_str()?.to_owned()),
            Self::UpdatedAt => Value::from(key.as_str()?.parse::<DateTime<Utc>>().ok()?),
            Self::Chain => {
                return match key.as_array()?.as_slice() {
                    [event, priority] => Some(vec![event.as_str()?.to_owned().into(), priority.as_i64()?.into()]),
                    _ => None,
                };
            }
        }])
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
        query.and_ints("h.id", search.ids.iter().map(|id| id.0));
        query.and_if("h.event = ?", search.event.as_deref());
        query.and_if("h.task_type = ?", search.task_type.as_deref());
        query.and_if("h.priority = ?", search.priority.map(i64::from));
        query.and_if(r"h.search_text LIKE ? ESCAPE '\'", search.q.as_ref().map(|q| contains(&q.to_lowercase())));
        let HandlerOrder { by, desc } = search.order;
        let (columns, list) = by.place(desc);
        if let Some((key, id)) = page.cursor::<(serde_json::Value, i64)>(&list)? {
            let mut key = by.key(&key).ok_or(StorageError::BadCursor)?;
            key.push(id.into());
            query.and_beyond(&format!("{columns}, h.id"), if desc { "<" } else { ">" }, key);
        }
        let order = if desc { format!("{} DESC, h.id DESC", columns.replace(',', " DESC,")) } else { format!("{columns}, h.id") };
        let rows = query.fetch::<HandlerRead>(&mut conn, &order, page).await?;
        page.cut(&list, rows, |row| (by.key_of(row), row.id)).try_map(TryInto::try_into)
    }
}
