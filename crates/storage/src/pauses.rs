//! What an operator has paused.

use baton_domain::PauseScope;
use chrono::{DateTime, Utc};

use crate::Store;
use crate::error::{Result, StorageError};
use crate::sql::{statements, values};

statements! {
    PAUSES = "SELECT scope, paused_at FROM pauses ORDER BY scope";
    IS_PAUSED = "SELECT count(*) FROM pauses WHERE scope = $1";
    PAUSE = "INSERT INTO pauses (scope, paused_at) VALUES ($1, $2) ON CONFLICT (scope) DO NOTHING";
    RESUME = "DELETE FROM pauses WHERE scope = $1";
}

/// A pause that is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// What it is about.
    pub scope: PauseScope,
    /// Since when.
    pub paused_at: DateTime<Utc>,
}

#[derive(sqlx::FromRow)]
struct PauseRead {
    scope: String,
    paused_at: DateTime<Utc>,
}

impl Store {
    /// The pauses that are in force.
    ///
    /// # Errors
    /// `Corrupt` when one cannot be read.
    pub async fn pauses(&self) -> Result<Vec<Pause>> {
        let rows: Vec<PauseRead> = self.reader().await?.fetch_all(PAUSES, vec![]).await?;
        let read = |row: PauseRead| {
            let scope =
                PauseScope::parse(&row.scope).ok_or_else(|| StorageError::Corrupt { what: format!("pause {}", row.scope) })?;
            Ok(Pause { scope, paused_at: row.paused_at })
        };
        rows.into_iter().map(read).collect()
    }

    /// Whether this very pause is in force.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn is_paused(&self, scope: &PauseScope) -> Result<bool> {
        let count: Option<(i64,)> = self.reader().await?.fetch_optional(IS_PAUSED, values![scope.to_string()]).await?;
        Ok(count.is_some_and(|(count,)| count > 0))
    }

    /// Pauses. `false` when it was paused already, which it stays since then.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn pause(&self, scope: &PauseScope, now: DateTime<Utc>) -> Result<bool> {
        Ok(self.writer().await?.execute(PAUSE, values![scope.to_string(), now]).await? > 0)
    }

    /// Resumes. `false` when it was not paused.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn resume(&self, scope: &PauseScope) -> Result<bool> {
        Ok(self.writer().await?.execute(RESUME, values![scope.to_string()]).await? > 0)
    }
}
