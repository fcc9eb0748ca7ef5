//! The live generation in memory, in Redis and in the database, with each of them lost, emptied, spoiled or behind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking, their helpers too")]

mod fixture;
mod hints;
mod lost_hints;
mod neighbours;
mod publish;
mod refill;
mod relay;
mod spoiled;
mod without_redis;
