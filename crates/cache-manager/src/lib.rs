//! The Cache Manager: builds generations, on an explicit restart and never otherwise.
//!
//! A restart is a row of the service's queue in the database plus a hint. A Cache Manager takes it, reads the enabled handlers, builds the next
//! generation beside the live one, checks it, stores it, and publishes it. Several may run; the database lets one run at a time through.

mod build;
mod error;
mod request;
mod service;

pub use build::RestartResult;
pub use error::BuildError;
pub use request::{request_restart, request_rollback, wait_for_run};
pub use service::CacheManager;

/// The name under which the Task Scheduler lists it.
pub const SERVICE: &str = "cache-manager";
