//! When to look at an object again because a retry is due.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

/// Instants at which an object has a retry due. One that comes to nothing, because the object has moved on, does no harm.
#[derive(Default)]
pub(crate) struct Timers(BinaryHeap<Reverse<(DateTime<Utc>, Arc<str>)>>);

impl Timers {
    pub(crate) fn set(&mut self, due: DateTime<Utc>, key: Arc<str>) {
        self.0.push(Reverse((due, key)));
    }

    /// The next instant.
    pub(crate) fn next(&self) -> Option<DateTime<Utc>> {
        self.0.peek().map(|Reverse((due, _))| *due)
    }

    /// Takes out an object whose instant has come.
    pub(crate) fn pop_due(&mut self, now: DateTime<Utc>) -> Option<Arc<str>> {
        self.next().filter(|due| *due <= now)?;
        self.0.pop().map(|Reverse((_, key))| key)
    }
}
