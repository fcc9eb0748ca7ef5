//! The programs as their users meet them: processes that are spoken to over HTTP, with PostgreSQL, Redis, receivers and scripts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking, their helpers too")]

mod embedded;
mod flask;
mod going_live;
mod on_failure;
mod rig;
