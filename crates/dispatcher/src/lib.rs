//! Owns partitions, feeds events, runs chains, calls handlers, records what happened.
//!
//! The way of an event: [`Dispatcher`] registers and claims partitions; the feed reads their unfinished dispatches in order; the conductor plans
//! a chain for each under the live generation, and starts each delivery when its lane and its chain allow it; a [`call`] is made;
//! the recorder writes what came of it, many at a time.

pub mod call;
mod compiled;
mod conductor;
mod feed;
mod ownership;
mod ready;
mod recorder;
mod service;
mod settings;
mod timers;

pub use ownership::SERVICE;
pub use service::Dispatcher;
pub use settings::DispatcherSettings;
