//! What is measured: Baton's programs and the relay, and what they stand on.

mod api;
mod baton;
mod database;
mod relay;
mod servers;
pub(crate) mod usage;

pub(crate) use self::api::{Api, count};
pub(crate) use self::baton::{Baton, SetUp, Settings, embedded, handler};
pub(crate) use self::database::Database;
pub(crate) use self::relay::{Relay, Way};
pub(crate) use self::servers::with_statistics;
