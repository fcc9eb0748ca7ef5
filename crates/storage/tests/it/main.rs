//! One conformance suite on both databases, and what differs between them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failing step fails its test")]

mod append;
mod audit;
mod balance;
mod connections;
mod feed;
mod fixture;
mod generations;
mod handlers;
mod instants;
mod jobs;
mod minutes;
mod ownership;
mod plans;
mod record;
mod rekey;
mod replay;
mod retention;
mod schema;
mod searches;
mod service_runs;
