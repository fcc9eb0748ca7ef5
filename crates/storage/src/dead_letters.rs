//! Deliveries that did not succeed, and dead letters.

use baton_domain::{EventId, GenerationNumber, HandlerId, ObjectId, Seq};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::Store;
use crate::error::{Result, StorageError};
use crate::events::object_id;
use crate::paging::{Page, Paged};
use crate::search::Search;
use crate::sql::{statements, values};

/// The state of a delivery that did not succeed at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeliveryState {
    /// It will be tried again.
    Retrying,
    /// Its retries are used up, or it failed for good.
    Dead,
}

impl DeliveryState {
    /// The word that the tables use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retrying => "retrying",
            Self::Dead => "dead",
        }
    }

    /// The state with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Retrying, Self::Dead].into_iter().find(|s| s.as_str() == word)
    }
}

/// A delivery that did not succeed at once.
#[derive(Debug, Clone)]
pub struct StoredDelivery {
    /// The dispatch.
    pub seq: Seq,
    /// The event.
    pub event_id: EventId,
    /// The event's type.
    pub events_id: String,
    /// What it happened to.
    pub object_id: ObjectId,
    /// The handler.
    pub handler_id: HandlerId,
    /// The handler's name at the time.
    pub handler_name: String,
    /// The generation of the last attempt.
    pub generation: GenerationNumber,
    /// To be tried again, or dead.
    pub state: DeliveryState,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried again; `None` when dead.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// When the last attempt ended.
    pub updated_at: DateTime<Utc>,
}

/// Which dead letters; what is `None` or empty does not restrict.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
pub struct DeadLetterSearch {
    /// Of this handler.
    pub handler_id: Option<HandlerId>,
    /// The catalogue's id.
    pub events_id: Option<String>,
    /// The object's id as text: finds the number and the string.
    pub object_id: Option<String>,
    /// Part of the event's data as it was published, in any case of its letters.
    pub data: Option<String>,
    /// Part of the error, in any case of its letters.
    pub error: Option<String>,
    /// Dead since this instant or later.
    pub from: Option<DateTime<Utc>>,
    /// Dead since before this instant.
    pub to: Option<DateTime<Utc>>,
    /// Any of these.
    pub ids: Vec<(EventId, HandlerId)>,
}

/// Begins every statement that reads deliveries.
macro_rules! delivery_columns {
    () => {
        "SELECT v.seq, v.event_id, v.event_seq, v.events_id, v.object_id, v.handler_id, v.handler_name, v.generation, v.state, v.attempts, \
         v.next_attempt_at, v.last_error, v.updated_at FROM deliveries v"
    };
}

statements! {
    DELIVERIES_OF_EVENT = { both: concat!(delivery_columns!(), " WHERE v.event_id = $1 ORDER BY v.seq, v.handler_id") };
}

#[derive(sqlx::FromRow)]
pub(crate) struct DeliveryRead {
    pub(crate) seq: i64,
    pub(crate) event_id: Uuid,
    pub(crate) event_seq: i64,
    pub(crate) events_id: String,
    object_id: String,
    pub(crate) handler_id: i64,
    handler_name: String,
    generation: i64,
    state: String,
    attempts: i32,
    next_attempt_at: Option<DateTime<Utc>>,
    last_error: Option<String>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<DeliveryRead> for StoredDelivery {
    type Error = StorageError;

    fn try_from(row: DeliveryRead) -> Result<Self> {
        let corrupt = |what| StorageError::corrupt(format!("delivery {}/{}: {what}", row.seq, row.handler_id));
        Ok(Self {
            seq: Seq(row.seq),
            event_id: EventId(row.event_id),
            object_id: object_id(&row.object_id)?,
            handler_id: HandlerId(row.handler_id),
            generation: GenerationNumber(row.generation),
            state: DeliveryState::parse(&row.state).ok_or_else(|| corrupt("state"))?,
            attempts: row.attempts.try_into().map_err(|_| corrupt("attempts"))?,
            events_id: row.events_id,
            handler_name: row.handler_name,
            next_attempt_at: row.next_attempt_at,
            last_error: row.last_error,
            updated_at: row.updated_at,
        })
    }
}

impl DeadLetterSearch {
    /// The statement, up to its order.
    pub(crate) fn query(&self, sqlite: bool) -> Search<'_> {
        let mut query = Search::new(delivery_columns!(), sqlite);
        self.restrict(&mut query);
        query
    }

    /// Its conditions on a delivery `v`.
    pub(crate) fn restrict<'a>(&'a self, query: &mut Search<'a>) {
        query.plain("v.state = 'dead' AND v.replayed_at IS NULL");
        query.and_if("v.handler_id = ?", self.handler_id.map(|id| id.0));
        query.and_if("v.events_id = ?", self.events_id.as_deref());
        query.and_if("v.object_text = ?", self.object_id.as_deref());
        query.and_if("v.updated_at >= ?", self.from);
        query.and_if("v.updated_at < ?", self.to);
        query.and_contains("v.last_error", self.error.as_deref());
        query.and_contains("(SELECT e.data FROM events e WHERE e.seq = v.event_seq)", self.data.as_deref());
        let pairs: Vec<_> = self.ids.iter().map(|(event, handler)| (event.0, handler.0)).collect();
        query.and_pairs("v.event_id", "v.handler_id", &pairs);
    }
}

impl Store {
    /// Dead letters, the newest first.
    ///
    /// # Errors
    /// `BadCursor`.
    pub async fn search_dead_letters(&self, search: &DeadLetterSearch, page: &Page) -> Result<Paged<StoredDelivery>> {
        let mut conn = self.reader().await?;
        let mut query = search.query(conn.is_sqlite());
        if let Some((updated_at, seq, handler_id)) = page.cursor::<(DateTime<Utc>, i64, i64)>("dead-letters")? {
            query.and_beyond("v.updated_at, v.seq, v.handler_id", "<", values![updated_at, seq, handler_id]);
        }
        let order = "v.updated_at DESC, v.seq DESC, v.handler_id DESC";
        let rows = query.fetch::<DeliveryRead>(&mut conn, order, page).await?;
        page.cut("dead-letters", rows, |row| (row.updated_at, row.seq, row.handler_id)).try_map(TryInto::try_into)
    }
}
