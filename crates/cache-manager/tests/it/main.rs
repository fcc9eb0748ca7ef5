//! The Cache Manager: what makes saved handlers live, and what does not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking, their helpers too")]

mod failures;
mod fixture;
mod lost_runs;
mod program;
mod queue;
mod restart;
mod rollback;
mod serving;
mod several;
mod start;
mod waiting;
