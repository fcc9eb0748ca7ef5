//! The API through real HTTP, on SQLite and on PostgreSQL.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failing helper fails its test")]

mod app;
mod backlog;
mod cache;
mod cleaner;
mod doors;
mod events;
mod events_refused;
mod explain;
mod handler_connection;
mod handler_secrets;
mod handlers;
mod handlers_refused;
mod jobs;
mod logs;
mod openapi;
mod overload;
mod pauses;
mod priorities;
mod properties;
mod proxy;
mod replays;
mod schemas;
mod statistics;
