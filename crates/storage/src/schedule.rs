//! Runs of services that a schedule asks for, whoever keeps it.

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::Store;
use crate::error::Result;
use crate::sql::{json, statements, values};

statements! {
    ASK_AFTER = "
        INSERT INTO service_runs (service, state, params, asked_at)
        SELECT $1, 'queued', $2, $3
        WHERE NOT EXISTS (SELECT 1 FROM service_runs r WHERE r.service = $1 AND r.id > $4)
        ON CONFLICT (service) WHERE state = 'queued' DO NOTHING";
    LAST_DONE = "
        SELECT started_at FROM service_runs WHERE service = $1 AND state IN ('done', 'failed') AND state = 'done'
        ORDER BY id DESC LIMIT 1";
}

impl Store {
    /// Asks for a run, unless there is one later than the run `last`, 0 for none: several processes that keep one schedule, and have seen
    /// the same run end, ask for one run together. `false` when there is one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn request_run_after(&self, last: i64, service: &str, params: &Value, now: DateTime<Utc>) -> Result<bool> {
        let values = values![service, json(params)?, now, last];
        Ok(self.writer().await?.execute(ASK_AFTER, values).await? > 0)
    }

    /// When the last run of a service began that was done, not failed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn last_done(&self, service: &str) -> Result<Option<DateTime<Utc>>> {
        let started: Option<(DateTime<Utc>,)> = self.reader().await?.fetch_optional(LAST_DONE, values![service]).await?;
        Ok(started.map(|(at,)| at))
    }
}
