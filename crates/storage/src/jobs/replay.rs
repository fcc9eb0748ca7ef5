//! Batches of "replay all dead letters that match".

use std::collections::{BTreeMap, BTreeSet};

use baton_domain::EventId;
use chrono::{DateTime, Utc};

use super::advance::Step;
use super::{JOB_BATCH, Position};
use crate::Store;
use crate::conn::Tx;
use crate::dead_letters::{DeadLetterSearch, DeliveryRead};
use crate::error::Result;
use crate::replay::{dispatch_again, lock_append, lock_unfinished, take_dead};
use crate::search::Search;
use crate::sql::values;

/// The dead letters of a batch, in the order of their events.
pub(super) struct Letters {
    letters: Vec<DeliveryRead>,
    /// How many match; only with the first batch.
    pub(super) total: Option<i64>,
}

/// Looks for the next dead letters that match.
pub(super) async fn look(store: &Store, search: &DeadLetterSearch, position: Position) -> Result<Letters> {
    let search = DeadLetterSearch { ids: Vec::new(), ..search.clone() };
    let mut conn = store.reader().await?;
    let sqlite = conn.is_sqlite();
    let total = if position.begun {
        None
    } else {
        let mut query = Search::new("SELECT count(*) FROM deliveries v", sqlite);
        search.restrict(&mut query);
        query.and("v.seq <= ?", position.up_to);
        query.fetch_all::<(i64,)>(&mut conn, "1", 1).await?.first().map(|(count,)| *count)
    };
    let mut query = search.query(sqlite);
    query.and("v.seq <= ?", position.up_to);
    let after = values![position.event_seq, position.handler_id, position.seq];
    query.and_beyond("v.event_seq, v.handler_id, v.seq", ">", after);
    let letters = query.fetch_all(&mut conn, "v.event_seq, v.handler_id, v.seq", i64::from(JOB_BATCH)).await?;
    Ok(Letters { letters, total })
}

impl Letters {
    /// Sends them on their way, each pair of event and handler once, but those that somebody else has taken in the meantime.
    pub(super) async fn replay(self, tx: &mut Tx<'_>, before: Position, now: DateTime<Utc>) -> Result<Step> {
        let letters = self.letters;
        let over = letters.len() < JOB_BATCH as usize;
        let Some(last) = letters.last() else { return Ok(Step { sent: 0, position: before, over }) };
        let (event_seq, handler_id, seq) = (last.event_seq, last.handler_id, last.seq);
        let position = Position { event_seq, handler_id, seq, begun: true, ..before };
        lock_append(tx).await?;
        let events: BTreeMap<_, _> = letters.iter().map(|v| (v.event_seq, EventId(v.event_id))).collect();
        let unfinished = lock_unfinished(tx, &events).await?;
        let pairs: Vec<_> = letters.iter().map(|v| (v.seq, v.handler_id)).collect();
        let taken = take_dead(tx, &pairs, &unfinished, now).await?;
        // The pair with which the batch before ended is on its way already, even where it died twice.
        let fresh = |v: &&DeliveryRead| (v.event_seq, v.handler_id) != (before.event_seq, before.handler_id);
        let taken = letters.iter().filter(|v| taken.contains(&(v.seq, v.handler_id))).filter(fresh);
        let again: BTreeSet<_> = taken.map(|v| (v.event_seq, Some(v.handler_id))).collect();
        let again: Vec<_> = again.into_iter().collect();
        if !again.is_empty() {
            dispatch_again(tx, &again, now).await?;
        }
        Ok(Step { sent: again.len() as i64, position, over })
    }
}
