//! What this process has appended last, kept for a dispatcher within the same process, which then need not read it back.
//!
//! It is a copy of what is committed, never more, and any part of it may be missing: then the database is read. It knows of no other
//! process, so that one append of another's makes it begin anew.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use baton_domain::{NewEvent, Seq};

use crate::Store;
use crate::append::Appended;
use crate::feed::{FedDispatch, FeedQuery};
use crate::sql::stored;

/// How many dispatches are kept.
const KEPT_DISPATCHES: usize = 4096;
/// How many bytes of payload are kept; one batch alone may have more.
const KEPT_BYTES: usize = 16 * 1024 * 1024;

/// What this process has appended behind a place.
#[derive(Debug)]
pub enum AppendedHere {
    /// These.
    Some(FedFromTail),
    /// Nothing. Others may have.
    Nothing,
    /// It is not known: the database has to be asked.
    Unknown,
}

/// Dispatches that this process appended, as a dispatcher wants them.
#[derive(Debug)]
pub struct FedFromTail {
    /// Those of the query, by their place.
    pub rows: Vec<FedDispatch>,
    /// Every dispatch up to this place has been looked at.
    pub through: Seq,
    /// Whether there was more that the limits of the query left.
    pub more: bool,
}

/// The last appends of this process.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    /// Whether anybody asks for it.
    wanted: AtomicBool,
    kept: Mutex<Kept>,
}

/// All dispatches behind `start`, up to `end`, without a gap.
#[derive(Debug, Default)]
struct Kept {
    start: i64,
    end: i64,
    rows: VecDeque<FedDispatch>,
    bytes: usize,
}

impl Tail {
    /// Keeps what has just been committed.
    pub(crate) fn keep<'a>(&self, appended: impl Iterator<Item = (&'a NewEvent, &'a Appended)>) {
        if !self.wanted.load(Ordering::Relaxed) {
            return;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        for (event, appended) in appended {
            kept.push(dispatch(event, appended.seq));
        }
        kept.shorten();
    }

    fn read(&self, query: &FeedQuery) -> AppendedHere {
        if !self.wanted.swap(true, Ordering::Relaxed) {
            return AppendedHere::Unknown;
        }
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).read(query)
    }
}

impl Kept {
    fn push(&mut self, row: FedDispatch) {
        // Of two appends at once the second may be kept first; what comes before it is for the database to say then.
        if row.seq.0 <= self.end {
            return;
        }
        if row.seq.0 != self.end + 1 {
            *self = Self { start: row.seq.0 - 1, ..Self::default() };
        }
        self.end = row.seq.0;
        self.bytes += row.data.len();
        self.rows.push_back(row);
    }

    fn shorten(&mut self) {
        while self.rows.len() > KEPT_DISPATCHES || (self.bytes > KEPT_BYTES && self.rows.len() > 1) {
            self.take_first();
        }
    }

    fn take_first(&mut self) -> Option<FedDispatch> {
        let first = self.rows.pop_front()?;
        self.start = first.seq.0;
        self.bytes -= first.data.len();
        Some(first)
    }

    fn read(&mut self, query: &FeedQuery) -> AppendedHere {
        let after = query.after.0;
        if after == self.end {
            return AppendedHere::Nothing;
        }
        if after < self.start || after > self.end {
            return AppendedHere::Unknown;
        }
        let (mut rows, mut bytes) = (Vec::new(), 0);
        while rows.len() < query.limit as usize && bytes < query.bytes_max {
            let Some(row) = self.take_first() else { break };
            let is_wanted = row.seq.0 > after && query.partitions.contains(&row.partition);
            if is_wanted && !query.except_keys.contains(&row.ordering_key) {
                bytes += row.data.len();
                rows.push(row);
            }
        }
        AppendedHere::Some(FedFromTail { rows, through: Seq(self.start), more: !self.rows.is_empty() })
    }
}

fn dispatch(event: &NewEvent, seq: Seq) -> FedDispatch {
    FedDispatch {
        seq,
        partition: event.partition(),
        event_id: event.id,
        events_id: event.events_id.clone(),
        object_id: event.object_id.clone(),
        ordering_key: event.ordering_key.clone(),
        dt: event.dt.clone(),
        data: event.data.clone(),
        handler_id: None,
        generation: None,
        retrying: false,
        received_at: stored(event.received_at),
    }
}

impl Store {
    /// Dispatches behind a place as far as this process appended them without another in between; where that is not known,
    /// [`Self::read_dispatches`] has to be asked. What is answered for is not kept any longer: there is one reader.
    ///
    /// They are as they were appended. Right only for partitions that the reader has owned since before the place that it reads from.
    #[must_use]
    pub fn appended_here(&self, query: &FeedQuery) -> AppendedHere {
        self.tail().read(query)
    }
}

#[cfg(test)]
mod tests {
    use baton_domain::{Catalogue, EventStatus, PartitionId, event};
    use chrono::Utc;

    use super::*;

    fn event_of(object: u32) -> NewEvent {
        let text = format!(r#"{{"event":{{"events_id":"clients.create","object_id":{object}}},"data":{{}}}}"#);
        let publication: event::Publication = serde_json::from_str(&text).unwrap();
        publication.check(&Catalogue::default(), None, Utc::now()).unwrap()
    }

    fn append(tail: &Tail, seqs: std::ops::RangeInclusive<i64>) {
        let events: Vec<_> = seqs.map(|seq| (event_of(seq as u32), seq)).collect();
        let appended = |(event, seq): &(NewEvent, i64)| {
            (event.clone(), Appended { id: event.id, seq: Seq(*seq), status: EventStatus::Pending, duplicate: false })
        };
        let appended: Vec<_> = events.iter().map(appended).collect();
        tail.keep(appended.iter().map(|(event, appended)| (event, appended)));
    }

    fn query(after: i64) -> FeedQuery {
        FeedQuery {
            partitions: PartitionId::all().collect(),
            after: Seq(after),
            up_to: None,
            except_keys: Vec::new(),
            limit: 100,
            bytes_max: usize::MAX,
        }
    }

    /// A tail that is read.
    fn tail() -> Tail {
        let tail = Tail::default();
        assert!(is_unknown(&tail, 0));
        tail
    }

    fn is_unknown(tail: &Tail, after: i64) -> bool {
        matches!(tail.read(&query(after)), AppendedHere::Unknown)
    }

    fn appended(tail: &Tail, query: &FeedQuery) -> FedFromTail {
        match tail.read(query) {
            AppendedHere::Some(fed) => fed,
            other => panic!("{other:?}"),
        }
    }

    fn seqs(fed: &FedFromTail) -> Vec<i64> {
        fed.rows.iter().map(|row| row.seq.0).collect()
    }

    #[test]
    fn nothing_is_kept_before_somebody_asks() {
        let tail = Tail::default();
        append(&tail, 1..=3);
        assert!(is_unknown(&tail, 0));
        append(&tail, 4..=5);
        assert_eq!(seqs(&appended(&tail, &query(3))), [4, 5]);
    }

    #[test]
    fn what_was_appended_is_answered_once_and_without_a_gap() {
        let tail = tail();
        append(&tail, 1..=3);
        append(&tail, 4..=6);
        let fed = appended(&tail, &FeedQuery { limit: 4, ..query(0) });
        assert_eq!((seqs(&fed), fed.through, fed.more), (vec![1, 2, 3, 4], Seq(4), true));
        // Somebody who reads from further back has to ask the database.
        assert!(is_unknown(&tail, 3));
        let fed = appended(&tail, &query(4));
        assert_eq!((seqs(&fed), fed.through, fed.more), (vec![5, 6], Seq(6), false));
        assert!(matches!(tail.read(&query(6)), AppendedHere::Nothing));
        assert!(is_unknown(&tail, 7));
    }

    #[test]
    fn an_append_of_another_process_makes_it_begin_anew() {
        let tail = tail();
        append(&tail, 1..=3);
        append(&tail, 7..=8);
        assert!(is_unknown(&tail, 0) && is_unknown(&tail, 3));
        // Nothing is between 6 and 7.
        assert_eq!(seqs(&appended(&tail, &query(6))), [7, 8]);
    }

    #[test]
    fn an_append_that_is_kept_late_is_left_out() {
        let tail = tail();
        append(&tail, 1..=3);
        append(&tail, 7..=8);
        append(&tail, 4..=6);
        assert!(is_unknown(&tail, 3));
        assert_eq!(seqs(&appended(&tail, &query(6))), [7, 8]);
        append(&tail, 9..=9);
        assert_eq!(seqs(&appended(&tail, &query(8))), [9]);
    }

    #[test]
    fn a_reader_in_the_midst_gets_what_is_behind_its_place() {
        let tail = tail();
        append(&tail, 1..=5);
        assert_eq!(seqs(&appended(&tail, &query(3))), [4, 5]);
    }

    #[test]
    fn other_partitions_and_keys_that_lag_are_passed_over() {
        let tail = tail();
        append(&tail, 1..=3);
        let second = event_of(2);
        let except = FeedQuery { except_keys: vec![second.ordering_key], ..query(0) };
        let fed = appended(&tail, &except);
        assert_eq!((seqs(&fed), fed.through), (vec![1, 3], Seq(3)));
        append(&tail, 4..=4);
        let elsewhere = PartitionId::all().filter(|partition| *partition != event_of(4).partition()).collect();
        let fed = appended(&tail, &FeedQuery { partitions: elsewhere, ..query(3) });
        assert_eq!((seqs(&fed), fed.through, fed.more), (vec![], Seq(4), false));
    }

    #[test]
    fn it_is_bounded() {
        let tail = tail();
        append(&tail, 1..=KEPT_DISPATCHES as i64 + 10);
        assert!(is_unknown(&tail, 9));
        assert_eq!(appended(&tail, &query(10)).rows.len(), 100);
    }
}
