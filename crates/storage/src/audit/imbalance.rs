//! What an audit can find wrong.

use std::collections::{BTreeMap, BTreeSet};

use super::Audit;
use crate::stats::StatRow;

/// Something that cannot be, as long as nothing was lost and every counter tells the truth.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Imbalance {
    /// The equation does not hold for a type.
    #[error("{events_id}: {published} were published, but {known} have ended or are under way")]
    Difference {
        /// The type.
        events_id: String,
        /// Published, as counted.
        published: i64,
        /// Ended as counted, and under way as their dispatches say.
        known: i64,
    },
    /// Dispatches of a type without their events.
    #[error("{events_id}: {under_way} are under way, but only {stored} are stored")]
    NotStored {
        /// The type.
        events_id: String,
        /// As their dispatches say.
        under_way: i64,
        /// Rows of events.
        stored: i64,
    },
    /// More events of a type than can be.
    #[error("{events_id}: {stored} that have ended are stored, but only {counted} were counted")]
    NotCounted {
        /// The type.
        events_id: String,
        /// Rows of events without a dispatch.
        stored: i64,
        /// Ended, as counted.
        counted: i64,
    },
    /// Events without a dispatch that have no result either, and no executions that say that they were delivered.
    #[error("{0} events are stored that have neither ended nor are under way")]
    Lost(i64),
    /// Results of events that are not stored, or under way.
    #[error("{0} results are stored of events that are not stored or under way")]
    Stray(i64),
    /// More events that ended with a status than can be.
    #[error("{stored} that are stored ended as {status}, but only {counted} were counted")]
    EndsNotCounted {
        /// The status.
        status: &'static str,
        /// Stored events.
        stored: i64,
        /// As counted.
        counted: i64,
    },
}

impl Audit {
    /// The balance of all types together; its `events_id` is empty.
    #[must_use]
    pub fn total(&self) -> StatRow {
        let mut total = none(String::new());
        for row in &self.balance {
            total.published += row.published;
            total.delivered += row.delivered;
            total.failed += row.failed;
            total.unmatched += row.unmatched;
            total.pending += row.pending;
            total.retrying += row.retrying;
        }
        total
    }

    /// What is wrong; nothing, as long as the balance holds, by what was counted and by what is stored.
    ///
    /// Retention removes what has ended: less may be stored than was counted, but never more, and what is under way is always stored.
    #[must_use]
    pub fn imbalances(&self) -> Vec<Imbalance> {
        let rows: BTreeMap<_, _> = self.balance.iter().map(|row| (row.events_id.as_str(), row)).collect();
        let types: BTreeSet<_> = rows.keys().copied().chain(self.stored.keys().map(String::as_str)).collect();
        let mut found = Vec::new();
        for events_id in types {
            let row = rows.get(events_id).map_or_else(|| none(events_id.into()), |row| StatRow::clone(row));
            found.extend(of_type(&row, self.stored.get(events_id).copied().unwrap_or(0)));
        }
        found.extend(self.of_all());
        found
    }

    fn of_all(&self) -> Vec<Imbalance> {
        let mut found = Vec::new();
        let (total, ended) = (self.total(), &self.ended);
        if self.without_trace > 0 {
            found.push(Imbalance::Lost(self.without_trace));
        }
        if self.strays > 0 {
            found.push(Imbalance::Stray(self.strays));
        }
        for (status, stored, counted) in [
            ("delivered", ended.delivered, total.delivered),
            ("failed", ended.failed, total.failed),
            ("unmatched", ended.unmatched, total.unmatched),
        ] {
            if stored > counted {
                found.push(Imbalance::EndsNotCounted { status, stored, counted });
            }
        }
        found
    }
}

impl StatRow {
    /// Events that have ended.
    #[must_use]
    pub fn ended(&self) -> i64 {
        self.delivered + self.failed + self.unmatched
    }

    /// Events that have not.
    #[must_use]
    pub fn under_way(&self) -> i64 {
        self.pending + self.retrying
    }

    /// What is missing: published events that have neither ended nor are under way. Zero while the balance holds.
    #[must_use]
    pub fn difference(&self) -> i64 {
        self.published - self.ended() - self.under_way()
    }
}

fn none(events_id: String) -> StatRow {
    StatRow { events_id, published: 0, delivered: 0, failed: 0, unmatched: 0, pending: 0, retrying: 0 }
}

fn of_type(row: &StatRow, stored: i64) -> Vec<Imbalance> {
    let events_id = || row.events_id.clone();
    let mut found = Vec::new();
    if row.difference() != 0 {
        let known = row.ended() + row.under_way();
        found.push(Imbalance::Difference { events_id: events_id(), published: row.published, known });
    }
    if stored < row.under_way() {
        found.push(Imbalance::NotStored { events_id: events_id(), under_way: row.under_way(), stored });
    }
    if stored - row.under_way() > row.ended() {
        let stored = stored - row.under_way();
        found.push(Imbalance::NotCounted { events_id: events_id(), stored, counted: row.ended() });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::StoredEnds;

    /// Ten published: five delivered, two failed, one unmatched, one pending, one retrying; three of the delivered were removed since.
    fn sound() -> Audit {
        let row = |events_id: &str, [published, delivered, failed, unmatched, pending, retrying]: [i64; 6]| StatRow {
            events_id: events_id.into(),
            published,
            delivered,
            failed,
            unmatched,
            pending,
            retrying,
        };
        Audit {
            balance: vec![row("a", [6, 3, 1, 0, 1, 1]), row("b", [4, 2, 1, 1, 0, 0])],
            stored: BTreeMap::from([("a".into(), 4), ("b".into(), 3)]),
            ended: StoredEnds { delivered: 2, failed: 2, unmatched: 1 },
            without_trace: 0,
            strays: 0,
            oldest_pending: None,
        }
    }

    fn after(change: impl FnOnce(&mut Audit)) -> Vec<Imbalance> {
        let mut audit = sound();
        change(&mut audit);
        audit.imbalances()
    }

    #[test]
    fn a_sound_one_has_no_imbalance() {
        assert_eq!(sound().imbalances(), []);
        assert_eq!(sound().total().published, 10);
        assert_eq!(Audit::default().imbalances(), []);
        let nothing_kept = |audit: &mut Audit| {
            audit.stored = BTreeMap::from([("a".into(), 2)]);
            audit.ended = StoredEnds::default();
        };
        assert_eq!(after(nothing_kept), []);
    }

    #[test]
    fn each_way_to_be_wrong_is_found() {
        use Imbalance::{Difference, EndsNotCounted, Lost, NotCounted, NotStored, Stray};
        let a = || "a".to_owned();
        let difference = |published, known| Difference { events_id: a(), published, known };
        let too_many = |status, stored, counted| EndsNotCounted { status, stored, counted };
        // A dispatch that went without a trace.
        let went = |x: &mut Audit| (x.balance[0].pending, x.without_trace) = (0, 1);
        assert_eq!(after(went), [difference(6, 5), Lost(1)]);
        // A counter that is one too low, and one too high.
        assert_eq!(after(|x| x.balance[0].delivered -= 1), [difference(6, 5)]);
        assert_eq!(after(|x| x.balance[0].published += 1), [difference(7, 6)]);
        // A result that came from nowhere, for an event that is stored and for one that is not.
        assert_eq!(after(|x| x.ended.failed += 1), [too_many("failed", 3, 2)]);
        assert_eq!(after(|x| x.strays = 1), [Stray(1)]);
        // A result that went: the event now looks like one that was delivered.
        assert_eq!(after(|x| x.ended = StoredEnds { delivered: 6, ..x.ended }), [too_many("delivered", 6, 5)]);
        // Events that went, while they were under way, and events that came from nowhere.
        let gone = |x: &mut Audit| *x.stored.get_mut("a").unwrap() = 1;
        assert_eq!(after(gone), [NotStored { events_id: a(), under_way: 2, stored: 1 }]);
        let new = |x: &mut Audit| *x.stored.get_mut("a").unwrap() = 7;
        assert_eq!(after(new), [NotCounted { events_id: a(), stored: 5, counted: 4 }]);
        let unknown = |x: &mut Audit| assert_eq!(x.stored.insert("c".into(), 1), None);
        assert_eq!(after(unknown), [NotCounted { events_id: "c".into(), stored: 1, counted: 0 }]);
        // Errors that would make up for each other in the sum.
        let swapped = |x: &mut Audit| (x.balance[0].published, x.balance[1].published) = (5, 5);
        assert_eq!(after(swapped).len(), 2);
    }
}
