//! For tests only: databases, Redis, a scripted receiver, running programs, deadlines.
//!
//! Nothing here knows Baton's crates, so that every one of them can use it. Everything that is started listens on 127.0.0.1 and ends
//! when it is dropped. Whatever goes wrong here panics with a sentence that says what to do: a test has no better way to fail.
//!
//! `cargo xtask test` starts the services that the tests need and sets [`POSTGRES_URL`] and [`REDIS_URL`].
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failing helper fails its test")]

mod chosen;
mod database;
mod deadline;
mod environment;
mod machine;
mod port;
mod postgres_server;
mod process;
mod receiver;
mod redis_server;
mod servers;

pub use chosen::chosen;
pub use database::TestDatabase;
pub use deadline::{eventually, within};
pub use environment::{POSTGRES_URL, REDIS_URL};
pub use machine::Machine;
pub use port::free_port;
pub use postgres_server::{PostgresServer, Shutdown};
pub use process::{Finished, Process, Program};
pub use receiver::{Answer, Gate, Received, Receiver, Rule, rules};
pub use redis_server::{RedisServer, TestRedis};
pub use servers::Servers;
