//! Counters of how events ended. They are exact, because they change in the transaction of what they count.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::conn::Tx;
use crate::error::Result;
use crate::sql::{Column, statements, values};

/// The shard of those who append and replay.
pub(crate) const APPEND_SHARD: i64 = 0;

statements! {
    COUNT_ENDED = {
        postgres: "
            INSERT INTO tallies (events_id, shard, published, delivered, failed, unmatched)
            SELECT r.events_id, $1, 0, r.delivered, r.failed, r.unmatched
            FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::bigint[]) AS r (events_id, delivered, failed, unmatched)
            ON CONFLICT (events_id, shard) DO UPDATE SET
                delivered = tallies.delivered + excluded.delivered, failed = tallies.failed + excluded.failed,
                unmatched = tallies.unmatched + excluded.unmatched",
        sqlite: "
            INSERT INTO tallies (events_id, shard, published, delivered, failed, unmatched)
            SELECT value ->> 0, $1, 0, value ->> 1, value ->> 2, value ->> 3 FROM jsonb_each($2) WHERE true
            ON CONFLICT (events_id, shard) DO UPDATE SET
                delivered = tallies.delivered + excluded.delivered, failed = tallies.failed + excluded.failed,
                unmatched = tallies.unmatched + excluded.unmatched",
    };
}

/// Which of its shards a dispatcher counts in; 0 is that of those who append.
pub(crate) fn shard_of(dispatcher: Uuid) -> i64 {
    1 + i64::from(dispatcher.as_bytes().last().copied().unwrap_or_default() % 15)
}

/// How many events of each type ended in each way: by type, so that two who count cannot wait for each other.
#[derive(Default)]
pub(crate) struct Counts<'a>(BTreeMap<&'a str, [i64; 3]>);

impl<'a> Counts<'a> {
    /// So many more (or fewer) of this type that ended with this word.
    pub(crate) fn add(&mut self, events_id: &'a str, status: &str, count: i64) {
        let index = match status {
            "delivered" => 0,
            "failed" => 1,
            _ => 2,
        };
        self.0.entry(events_id).or_default()[index] += count;
    }

    /// Adds them to the tallies.
    pub(crate) async fn write(self, tx: &mut Tx<'_>, shard: i64) -> Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let of = |index: usize| Column::ints(self.0.values().map(move |counts| counts[index]));
        let columns = vec![Column::texts(self.0.keys().copied()), of(0), of(1), of(2)];
        tx.execute(COUNT_ENDED, values![shard, columns]).await?;
        Ok(())
    }
}
