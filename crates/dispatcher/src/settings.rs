//! The limits of a dispatcher.

use std::time::Duration;

use chrono::TimeDelta;

/// How long a dispatcher is believed alive without a sign of life. What it owns is taken over after that.
pub(crate) const LEASE: Duration = Duration::from_secs(9);
/// How often it gives one, and looks for partitions without an owner.
pub(crate) const LEASE_RENEW_EVERY: Duration = Duration::from_secs(2);
/// How long the database has to have been there before a lease that ran out counts as the sign of a death.
pub(crate) const JUDGE_AFTER: Duration = Duration::from_secs(4);
/// The longest time between two looks at the database that belong together.
pub(crate) const LOOK_GAP: Duration = Duration::from_secs(5);
/// How long before the end of its lease a dispatcher starts no more calls, since its clock and the database's way may differ.
pub(crate) const LEASE_MARGIN: Duration = Duration::from_secs(1);

/// How often unfinished dispatches are looked for while no hint says that there are new ones.
pub(crate) const POLL_EVERY: Duration = Duration::from_millis(500);
/// The most dispatches of one read.
pub(crate) const READ_EVENTS: u32 = 512;
/// About the most payload of one read, in bytes.
pub(crate) const READ_BYTES: usize = 8 * 1024 * 1024;
/// How long reading rests for each dispatch that a read brought, and at most: what is appended meanwhile comes with one read instead of many.
/// Too short to wait for where only a few came, which are then called as soon as they can be.
pub(crate) const READ_REST: (Duration, Duration) = (Duration::from_micros(200), Duration::from_millis(4));
/// How many dispatches may be in memory with their payload.
pub(crate) const WINDOW_EVENTS: usize = 4096;
/// How much payload may be in memory, in bytes.
pub(crate) const WINDOW_BYTES: usize = 48 * 1024 * 1024;
/// How many times [`DispatcherSettings::events_in_memory`] there may be in memory at the most: reading pauses then.
pub(crate) const IN_MEMORY_TIMES: usize = 4;
/// How many objects may be put away; each costs its key and the places of its dispatches.
pub(crate) const AWAY_KEYS: usize = 400_000;
/// How many dispatches one step of waking reads back.
pub(crate) const WAKE_EVENTS: usize = 256;
/// How many such steps may be under way.
pub(crate) const WAKES: usize = 2;
/// How many dispatches of one ordering key may be in memory: the rest waits in the database.
pub(crate) const TRACKED_OF_ONE_KEY: usize = 1024;
/// How many ordering keys may have a rest in the database before reading pauses.
pub(crate) const LAGGING_KEYS: usize = 1024;

/// How long the recorder waits for more results before it writes what it has.
pub(crate) const RECORD_WITHIN: Duration = Duration::from_millis(5);
/// The most changes that one transaction writes.
pub(crate) const RECORD_CHANGES: usize = 512;
/// How many changes may wait to be written before no more calls are started.
pub(crate) const UNRECORDED_MAX: usize = 8192;
/// The first and the longest pause after a database that failed.
pub(crate) const DATABASE_PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// What is set from outside.
#[derive(Debug, Clone)]
pub struct DispatcherSettings {
    /// How it is known in the Task Scheduler: a host or container.
    pub name: String,
    /// How many calls may be under way at once.
    pub calls_max: usize,
    /// How many calls of one handler may be under way at once.
    pub handler_calls_max: usize,
    /// How many scripts may run at once.
    pub scripts_max: usize,
    /// How many unfinished events are kept ready in memory; beyond that, objects that have nothing to do are put away.
    pub events_in_memory: usize,
    /// Whether no other dispatcher can be alive, so that what an earlier process left is taken over at once.
    pub alone: bool,
}

/// A duration as the database's instants want it.
pub(crate) fn delta(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}
