//! How what is saved compares with the live generation.

use baton_domain::{Handler, HandlerStatus, Snapshot};

use crate::words::Liveness;

/// Compares one handler with the live generation.
pub(crate) fn liveness(saved: &Handler, live: Option<&Snapshot>) -> Liveness {
    let live = live.and_then(|snapshot| snapshot.handler(saved.spec.id));
    match (saved.status, live) {
        (HandlerStatus::Enabled, Some(live)) if **live == saved.spec => Liveness::Live,
        (HandlerStatus::Enabled, Some(_)) => Liveness::Changed,
        (HandlerStatus::Enabled, None) => Liveness::New,
        (HandlerStatus::Disabled | HandlerStatus::Archived, Some(_)) => Liveness::Removed,
        (HandlerStatus::Disabled | HandlerStatus::Archived, None) => Liveness::Off,
    }
}
