//! Generations that nothing needs any more.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{Ages, At, Place, Removed, Swept, behind, lightly, look};
use crate::Store;
use crate::by_time::first_id_of;
use crate::error::Result;
use crate::sql::{Column, Statement, Value, statements, values};

/// How many of the newest generations are always kept, whatever their age.
pub const GENERATIONS_KEPT: usize = 20;

/// How many a batch looks at: each may hold thousands of handlers.
const PAGE: usize = 20;
/// How many rows a batch looks through for the generations that they name.
const NAMING_ROWS: usize = 1000;
/// By how much the clocks of those who take part may differ, with what a dispatcher takes to hear of a new generation.
const SLACK: TimeDelta = TimeDelta::hours(1);

statements! {
    /// The next generations that are not among the newest, and when the one after them went live.
    OLDEST_GENERATIONS = "
        SELECT g.number, (SELECT n.built_at FROM generations n WHERE n.number > g.number ORDER BY n.number LIMIT 1) AS superseded_at
        FROM generations g
        WHERE g.number > $1 AND g.number <= (SELECT number FROM generations ORDER BY number DESC LIMIT 1 OFFSET 20)
        ORDER BY g.number LIMIT 20";
    FIRST_PLACE_SINCE = "SELECT seq FROM events WHERE id >= $1 ORDER BY id LIMIT 1";
    NAMED_BY_RESULTS = "SELECT generation FROM results WHERE event_id < $1 ORDER BY event_id LIMIT 1001";
    NAMED_BY_EXECUTIONS = "SELECT generation FROM executions WHERE event_id < $1 ORDER BY event_id LIMIT 1001";
    NAMED_BY_DELIVERIES = "SELECT generation FROM deliveries WHERE event_id < $1 ORDER BY event_id LIMIT 1001";
    NAMED_BY_DISPATCHES = "SELECT generation FROM dispatches WHERE seq < $1 ORDER BY seq LIMIT 1001";
    /// A replay of an event as it was is new, but its event is from the days of the generation.
    NAMED_BY_REPLAYS = "SELECT generation FROM dispatches WHERE seq <> event_seq AND event_id < $1 ORDER BY event_id LIMIT 1001";
    /// Who binds a replay to one of them has committed that, or finds it gone.
    LOCK_GENERATIONS = {
        postgres: "SELECT number FROM generations WHERE number = ANY($1) ORDER BY number FOR UPDATE",
        sqlite: "SELECT number FROM generations WHERE number IN (SELECT value FROM json_each($1))",
    };
    FORGET_GENERATIONS = {
        postgres: "DELETE FROM generations WHERE number = ANY($1)",
        sqlite: "DELETE FROM generations WHERE number IN (SELECT value FROM json_each($1))",
    };
}

pub(super) async fn generations(store: &Store, ages: Ages, place: Place) -> Result<Swept> {
    let nothing = Swept { removed: Removed::default(), next: None };
    let mut page: Vec<(i64, Option<DateTime<Utc>>)> = look(store, OLDEST_GENERATIONS, values![place.number()]).await?;
    let next = behind(&page, PAGE, |(number, _)| At::Number(*number));
    page.retain(|(_, superseded_at)| superseded_at.is_some_and(|at| at < ages.before));
    let Some(superseded_at) = page.last().and_then(|(_, superseded_at)| *superseded_at) else { return Ok(nothing) };
    let Some(named) = named(store, superseded_at).await? else { return Ok(nothing) };
    let old: Vec<_> = page.into_iter().map(|(number, _)| number).filter(|number| !named.contains(number)).collect();
    if old.is_empty() {
        return Ok(Swept { removed: Removed::default(), next });
    }
    let Some(generations) = forget(store, old, first_id_of(superseded_at + SLACK)).await? else { return Ok(nothing) };
    Ok(Swept { removed: Removed { generations, ..Removed::default() }, next })
}

/// Removes those that no replay is bound to of an event with an id before this one. `None` where there are more replays than can be looked
/// through.
async fn forget(store: &Store, mut numbers: Vec<i64>, first: Uuid) -> Result<Option<u64>> {
    let mut conn = store.writer().await?;
    let mut tx = conn.begin().await?;
    lightly(&mut tx).await?;
    let _: Vec<(i64,)> = tx.fetch_all(LOCK_GENERATIONS, values![Column::ints(numbers.iter().copied())]).await?;
    let replays: Vec<(Option<i64>,)> = tx.fetch_all(NAMED_BY_REPLAYS, values![first]).await?;
    if replays.len() > NAMING_ROWS {
        tx.rollback().await?;
        return Ok(None);
    }
    numbers.retain(|number| !replays.contains(&(Some(*number),)));
    let removed = tx.execute(FORGET_GENERATIONS, values![Column::ints(numbers)]).await?;
    tx.commit().await?;
    Ok(Some(removed))
}

/// Which generations that were live before this instant are named by something stored. A chain runs under the generation that is live when
/// it begins, so only what was appended before can name one, but for replays, which are looked at last. `None` where there is more of that than can be looked through at once:
/// then that many events are kept from those days, and so are their generations.
async fn named(store: &Store, superseded_at: DateTime<Utc>) -> Result<Option<BTreeSet<i64>>> {
    let first: Uuid = first_id_of(superseded_at + SLACK);
    let place: Vec<(i64,)> = look(store, FIRST_PLACE_SINCE, values![first]).await?;
    let place = place.first().map_or(i64::MAX, |(seq,)| *seq);
    let naming: [(Statement, Value<'_>); 4] = [
        // Before results: what executions say is written there when they go.
        (NAMED_BY_EXECUTIONS, first.into()),
        (NAMED_BY_RESULTS, first.into()),
        (NAMED_BY_DELIVERIES, first.into()),
        (NAMED_BY_DISPATCHES, place.into()),
    ];
    let mut named = BTreeSet::new();
    for (statement, before) in naming {
        let rows: Vec<(Option<i64>,)> = look(store, statement, vec![before]).await?;
        if rows.len() > NAMING_ROWS {
            return Ok(None);
        }
        named.extend(rows.into_iter().filter_map(|(number,)| number));
    }
    Ok(Some(named))
}
