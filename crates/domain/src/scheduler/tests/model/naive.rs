//! The rules as the contract words them, with no thought of speed: the model keeps the whole history of an object and works
//! everything out from its beginning whenever it is asked.

use std::collections::BTreeMap;

use crate::event::EventStatus;
use crate::handler::OnFailure;
use crate::scheduler::Ending;

/// An event's number and a handler's.
pub(super) type Pair = (i64, i64);

/// One handler's part in a chain.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Part {
    pub(super) handler: i64,
    pub(super) priority: u16,
    pub(super) on_failure: OnFailure,
    pub(super) lane: u8,
}

/// Something that happened to the object. Instants are in seconds.
#[derive(Debug, Clone)]
pub(super) enum Happening {
    /// An event got its chain; the last one counts, an empty one takes the event out.
    Planned(i64, Vec<Part>),
    /// A call began.
    Started(Pair),
    /// A call failed and is to be tried again at this instant.
    Failed(Pair, i64),
    /// A delivery ended, by a call or without one.
    Ended(Pair, Ending, bool),
    /// A call did not take place after all.
    PutBack(Pair),
    /// A handler was paused, or its breaker opened.
    Held(i64),
    /// The pause is over.
    Released(i64),
    /// It is now this instant.
    Clock(i64),
}

/// What has become of a delivery.
#[derive(Debug, Clone, Default)]
pub(super) struct Fate {
    pub(super) tries: u32,
    pub(super) under_way: bool,
    /// When it may be tried again.
    pub(super) due: i64,
    pub(super) ending: Option<Ending>,
}

impl Fate {
    pub(super) fn ended(&self) -> bool {
        self.ending.is_some()
    }
}

/// A delivery with what has become of it.
pub(super) struct Seen<'a> {
    pub(super) pair: Pair,
    pub(super) part: &'a Part,
    pub(super) fate: Fate,
}

/// Everything that happened to one object.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) history: Vec<Happening>,
}

impl Model {
    pub(super) fn tell(&mut self, happening: Happening) {
        self.history.push(happening);
    }

    pub(super) fn now(&self) -> i64 {
        let clock = self.history.iter().rev().find_map(|h| if let Happening::Clock(now) = h { Some(*now) } else { None });
        clock.unwrap_or_default()
    }

    pub(super) fn is_held(&self, handler: i64) -> bool {
        let mut held = false;
        for happening in &self.history {
            match happening {
                Happening::Held(h) if *h == handler => held = true,
                Happening::Released(h) if *h == handler => held = false,
                _ => {}
            }
        }
        held
    }

    /// Every delivery there has been, by event, then priority, then handler.
    pub(super) fn deliveries(&self) -> impl Iterator<Item = Seen<'_>> {
        let mut chains = BTreeMap::new();
        for (at, happening) in self.history.iter().enumerate() {
            if let Happening::Planned(event, chain) = happening {
                chains.insert(*event, (at, chain));
            }
        }
        chains.into_iter().flat_map(|(event, (at, chain))| {
            let mut seen: Vec<_> = chain
                .iter()
                .map(|part| Seen { pair: (event, part.handler), part, fate: fate(&self.history[at..], event, part, chain) })
                .collect();
            seen.sort_by_key(|d| (d.part.priority, d.part.handler));
            seen
        })
    }

    /// What may run now, in the order of [`Self::deliveries`].
    pub(super) fn may_run(&self) -> Vec<Pair> {
        let all: Vec<_> = self.deliveries().collect();
        let now = self.now();
        let wants = |d: &&Seen<'_>| !d.fate.ended() && !d.fate.under_way && (d.fate.tries == 0 || d.fate.due <= now);
        let may = |d: &&Seen<'_>| !self.is_held(d.part.handler) && lane_is_free(&all, d) && self.chain_allows(&all, d);
        all.iter().filter(wants).filter(may).map(|d| d.pair).collect()
    }

    /// Rule (b): every delivery of the stages before it has been tried or is held (by its lane, a pause or an open breaker), and
    /// those with `wait` or `stop` have ended.
    fn chain_allows(&self, all: &[Seen<'_>], delivery: &Seen<'_>) -> bool {
        let before = all.iter().filter(|d| d.pair.0 == delivery.pair.0 && d.part.priority < delivery.part.priority);
        // A call under way is neither tried yet nor held.
        let is_held = |d: &Seen<'_>| !d.fate.under_way && (!lane_is_free(all, d) || self.is_held(d.part.handler));
        let tried_or_held = |d: &Seen<'_>| d.fate.tries > 0 || is_held(d);
        before.into_iter().all(|d| d.fate.ended() || (d.part.on_failure == OnFailure::Continue && tried_or_held(d)))
    }

    /// The handlers of an event whose deliveries have ended, in the order of the chain.
    pub(super) fn ended(&self, event: i64) -> Vec<i64> {
        self.deliveries().filter(|d| d.pair.0 == event && d.fate.ended()).map(|d| d.pair.1).collect()
    }

    /// The deliveries that are being called.
    pub(super) fn under_way(&self) -> Vec<Pair> {
        self.deliveries().filter(|d| d.fate.under_way).map(|d| d.pair).collect()
    }

    /// The events that have not ended, in the order of publication.
    pub(super) fn unfinished(&self) -> Vec<i64> {
        let mut events: Vec<i64> = self.deliveries().filter(|d| !d.fate.ended()).map(|d| d.pair.0).collect();
        events.dedup();
        events
    }

    /// The events of which nothing has been tried, is being tried or has ended.
    pub(super) fn unstarted(&self) -> Vec<i64> {
        let mut events = self.unfinished();
        let begun = |d: &Seen<'_>| d.fate.tries > 0 || d.fate.under_way || d.fate.ended();
        events.retain(|event| !self.deliveries().any(|d| d.pair.0 == *event && begun(&d)));
        events
    }

    /// How many deliveries wait behind an earlier event in their lane.
    pub(super) fn held_by_lane(&self) -> usize {
        let all: Vec<_> = self.deliveries().collect();
        all.iter().filter(|d| !d.fate.ended() && !d.fate.under_way && !lane_is_free(&all, d)).count()
    }

    /// The status of an event: what its worst unfinished business, or else its worst end, makes it.
    pub(super) fn status(&self, event: i64) -> EventStatus {
        let of_it: Vec<_> = self.deliveries().filter(|d| d.pair.0 == event).collect();
        let any_ended = |ending| of_it.iter().any(|d| d.fate.ending == Some(ending));
        let unended = || of_it.iter().filter(|d| !d.fate.ended());
        if unended().any(|d| d.fate.tries > 0) {
            EventStatus::Retrying
        } else if unended().next().is_some() {
            EventStatus::Pending
        } else if any_ended(Ending::Dead) {
            EventStatus::Failed
        } else if any_ended(Ending::Succeeded) {
            EventStatus::Delivered
        } else {
            EventStatus::Unmatched
        }
    }
}

/// Rule (a): every delivery of an earlier event in the same lane has ended.
fn lane_is_free(all: &[Seen<'_>], delivery: &Seen<'_>) -> bool {
    all.iter().filter(|d| d.pair.0 < delivery.pair.0 && d.part.lane == delivery.part.lane).all(|d| d.fate.ended())
}

/// What has become of a part of this chain, told from the beginning.
fn fate(history: &[Happening], event: i64, part: &Part, chain: &[Part]) -> Fate {
    let mut fate = Fate::default();
    let stops = |handler: i64| {
        let dead = chain.iter().find(|p| p.handler == handler);
        dead.is_some_and(|p| p.on_failure == OnFailure::Stop && p.priority < part.priority)
    };
    for happening in history {
        match happening {
            Happening::Started(pair) if *pair == (event, part.handler) => fate.under_way = true,
            Happening::PutBack(pair) if *pair == (event, part.handler) => fate.under_way = false,
            Happening::Failed(pair, due) if *pair == (event, part.handler) => {
                fate = Fate { tries: fate.tries + 1, under_way: false, due: *due, ending: None };
            }
            Happening::Ended(pair, ending, called) if *pair == (event, part.handler) => {
                fate = Fate { tries: fate.tries + u32::from(*called), under_way: false, due: 0, ending: Some(*ending) };
            }
            // When a handler with `stop` is exhausted, the rest of the chain is skipped.
            Happening::Ended(pair, Ending::Dead, _) if pair.0 == event && stops(pair.1) && !fate.ended() => {
                fate.ending = Some(Ending::Skipped);
            }
            _ => {}
        }
    }
    fate
}
