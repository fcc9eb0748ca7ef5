//! The screens, each a module with a `router()`.

pub(crate) mod provisioning;
