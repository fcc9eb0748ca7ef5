//! What every Baton program does around its work: settings, telemetry, shutdown, and the endpoint for health and metrics.

pub mod allocator;
pub mod metrics;
pub mod ops;
pub mod serving;
pub mod settings;
pub mod shutdown;
pub mod start;
pub mod telemetry;
