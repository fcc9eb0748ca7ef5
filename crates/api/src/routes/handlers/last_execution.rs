//! How the last call of a handler went, where it is asked for.

use std::collections::HashMap;

use baton_domain::HandlerId;
use baton_storage::LastExecution as Stored;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::shape::Handler;
use crate::problem::Problem;
use crate::request::Params;
use crate::state::ApiState;
use crate::words::{ExecutionStatus, HandlerWith, list};

/// The newest execution of a handler in short; `GET /v1/executions/{id}` shows what was answered.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LastExecution {
    id: Uuid,
    event_id: Uuid,
    status: ExecutionStatus,
    /// 1 for the first.
    #[schema(minimum = 1)]
    attempt: u32,
    started_at: DateTime<Utc>,
    #[schema(minimum = 0)]
    duration_ms: i64,
    /// Why it failed or was skipped.
    #[schema(required)]
    error: Option<String>,
    /// When it is tried again.
    #[schema(required)]
    retry_at: Option<DateTime<Utc>>,
}

impl From<Stored> for LastExecution {
    fn from(stored: Stored) -> Self {
        Self {
            id: stored.id.0,
            event_id: stored.event_id.0,
            status: stored.status.into(),
            attempt: stored.attempt,
            started_at: stored.started_at,
            duration_ms: stored.duration_ms,
            error: stored.error,
            retry_at: stored.retry_at,
        }
    }
}

/// What is shown beside a handler.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct WithQuery {
    /// What is shown beside what is saved: `last_execution`.
    #[serde(default)]
    #[param(inline, value_type = Option<Vec<HandlerWith>>)]
    pub(super) with: Vec<String>,
}

/// Whether the last execution is asked for; a word that is not known is refused.
pub(super) fn is_asked_for(params: &mut Params, with: &[String]) -> bool {
    let known = with.iter().filter_map(|word| params.word("with", word, list::HANDLER_WITH, HandlerWith::parse));
    known.fold(false, |_, HandlerWith::LastExecution| true)
}

/// The last executions of the handlers of a page, where they are asked for.
pub(super) struct LastExecutions(Option<HashMap<HandlerId, Stored>>);

impl LastExecutions {
    /// Those of these handlers; none where they are not `asked` for.
    ///
    /// # Errors
    /// When the database fails.
    pub(super) async fn of(
        state: &ApiState,
        asked: bool,
        handlers: impl IntoIterator<Item = HandlerId>,
    ) -> Result<Self, Problem> {
        Ok(Self(if asked { Some(state.store.last_executions(handlers).await?) } else { None }))
    }

    /// The handler with its own.
    pub(super) fn beside(&mut self, id: HandlerId, handler: Handler) -> Handler {
        let Some(found) = &mut self.0 else { return handler };
        handler.with_last(found.remove(&id).map(Into::into))
    }
}
