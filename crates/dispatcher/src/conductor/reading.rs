//! Reading unfinished dispatches into memory.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use baton_domain::{EventId, GenerationNumber, Seq};
use baton_storage::{AppendedHere, FedDispatch, Progress, Store};

use tokio::time::Instant;

use super::{Conductor, Message};
use crate::compiled::{Compiled, Shelf};
use crate::feed::{Looked, Read, What};
use crate::settings::{DATABASE_PAUSE, IN_MEMORY_TIMES, READ_EVENTS, READ_REST, WINDOW_BYTES, WINDOW_EVENTS};

/// What a read brought.
#[derive(Default)]
pub(crate) struct Brought {
    pub rows: Vec<FedDispatch>,
    /// Whether the database was not asked.
    pub from_memory: bool,
    /// How far it looked, where it says so.
    pub looked: Option<Looked>,
    /// What an owner before has recorded of them.
    pub progress: HashMap<Seq, Vec<Progress>>,
    /// The generations that their chains began under.
    pub generations: HashMap<GenerationNumber, Arc<Compiled>>,
}

impl Conductor {
    /// Starts the next read, if there is room for what it brings.
    pub(super) fn read_next(&mut self) {
        let room = self.has_room_for_bodies() && self.dispatches.len() < self.tools.settings.events_in_memory * IN_MEMORY_TIMES;
        // Without a generation nothing can be planned: events wait for the first one.
        if self.reading || self.stopping || !room || self.live.number() == GenerationNumber(0) {
            return;
        }
        self.read_rests = Instant::now() < self.read_not_before;
        if self.read_rests {
            return;
        }
        let Some(read) = self.feed.next() else { return };
        self.reading = true;
        let (store, shelf, outbox) = (self.tools.store.clone(), self.tools.shelf.clone(), self.tools.outbox.clone());
        tokio::spawn(async move {
            let brought = bring(&store, &shelf, &read).await;
            let _ = outbox.send(Message::Read { read, brought });
        });
    }

    pub(super) fn has_room_for_bodies(&self) -> bool {
        self.bodies.0 < WINDOW_EVENTS && self.bodies.1 < WINDOW_BYTES
    }

    pub(super) fn read_done(&mut self, read: Read, brought: baton_storage::Result<Brought>) {
        self.reading = false;
        let brought = match brought {
            Ok(brought) if self.feed.is_current(&read) => brought,
            Ok(_) => return self.feed.failed(read),
            Err(error) => {
                tracing::warn!(%error, "unfinished events could not be read");
                self.read_not_before = Instant::now() + DATABASE_PAUSE.1;
                return self.feed.failed(read);
            }
        };
        // The rest of a key that lags is read because there is room; anything else of such a key is passed over.
        let rest = matches!(read.what, What::Rest { .. });
        let mut last_taken = None;
        for row in &brought.rows {
            if self.take(row, &brought, rest) {
                last_taken = Some(row.seq);
            } else if rest {
                break;
            }
        }
        if let What::Next(query) = &read.what
            && !brought.from_memory
            && query.exhausted_by(&brought.rows)
        {
            self.read_not_before = Instant::now() + rest_after(brought.rows.len());
        }
        self.feed.done(&read, &brought.rows, brought.looked, last_taken);
    }

    /// Loads bodies that were put aside.
    pub(super) fn load_bodies(&mut self, wanted: &[Seq]) {
        for part in wanted.chunks(READ_EVENTS as usize / 8) {
            let (store, outbox, wanted) = (self.tools.store.clone(), self.tools.outbox.clone(), part.to_vec());
            tokio::spawn(async move {
                let brought = store.load_dispatches(&wanted).await;
                let _ = outbox.send(Message::Payloads { wanted, brought });
            });
        }
    }
}

/// How long reading rests after it has brought all that there was.
fn rest_after(dispatches: usize) -> Duration {
    let (each, longest) = READ_REST;
    let rest = each * u32::try_from(dispatches).unwrap_or(u32::MAX).min(1000);
    // A timer has ticks of a millisecond.
    if rest < Duration::from_millis(1) { Duration::ZERO } else { rest.min(longest) }
}

async fn bring(store: &Store, shelf: &Shelf, read: &Read) -> baton_storage::Result<Brought> {
    if let What::Next(query) = &read.what
        && !read.may_be_recorded
    {
        let looked = |through, more| Some(Looked { through, more });
        match store.appended_here(query) {
            AppendedHere::Some(fed) => {
                let looked = looked(fed.through, fed.more);
                return Ok(Brought { rows: fed.rows, from_memory: true, looked, ..Brought::default() });
            }
            AppendedHere::Nothing if read.from_here => {
                let looked = looked(query.after, false);
                return Ok(Brought { from_memory: true, looked, ..Brought::default() });
            }
            AppendedHere::Nothing | AppendedHere::Unknown => {}
        }
    }
    // What was given a place before this, by whomever, and is not found by the read is done: an owner before may have been further than
    // the last that is left. Only what comes behind may be taken as new without asking.
    let position = match &read.what {
        What::Next(_) if read.may_be_recorded => Some(store.append_position().await?),
        _ => None,
    };
    let rows = match &read.what {
        What::Next(query) | What::Joining(query) => store.read_dispatches(query).await?,
        What::Rest { partition, key, after, up_to } => {
            store.read_key_backlog(*partition, key, *after, *up_to, READ_EVENTS).await?
        }
    };
    let looked = match (&read.what, position) {
        (What::Next(query), Some(position)) if query.exhausted_by(&rows) => {
            let last = rows.last().map_or(position, |row| row.seq.max(position));
            Some(Looked { through: last, more: false })
        }
        _ => None,
    };
    Ok(Brought { looked, ..complete(store, shelf, rows, |_| read.may_be_recorded).await? })
}

/// Adds to dispatches what is recorded of them, if anything may be, and the generations that their chains began under.
pub(super) async fn complete(
    store: &Store,
    shelf: &Shelf,
    rows: Vec<FedDispatch>,
    may_be_recorded: impl Fn(&FedDispatch) -> bool,
) -> baton_storage::Result<Brought> {
    let mut brought = Brought { rows, ..Brought::default() };
    let of: Vec<(Seq, EventId)> =
        brought.rows.iter().filter(|row| may_be_recorded(row)).map(|row| (row.seq, row.event_id)).collect();
    if !of.is_empty() {
        for progress in store.recorded_progress(&of).await? {
            brought.progress.entry(progress.seq).or_default().push(progress);
        }
    }
    let begun = brought.rows.iter().filter_map(|row| row.generation);
    let recorded = brought.progress.values().flatten().map(|progress| progress.generation);
    let numbers: std::collections::HashSet<_> = begun.chain(recorded).collect();
    for number in numbers {
        if let Some(generation) = shelf.get(number).await? {
            brought.generations.insert(number, generation);
        }
    }
    Ok(brought)
}
