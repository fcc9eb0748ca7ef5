//! What the data of an event type has to look like.

use chrono::{DateTime, Utc};

use crate::Store;
use crate::error::{Result, StorageError};
use crate::sql::{statements, values};

/// What becomes of events whose data is not as the schema wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaUse {
    /// The schema is kept for people; nothing is checked.
    Off,
    /// They are counted and told of in the log, and accepted.
    Warn,
    /// They are refused.
    Enforce,
}

impl SchemaUse {
    /// Every use, with the word that the API and the tables use.
    pub const ALL: [(Self, &'static str); 3] = [(Self::Off, "off"), (Self::Warn, "warn"), (Self::Enforce, "enforce")];

    /// The word that the API and the tables use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(known, _)| *known == self).map_or("", |(_, word)| word)
    }

    /// The use with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == word).map(|(found, _)| *found)
    }
}

/// The schema of an event type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventSchema {
    /// The catalogue's id.
    pub events_id: String,
    /// The JSON text of the schema.
    pub schema: String,
    /// Whether it is checked.
    pub validate: SchemaUse,
    /// Another one with every change.
    pub version: i64,
    /// When it was saved.
    pub updated_at: DateTime<Utc>,
}

statements! {
    EVENT_SCHEMAS = "SELECT events_id, schema, validate, version, updated_at FROM event_schemas ORDER BY events_id";
    SCHEMA_VERSIONS = "SELECT events_id, version FROM event_schemas ORDER BY events_id";
    PUT_SCHEMA = "
        INSERT INTO event_schemas (events_id, schema, validate, version, updated_at) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (events_id) DO UPDATE SET
            schema = excluded.schema, validate = excluded.validate, updated_at = excluded.updated_at,
            version = CASE WHEN event_schemas.version < excluded.version THEN excluded.version ELSE event_schemas.version + 1 END
        RETURNING version";
    REMOVE_SCHEMA = "DELETE FROM event_schemas WHERE events_id = $1";
}

#[derive(sqlx::FromRow)]
struct SchemaRead {
    events_id: String,
    schema: String,
    validate: String,
    version: i64,
    updated_at: DateTime<Utc>,
}

impl TryFrom<SchemaRead> for EventSchema {
    type Error = StorageError;

    fn try_from(row: SchemaRead) -> Result<Self> {
        let SchemaRead { events_id, schema, validate, version, updated_at } = row;
        let validate = SchemaUse::parse(&validate)
            .ok_or_else(|| StorageError::corrupt(format!("the schema of {events_id} is to be used as '{validate}'")))?;
        Ok(Self { events_id, schema, validate, version, updated_at })
    }
}

impl Store {
    /// The schemas of all event types that have one, by id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn event_schemas(&self) -> Result<Vec<EventSchema>> {
        let rows: Vec<SchemaRead> = self.reader().await?.fetch_all(EVENT_SCHEMAS, vec![]).await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// Which event types have a schema, and its version, by id: what tells whether anything has changed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn event_schema_versions(&self) -> Result<Vec<(String, i64)>> {
        self.reader().await?.fetch_all(SCHEMA_VERSIONS, vec![]).await
    }

    /// Saves the schema of an event type in place of the one before.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn put_event_schema(
        &self,
        events_id: &str,
        schema: &str,
        validate: SchemaUse,
        now: DateTime<Utc>,
    ) -> Result<EventSchema> {
        // Microseconds go up by themselves, so that one that is saved anew after a removal differs from the one before.
        let values = values![events_id, schema, validate.as_str(), now.timestamp_micros(), now];
        let saved: Option<(i64,)> = self.writer().await?.fetch_optional(PUT_SCHEMA, values).await?;
        let version = saved.map_or(0, |(version,)| version);
        Ok(EventSchema {
            events_id: events_id.into(),
            schema: schema.into(),
            validate,
            version,
            updated_at: crate::sql::stored(now),
        })
    }

    /// Removes the schema of an event type; `false` when it has none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn remove_event_schema(&self, events_id: &str) -> Result<bool> {
        Ok(self.writer().await?.execute(REMOVE_SCHEMA, values![events_id]).await? > 0)
    }
}
