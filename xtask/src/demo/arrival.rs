//! What reaches a handler.

use std::time::{SystemTime, UNIX_EPOCH};

use super::event::Event;

/// One call, as the handler that was called saw it.
#[derive(Debug, Clone)]
pub(super) struct Arrival {
    /// Nanoseconds since 1970.
    pub(super) at: u128,
    /// The priority of the handler.
    pub(super) priority: u16,
    /// What it was called with.
    pub(super) event: Event,
    /// Baton's id of the event, which only scripts are told.
    pub(super) event_id: Option<String>,
}

/// Nanoseconds since 1970.
pub(super) fn now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos())
}
