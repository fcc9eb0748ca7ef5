//! The queue of one object: its chains, and the lanes that run across them.

use std::collections::VecDeque;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::chain::{Chain, Delivery, DeliveryState, Ending};
use crate::handler::OnFailure;
use crate::ids::{HandlerId, Seq};

/// What came of a delivery's end.
#[derive(Debug, Default)]
pub struct Settled {
    /// Deliveries of later stages that ended with it, because it was dead and said `stop`.
    pub skipped: Vec<HandlerId>,
    /// The chain, taken out of the queue, when this was its last delivery.
    pub finished: Option<Chain>,
}

/// One lane of one object: the chains that have unended deliveries in it, earliest first, with their number.
#[derive(Debug)]
struct Lane {
    name: Arc<str>,
    chains: VecDeque<(Seq, u16)>,
}

/// The unfinished events of one ordering key.
#[derive(Debug, Default)]
pub struct ObjectQueue {
    chains: VecDeque<Chain>,
    lanes: Vec<Lane>,
    running: u32,
}

impl ObjectQueue {
    /// Adds a chain, which takes its place in each of its lanes. Chains come in the order of publication: one that is not later than the
    /// last, or that has nothing left to do, is handed back.
    pub fn plan(&mut self, chain: Chain) -> Option<Chain> {
        if chain.ended() || self.chains.back().is_some_and(|last| last.seq >= chain.seq) {
            return Some(chain);
        }
        self.take_places(&chain);
        self.chains.push_back(chain);
        None
    }

    /// How many chains there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.chains.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.chains.is_empty()
    }

    /// How many deliveries are handed out. While it is 0 after [`Self::start_ready`], only time, or the release of what is held, can
    /// move this object on.
    #[must_use]
    pub fn running(&self) -> u32 {
        self.running
    }

    /// The chains, earliest first.
    pub fn chains(&self) -> impl Iterator<Item = &Chain> {
        self.chains.iter()
    }

    /// The chain of this place.
    #[must_use]
    pub fn chain(&self, seq: Seq) -> Option<&Chain> {
        self.position(seq).map(|index| &self.chains[index])
    }

    /// How many deliveries wait in their lanes behind an earlier event.
    #[must_use]
    pub fn held_by_lane(&self) -> usize {
        let behind_head = |lane: &Lane| lane.chains.iter().skip(1).map(|&(_, count)| usize::from(count)).sum::<usize>();
        self.lanes.iter().map(behind_head).sum::<usize>() - self.running_behind_head()
    }

    /// How many deliveries run though an earlier event is in their lane: it was planned anew into the lane while they ran.
    fn running_behind_head(&self) -> usize {
        let all = self.chains.iter().flat_map(|chain| chain.deliveries.iter().map(move |delivery| (chain.seq, delivery)));
        let running = all.filter(|(_, delivery)| delivery.state == DeliveryState::Running).take(self.running as usize);
        running.filter(|(seq, delivery)| !self.heads(&delivery.lane, *seq)).count()
    }

    /// How many deliveries wait without having been tried: behind an earlier event of their lane, or because their handler is held.
    #[must_use]
    pub fn waiting(&self, held: impl Fn(HandlerId) -> bool) -> usize {
        let waits = |chain: &Chain, d: &Delivery| {
            d.state == DeliveryState::Waiting && (held(d.handler) || !self.heads(&d.lane, chain.seq))
        };
        self.chains.iter().map(|chain| chain.deliveries.iter().filter(|d| waits(chain, d)).count()).sum()
    }

    /// Hands out every delivery that may start now, in the order of publication, then priority, and counts them as running. `held` says
    /// whether a handler is paused or its breaker open.
    pub fn start_ready(&mut self, now: DateTime<Utc>, held: impl Fn(HandlerId) -> bool) -> Vec<(Seq, HandlerId)> {
        // Only a chain at the head of one of its lanes can have anything to start.
        let mut heads: Vec<Seq> = self.lanes.iter().filter_map(|lane| lane.chains.front().map(|&(seq, _)| seq)).collect();
        heads.sort_unstable();
        heads.dedup();
        let mut started = Vec::new();
        for seq in heads {
            let Some(index) = self.position(seq) else { continue };
            let ready = self.ready_in(index, now, &held);
            for at in ready {
                let delivery = &mut self.chains[index].deliveries[at];
                delivery.state = DeliveryState::Running;
                started.push((seq, delivery.handler));
            }
        }
        self.running += started.len() as u32;
        started
    }

    /// Takes back a delivery that was handed out but not called.
    pub fn put_back(&mut self, seq: Seq, handler: HandlerId, now: DateTime<Utc>) {
        let state = |attempts| if attempts == 0 { DeliveryState::Waiting } else { DeliveryState::Retrying { due: now } };
        if let Some(delivery) = self.running_delivery(seq, handler) {
            delivery.state = state(delivery.attempts);
            self.running -= 1;
        }
    }

    /// A call did not succeed and is to be tried again.
    pub fn retry(&mut self, seq: Seq, handler: HandlerId, due: DateTime<Utc>) {
        if let Some(delivery) = self.running_delivery(seq, handler) {
            delivery.attempts += 1;
            delivery.state = DeliveryState::Retrying { due };
            self.running -= 1;
        }
    }

    /// A delivery is over. `called` says whether it was called just now, or ended without a call.
    pub fn end(&mut self, seq: Seq, handler: HandlerId, ending: Ending, called: bool) -> Settled {
        let Some(index) = self.position(seq) else { return Settled::default() };
        let chain = &mut self.chains[index];
        let Some(delivery) = chain.delivery_mut(handler).filter(|d| !d.ended()) else { return Settled::default() };
        if delivery.state == DeliveryState::Running {
            self.running -= 1;
        }
        delivery.attempts += u32::from(called);
        delivery.state = DeliveryState::Ended(ending);
        let stops = ending == Ending::Dead && delivery.on_failure == OnFailure::Stop;
        let skipped = if stops { chain.skip_after(handler) } else { Vec::new() };
        let lanes: Vec<_> = chain
            .deliveries
            .iter()
            .filter(|d| d.handler == handler || skipped.contains(&d.handler))
            .map(|d| Arc::clone(&d.lane))
            .collect();
        let finished = chain.ended();
        for lane in lanes {
            self.leave(&lane, seq);
        }
        Settled { skipped, finished: if finished { self.chains.remove(index) } else { None } }
    }

    /// Plans anew every chain that has not started, as a new generation wants it. `plan` gives the deliveries of a chain; chains for which it
    /// gives none are taken out and returned.
    pub fn replan(&mut self, mut plan: impl FnMut(Seq) -> Option<Vec<Delivery>>) -> Vec<Chain> {
        let mut without = Vec::new();
        for chain in std::mem::take(&mut self.chains) {
            let new = if chain.started() { None } else { plan(chain.seq) };
            match new {
                None => self.chains.push_back(chain),
                Some(deliveries) if deliveries.is_empty() => without.push(chain),
                Some(deliveries) => self.chains.push_back(Chain::new(chain.seq, deliveries)),
            }
        }
        self.lanes.clear();
        let chains = std::mem::take(&mut self.chains);
        for chain in &chains {
            self.take_places(chain);
        }
        self.chains = chains;
        without
    }

    fn take_places(&mut self, chain: &Chain) {
        for delivery in chain.deliveries.iter().filter(|d| !d.ended()) {
            let at = self.lanes.iter().position(|lane| lane.name == delivery.lane).unwrap_or_else(|| {
                self.lanes.push(Lane { name: Arc::clone(&delivery.lane), chains: VecDeque::new() });
                self.lanes.len() - 1
            });
            match self.lanes[at].chains.back_mut() {
                Some((seq, count)) if *seq == chain.seq => *count += 1,
                _ => self.lanes[at].chains.push_back((chain.seq, 1)),
            }
        }
    }

    fn leave(&mut self, name: &Arc<str>, seq: Seq) {
        let Some(at) = self.lanes.iter().position(|lane| lane.name == *name) else { return };
        let chains = &mut self.lanes[at].chains;
        if let Ok(place) = chains.binary_search_by_key(&seq, |&(seq, _)| seq) {
            chains[place].1 -= 1;
            if chains[place].1 == 0 {
                chains.remove(place);
            }
        }
        if chains.is_empty() {
            self.lanes.swap_remove(at);
        }
    }

    fn position(&self, seq: Seq) -> Option<usize> {
        self.chains.binary_search_by_key(&seq, |chain| chain.seq).ok()
    }

    fn running_delivery(&mut self, seq: Seq, handler: HandlerId) -> Option<&mut Delivery> {
        let index = self.position(seq)?;
        self.chains[index].delivery_mut(handler).filter(|d| d.state == DeliveryState::Running)
    }

    fn heads(&self, lane: &Arc<str>, seq: Seq) -> bool {
        let head = self.lanes.iter().find(|l| l.name == *lane).and_then(|l| l.chains.front());
        head.is_none_or(|&(head, _)| head == seq)
    }

    /// Which deliveries of a chain may start now.
    fn ready_in(&self, index: usize, now: DateTime<Utc>, held: &impl Fn(HandlerId) -> bool) -> Vec<usize> {
        let chain = &self.chains[index];
        let is_held = |d: &Delivery| held(d.handler) || !self.heads(&d.lane, chain.seq);
        let mut ready = Vec::new();
        for stage in chain.deliveries.chunk_by(|a, b| a.priority == b.priority) {
            let offset = ready_offset(&chain.deliveries, stage);
            for (at, delivery) in stage.iter().enumerate() {
                let wants = match delivery.state {
                    DeliveryState::Waiting => true,
                    DeliveryState::Retrying { due } => due <= now,
                    DeliveryState::Running | DeliveryState::Ended(_) => false,
                };
                if wants && !is_held(delivery) {
                    ready.push(offset + at);
                }
            }
            if !stage.iter().all(|d| lets_pass(d, &is_held)) {
                break;
            }
        }
        ready
    }
}

/// Where a stage begins among the deliveries that it is a part of.
fn ready_offset(deliveries: &[Delivery], stage: &[Delivery]) -> usize {
    deliveries.partition_point(|d| stage.first().is_some_and(|first| d.priority < first.priority))
}

/// Whether a delivery lets the stages behind it go on: it has been tried or is held, and has ended where it must.
fn lets_pass(delivery: &Delivery, is_held: &impl Fn(&Delivery) -> bool) -> bool {
    if delivery.ended() {
        return true;
    }
    if delivery.on_failure != OnFailure::Continue {
        return false;
    }
    delivery.attempts > 0 || (delivery.state == DeliveryState::Waiting && is_held(delivery))
}
