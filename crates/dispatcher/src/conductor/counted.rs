//! What a conductor counts for the metrics, each looked up once: to find a counter by its labels costs more than to count.

use std::time::Duration;

use baton_domain::handler::Task;
use baton_domain::{CallStatus, EventStatus, Execution};
use metrics::{Counter, Histogram, counter, histogram};

/// The counters and histograms of calls and of events that end.
pub(super) struct Counted {
    success: Counter,
    retry: Counter,
    dead: Counter,
    skipped: Counter,
    http_seconds: Histogram,
    script_seconds: Histogram,
    first_call_seconds: Histogram,
    delivered: Counter,
    failed: Counter,
    unmatched: Counter,
}

impl Default for Counted {
    fn default() -> Self {
        let outcome = |outcome: &'static str| counter!("baton_executions_total", "outcome" => outcome);
        let seconds = |task: &'static str| histogram!("baton_call_seconds", "task" => task);
        let finished = |status: EventStatus| counter!("baton_events_finished_total", "status" => status.as_str());
        Self {
            success: outcome("success"),
            retry: outcome("retry"),
            dead: outcome("dead"),
            skipped: outcome("skipped"),
            http_seconds: seconds("http"),
            script_seconds: seconds("script"),
            first_call_seconds: histogram!("baton_publish_to_first_call_seconds"),
            delivered: finished(EventStatus::Delivered),
            failed: finished(EventStatus::Failed),
            unmatched: finished(EventStatus::Unmatched),
        }
    }
}

impl Counted {
    /// A call has ended, or was not made; answers with the word for its outcome.
    pub(super) fn execution(&self, execution: &Execution) -> &'static str {
        let (counter, outcome) = match (execution.status, execution.retry_at) {
            (CallStatus::Skipped, _) => (&self.skipped, "skipped"),
            (CallStatus::Success, _) => (&self.success, "success"),
            (CallStatus::Fail, Some(_)) => (&self.retry, "retry"),
            (CallStatus::Fail, None) => (&self.dead, "dead"),
        };
        counter.increment(1);
        outcome
    }

    /// A call has taken so long.
    pub(super) fn call(&self, task: &Task, took: Duration) {
        let seconds = match task {
            Task::Http { .. } => &self.http_seconds,
            Task::Script { .. } => &self.script_seconds,
        };
        seconds.record(took.as_secs_f64());
    }

    /// An event is called for the first time, so long after it was received.
    pub(super) fn first_call(&self, waited: Duration) {
        self.first_call_seconds.record(waited.as_secs_f64());
    }

    /// A chain has ended.
    pub(super) fn finished(&self, status: EventStatus) {
        match status {
            EventStatus::Delivered => self.delivered.increment(1),
            EventStatus::Failed => self.failed.increment(1),
            EventStatus::Unmatched => self.unmatched.increment(1),
            // Not an end.
            EventStatus::Pending | EventStatus::Retrying => {}
        }
    }
}
