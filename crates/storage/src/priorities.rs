//! Priorities of several handlers, changed at once or not at all.

use baton_domain::HandlerId;
use chrono::{DateTime, Utc};

use crate::Store;
use crate::error::Result;
use crate::sql::{statements, values};

statements! {
    SET = { both: "UPDATE handlers SET priority = $1, version = version + 1, updated_at = $2 WHERE id = $3 AND version = $4" };
    VERSION = { both: "SELECT version FROM handlers WHERE id = $1" };
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
        // In one order, so that two of them do not wait for each other.
        let mut priorities: Vec<_> = priorities.iter().collect();
        priorities.sort_by_key(|new| new.id);
        let mut conn = self.writer().await?;
        let mut tx = conn.begin().await?;
        let mut stale = Vec::new();
        for new in priorities {
            let values = values![i64::from(new.priority), now, new.id.0, new.version];
            if tx.execute(SET, values).await? == 0 {
                let stored: Option<(i64,)> = tx.fetch_optional(VERSION, values![new.id.0]).await?;
                stale.push(Stale { id: new.id, version: stored.map(|(version,)| version) });
            }
        }
        if stale.is_empty() {
            tx.commit().await?;
        } else {
            tx.rollback().await?;
        }
        Ok(stale)
    }
}
