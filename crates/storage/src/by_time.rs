//! Ids of events and executions sort by the time at which they were made (UUIDv7), so that what belongs to a span of time is found by them,
//! and no index on instants has to be kept on the way of an event.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::{Builder, Uuid};

use crate::search::Search;

/// By how much the time in an id, or the order of publication, may differ from the instant that is searched by: by the time that a call or an
/// append takes, and by what the clocks of several machines differ.
const MARGIN: TimeDelta = TimeDelta::hours(1);

/// The smallest id that was made at this instant or later.
pub(crate) fn first_id_of(instant: DateTime<Utc>) -> Uuid {
    Builder::from_unix_timestamp_millis(instant.timestamp_millis().try_into().unwrap_or(0), &[0; 10]).into_uuid()
}

/// Narrows a search for events that were received in a span of time to the places that such can have.
pub(crate) fn narrow_events(query: &mut Search<'_>, from: Option<DateTime<Utc>>, to: Option<DateTime<Utc>>) {
    // The last one before and the first one behind, so that none within is left out, in whatever order neighbours were stored.
    let before = "e.seq > coalesce((SELECT b.seq FROM events b WHERE b.id < ? ORDER BY b.id DESC LIMIT 1), 0)";
    let behind = "e.seq < coalesce((SELECT b.seq FROM events b WHERE b.id >= ? ORDER BY b.id LIMIT 1), 9223372036854775807)";
    query.and_if(before, earliest(from));
    query.and_if(behind, latest(to));
}

/// Narrows a search for executions that began in a span of time to the ids that such can have.
pub(crate) fn narrow_executions(query: &mut Search<'_>, from: Option<DateTime<Utc>>, to: Option<DateTime<Utc>>) {
    query.and_if("x.id >= ?", earliest(from));
    query.and_if("x.id < ?", latest(to));
}

fn earliest(from: Option<DateTime<Utc>>) -> Option<Uuid> {
    from.and_then(|from| from.checked_sub_signed(MARGIN)).map(first_id_of)
}

fn latest(to: Option<DateTime<Utc>>) -> Option<Uuid> {
    to.and_then(|to| to.checked_add_signed(MARGIN)).map(first_id_of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_an_instant_or_later_do_not_sort_before_its_first() {
        let instant = DateTime::from_timestamp_millis(1_795_000_000_123).unwrap();
        let of = |millis: i64, rest: u8| {
            Builder::from_unix_timestamp_millis((instant.timestamp_millis() + millis) as u64, &[rest; 10]).into_uuid()
        };
        let first = first_id_of(instant);
        assert!(of(-1, 255) < first && first <= of(0, 0) && first < of(0, 255) && first < of(1, 0));
        assert_eq!(first_id_of(DateTime::<Utc>::MIN_UTC), first_id_of(DateTime::UNIX_EPOCH));
        assert!(first_id_of(DateTime::UNIX_EPOCH) < Uuid::now_v7());
    }

    #[test]
    fn instants_at_the_edge_of_what_can_be_said_do_not_narrow() {
        assert_eq!((earliest(Some(DateTime::<Utc>::MIN_UTC)), latest(Some(DateTime::<Utc>::MAX_UTC))), (None, None));
        assert!(earliest(None).is_none() && latest(None).is_none());
    }
}
