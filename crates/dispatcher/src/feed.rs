//! Where reading stands: which unfinished dispatches have been taken into memory, and which come next.
//!
//! Places become visible in their order (the append transaction sees to that), so one cursor says what has been read. Partitions that were
//! taken over are read from their beginning, up to that cursor, and then join it. An ordering key with more dispatches than fit into
//! memory lags: reading passes it over, and its rest is read when there is room, so that it starves nobody.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use baton_domain::{PartitionId, Seq};
use baton_storage::{FedDispatch, FeedQuery};

use crate::settings::{LAGGING_KEYS, READ_BYTES, READ_EVENTS};

/// Partitions that are read together.
#[derive(Debug)]
struct Line {
    partitions: BTreeSet<PartitionId>,
    cursor: Seq,
    /// Whether everything behind the cursor was appended under this ownership, so that nothing of it can be recorded yet.
    fresh: bool,
}

/// An ordering key of which not everything that was read past is in memory.
#[derive(Debug, Clone, Copy)]
struct Lag {
    partition: PartitionId,
    /// The last of its dispatches that was taken.
    taken: Seq,
}

/// What to read next.
#[derive(Debug, Clone)]
pub(crate) struct Read {
    pub what: What,
    /// Whether another owner may have recorded some of it.
    pub may_be_recorded: bool,
    /// Whether all that may be new was appended by this process.
    pub from_here: bool,
    version: u64,
}

#[derive(Debug, Clone)]
pub(crate) enum What {
    /// The next dispatches behind the cursor.
    Next(FeedQuery),
    /// Dispatches of partitions that were taken over, up to the cursor.
    Joining(FeedQuery),
    /// The rest of a key that lags.
    Rest { partition: PartitionId, key: String, after: Seq, up_to: Seq },
}

/// How far a read looked: further than the last dispatch that it brought, where it passed others over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Looked {
    pub through: Seq,
    /// Whether there is more behind that place.
    pub more: bool,
}

/// Where reading stands.
#[derive(Debug, Default)]
pub(crate) struct Feed {
    main: Option<Line>,
    joining: VecDeque<Line>,
    lagging: HashMap<String, Lag>,
    /// Keys that lag and have room again.
    with_room: VecDeque<String>,
    /// Whether there may be dispatches that were not read yet.
    wanted: bool,
    /// Whether this process has appended some.
    wanted_here: bool,
    /// Changes when partitions are dropped: a read that began before brings what is no longer wanted.
    version: u64,
}

impl Feed {
    /// Says that there may be new dispatches.
    pub(crate) fn want(&mut self) {
        self.wanted = true;
    }

    /// Says that this process has appended some.
    pub(crate) fn want_here(&mut self) {
        self.wanted_here = true;
    }

    /// Starts reading partitions that were taken over.
    pub(crate) fn acquire(&mut self, partitions: Vec<PartitionId>) {
        self.joining.push_back(Line { partitions: partitions.into_iter().collect(), cursor: Seq(0), fresh: false });
        self.wanted = true;
    }

    /// Stops reading partitions, and forgets what was known of them.
    pub(crate) fn drop_partitions(&mut self, partitions: &HashSet<PartitionId>) {
        for line in self.main.iter_mut().chain(&mut self.joining) {
            line.partitions.retain(|partition| !partitions.contains(partition));
        }
        self.joining.retain(|line| !line.partitions.is_empty());
        self.lagging.retain(|_, lag| !partitions.contains(&lag.partition));
        self.version += 1;
    }

    /// Whether what a read brings can be used.
    pub(crate) fn is_current(&self, read: &Read) -> bool {
        self.version == read.version
    }

    /// Whether reading passes a key over at the moment.
    pub(crate) fn lags(&self, key: &str) -> bool {
        self.lagging.contains_key(key)
    }

    /// A dispatch of a key that has no room is left in the database. `last` is the key's last dispatch in memory.
    pub(crate) fn leave(&mut self, key: &str, partition: PartitionId, last: Seq) {
        self.lagging.entry(key.to_owned()).or_insert(Lag { partition, taken: last });
    }

    /// A key that may lag has room again.
    pub(crate) fn has_room(&mut self, key: &str) {
        if self.lagging.contains_key(key) && !self.with_room.iter().any(|k| k == key) {
            self.with_room.push_back(key.to_owned());
        }
    }

    /// What to read next, if there is anything. One read at a time: the next after [`Self::done`].
    pub(crate) fn next(&mut self) -> Option<Read> {
        let version = self.version;
        let from_here = !self.wanted;
        let read = |what, may_be_recorded| Some(Read { what, may_be_recorded, from_here, version });
        while let Some(key) = self.with_room.pop_front() {
            if let Some(lag) = self.lagging.get(&key) {
                let up_to = self.cursor_of(lag.partition);
                return read(What::Rest { partition: lag.partition, key, after: lag.taken, up_to }, true);
            }
        }
        let main_cursor = self.main.as_ref().map_or(Seq(0), |line| line.cursor);
        while let Some(line) = self.joining.front() {
            if line.cursor < main_cursor {
                return read(What::Joining(self.query(line, Some(main_cursor))), true);
            }
            self.join();
        }
        if !(self.wanted || self.wanted_here) || self.lagging.len() > LAGGING_KEYS {
            return None;
        }
        let main = self.main.as_ref().filter(|line| !line.partitions.is_empty())?;
        let (what, fresh) = (What::Next(self.query(main, None)), main.fresh);
        (self.wanted, self.wanted_here) = (false, false);
        read(what, !fresh)
    }

    /// Notes what a read brought, after its dispatches were taken or left. `last_taken` matters for the rest of a key: what was not taken
    /// of it is read again.
    pub(crate) fn done(&mut self, read: &Read, rows: &[FedDispatch], looked: Option<Looked>, last_taken: Option<Seq>) {
        let last = rows.last().map(|row| row.seq);
        match &read.what {
            What::Rest { key, .. } if rows.len() < READ_EVENTS as usize && last_taken == last => {
                self.lagging.remove(key);
            }
            What::Rest { key, .. } => {
                if let (Some(lag), Some(last)) = (self.lagging.get_mut(key), last_taken) {
                    lag.taken = last;
                }
            }
            What::Joining(query) => {
                if let Some(line) = self.joining.front_mut() {
                    line.cursor = if query.exhausted_by(rows) { query.up_to } else { last }.unwrap_or(line.cursor);
                }
            }
            What::Next(query) => {
                let all = looked.map_or_else(|| query.exhausted_by(rows), |looked| !looked.more);
                let reached = looked.map(|looked| looked.through).or(last);
                if let Some(main) = &mut self.main {
                    main.cursor = reached.unwrap_or(main.cursor);
                    main.fresh |= all;
                }
                self.wanted |= !all;
            }
        }
    }

    /// A read failed or came too late: what it was for is still to be read.
    pub(crate) fn failed(&mut self, read: Read) {
        match read.what {
            What::Rest { key, .. } => self.has_room(&key),
            What::Joining(_) | What::Next(_) => self.wanted = true,
        }
    }

    /// The first of the partitions that were taken over has been read up to the cursor.
    fn join(&mut self) {
        let Some(line) = self.joining.pop_front() else { return };
        match &mut self.main {
            None => self.main = Some(line),
            Some(main) => {
                main.partitions.extend(line.partitions);
                // The owner before may have been further than this cursor.
                main.fresh = false;
            }
        }
        self.wanted = true;
    }

    fn cursor_of(&self, partition: PartitionId) -> Seq {
        let line = self.joining.iter().chain(&self.main).find(|line| line.partitions.contains(&partition));
        line.map_or(Seq(0), |line| line.cursor)
    }

    fn query(&self, line: &Line, up_to: Option<Seq>) -> FeedQuery {
        FeedQuery {
            partitions: line.partitions.iter().copied().collect(),
            after: line.cursor,
            up_to,
            except_keys: self.lagging.keys().cloned().collect(),
            limit: READ_EVENTS,
            bytes_max: READ_BYTES,
        }
    }
}

#[cfg(test)]
mod tests;
