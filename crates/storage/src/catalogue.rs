//! The operators' own event types.

use baton_domain::{Catalogue, EventType};
use chrono::{DateTime, Utc};

use crate::Store;
use crate::error::{Result, StorageError};
use crate::sql::{statements, values};

statements! {
    EVENT_TYPES = "SELECT id, grp, action, title, object_kind FROM event_types ORDER BY created_at, id";
    ADD_EVENT_TYPE = "
        INSERT INTO event_types (id, grp, action, title, object_kind, created_at) VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (id) DO NOTHING";
}

#[derive(sqlx::FromRow)]
struct EventTypeRead {
    id: String,
    grp: String,
    action: String,
    title: String,
    object_kind: String,
}

impl From<EventTypeRead> for EventType {
    fn from(row: EventTypeRead) -> Self {
        Self {
            id: row.id,
            group: row.grp,
            action: row.action,
            title: row.title,
            object_kind: row.object_kind,
            aliases: Vec::new(),
            custom: true,
        }
    }
}

impl Store {
    /// The operators' own event types, in the order of their making.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn custom_event_types(&self) -> Result<Vec<EventType>> {
        let rows: Vec<EventTypeRead> = self.reader().await?.fetch_all(EVENT_TYPES, vec![]).await?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// Adds an event type.
    ///
    /// # Errors
    /// `Conflict` when its id is taken.
    pub async fn create_event_type(&self, event_type: &EventType, now: DateTime<Utc>) -> Result<()> {
        let EventType { id, group, action, title, object_kind, .. } = event_type;
        let values = values![id.as_str(), group.as_str(), action.as_str(), title.as_str(), object_kind.as_str(), now];
        match self.writer().await?.execute(ADD_EVENT_TYPE, values).await? {
            0 => Err(StorageError::Conflict),
            _ => Ok(()),
        }
    }

    /// The whole catalogue: the built-in types and the operators' own.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn catalogue(&self) -> Result<Catalogue> {
        Ok(Catalogue::with_custom(self.custom_event_types().await?))
    }
}
