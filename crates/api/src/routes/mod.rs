//! The paths under `/v1`, a module for each topic, the shapes of bodies beside them.

pub(crate) mod cache;
mod changes;
pub(crate) mod cleaner;
pub(crate) mod dead_letters;
pub(crate) mod event_types;
pub(crate) mod events;
pub(crate) mod executions;
pub(crate) mod handlers;
pub(crate) mod jobs;
pub(crate) mod pauses;
mod runs;
pub(crate) mod services;
pub(crate) mod stats;
