//! Tests of the dispatcher against real receivers, scripts and databases.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a helper that fails fails its test")]

mod away;
mod breaker;
mod chain;
mod document;
mod filter;
mod generations;
mod http;
mod lanes;
mod pace;
mod pause;
mod replays;
mod rig;
mod script;
mod statistics;
mod takeover;
