//! When a delivery may run: the scheduler of one object's events.
//!
//! An [`ObjectQueue`] holds the chains of all unfinished events of one ordering key, in the order of their publication. It is a pure
//! state machine: the dispatcher tells it what was planned and what happened, and asks what may start. Two rules decide (product
//! contract, "When a delivery may run"):
//!
//! * **lane**: a delivery waits until every delivery of an earlier event in the same lane has ended;
//! * **chain**: within its event it waits until every delivery of the stages before has been tried or is held, and those that say
//!   `wait` or `stop` have ended.
//!
//! A chain takes its places in all its lanes when it is planned, so that a later event cannot overtake a stage that still waits.

mod chain;
mod queue;
#[cfg(test)]
mod tests;

pub use chain::{Chain, Delivery, DeliveryState, Ending};
pub use queue::{ObjectQueue, Settled};
