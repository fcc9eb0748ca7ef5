//! The helpers of tests, tested.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking, their helpers too")]

mod client;
mod databases;
mod deadlines;
mod postgres_servers;
mod processes;
mod receivers;
mod redis_servers;
