//! The execution log.

use std::collections::HashMap;

use baton_domain::{CallStatus, EventId, Execution, ExecutionId, GenerationNumber, HandlerId, Seq};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::Store;
use crate::by_time::narrow_executions;
use crate::conn::Conn;
use crate::error::{Result, StorageError};
use crate::events::object_id;
use crate::paging::{Page, Paged};
use crate::search::Search;
use crate::sql::{Column, statements, values};

/// How many executions are looked at for one page of a search by text: so many that an answer takes some 40 ms.
pub const EXAMINED_MAX: i64 = 10_000;
/// How many are looked at first: what many have fills a page from few, and finding the end of the others costs more than the page.
const EXAMINED_FIRST: i64 = 500;

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

macro_rules! last_columns {
    ($alias:literal) => {
        concat!(
            "SELECT ",
            $alias,
            ".id, event_id, handler_id, attempt, status, started_at, duration_ms, error, retry_at FROM executions ",
            $alias
        )
    };
}

statements! {
    EXECUTION = { both: concat!(execution_columns!(), " WHERE x.id = $1") };
    EXECUTIONS_OF_EVENT = { both: concat!(execution_columns!(), " WHERE x.event_id = $1 ORDER BY x.id LIMIT 1000") };
    /// The newest of each handler: one step down an index for each of them. A range of one handler, not the handler itself, so that no
    /// other index gives this order: where nearly all is of one handler, the planner would look for the others through all there is.
    LAST_EXECUTIONS = {
        postgres: concat!(
            "SELECT l.* FROM unnest($1::bigint[]) AS h (id) CROSS JOIN LATERAL (",
            last_columns!("x"), " WHERE x.handler_id BETWEEN h.id AND h.id ORDER BY x.handler_id DESC, x.id DESC LIMIT 1) AS l"
        ),
        sqlite: concat!(
            last_columns!("e"), " WHERE e.id IN (SELECT (SELECT x.id FROM executions x WHERE x.handler_id BETWEEN h.value AND h.value",
            " ORDER BY x.handler_id DESC, x.id DESC LIMIT 1) FROM json_each($1) h)"
        ),
    };
}

/// The last execution of a handler, without what was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastExecution {
    /// Its id.
    pub id: ExecutionId,
    /// The event it was for.
    pub event_id: EventId,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// How it went.
    pub status: CallStatus,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// How long it took, in milliseconds.
    pub duration_ms: i64,
    /// Why it failed or was skipped.
    pub error: Option<String>,
    /// When it is tried again.
    pub retry_at: Option<DateTime<Utc>>,
}

#[derive(sqlx::FromRow)]
struct LastRead {
    id: Uuid,
    event_id: Uuid,
    handler_id: i64,
    attempt: i32,
    status: String,
    started_at: DateTime<Utc>,
    duration_ms: i64,
    error: Option<String>,
    retry_at: Option<DateTime<Utc>>,
}

impl TryFrom<LastRead> for LastExecution {
    type Error = StorageError;

    fn try_from(row: LastRead) -> Result<Self> {
        let corrupt = |what: &str| StorageError::corrupt(format!("execution {}: {what}", row.id));
        Ok(Self {
            id: ExecutionId(row.id),
            event_id: EventId(row.event_id),
            attempt: row.attempt.try_into().map_err(|_| corrupt("attempt"))?,
            status: CallStatus::parse(&row.status).ok_or_else(|| corrupt("status"))?,
            started_at: row.started_at,
            duration_ms: row.duration_ms,
            error: row.error,
            retry_at: row.retry_at,
        })
    }
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

impl ExecutionSearch {
    fn is_by_text(&self) -> bool {
        self.data.is_some() || self.error.is_some()
    }
}

/// What an index helps with.
fn indexed<'a>(select: &'static str, search: &'a ExecutionSearch, before: Option<Uuid>, sqlite: bool) -> Search<'a> {
    let mut query = Search::new(select, sqlite);
    query.and_if("x.handler_id = ?", search.handler_id.map(|id| id.0));
    query.and_if("x.event_id = ?", search.event_id.map(|id| id.0));
    // By way of the events, which have an index for it: the log of all objects is long.
    query.and_if("x.event_id IN (SELECT id FROM events WHERE object_text = ?)", search.object_id.as_deref());
    query.and_if("x.events_id = ?", search.events_id.as_deref());
    query.and_if("x.started_at >= ?", search.from);
    query.and_if("x.started_at < ?", search.to);
    narrow_executions(&mut query, search.from, search.to);
    query.and_word("x.status", search.status.iter().map(|status| status.as_str()));
    // What has succeeded has no error.
    if search.error.is_some() || !search.status.is_empty() && !search.status.contains(&CallStatus::Success) {
        query.plain("x.status <> 'success'"); // to the letter of the partial index
    }
    query.and_if("x.id < ?", before);
    query
}

/// The last of so many executions, where there are more behind it.
async fn examined_end(conn: &mut Conn<'_>, search: &ExecutionSearch, before: Option<Uuid>, most: i64) -> Result<Option<Uuid>> {
    let query = indexed("SELECT x.id FROM executions x", search, before, conn.is_sqlite());
    let rest: Vec<(Uuid,)> = query.fetch_behind(conn, "x.id DESC", most - 1, 2).await?;
    Ok(if let [(last,), _] = rest[..] { Some(last) } else { None })
}

/// What matches down to this execution, one more than the page has.
async fn matching(
    conn: &mut Conn<'_>,
    search: &ExecutionSearch,
    (before, end): (Option<Uuid>, Option<Uuid>),
    page: &Page,
) -> Result<Vec<ExecutionRead>> {
    let mut query = indexed(execution_columns!(), search, before, conn.is_sqlite());
    query.and_if("x.id >= ?", end);
    query.and_contains("x.error", search.error.as_deref());
    query.and_contains("(SELECT e.data FROM events e WHERE e.id = x.event_id)", search.data.as_deref());
    query.fetch(conn, "x.id DESC", page).await
}

impl Store {
    /// Executions, the newest first. What they are searched for by text has no index, so that no more than [`EXAMINED_MAX`] are looked at for
    /// a page: one with fewer than its limit, or none, may still lead on.
    ///
    /// # Errors
    /// `BadCursor`.
    pub async fn search_executions(&self, search: &ExecutionSearch, page: &Page) -> Result<Paged<Execution>> {
        let mut conn = self.reader().await?;
        let before = page.cursor::<Uuid>("executions")?;
        let by_text = search.is_by_text();
        let mut end = if by_text { examined_end(&mut conn, search, before, EXAMINED_FIRST).await? } else { None };
        let mut rows = matching(&mut conn, search, (before, end), page).await?;
        if end.is_some() && (rows.len() as i64) < page.rows() {
            end = examined_end(&mut conn, search, before, EXAMINED_MAX).await?;
            rows = matching(&mut conn, search, (before, end), page).await?;
        }
        page.cut_at("executions", rows, |row| row.id, end).try_map(TryInto::try_into)
    }

    /// The execution with this id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn execution(&self, id: ExecutionId) -> Result<Option<Execution>> {
        let row: Option<ExecutionRead> = self.reader().await?.fetch_optional(EXECUTION, values![id.0]).await?;
        row.map(TryInto::try_into).transpose()
    }

    /// The newest execution of each of these handlers; one that never ran has none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn last_executions(
        &self,
        handlers: impl IntoIterator<Item = HandlerId>,
    ) -> Result<HashMap<HandlerId, LastExecution>> {
        let ids = Column::ints(handlers.into_iter().map(|id| id.0));
        let rows: Vec<LastRead> = self.reader().await?.fetch_all(LAST_EXECUTIONS, values![ids]).await?;
        rows.into_iter().map(|row| Ok((HandlerId(row.handler_id), row.try_into()?))).collect()
    }
}
