//! Which delivery of an earlier event holds a lane.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use baton_domain::{GenerationNumber, HandlerId, Seq, Snapshot};
use baton_storage::{EarlierDispatch, Progress, ProgressState, StoredEvent};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::chain::Stage;
use crate::problem::Problem;
use crate::state::ApiState;

/// How many earlier events are read at once, and how many are looked at in all: who holds a lane is nearly always among the oldest.
const AT_ONCE: u16 = 64;
const LOOKED_AT_MAX: usize = 1024;

/// The oldest delivery that has not ended, of an earlier event of the same ordering key in the same lane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct HeldBy {
    /// The earlier event.
    event_id: Uuid,
    handler_id: i64,
    /// The handler's name.
    name: String,
}

/// The lanes in which deliveries wait, and who holds them.
#[derive(Default)]
struct Lanes {
    wanted: HashSet<String>,
    held: HashMap<String, HeldBy>,
}

/// Says of each delivery that waits who holds its lane.
///
/// # Errors
/// When the database fails.
pub(super) async fn note_holders(state: &ApiState, event: &StoredEvent, chain: &mut [Stage]) -> Result<(), Problem> {
    let waiting = chain.iter().flat_map(Stage::waiting_lanes).map(str::to_owned);
    let mut lanes = Lanes { wanted: waiting.collect(), held: HashMap::new() };
    let mut generations: HashMap<GenerationNumber, Option<Arc<Snapshot>>> = HashMap::new();
    let (mut after, mut looked_at, live) = (Seq(0), 0, state.cache.live());
    while !lanes.wanted.is_empty() && looked_at < LOOKED_AT_MAX {
        let (earlier, progress) = state.store.earlier_dispatches(event, after, AT_ONCE).await?;
        let ended: HashSet<_> = progress.iter().filter(|one| has_ended(one)).map(|one| (one.seq, one.handler_id)).collect();
        for dispatch in &earlier {
            let under = match dispatch.generation {
                None => live.clone(),
                Some(number) => match generations.get(&number) {
                    Some(known) => known.clone(),
                    None => generations.entry(number).or_insert(state.generation(number).await?).clone(),
                },
            };
            lanes.pass(dispatch, under.as_deref(), &ended);
        }
        let Some(last) = earlier.last().filter(|_| earlier.len() == usize::from(AT_ONCE)) else { break };
        (after, looked_at) = (last.seq, looked_at + earlier.len());
    }
    chain.iter_mut().for_each(|stage| stage.hold(&lanes.held));
    Ok(())
}

fn has_ended(progress: &Progress) -> bool {
    !matches!(progress.state, ProgressState::Retrying { .. })
}

impl Lanes {
    /// An earlier dispatch holds the lanes of its deliveries that have not ended, unless one before it does.
    fn pass(&mut self, dispatch: &EarlierDispatch, under: Option<&Snapshot>, ended: &HashSet<(Seq, HandlerId)>) {
        let chain = under.map_or(&[][..], |snapshot| snapshot.chain(&dispatch.events_id));
        let open = chain.iter().filter(|handler| {
            dispatch.handler_id.is_none_or(|only| only == handler.id) && !ended.contains(&(dispatch.seq, handler.id))
        });
        for handler in open {
            if let Some(lane) = self.wanted.take(&handler.effective_lane()) {
                let by = HeldBy { event_id: dispatch.event_id.0, handler_id: handler.id.0, name: handler.name.clone() };
                self.held.insert(lane, by);
            }
        }
    }
}
