//! Events as they are stored, and where they stand.

use std::collections::HashMap;

use baton_domain::{EventId, EventStatus, Execution, GenerationNumber, ObjectId, Seq};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::Store;
use crate::by_time::narrow_events;
use crate::conn::{Conn, Tx};
use crate::dead_letters::{DELIVERIES_OF_EVENT, DeliveryRead, StoredDelivery};
use crate::delivered::{CALLS_OF, Call, ends};
use crate::error::{Result, StorageError};
use crate::executions::{EXECUTIONS_OF_EVENT, ExecutionRead};
use crate::paging::{Page, Paged};
use crate::search::Search;
use crate::sql::{Column, statements, values};

/// An event as it is stored.
#[derive(Debug, Clone)]
pub struct StoredEvent {
    /// Its id.
    pub id: EventId,
    /// Its place in the order of acknowledged publication.
    pub seq: Seq,
    /// Its type.
    pub events_id: String,
    /// What it happened to.
    pub object_id: ObjectId,
    /// What "the same object" means for its order.
    pub ordering_key: String,
    /// When it happened, as published.
    pub dt: String,
    /// The JSON text of an object, as published.
    pub data: String,
    /// When it was received.
    pub received_at: DateTime<Utc>,
    /// Its state as a whole.
    pub status: EventStatus,
    /// The generation that its chain ran under; `None` before it has begun.
    pub generation: Option<GenerationNumber>,
    /// When its last dispatch ended; `None` while one is under way.
    pub finished_at: Option<DateTime<Utc>>,
}

/// Which events; what is `None` or empty does not restrict.
#[derive(Debug, Clone, Default)]
pub struct EventSearch {
    /// The catalogue's id.
    pub events_id: Option<String>,
    /// The object's id as text: finds the number and the string.
    pub object_id: Option<String>,
    /// Any of these.
    pub status: Vec<EventStatus>,
    /// Received at this instant or later.
    pub from: Option<DateTime<Utc>>,
    /// Received before this instant.
    pub to: Option<DateTime<Utc>>,
}

/// Whether an event `e` has a dispatch. Counted, since that is planned by index whatever the planner believes about the tables.
macro_rules! is_under_way {
    () => {
        "((SELECT count(*) FROM dispatches d WHERE d.seq = e.seq) > 0
          OR (SELECT count(*) FROM dispatches d WHERE d.event_id = e.id AND d.seq <> d.event_seq) > 0)"
    };
}
pub(crate) use is_under_way;

/// Whether an event `e` has ended: it has no dispatch, and something says that it did not go without a trace.
macro_rules! has_ended {
    () => {
        concat!(
            "(NOT ",
            crate::events::is_under_way!(),
            "
              AND ((SELECT count(*) FROM results r WHERE r.event_id = e.id) > 0
                OR (SELECT count(*) FROM executions x WHERE x.event_id = e.id) > 0))"
        )
    };
}
pub(crate) use has_ended;

/// What an event's dispatches say while one is unfinished. The greater of the two words is the event's status.
macro_rules! unfinished {
    ($what:literal) => {
        concat!(
            "(SELECT max(u.",
            $what,
            ") FROM (SELECT d.",
            $what,
            " FROM dispatches d WHERE d.seq = e.seq UNION ALL SELECT d.",
            $what,
            " FROM dispatches d WHERE d.event_id = e.id AND d.seq <> d.event_seq) AS u)"
        )
    };
}

/// An event with its state as a whole.
macro_rules! event_columns {
    () => {
        event_columns!("events e LEFT JOIN results r ON r.event_id = e.id")
    };
    ($from:literal) => {
        concat!(
            "SELECT e.id, e.seq, e.events_id, e.object_id, e.ordering_key, e.dt, e.data, e.received_at, ",
            "r.status AS final_status, r.generation AS final_generation, r.finished_at, ",
            unfinished!("state"),
            " AS state, ",
            unfinished!("generation"),
            " AS generation FROM ",
            $from
        )
    };
}

statements! {
    EVENT = { both: concat!(event_columns!(), " WHERE e.id = $1") };
    /// Places and states of events by id.
    STANDINGS = {
        postgres: concat!(
            "SELECT e.id, e.seq, r.status AS final_status, ", unfinished!("state"), " AS state",
            " FROM events e LEFT JOIN results r ON r.event_id = e.id WHERE e.id = ANY($1)"
        ),
        sqlite: concat!(
            "SELECT e.id, e.seq, r.status AS final_status, ", unfinished!("state"), " AS state",
            " FROM json_each($1) j JOIN events e ON e.id = unhex(j.value) LEFT JOIN results r ON r.event_id = e.id"
        ),
    };
}

#[derive(sqlx::FromRow)]
struct EventRead {
    id: Uuid,
    seq: i64,
    events_id: String,
    object_id: String,
    ordering_key: String,
    dt: String,
    data: String,
    received_at: DateTime<Utc>,
    final_status: Option<String>,
    final_generation: Option<i64>,
    finished_at: Option<DateTime<Utc>>,
    state: Option<String>,
    generation: Option<i64>,
}

impl EventRead {
    /// Whether neither a row nor, so far, a call says how it ended, though it has no dispatch.
    fn is_without_end(&self) -> bool {
        self.state.is_none() && self.final_status.is_none() && self.finished_at.is_none()
    }
}

impl TryFrom<EventRead> for StoredEvent {
    type Error = StorageError;

    fn try_from(row: EventRead) -> Result<Self> {
        let status = status(EventId(row.id), row.final_status.as_deref(), row.state.as_deref())?;
        Ok(Self {
            id: EventId(row.id),
            seq: Seq(row.seq),
            events_id: row.events_id,
            object_id: object_id(&row.object_id)?,
            ordering_key: row.ordering_key,
            dt: row.dt,
            data: row.data,
            received_at: row.received_at,
            status,
            generation: row.final_generation.or(row.generation).map(GenerationNumber),
            finished_at: row.finished_at,
        })
    }
}

/// The state of an event by its result and its dispatches. What has neither was delivered, and its executions are kept; that nothing was lost
/// instead is for the audit to say.
fn status(id: EventId, last: Option<&str>, under_way: Option<&str>) -> Result<EventStatus> {
    let word = last.or(under_way).unwrap_or(EventStatus::Delivered.as_str());
    EventStatus::parse(word).ok_or_else(|| StorageError::corrupt(format!("event {id} has the state {word}")))
}

/// Adds when and under which generation the events ended of which their calls alone say so.
async fn ends_by_calls(conn: &mut Conn<'_>, rows: &mut [EventRead]) -> Result<()> {
    let mut rows: HashMap<_, _> = rows.iter_mut().filter(|row| row.is_without_end()).map(|row| (row.id, row)).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let calls: Vec<Call> = conn.fetch_all(CALLS_OF, values![Column::uuids(rows.keys().copied())]).await?;
    for (id, end) in ends(&calls) {
        if let Some(row) = rows.get_mut(&id) {
            (row.finished_at, row.final_generation) = (Some(end.at), Some(end.generation));
        }
    }
    Ok(())
}

/// The object of a stored row.
pub(crate) fn object_id(json: &str) -> Result<ObjectId> {
    ObjectId::from_json(json).map_err(|e| StorageError::corrupt(format!("object_id {json} {e}")))
}

#[derive(sqlx::FromRow)]
struct StandingRead {
    id: Uuid,
    seq: i64,
    final_status: Option<String>,
    state: Option<String>,
}

/// The places and states of those of the events that are stored.
pub(crate) async fn standings(tx: &mut Tx<'_>, ids: &[EventId]) -> Result<Vec<(EventId, Seq, EventStatus)>> {
    let rows: Vec<StandingRead> = tx.fetch_all(STANDINGS, values![Column::uuids(ids.iter().map(|id| id.0))]).await?;
    let standing = |row: StandingRead| {
        let id = EventId(row.id);
        Ok((id, Seq(row.seq), status(id, row.final_status.as_deref(), row.state.as_deref())?))
    };
    rows.into_iter().map(standing).collect()
}

impl Store {
    /// The event with this id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn event(&self, id: EventId) -> Result<Option<StoredEvent>> {
        let mut conn = self.reader().await?;
        let row: Option<EventRead> = conn.fetch_optional(EVENT, values![id.0]).await?;
        let mut rows: Vec<_> = row.into_iter().collect();
        ends_by_calls(&mut conn, &mut rows).await?;
        if rows.iter().any(EventRead::is_without_end) {
            // Its calls have just been removed, and how it ended was written down before that.
            rows = conn.fetch_all(EVENT, values![id.0]).await?;
        }
        rows.pop().map(TryInto::try_into).transpose()
    }

    /// Events, the newest first.
    ///
    /// # Errors
    /// `BadCursor`.
    pub async fn search_events(&self, search: &EventSearch, page: &Page) -> Result<Paged<StoredEvent>> {
        let mut conn = self.reader().await?;
        let rare = rare_finals(&search.status);
        let (select, place) = match rare {
            None => (event_columns!(), "e.seq"),
            Some(_) => (event_columns!("results r JOIN events e ON e.seq = r.event_seq"), "r.event_seq"),
        };
        let mut query = Search::new(select, conn.is_sqlite());
        query.and_if("e.events_id = ?", search.events_id.as_deref());
        query.and_if("e.object_text = ?", search.object_id.as_deref());
        query.and_if("e.received_at >= ?", search.from);
        query.and_if("e.received_at < ?", search.to);
        narrow_events(&mut query, search.from, search.to);
        query.and_if(&format!("{place} < ?"), page.cursor::<i64>("events")?);
        if let Some(condition) = rare.or_else(|| status_condition(&search.status)) {
            query.plain(&condition);
        }
        let mut rows = query.fetch::<EventRead>(&mut conn, &format!("{place} DESC"), page).await?;
        ends_by_calls(&mut conn, &mut rows).await?;
        page.cut("events", rows, |row| row.seq).try_map(TryInto::try_into)
    }

    /// The deliveries of an event that are being retried or dead, by dispatch and handler.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn event_deliveries(&self, id: EventId) -> Result<Vec<StoredDelivery>> {
        let rows: Vec<DeliveryRead> = self.reader().await?.fetch_all(DELIVERIES_OF_EVENT, values![id.0]).await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// The executions of an event, the oldest first, at most 1000.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn event_executions(&self, id: EventId) -> Result<Vec<Execution>> {
        let rows: Vec<ExecutionRead> = self.reader().await?.fetch_all(EXECUTIONS_OF_EVENT, values![id.0]).await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }
}

/// Where only final states other than `Delivered` are wanted: which results have one of them. They are few, and are walked along in the
/// order of the list.
fn rare_finals(wanted: &[EventStatus]) -> Option<String> {
    let is_rare = |status: &EventStatus| matches!(status, EventStatus::Failed | EventStatus::Unmatched);
    let words: Vec<_> = wanted.iter().map(|status| format!("'{}'", status.as_str())).collect();
    let all_rare = !wanted.is_empty() && wanted.iter().all(is_rare);
    all_rare.then(|| format!("r.status <> 'delivered' AND r.status IN ({})", words.join(", ")))
}

/// Which events have one of these states. Most events are delivered: those are tested one by one, in the order of the list; the rare
/// others are found by what is kept of them alone. `None` where every state is wanted.
fn status_condition(wanted: &[EventStatus]) -> Option<String> {
    let has = |status| wanted.contains(&status);
    if wanted.is_empty() || EventStatus::ALL.iter().all(|(status, _)| has(*status)) {
        return None;
    }
    let finals = [EventStatus::Delivered, EventStatus::Failed, EventStatus::Unmatched];
    let finals: Vec<_> = finals.into_iter().filter(|s| has(*s)).map(|s| format!("'{}'", s.as_str())).collect();
    let mut ways = Vec::new();
    if has(EventStatus::Delivered) {
        // Asked as what must not be there, and not by the joined result: the planner believes that few have none, and would read all events.
        let finals = finals.join(", ");
        let otherwise = format!("(SELECT count(*) FROM results o WHERE o.event_id = e.id AND o.status NOT IN ({finals})) > 0");
        ways.push(format!("NOT ({otherwise} OR {})", is_under_way!()));
    } else if !finals.is_empty() {
        let finals = finals.join(", ");
        ways.push(format!("e.seq IN (SELECT event_seq FROM results WHERE status <> 'delivered' AND status IN ({finals}))"));
    }
    let retrying = "SELECT event_seq FROM dispatches WHERE state = 'retrying'";
    match (has(EventStatus::Pending), has(EventStatus::Retrying)) {
        (false, false) => {}
        (false, true) => ways.push(format!("e.seq IN ({retrying})")),
        (true, true) => ways.push("e.seq IN (SELECT event_seq FROM dispatches)".into()),
        (true, false) => ways.push(format!("e.seq IN (SELECT event_seq FROM dispatches EXCEPT {retrying})")),
    }
    Some(format!("({})", ways.join(" OR ")))
}
