//! What was done to an installation, when, and what that excuses.

use std::time::Duration;

use tokio::time::Instant;

use crate::reconcile::Seen;

/// How long the results of calls may be on their way to the database: a process that dies takes them along.
const UNRECORDED: Duration = Duration::from_secs(1);
/// How far an instant that was written down in whole seconds may be off.
const TO_THE_SECOND: Duration = Duration::from_secs(1);
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
    /// When what had stood still went on: a call that it had begun before may arrive only then.
    pub resumed: Option<Instant>,
}

impl Fault {
    /// A process that was killed at this instant.
    pub(crate) fn killed(at: Instant) -> Self {
        Self { limit: Some(KILL_LIMIT), unrecorded: Some((at - UNRECORDED, at + ON_ITS_WAY)), ..Self::nothing(at, at) }
    }

    /// A process that stood still between these instants, for longer than its lease.
    pub(crate) fn stalled(at: Instant, resumed: Instant) -> Self {
        Self { resumed: Some(resumed), ..Self::killed(at) }
    }

    /// A process that was asked to end and started again at this instant: nothing is to be repeated.
    pub(crate) fn asked(at: Instant) -> Self {
        Self { limit: Some(KILL_LIMIT), ..Self::nothing(at, at) }
    }

    /// A database that was away between these instants. The results of what was called while it was away, or just before, wait in memory
    /// and are recorded when it is back; leases may run out meanwhile.
    pub(crate) fn database_away(gone: Instant, back: Instant) -> Self {
        let unrecorded = Some((gone - UNRECORDED, gone + ON_ITS_WAY));
        Self { limit: Some(RETURN_LIMIT), unrecorded, ..Self::nothing(gone, back) }
    }

    /// A dispatcher cut off from its database at this instant, for longer than its lease: what it had in its hands is called by others.
    pub(crate) fn cut_off(at: Instant) -> Self {
        Self { limit: Some(KILL_LIMIT), unrecorded: Some((at - UNRECORDED, at + UNRECORDED)), ..Self::nothing(at, at) }
    }

    /// A Redis that came back at this instant. Nothing may be repeated for want of it.
    pub(crate) fn redis_back(at: Instant) -> Self {
        Self { limit: Some(RETURN_LIMIT), ..Self::nothing(at, at) }
    }

    /// A receiver that went away and came back. Calls that it took just before may not have been answered.
    pub(crate) fn receiver_away(gone: Instant, back: Instant) -> Self {
        Self { unrecorded: Some((gone - ON_ITS_WAY, gone + ON_ITS_WAY)), ..Self::nothing(gone, back) }
    }

    /// The same on a machine where everything takes so many times as long.
    pub(crate) fn with_slack(&self, slack: u32) -> Self {
        let longer = UNRECORDED * (slack - 1);
        let unrecorded = self.unrecorded.map(|(first, last)| (first - longer, last + longer));
        Self { limit: self.limit.map(|limit| limit * slack), unrecorded, ..self.clone() }
    }

    /// Whether a call that was final when it arrived at `first` may have been repeated by `again` because of it.
    pub(crate) fn explains(&self, first: Instant, again: &Seen) -> bool {
        let was_unrecorded = self.unrecorded.is_some_and(|(begin, end)| (begin..=end).contains(&first));
        let was_under_way = self.resumed.is_some_and(|resumed| {
            let arrived = (resumed..=resumed + ON_ITS_WAY).contains(&again.at);
            arrived && again.begun.is_some_and(|begun| begun <= self.at + TO_THE_SECOND)
        });
        was_unrecorded || was_under_way
    }

    fn nothing(at: Instant, from: Instant) -> Self {
        Self { at, from, limit: None, unrecorded: None, resumed: None }
    }
}
