//! Handlers as operators save them.

use std::collections::BTreeMap;

use baton_domain::connection::{Auth, CallLimits, Tls};
use baton_domain::handler::{HandlerSpec, Sealed, SigningSecret};
use baton_domain::{Handler, HandlerId, HandlerStatus, OnFailure, RetryPolicy, Task};
use chrono::{DateTime, Utc};

use crate::Store;
use crate::conn::Conn;
use crate::error::{Result, StorageError};
use crate::sql::{Value, json, parsed, statements, values};

/// A handler that is to be created.
#[derive(Debug, Clone)]
pub struct NewHandler {
    /// Its name.
    pub name: String,
    /// The catalogue's id of the event it is for.
    pub event: String,
    /// What it calls.
    pub task: Task,
    /// Whether it takes part in the next generation.
    pub status: HandlerStatus,
    /// 1 precedes all others.
    pub priority: u16,
    /// What its failure means for the rest of the chain.
    pub on_failure: OnFailure,
    /// The whole call, in milliseconds.
    pub timeout_ms: u32,
    /// When it is tried again.
    pub retry: RetryPolicy,
    /// The lane that it shares with others; `None` for its task's target.
    pub lane: Option<String>,
    /// Extra request headers, values sealed.
    pub headers: BTreeMap<String, Sealed>,
    /// The signing secrets, the current one first.
    pub secrets: Vec<SigningSecret>,
    /// Free text.
    pub notes: String,
    /// Which events it is called for.
    pub filter: Option<String>,
    /// How much it is called.
    pub limits: CallLimits,
    /// Who Baton is there.
    pub auth: Option<Auth<Sealed>>,
    /// Whom it trusts there.
    pub tls: Option<Tls<Sealed>>,
}

macro_rules! handler_columns {
    () => {
        "id, name, name_key, event, task, status, priority, on_failure, timeout_ms, retry, lane, headers, secrets, notes, filter, \
         limits, auth, tls, version, created_at, updated_at"
    };
}

/// Begins every statement that reads handlers.
macro_rules! select_handler {
    ($rest:literal) => {
        concat!("SELECT ", handler_columns!(), " FROM handlers h", $rest)
    };
}

pub(crate) use {handler_columns, select_handler};

statements! {
    CREATE = { both: concat!(
        "INSERT INTO handlers (name, name_key, event, task_type, task, status, priority, on_failure, timeout_ms, retry, lane, headers,
            secrets, notes, filter, limits, auth, tls, search_text, version, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, 1, $20, $20)
         RETURNING ", handler_columns!()
    ) };
    HANDLER = { both: select_handler!(" WHERE id = $1") };
    UPDATE = { both: concat!(
        "UPDATE handlers SET name = $1, name_key = $2, event = $3, task_type = $4, task = $5, status = $6, priority = $7,
            on_failure = $8, timeout_ms = $9, retry = $10, lane = $11, headers = $12, secrets = $13, notes = $14, filter = $15,
            limits = $16, auth = $17, tls = $18, search_text = $19, version = version + 1, updated_at = $20
         WHERE id = $21 AND version = $22
         RETURNING ", handler_columns!()
    ) };
    DELETE = { both: concat!(
        "DELETE FROM handlers WHERE id = $1 AND (CAST($2 AS bigint) IS NULL OR version = $2) RETURNING ", handler_columns!()
    ) };
    ENABLED = { both: select_handler!(" WHERE status = 'enabled' ORDER BY priority, id") };
    ENABLED_VERSIONS = "
        SELECT string_agg(CAST(id AS text) || ' ' || CAST(version AS text), ',' ORDER BY id) FROM handlers WHERE status = 'enabled'";
}

/// Which handlers are enabled, in which versions. A version is never used again, nor is the id of a handler that was deleted: where this is
/// the same, so is everything that an operator can save about them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnabledVersions(String);

impl EnabledVersions {
    /// Those of these handlers, in whatever order they come.
    #[must_use]
    pub fn of(handlers: &[Handler]) -> Self {
        let mut versions: Vec<_> = handlers.iter().map(|handler| (handler.spec.id.0, handler.version)).collect();
        versions.sort_unstable();
        // As ENABLED_VERSIONS writes them.
        Self(versions.iter().map(|(id, version)| format!("{id} {version}")).collect::<Vec<_>>().join(","))
    }
}

#[derive(sqlx::FromRow)]
pub(crate) struct HandlerRead {
    pub(crate) id: i64,
    name: String,
    pub(crate) name_key: String,
    pub(crate) event: String,
    task: String,
    status: String,
    pub(crate) priority: i32,
    on_failure: String,
    timeout_ms: i64,
    retry: String,
    lane: Option<String>,
    headers: String,
    secrets: String,
    notes: String,
    filter: Option<String>,
    limits: String,
    auth: Option<String>,
    tls: Option<String>,
    version: i64,
    created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
}

impl TryFrom<HandlerRead> for Handler {
    type Error = StorageError;

    fn try_from(row: HandlerRead) -> Result<Self> {
        let corrupt = |what| StorageError::corrupt(format!("handler {}: {what}", row.id));
        let spec = HandlerSpec {
            id: HandlerId(row.id),
            task: parsed("a handler's task", &row.task)?,
            priority: row.priority.try_into().map_err(|_| corrupt("priority"))?,
            on_failure: OnFailure::parse(&row.on_failure).ok_or_else(|| corrupt("on_failure"))?,
            timeout_ms: row.timeout_ms.try_into().map_err(|_| corrupt("timeout_ms"))?,
            retry: parsed("a handler's retry", &row.retry)?,
            headers: parsed("a handler's headers", &row.headers)?,
            secrets: parsed("a handler's secrets", &row.secrets)?,
            limits: parsed("a handler's limits", &row.limits)?,
            auth: row.auth.map(|auth| parsed("a handler's auth", &auth)).transpose()?,
            tls: row.tls.map(|tls| parsed("a handler's tls", &tls)).transpose()?,
            name: row.name,
            event: row.event,
            lane: row.lane,
            filter: row.filter,
        };
        Ok(Self {
            spec,
            status: HandlerStatus::parse(&row.status)
                .ok_or_else(|| StorageError::corrupt(format!("handler {}: status", row.id)))?,
            notes: row.notes,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

impl From<&Handler> for NewHandler {
    fn from(handler: &Handler) -> Self {
        let spec = handler.spec.clone();
        Self {
            name: spec.name,
            event: spec.event,
            task: spec.task,
            status: handler.status,
            priority: spec.priority,
            on_failure: spec.on_failure,
            timeout_ms: spec.timeout_ms,
            retry: spec.retry,
            lane: spec.lane,
            headers: spec.headers,
            secrets: spec.secrets,
            notes: handler.notes.clone(),
            filter: spec.filter,
            limits: spec.limits,
            auth: spec.auth,
            tls: spec.tls,
        }
    }
}

/// The values of [`CREATE`] and [`UPDATE`], without the instant.
fn content(handler: &NewHandler) -> Result<Vec<Value<'_>>> {
    let target = handler.task.target();
    let optional = |text: Option<Result<String>>| text.transpose().map(|text| Value::Text(text.map(Into::into)));
    let auth = optional(handler.auth.as_ref().map(json))?;
    let tls = optional(handler.tls.as_ref().map(json))?;
    let search_text = [handler.name.as_str(), &handler.notes, &target].join("\n").to_lowercase();
    Ok(values![
        handler.name.as_str(),
        handler.name.to_lowercase(),
        handler.event.as_str(),
        handler.task.kind(),
        json(&handler.task)?,
        handler.status.as_str(),
        i64::from(handler.priority),
        handler.on_failure.as_str(),
        i64::from(handler.timeout_ms),
        json(&handler.retry)?,
        handler.lane.as_deref(),
        json(&handler.headers)?,
        json(&handler.secrets)?,
        handler.notes.as_str(),
        handler.filter.as_deref(),
        json(&handler.limits)?,
        auth,
        tls,
        search_text,
    ])
}

/// Why a handler was not found in the version expected.
async fn lost(conn: &mut Conn<'_>, id: HandlerId) -> Result<StorageError> {
    let row: Option<HandlerRead> = conn.fetch_optional(HANDLER, values![id.0]).await?;
    Ok(if row.is_some() { StorageError::Conflict } else { StorageError::NotFound })
}

impl Store {
    /// Creates a handler, version 1.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn create_handler(&self, handler: &NewHandler, now: DateTime<Utc>) -> Result<Handler> {
        let mut values = content(handler)?;
        values.push(now.into());
        let row: Option<HandlerRead> = self.writer().await?.fetch_optional(CREATE, values).await?;
        row.ok_or_else(|| StorageError::corrupt("a new handler has no row"))?.try_into()
    }

    /// The handler with this id.
    ///
    /// # Errors
    /// `Corrupt` when it cannot be read.
    pub async fn handler(&self, id: HandlerId) -> Result<Option<Handler>> {
        let row: Option<HandlerRead> = self.reader().await?.fetch_optional(HANDLER, values![id.0]).await?;
        row.map(TryInto::try_into).transpose()
    }

    /// Replaces the content of the handler with this id; its `version`, `created_at` and `updated_at` are not looked at.
    ///
    /// # Errors
    /// `Conflict` when its version is not `expected_version`, `NotFound` when it is gone.
    pub async fn update_handler(&self, handler: &Handler, expected_version: i64, now: DateTime<Utc>) -> Result<Handler> {
        let id = handler.spec.id;
        let content_of = NewHandler::from(handler);
        let mut values = content(&content_of)?;
        values.extend(values![now, id.0, expected_version]);
        let mut conn = self.writer().await?;
        let row: Option<HandlerRead> = conn.fetch_optional(UPDATE, values).await?;
        match row {
            Some(row) => row.try_into(),
            None => Err(lost(&mut conn, id).await?),
        }
    }

    /// Deletes a handler and answers with what it was. Its id is never used again.
    ///
    /// # Errors
    /// `Conflict` when its version is not the one expected, `NotFound` when it is gone.
    pub async fn delete_handler(&self, id: HandlerId, expected_version: Option<i64>) -> Result<Handler> {
        let mut conn = self.writer().await?;
        let row: Option<HandlerRead> = conn.fetch_optional(DELETE, values![id.0, expected_version]).await?;
        match row {
            Some(row) => row.try_into(),
            None => Err(lost(&mut conn, id).await?),
        }
    }

    /// Every enabled handler, by priority, then id.
    ///
    /// # Errors
    /// `Corrupt` when one cannot be read.
    pub async fn enabled_handlers(&self) -> Result<Vec<Handler>> {
        let rows: Vec<HandlerRead> = self.reader().await?.fetch_all(ENABLED, vec![]).await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// Which handlers are enabled, in which versions: a small part of what [`Self::enabled_handlers`] takes, for who keeps what came of them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn enabled_versions(&self) -> Result<EnabledVersions> {
        let row: Option<(Option<String>,)> = self.reader().await?.fetch_optional(ENABLED_VERSIONS, vec![]).await?;
        Ok(EnabledVersions(row.and_then(|(versions,)| versions).unwrap_or_default()))
    }
}
