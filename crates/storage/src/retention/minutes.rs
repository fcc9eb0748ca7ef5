//! Statistics go by the beginning of their minute or hour.

use super::{Ages, At, BATCH_ROWS, Place, Removed, Swept};
use crate::Store;
use crate::error::Result;
use crate::minutes::Span;
use crate::sql::{statements, values};

statements! {
    FORGET_MINUTES = "
        DELETE FROM minutes WHERE (minutes, handler_id, begins_at, id) IN (
            SELECT m.minutes, m.handler_id, m.begins_at, m.id FROM minutes m WHERE m.minutes = $1 AND m.begins_at < $2
            ORDER BY m.begins_at LIMIT 1000)";
}

/// First all minutes, then all hours, which begin no later than their minutes: where no minute is old, no hour is that has not been looked
/// at before. What is removed is not met again, so the place stays where it is until nothing is left.
pub(super) async fn minutes(store: &Store, ages: Ages, place: Place) -> Result<Swept> {
    let span = if place.number() == Span::Hour.minutes() { Span::Hour } else { Span::Minute };
    let removed = store.writer().await?.execute(FORGET_MINUTES, values![span.minutes(), ages.before]).await?;
    let next = match span {
        _ if removed >= BATCH_ROWS as u64 => Some(span),
        Span::Minute if removed > 0 || place != Place::default() => Some(Span::Hour),
        Span::Minute | Span::Hour => None,
    };
    let next = next.map(|span| Place(At::Number(span.minutes())));
    Ok(Swept { removed: Removed { minutes: removed, ..Removed::default() }, next })
}
