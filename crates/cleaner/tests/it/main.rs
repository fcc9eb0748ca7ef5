//! The Cleaner as a service: what it removes, when, and that several of them are as good as one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking, their helpers too")]

mod fixture;
mod runs;
mod schedule;
mod several;
mod stopping;
