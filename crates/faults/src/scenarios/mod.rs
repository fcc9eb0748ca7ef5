//! What is done to an installation, one function a fault.

mod answers;
mod neighbour;
mod network;
mod postgres;
mod processes;
mod receiver;
mod redis;
mod scripts;
mod sqlite;

use std::time::Duration;

use anyhow::Result;
use futures_util::future::LocalBoxFuture;

use crate::verdict::Verdict;

/// How a run is to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// Events published a second.
    pub rate: u32,
    /// How long the load is held before anything happens to it.
    pub warm_up: Duration,
    /// By how much everything may take longer than it should: 1 where nothing else uses the machine and the programs are optimised.
    pub slack: u32,
    /// Whether what the programs write is kept, also where nothing fails.
    pub keep_logs: bool,
}

/// One fault and how it is carried out.
pub(crate) struct Scenario {
    pub name: &'static str,
    /// As it stands in the table.
    pub fault: &'static str,
    /// Whether it is part of the short form.
    pub short: bool,
    pub run: fn(Plan) -> LocalBoxFuture<'static, Result<Verdict>>,
}

/// How long the load is held after something that should heal at once.
const AFTERWARDS: Duration = Duration::from_secs(6);
/// How long it is held after a blow that only the end of a lease (9 s) heals.
const UNTIL_TAKEN_OVER: Duration = Duration::from_secs(16);
/// How long a database or a Redis is away.
const OUTAGE: Duration = Duration::from_secs(20);

macro_rules! scenarios {
    ($($name:literal, $fault:literal, $short:literal, $run:path;)*) => {
        /// All of them, in the order of the table.
        pub(crate) const ALL: &[Scenario] =
            &[$(Scenario { name: $name, fault: $fault, short: $short, run: |plan| Box::pin($run(plan)) }),*];
    };
}

scenarios! {
    "calm", "none", false, processes::calm;
    "dispatcher-kill", "dispatcher: kill -9", true, processes::kill_dispatcher;
    "api-kill", "API: kill -9", false, processes::kill_api;
    "cache-manager-kill", "Cache Manager: kill -9", false, processes::kill_cache_manager;
    "power-cut", "every process: kill -9 at once", false, processes::kill_all;
    "rolling-restart", "every process: SIGTERM, one after the other", true, processes::restart_all;
    "zombie", "dispatcher: SIGSTOP for 14 s, SIGCONT", false, processes::stall_dispatcher;
    "script-kill", "dispatcher with scripts under way: kill -9", false, scripts::kill_dispatcher;
    "postgres-restart", "PostgreSQL: immediate shutdown and start, 4 times", true, postgres::restart;
    "postgres-outage", "PostgreSQL: away for 20 s", false, postgres::outage;
    "redis-outage", "Redis: away for 20 s", false, redis::outage;
    "redis-flush", "Redis: flushed", false, redis::flush;
    "redis-full", "Redis: refuses writes for 10 s (maxmemory)", false, redis::full;
    "network-silent", "network between a dispatcher and PostgreSQL: silent for 20 s", false, network::silent;
    "network-closing", "network between a dispatcher and PostgreSQL: closed for 20 s", false, network::closing;
    "receiver-down", "receiver: away for a minute", false, receiver::down;
    "dead-handler", "one handler: answers 503 after 8 s for 20 s", false, receiver::dead_handler;
    "noisy-neighbour", "3,000 events for a handler that answers after 10 s", false, neighbour::noisy;
    "rough-answers", "receiver: errors, 429, hangs, resets, stalls, 600 MB, endless", false, answers::rough;
    "sqlite-kill", "baton on SQLite: kill -9, 3 times", true, sqlite::kill;
    "sqlite-restart", "baton on SQLite: SIGTERM", false, sqlite::restart;
    "sqlite-full-disk", "baton on SQLite: disk full for 10 s", false, sqlite::full_disk;
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::ALL;

    #[test]
    fn names_are_unique_and_the_short_form_has_four_scenarios() {
        let names: BTreeSet<_> = ALL.iter().map(|scenario| scenario.name).collect();
        assert_eq!(names.len(), ALL.len());
        assert_eq!(ALL.iter().filter(|scenario| scenario.short).count(), 4);
    }
}
