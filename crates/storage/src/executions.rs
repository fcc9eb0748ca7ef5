//! The execution log.

use baton_domain::{CallStatus, EventId, Execution, ExecutionId, GenerationNumber, HandlerId, Seq};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::Store;
use crate::by_time::narrow_executions;
use crate::error::{Result, StorageError};
use crate::events::object_id;
use crate::paging::{Page, Paged};
use crate::search::Search;
use crate::sql::{statements, values};

/// Which executions; what is `None` or empty does not restrict.
#[derive(Debug, Clone, Default)]
pub struct ExecutionSearch {
    /// Of this handler.
    pub handler_id: Option<HandlerId>,
    /// The catalogue's id.
    pub events_id: Option<String>,
    /// The object's id as text: finds the number and the string.
    pub object_id: Option<String>,
    /// Any of these.
    pub status: Vec<CallStatus>,
    /// Part of the event's data as it was published, in any case of its letters.
    pub data: Option<String>,
    /// Part of the error, in any case of its letters.
    pub error: Option<String>,
    /// Of this event.
    pub event_id: Option<EventId>,
    /// Begun at this instant or later.
    pub from: Option<DateTime<Utc>>,
    /// Begun before this instant.
    pub to: Option<DateTime<Utc>>,
}

macro_rules! execution_columns {
    () => {
        "SELECT x.id, x.event_id, x.seq, x.events_id, x.object_id, x.handler_id, x.handler_name, x.priority, x.generation, x.attempt, \
         x.status, x.started_at, x.duration_ms, x.error, x.response, x.retry_at FROM executions x"
    };
}

statements! {
    EXECUTION = { both: concat!(execution_columns!(), " WHERE x.id = $1") };
    EXECUTIONS_OF_EVENT = { both: concat!(execution_columns!(), " WHERE x.event_id = $1 ORDER BY x.id LIMIT 1000") };
}

#[derive(sqlx::FromRow)]
pub(crate) struct ExecutionRead {
    id: Uuid,
    event_id: Uuid,
    seq: i64,
    events_id: String,
    object_id: String,
    handler_id: i64,
    handler_name: String,
    priority: i32,
    generation: i64,
    attempt: i32,
    status: String,
    started_at: DateTime<Utc>,
    duration_ms: i64,
    error: Option<String>,
    response: Option<String>,
    retry_at: Option<DateTime<Utc>>,
}

impl TryFrom<ExecutionRead> for Execution {
    type Error = StorageError;

    fn try_from(row: ExecutionRead) -> Result<Self> {
        let corrupt = |what: &str| StorageError::corrupt(format!("execution {}: {what}", row.id));
        let response = row.response.as_deref().map(serde_json::from_str).transpose();
        Ok(Self {
            id: ExecutionId(row.id),
            event_id: EventId(row.event_id),
            seq: Seq(row.seq),
            object_id: object_id(&row.object_id)?,
            handler_id: HandlerId(row.handler_id),
            priority: row.priority.try_into().map_err(|_| corrupt("priority"))?,
            generation: GenerationNumber(row.generation),
            attempt: row.attempt.try_into().map_err(|_| corrupt("attempt"))?,
            status: CallStatus::parse(&row.status).ok_or_else(|| corrupt("status"))?,
            response: response.map_err(|e| corrupt(&format!("response: {e}")))?,
            events_id: row.events_id,
            handler_name: row.handler_name,
            started_at: row.started_at,
            duration_ms: row.duration_ms,
            error: row.error,
            retry_at: row.retry_at,
        })
    }
}

impl Store {
    /// Executions, the newest first.
    ///
    /// # Errors
    /// `BadCursor`.
    pub async fn search_executions(&self, search: &ExecutionSearch, page: &Page) -> Result<Paged<Execution>> {
        let mut conn = self.reader().await?;
        let mut query = Search::new(execution_columns!(), conn.is_sqlite());
        query.and_if("x.handler_id = ?", search.handler_id.map(|id| id.0));
        query.and_if("x.event_id = ?", search.event_id.map(|id| id.0));
        // By way of the events, which have an index for it: the log of all objects is long.
        query.and_if("x.event_id IN (SELECT id FROM events WHERE object_text = ?)", search.object_id.as_deref());
        query.and_if("x.events_id = ?", search.events_id.as_deref());
        query.and_if("x.started_at >= ?", search.from);
        query.and_if("x.started_at < ?", search.to);
        narrow_executions(&mut query, search.from, search.to);
        query.and_word("x.status", search.status.iter().map(|status| status.as_str()));
        if !search.status.is_empty() && !search.status.contains(&CallStatus::Success) {
            query.plain("x.status <> 'success'"); // to the letter of the partial index
        }
        query.and_contains("x.error", search.error.as_deref());
        query.and_contains("(SELECT e.data FROM events e WHERE e.id = x.event_id)", search.data.as_deref());
        query.and_if("x.id < ?", page.cursor::<Uuid>("executions")?);
        let rows = query.fetch::<ExecutionRead>(&mut conn, "x.id DESC", page).await?;
        page.cut("executions", rows, |row| row.id).try_map(TryInto::try_into)
    }

    /// The execution with this id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn execution(&self, id: ExecutionId) -> Result<Option<Execution>> {
        let row: Option<ExecutionRead> = self.reader().await?.fetch_optional(EXECUTION, values![id.0]).await?;
        row.map(TryInto::try_into).transpose()
    }
}
