//! Objects that are put away: nothing of them can run now, so that the places of their dispatches are all that stays in memory. They are
//! woken, read back from the database, when a retry is due, a hold is released, or an event comes that something could be done with.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use baton_domain::{PartitionId, Seq};
use baton_storage::FedDispatch;
use chrono::Utc;

use super::reading::{Brought, complete};
use super::{Conductor, Message};
use crate::compiled::Compiled;
use crate::settings::{AWAY_KEYS, DATABASE_PAUSE, TRACKED_OF_ONE_KEY, WAKE_EVENTS, WAKES, delta};

/// One object's dispatches, in their order.
struct Away {
    partition: PartitionId,
    seqs: VecDeque<Seq>,
    /// What was read of it since its waking began, with the generation that is recorded for it.
    arrived: Vec<(FedDispatch, Option<Arc<Compiled>>)>,
    waking: bool,
    /// Whether something of it may be recorded, and has to be read back too.
    may_be_recorded: bool,
}

/// The objects that are put away.
#[derive(Default)]
pub(super) struct AwayObjects {
    objects: HashMap<Arc<str>, Away>,
    /// How many dispatches they have.
    dispatches: usize,
    /// Objects in memory that have nothing running, the longest idle first.
    idle: VecDeque<Arc<str>>,
    to_wake: VecDeque<Arc<str>>,
    wakes: usize,
}

impl AwayObjects {
    /// How many dispatches are put away.
    pub(super) fn len(&self) -> usize {
        self.dispatches
    }

    /// Whether more can be put away.
    pub(super) fn has_room(&self) -> bool {
        self.objects.len() < AWAY_KEYS
    }

    pub(super) fn drop_partitions(&mut self, of: &HashSet<PartitionId>) {
        let dispatches = &mut self.dispatches;
        self.objects.retain(|_, away| {
            let stays = !of.contains(&away.partition);
            if !stays {
                *dispatches -= away.seqs.len();
            }
            stays
        });
    }
}

impl Conductor {
    /// An object has nothing running: it may be put away when memory gets short.
    pub(super) fn note_idle(&mut self, key: &Arc<str>) {
        if let Some(object) = self.objects.get_mut(key)
            && object.queue.running() == 0
            && object.unwritten == 0
            && !std::mem::replace(&mut object.noted_idle, true)
        {
            self.away.idle.push_back(Arc::clone(key));
        }
    }

    /// Puts idle objects away while there are more dispatches in memory than should be.
    pub(super) fn put_away_idle(&mut self) {
        while self.dispatches.len() > self.tools.settings.events_in_memory && self.away.has_room() {
            let Some(key) = self.away.idle.pop_front() else { return };
            let Some(object) = self.objects.get_mut(&key) else { continue };
            object.noted_idle = false;
            // What is not written yet could not be read back.
            let idle = object.queue.running() == 0 && object.unwritten == 0;
            if !idle || self.away.objects.contains_key(&key) {
                continue;
            }
            let (partition, seqs): (_, VecDeque<Seq>) =
                (object.partition, object.queue.chains().map(|chain| chain.seq).collect());
            self.objects.remove(&key);
            let mut may_be_recorded = false;
            for seq in &seqs {
                self.put_body_aside(*seq);
                may_be_recorded |= self.dispatches.remove(seq).is_none_or(|dispatch| dispatch.called || dispatch.retrying);
            }
            self.away.dispatches += seqs.len();
            self.away.objects.insert(key, Away { partition, seqs, arrived: Vec::new(), waking: false, may_be_recorded });
        }
    }

    /// Takes a dispatch of an object that is put away: `None` when it is not, otherwise as [`Self::take`].
    pub(super) fn take_away(&mut self, row: &FedDispatch, brought: &Brought) -> Option<bool> {
        let key = row.ordering_key.as_str();
        let away = self.away.objects.get(key)?;
        let count = away.seqs.len() + away.arrived.len();
        let last = away.arrived.last().map(|(row, _)| row.seq).or(away.seqs.back().copied());
        let known = last.is_some_and(|last| row.seq <= last);
        if known {
            return Some(true);
        }
        if count >= TRACKED_OF_ONE_KEY {
            self.feed.leave(key, row.partition, last.unwrap_or(Seq(0)));
            return Some(false);
        }
        let nothing_to_do = !away.waking && row.generation.is_none() && self.all_held(&row.events_id, row.handler_id);
        let (key, away) =
            self.away.objects.get_key_value(key).map(|(key, _)| Arc::clone(key)).zip(self.away.objects.get_mut(key))?;
        if nothing_to_do {
            away.seqs.push_back(row.seq);
            away.may_be_recorded |= brought.progress.contains_key(&row.seq);
            self.away.dispatches += 1;
        } else {
            let under = row.generation.and_then(|number| brought.generations.get(&number));
            away.arrived.push((row.clone(), under.cloned()));
            self.wake(&key);
        }
        Some(true)
    }

    /// Wakes an object, if it is put away.
    pub(super) fn wake(&mut self, key: &Arc<str>) {
        if let Some(away) = self.away.objects.get_mut(key)
            && !std::mem::replace(&mut away.waking, true)
        {
            self.away.to_wake.push_back(Arc::clone(key));
        }
    }

    /// Reads back the next objects that are to be woken.
    pub(super) fn wake_next(&mut self) {
        while self.away.wakes < WAKES && self.has_room_for_bodies() && !self.stopping {
            let (mut keys, mut seqs, mut recorded) = (Vec::new(), Vec::new(), HashSet::<Seq>::new());
            while seqs.len() < WAKE_EVENTS
                && let Some(key) = self.away.to_wake.pop_front()
            {
                let Some(away) = self.away.objects.get(&key) else { continue };
                let part = away.seqs.len().min(WAKE_EVENTS - seqs.len());
                seqs.extend(away.seqs.range(..part));
                if away.may_be_recorded {
                    recorded.extend(away.seqs.range(..part));
                }
                keys.push((key, part));
            }
            if keys.is_empty() {
                return;
            }
            self.away.wakes += 1;
            let (store, shelf, outbox) = (self.tools.store.clone(), self.tools.shelf.clone(), self.tools.outbox.clone());
            tokio::spawn(async move {
                let brought = async {
                    let rows = store.load_dispatches(&seqs).await?;
                    complete(&store, &shelf, rows, |row| recorded.contains(&row.seq)).await
                };
                let brought = brought.await;
                let _ = outbox.send(Message::Woken { keys, brought });
            });
        }
    }

    /// Objects, or the first part of them, have been read back.
    pub(super) fn woken(&mut self, keys: Vec<(Arc<str>, usize)>, brought: baton_storage::Result<Brought>) {
        self.away.wakes -= 1;
        let brought = match brought {
            Ok(brought) => brought,
            Err(error) => {
                tracing::warn!(%error, "objects that were put away could not be read back");
                let later = Utc::now() + delta(DATABASE_PAUSE.1);
                for (key, _) in keys {
                    if let Some(away) = self.away.objects.get_mut(&key) {
                        away.waking = false;
                        self.timers.set(later, key);
                    }
                }
                return;
            }
        };
        let mut rows: HashMap<String, Vec<FedDispatch>> = HashMap::new();
        for row in &brought.rows {
            rows.entry(row.ordering_key.clone()).or_default().push(row.clone());
        }
        for (key, part) in keys {
            let Some(away) = self.away.objects.get_mut(&key) else { continue };
            away.seqs.drain(..part);
            self.away.dispatches -= part;
            for row in rows.remove(&*key).unwrap_or_default() {
                self.plan(&row, &brought);
            }
            self.woken_part(&key);
        }
    }

    /// Goes on with the rest of an object, or takes it off the list with what has come meanwhile.
    fn woken_part(&mut self, key: &Arc<str>) {
        let Some(away) = self.away.objects.get(key) else { return };
        if !away.seqs.is_empty() {
            return self.away.to_wake.push_back(Arc::clone(key));
        }
        let arrived = self.away.objects.remove(key).map(|away| away.arrived).unwrap_or_default();
        for (row, under) in arrived {
            let generations = row.generation.zip(under).into_iter().collect();
            self.plan(&row, &Brought { generations, ..Brought::default() });
        }
        if !self.objects.contains_key(key) {
            self.feed.has_room(key);
        }
    }
}
