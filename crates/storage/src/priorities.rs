//! Priorities of several handlers, changed at once or not at all.

use std::collections::HashMap;

use baton_domain::HandlerId;
use chrono::{DateTime, Utc};

use crate::Store;
use crate::error::Result;
use crate::sql::{Column, statements, values};

statements! {
    /// Which versions are stored. In one order, so that two who lock them do not wait for each other.
    LOCK_VERSIONS = {
        postgres: "SELECT id, version FROM handlers WHERE id = ANY($1) ORDER BY id FOR UPDATE",
        sqlite: "SELECT id, version FROM handlers WHERE id IN (SELECT value FROM json_each($1))",
    };
    SET = {
        postgres: "
            UPDATE handlers SET priority = r.priority, version = version + 1, updated_at = $1
            FROM unnest($2::bigint[], $3::bigint[]) AS r (id, priority) WHERE handlers.id = r.id",
        sqlite: "
            UPDATE handlers SET priority = r.value ->> 1, version = version + 1, updated_at = $1
            FROM json_each($2) AS r WHERE handlers.id = r.value ->> 0",
    };
}

/// A handler's new priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewPriority {
    /// Whose.
    pub id: HandlerId,
    /// 1 precedes all others.
    pub priority: u16,
    /// The version that is changed, and no other.
    pub version: i64,
}

/// A handler that is not what was to be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stale {
    /// Which.
    pub id: HandlerId,
    /// The version that is stored; `None` when it is gone.
    pub version: Option<i64>,
}

impl Store {
    /// Gives handlers new priorities, each once in `priorities`. Answers with those that have been changed or deleted by others in the
    /// meantime, in the order of their ids; where there are any, nothing is changed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_priorities(&self, priorities: &[NewPriority], now: DateTime<Utc>) -> Result<Vec<Stale>> {
        let ids = || Column::ints(priorities.iter().map(|new| new.id.0));
        let mut conn = self.writer().await?;
        let mut tx = conn.begin().await?;
        let stored: Vec<(i64, i64)> = tx.fetch_all(LOCK_VERSIONS, values![ids()]).await?;
        let stored: HashMap<_, _> = stored.into_iter().collect();
        let version = |of: &NewPriority| stored.get(&of.id.0).copied();
        let others = priorities.iter().filter(|new| version(new) != Some(new.version));
        let mut stale: Vec<_> = others.map(|new| Stale { id: new.id, version: version(new) }).collect();
        stale.sort_by_key(|stale| stale.id);
        if stale.is_empty() {
            let new = vec![ids(), Column::ints(priorities.iter().map(|new| i64::from(new.priority)))];
            tx.execute(SET, values![now, new]).await?;
            tx.commit().await?;
        } else {
            tx.rollback().await?;
        }
        Ok(stale)
    }
}
