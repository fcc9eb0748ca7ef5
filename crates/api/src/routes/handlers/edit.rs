//! Edits of a saved handler, each of the version that it was made for.

use axum::Json;
use axum::http::header;
use baton_domain::{Handler as Saved, HandlerId, HandlerStatus};
use baton_storage::StorageError;
use chrono::{DateTime, Utc};
use serde_json::Value;

use super::live::InForce;
use super::shape::Handler;
use super::{Tagged, check, patch};
use crate::problem::{Code, Problem};
use crate::request::{IfMatch, etag, no_such};
use crate::state::ApiState;

/// How often an edit without a condition is made again when another one came between.
const TRIES: usize = 5;

/// What is done to a handler.
pub(super) enum Edit {
    /// It becomes what was sent.
    Replace(Value),
    /// What was sent is merged into it.
    Merge(Value),
    /// It is switched on or off.
    Toggle,
}

/// Makes an edit and answers with the handler as it is saved then.
///
/// # Errors
/// `not_found`, `version_mismatch`, `validation_failed`, `handler_archived`, or `edit_conflict` when others never stop editing.
pub(super) async fn edited(state: &ApiState, id: HandlerId, if_match: &IfMatch, edit: &Edit) -> Result<Tagged, Problem> {
    for _ in 0..TRIES {
        let stored = state.store.handler(id).await?.ok_or_else(|| no_such::<HandlerId>(id))?;
        if_match.check(stored.version)?;
        let now = Utc::now();
        let (new, secret) = apply(state, &stored, edit, now).await?;
        match state.store.update_handler(&new, stored.version, now).await {
            Ok(saved) => {
                let answer = Handler::new(&saved, &InForce::now(state).await?).showing(secret);
                return Ok(([(header::ETAG, etag(saved.version))], Json(answer)));
            }
            // Another edit came between: with a condition the next round refuses this one, without it is made upon the other.
            Err(StorageError::Conflict) => {}
            Err(StorageError::NotFound) => return Err(no_such::<HandlerId>(id)),
            Err(error) => return Err(error.into()),
        }
    }
    Err(Problem::new(Code::EditConflict, "Others kept editing this handler at the same time; try again."))
}

async fn apply(state: &ApiState, stored: &Saved, edit: &Edit, now: DateTime<Utc>) -> Result<(Saved, Option<String>), Problem> {
    let sent = match edit {
        Edit::Replace(sent) => sent.clone(),
        Edit::Merge(sent) => patch::merged(stored, sent)?,
        Edit::Toggle => return toggled(state, stored).await.map(|handler| (handler, None)),
    };
    let draft = check::checked(state, sent, Some(stored)).await?;
    Ok(check::replaced(draft, stored, &state.vault, now))
}

async fn toggled(state: &ApiState, stored: &Saved) -> Result<Saved, Problem> {
    let status = match stored.status {
        HandlerStatus::Enabled => HandlerStatus::Disabled,
        HandlerStatus::Disabled => HandlerStatus::Enabled,
        HandlerStatus::Archived => {
            return Err(Problem::new(
                Code::HandlerArchived,
                "The handler is archived; edit its status to enabled or disabled instead.",
            ));
        }
    };
    if status == HandlerStatus::Enabled {
        // What is switched on has to stand the same check as what is saved enabled.
        state.caller.inspect(&stored.spec.task).await.or(()).map_err(Problem::invalid)?;
    }
    Ok(Saved { status, ..stored.clone() })
}

/// Deletes a handler.
///
/// # Errors
/// `not_found`, `version_mismatch`.
pub(super) async fn remove(state: &ApiState, id: HandlerId, if_match: &IfMatch) -> Result<(), Problem> {
    for _ in 0..TRIES {
        let expected = if if_match.is_given() {
            let stored = state.store.handler(id).await?.ok_or_else(|| no_such::<HandlerId>(id))?;
            if_match.check(stored.version)?;
            Some(stored.version)
        } else {
            None
        };
        match state.store.delete_handler(id, expected).await {
            Ok(_) => return Ok(()),
            Err(StorageError::Conflict) => {}
            Err(StorageError::NotFound) => return Err(no_such::<HandlerId>(id)),
            Err(error) => return Err(error.into()),
        }
    }
    Err(Problem::new(Code::EditConflict, "Others kept editing this handler at the same time; try again."))
}
