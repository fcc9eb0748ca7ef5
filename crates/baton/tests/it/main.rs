//! The programs as their users meet them: processes that are spoken to over HTTP, with PostgreSQL, Redis, receivers and scripts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking, their helpers too")]

mod audit;
mod bad_input;
mod cleaning;
mod combined;
mod console;
mod dispatchers;
mod documentation;
mod embedded;
mod flask;
mod going_live;
mod idempotency;
mod load;
mod lost_redis;
mod on_failure;
mod one_shot;
mod openapi;
mod operation;
mod printed_scripts;
mod proxies;
mod rekey;
mod rig;
mod settings;
mod shutdown;
mod signatures;
mod statistics;
