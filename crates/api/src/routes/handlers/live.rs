//! How what is saved compares with what is in force.

use std::sync::Arc;

use baton_domain::{Handler, HandlerStatus, Pauses, Snapshot};
use chrono::{DateTime, Utc};

use crate::problem::Problem;
use crate::state::ApiState;
use crate::words::Liveness;

/// What is in force at a moment.
pub(crate) struct InForce {
    live: Option<Arc<Snapshot>>,
    pauses: Pauses,
    pub(super) at: DateTime<Utc>,
}

impl InForce {
    /// What is in force now, as the database has it.
    ///
    /// # Errors
    /// When the database fails.
    pub(super) async fn now(state: &ApiState) -> Result<Self, Problem> {
        let live = state.cache.refresh().await?;
        let pauses = state.store.pauses().await?.into_iter().map(|pause| pause.scope).collect();
        Ok(Self { live, pauses, at: Utc::now() })
    }

    /// Compares one handler with the live generation.
    pub(super) fn liveness(&self, saved: &Handler) -> Liveness {
        let live = self.live.as_deref().and_then(|snapshot| snapshot.handler(saved.spec.id));
        match (saved.status, live) {
            (HandlerStatus::Enabled, Some(live)) if **live == saved.spec => Liveness::Live,
            (HandlerStatus::Enabled, Some(_)) => Liveness::Changed,
            (HandlerStatus::Enabled, None) => Liveness::New,
            (HandlerStatus::Disabled | HandlerStatus::Archived, Some(_)) => Liveness::Removed,
            (HandlerStatus::Disabled | HandlerStatus::Archived, None) => Liveness::Off,
        }
    }

    /// Whether a pause holds its deliveries: one of its own, of its event type (the live one, where it is live), or of everything.
    pub(super) fn is_paused(&self, saved: &Handler) -> bool {
        let live = self.live.as_deref().and_then(|snapshot| snapshot.handler(saved.spec.id));
        self.pauses.hold(live.map_or(&saved.spec, |live| live))
    }
}
