//! The rules of Baton: events, the catalogue, handlers, chains, lanes, retries, generations and their differences.
//!
//! Nothing in this crate does I/O, is async, or knows the time: instants and random fractions are passed in. That keeps every
//! rule testable by a table, and lets the same rule serve the API, the Cache Manager and the dispatcher.

pub mod address;
pub mod breaker;
pub mod calls;
pub mod catalogue;
pub mod connection;
pub mod draft;
pub mod event;
pub mod field_error;
pub mod filter;
pub mod generation;
pub mod handler;
pub mod histogram;
pub mod ids;
pub mod limits;
pub mod mask;
pub mod partition;
pub mod pauses;
pub mod retry;
pub mod scheduler;

pub use calls::{CallStatus, Execution, Outcome, Response, Verdict};
pub use catalogue::{Catalogue, EventType};
pub use event::{EventStatus, NewEvent, ObjectId};
pub use field_error::{FieldError, FieldErrors};
pub use generation::{Changes, Snapshot};
pub use handler::{Handler, HandlerStatus, OnFailure, Task};
pub use histogram::Histogram;
pub use ids::{EventId, ExecutionId, GenerationNumber, HandlerId, Seq};
pub use partition::PartitionId;
pub use pauses::{PauseScope, Pauses};
pub use retry::RetryPolicy;
