//! What was done to an installation, when, and what that excuses.

use std::time::Duration;

use tokio::time::Instant;

/// How long the results of calls may be on their way to the database, and to the disk: a process or a database that dies takes them along.
/// PostgreSQL writes what it has not been asked to wait for within three times its `wal_writer_delay`, 0.6 s.
const UNRECORDED: Duration = Duration::from_secs(1);
/// How long a call of a process that is gone may still be on its way through the machine.
const ON_ITS_WAY: Duration = Duration::from_millis(500);
/// Recovery after a process was killed or stalled.
pub(crate) const KILL_LIMIT: Duration = Duration::from_secs(15);
/// Recovery after the return of a database or a Redis.
pub(crate) const RETURN_LIMIT: Duration = Duration::from_secs(5);

/// One fault.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    /// When it struck.
    pub at: Instant,
    /// From when recovery counts: the blow itself, or the end of an outage.
    pub from: Instant,
    /// How long recovery may take.
    pub limit: Option<Duration>,
    /// Between which instants a call may have been made whose result was lost, so that it is made once more.
    pub unrecorded: Option<(Instant, Instant)>,
}

impl Fault {
    /// A process that was killed, or stalled for longer than its lease, at this instant.
    pub(crate) fn killed(at: Instant) -> Self {
        Self { at, from: at, limit: Some(KILL_LIMIT), unrecorded: Some((at - UNRECORDED, at + ON_ITS_WAY)) }
    }

    /// A process that was asked to end and started again at this instant: nothing is to be repeated.
    pub(crate) fn asked(at: Instant) -> Self {
        Self { at, from: at, limit: Some(KILL_LIMIT), unrecorded: None }
    }

    /// A database that was away between these instants. What it had not yet written down is gone; the results of what was called
    /// while it was away wait in memory and are recorded when it is back.
    pub(crate) fn database_away(gone: Instant, back: Instant) -> Self {
        Self { at: gone, from: back, limit: Some(RETURN_LIMIT), unrecorded: Some((gone - UNRECORDED, gone + ON_ITS_WAY)) }
    }

    /// A dispatcher cut off from its database at this instant, for longer than its lease: what it had in its hands is called by others.
    pub(crate) fn cut_off(at: Instant) -> Self {
        Self { at, from: at, limit: Some(KILL_LIMIT), unrecorded: Some((at - UNRECORDED, at + UNRECORDED)) }
    }

    /// A Redis that came back at this instant. Nothing may be repeated for want of it.
    pub(crate) fn redis_back(at: Instant) -> Self {
        Self { at, from: at, limit: Some(RETURN_LIMIT), unrecorded: None }
    }

    /// A receiver that went away and came back. Calls that it took just before may not have been answered.
    pub(crate) fn receiver_away(gone: Instant, back: Instant) -> Self {
        Self { at: gone, from: back, limit: None, unrecorded: Some((gone - ON_ITS_WAY, gone + ON_ITS_WAY)) }
    }

    /// The same on a machine where everything takes so many times as long.
    pub(crate) fn with_slack(&self, slack: u32) -> Self {
        let longer = UNRECORDED * (slack - 1);
        let unrecorded = self.unrecorded.map(|(first, last)| (first - longer, last + longer));
        Self { limit: self.limit.map(|limit| limit * slack), unrecorded, ..self.clone() }
    }

    /// Whether a call that was made at this instant may have been repeated because of it.
    pub(crate) fn explains(&self, at: Instant) -> bool {
        self.unrecorded.is_some_and(|(first, last)| (first..=last).contains(&at))
    }
}
