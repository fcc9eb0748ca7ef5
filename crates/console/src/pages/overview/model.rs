//! What the API says about the last hours, as far as the page shows it.

use chrono::{DateTime, Utc};
use serde::Deserialize;

/// `GET /v1/stats`
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Account {
    pub(super) published: u64,
    pub(super) delivered: u64,
    pub(super) failed: u64,
    pub(super) unmatched: u64,
    pub(super) pending: u64,
    pub(super) retrying: u64,
    pub(super) held: u64,
    pub(super) oldest_pending_seconds: Option<f64>,
}

impl Account {
    /// Events that have not ended.
    pub(super) fn unfinished(&self) -> u64 {
        self.pending + self.retrying
    }
}

/// `GET /v1/stats/minutes`
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Minutes {
    pub(super) items: Vec<Step>,
    pub(super) total: Step,
}

/// What happened in one step of time.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Step {
    pub(super) at: DateTime<Utc>,
    /// Events that were accepted.
    pub(super) published: Option<u64>,
    #[serde(flatten)]
    pub(super) figures: Figures,
}

/// Counts and times.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Figures {
    pub(super) success: u64,
    /// Attempts that failed.
    pub(super) fail: u64,
    pub(super) skipped: u64,
    /// Of the attempts, 0 to 1.
    pub(super) success_share: Option<f64>,
    pub(super) duration_ms: Option<Quantiles>,
    pub(super) first_call_ms: Option<Quantiles>,
}

/// Milliseconds.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct Quantiles {
    /// Only of calls.
    #[serde(default)]
    pub(super) mean: f64,
    pub(super) p50: f64,
    pub(super) p99: f64,
}

/// A handler of `GET /v1/stats/handlers`.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct HandlerStats {
    pub(super) handler_id: i64,
    /// Nothing when it has been deleted.
    pub(super) name: Option<String>,
    #[serde(flatten)]
    pub(super) figures: Figures,
}

/// The time that the page looks back over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Span {
    Hour,
    SixHours,
    Day,
}

impl Span {
    pub(super) const ALL: [Self; 3] = [Self::Hour, Self::SixHours, Self::Day];

    /// The span that an address names; an hour where it names none.
    pub(super) fn named(name: &str) -> Self {
        Self::ALL.into_iter().find(|span| span.name() == name).unwrap_or(Self::Hour)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Hour => "1h",
            Self::SixHours => "6h",
            Self::Day => "24h",
        }
    }

    pub(super) fn said(self) -> &'static str {
        match self {
            Self::Hour => "1 h",
            Self::SixHours => "6 h",
            Self::Day => "24 h",
        }
    }

    pub(super) fn minutes(self) -> i64 {
        match self {
            Self::Hour => 60,
            Self::SixHours => 360,
            Self::Day => 1440,
        }
    }

    /// The step of the API and how many minutes it has: so few steps that they can be told apart.
    pub(super) fn step(self) -> (&'static str, u32) {
        match self {
            Self::Hour => ("1m", 1),
            Self::SixHours => ("5m", 5),
            Self::Day => ("1h", 60),
        }
    }
}
