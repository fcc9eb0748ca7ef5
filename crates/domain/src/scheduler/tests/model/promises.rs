//! What must hold for every history, whatever the model thinks: read off the history alone.

use std::collections::{BTreeMap, BTreeSet};

use super::naive::{Happening, Model, Pair, Part};
use crate::handler::OnFailure;
use crate::scheduler::Ending;

/// What has been read so far.
#[derive(Default)]
struct Reader<'a> {
    chains: BTreeMap<i64, &'a [Part]>,
    under_way: BTreeSet<Pair>,
    ended: BTreeMap<Pair, Ending>,
    /// The last event that was called in each lane.
    lanes: BTreeMap<u8, i64>,
}

/// Checks a history from its beginning to its end.
pub(super) fn check(model: &Model) {
    let mut reader = Reader::default();
    for happening in &model.history {
        match happening {
            Happening::Planned(event, chain) => {
                assert!(reader.chains.insert(*event, chain).is_none(), "planned once");
            }
            Happening::Started(pair) => reader.starts(*pair),
            Happening::Failed(pair, _) | Happening::PutBack(pair) => {
                assert!(reader.under_way.remove(pair), "a call that is over was under way");
            }
            Happening::Ended(pair, ending, called) => reader.ends(*pair, *ending, *called),
            Happening::Held(_) | Happening::Released(_) | Happening::Clock(_) => {}
        }
    }
    let all = reader.chains.iter().flat_map(|(event, chain)| chain.iter().map(|part| (*event, part.handler)));
    assert_eq!(reader.ended.keys().copied().collect::<BTreeSet<_>>(), all.collect(), "every delivery of every event has ended");
}

impl<'a> Reader<'a> {
    fn part(&self, (event, handler): Pair) -> &'a Part {
        self.chains[&event].iter().find(|part| part.handler == handler).expect("the part of a chain")
    }

    fn starts(&mut self, pair: Pair) {
        assert!(!self.ended.contains_key(&pair), "{pair:?} runs though it has ended");
        assert!(self.under_way.insert(pair), "{pair:?} runs twice at a time");
        let part = self.part(pair);
        for before in self.chains[&pair.0].iter().filter(|p| p.priority < part.priority) {
            let at = (pair.0, before.handler);
            assert!(
                before.on_failure == OnFailure::Continue || self.ended.contains_key(&at),
                "{pair:?} runs before {at:?} has ended"
            );
        }
        let last = self.lanes.entry(part.lane).or_insert(pair.0);
        assert!(*last <= pair.0, "{pair:?} runs after event {last} in lane {}", part.lane);
        *last = pair.0;
        for (&event, chain) in self.chains.range(..pair.0) {
            let in_lane = chain.iter().filter(|p| p.lane == part.lane);
            assert!(
                in_lane.map(|p| (event, p.handler)).all(|at| self.ended.contains_key(&at)),
                "{pair:?} overtakes event {event}"
            );
        }
    }

    fn ends(&mut self, pair: Pair, ending: Ending, called: bool) {
        let was_under_way = self.under_way.remove(&pair);
        assert!(was_under_way || !called, "{pair:?} was called though it had not started");
        assert_eq!(self.ended.insert(pair, ending), None, "{pair:?} ends once");
        let part = self.part(pair);
        if ending == Ending::Dead && part.on_failure == OnFailure::Stop {
            for behind in self.chains[&pair.0].iter().filter(|p| p.priority > part.priority) {
                let at = (pair.0, behind.handler);
                assert!(!self.under_way.contains(&at), "{at:?} is skipped while it runs");
                self.ended.entry(at).or_insert(Ending::Skipped);
            }
        }
    }
}
