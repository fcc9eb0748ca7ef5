//! Taking partitions and giving them up.

use std::collections::HashSet;
use std::sync::Arc;

use baton_domain::{HandlerId, PartitionId};
use chrono::Utc;

use super::Conductor;

impl Conductor {
    pub(super) fn acquired(&mut self, partitions: Vec<PartitionId>) {
        if self.stopping {
            // They came too late to be used.
            let _ = self.tools.given_up.send(partitions);
            return;
        }
        self.owned.extend(&partitions);
        self.feed.acquire(partitions);
    }

    /// Gives up what is more than the fair share to a dispatcher that has less. Told as what is to stay, since the request may be older than
    /// what has been given up meanwhile.
    pub(super) fn shed_to(&mut self, share: usize) {
        let staying: Vec<_> = self.owned.difference(&self.leaving).copied().collect();
        let leaving = staying.into_iter().skip(share).collect();
        self.leave_partitions(&leaving);
    }

    /// Starts nothing more in these partitions; they are given up when what is under way there is written.
    pub(super) fn leave_partitions(&mut self, partitions: &HashSet<PartitionId>) {
        self.leaving.extend(partitions);
        let leaving = self.leaving.clone();
        self.put_back_waiting(|partition, _| leaving.contains(&partition));
    }

    /// Takes deliveries back that wait for a slot, and lets their objects look again.
    pub(super) fn put_back_waiting(&mut self, which: impl Fn(PartitionId, HandlerId) -> bool) {
        let now = Utc::now();
        let mut touched = Vec::new();
        for (seq, handler) in self.ready.drain() {
            let Some(dispatch) = self.dispatches.get(&seq) else { continue };
            if !which(dispatch.partition, handler) {
                self.ready.push(seq, handler);
            } else if let Some(object) = self.objects.get_mut(&dispatch.key) {
                object.queue.put_back(seq, handler, now);
                touched.push(Arc::clone(&dispatch.key));
            }
        }
        for key in touched {
            self.start_ready(&key);
        }
    }

    pub(super) fn recorded(&mut self, written: &[(PartitionId, Arc<str>)]) {
        self.unrecorded -= written.len();
        for (partition, key) in written {
            self.no_longer_busy(*partition);
            if let Some(object) = self.objects.get_mut(key) {
                object.unwritten = object.unwritten.saturating_sub(1);
                self.note_idle(key);
            }
        }
    }

    pub(super) fn no_longer_busy(&mut self, partition: PartitionId) {
        if let Some(busy) = self.busy.get_mut(&partition) {
            *busy -= 1;
            if *busy == 0 {
                self.busy.remove(&partition);
            }
        }
    }

    /// Gives up partitions in which nothing is under way any more.
    pub(super) fn give_up_idle(&mut self) {
        if self.leaving.is_empty() {
            return;
        }
        let idle: HashSet<_> = self.leaving.iter().filter(|p| !self.busy.contains_key(p)).copied().collect();
        if idle.is_empty() {
            return;
        }
        self.leaving.retain(|partition| !idle.contains(partition));
        self.owned.retain(|partition| !idle.contains(partition));
        self.feed.drop_partitions(&idle);
        let gone: Vec<_> = self.dispatches.iter().filter(|(_, d)| idle.contains(&d.partition)).map(|(seq, _)| *seq).collect();
        for seq in gone {
            self.put_body_aside(seq);
            self.without_body.remove(&seq);
            self.dispatches.remove(&seq);
        }
        self.objects.retain(|_, object| !idle.contains(&object.partition));
        self.away.drop_partitions(&idle);
        let _ = self.tools.given_up.send(idle.into_iter().collect());
    }
}
