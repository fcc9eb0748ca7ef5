//! The screens, each a module with a `router()`.

pub(crate) mod dead_letters;
pub(crate) mod events;
pub(crate) mod executions;
pub(crate) mod overview;
pub(crate) mod provisioning;
pub(crate) mod scheduler;
