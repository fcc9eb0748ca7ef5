//! The calls of one handler for one event, drawn on the time that the event has taken.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use maud::{Markup, html};

use super::model::{Event, State};
use crate::components::cut::short;
use crate::components::time;
use crate::pages::executions::model::Execution;

/// How wide a track is, in its own units.
const WIDTH: f64 = 1000.0;
/// The narrowest bar: a call of a millisecond within an hour is still seen.
const NARROWEST: f64 = 5.0;
/// How much of an error a bar says when it is pointed at, in characters.
const ERROR_MAX: usize = 80;

/// The time from the publication to the last thing that happened or is going to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scale {
    pub(super) begin: DateTime<Utc>,
    pub(super) end: DateTime<Utc>,
}

/// What a part of a track stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Success,
    Fail,
    /// Until the next attempt.
    Wait,
}

/// A part of a track.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bar {
    kind: Kind,
    x: f64,
    width: f64,
    title: String,
}

fn end_of(execution: &Execution) -> DateTime<Utc> {
    execution.started_at + TimeDelta::milliseconds(execution.duration_ms.max(0))
}

impl Scale {
    /// The scale of an event at `now`.
    pub(super) fn of(event: &Event, now: DateTime<Utc>) -> Self {
        let calls =
            event.executions.iter().flat_map(|execution| [Some(end_of(execution)), execution.retry_at.filter(|at| *at > now)]);
        let deliveries = event.chain.iter().flat_map(|stage| &stage.deliveries);
        let next = deliveries.filter(|delivery| delivery.state == State::Retrying).map(|delivery| delivery.next_attempt_at);
        let open = event.is_open().then_some(now);
        let last = calls.chain(next).chain([event.finished_at, open]).flatten().max().unwrap_or(event.received_at);
        Self { begin: event.received_at, end: last.max(event.received_at + TimeDelta::milliseconds(1)) }
    }

    fn place(&self, at: DateTime<Utc>) -> f64 {
        let whole = (self.end - self.begin).num_microseconds().unwrap_or(i64::MAX).max(1);
        let part = (at - self.begin).num_microseconds().unwrap_or(0);
        (part as f64 / whole as f64 * WIDTH).clamp(0.0, WIDTH)
    }

    fn bar(&self, kind: Kind, from: DateTime<Utc>, to: DateTime<Utc>, title: String) -> Bar {
        let narrowest = if kind == Kind::Wait { 0.0 } else { NARROWEST };
        let x = self.place(from).min(WIDTH - narrowest);
        Bar { kind, x, width: (self.place(to) - x).max(narrowest), title }
    }

    /// How long it is.
    pub(super) fn length(&self) -> String {
        time::span((self.end - self.begin).num_milliseconds().max(0).unsigned_abs())
    }
}

/// The bars of one handler's executions, the oldest first; `next` is when it is tried again.
pub(super) fn bars(scale: &Scale, executions: &[&Execution], next: Option<DateTime<Utc>>) -> Vec<Bar> {
    let mut bars = Vec::new();
    for (index, execution) in executions.iter().enumerate() {
        let kind = match execution.status.as_str() {
            "success" => Kind::Success,
            "fail" => Kind::Fail,
            _ => continue,
        };
        let end = end_of(execution);
        let error = execution.error.as_ref().map(|error| format!(", {}", short(error, ERROR_MAX))).unwrap_or_default();
        let title =
            format!("attempt {}: {} after {}{error}", execution.attempt, execution.status, time::took(execution.duration_ms));
        bars.push(scale.bar(kind, execution.started_at, end, title));
        let following = executions.get(index + 1).map(|following| following.started_at);
        if execution.retry_at.is_some()
            && let Some(until) = following.or(next).filter(|until| *until > end)
        {
            bars.push(scale.bar(Kind::Wait, end, until, format!("waits {}", time::took((until - end).num_milliseconds()))));
        }
    }
    bars
}

/// A number of an attribute, with no more places than can be seen.
struct Short(f64);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", (self.0 * 10.0).round() / 10.0)
    }
}

/// The track; `label` says in words what it shows.
pub(super) fn track(bars: &[Bar], label: &str) -> Markup {
    html! {
        svg.track viewBox="0 0 1000 18" preserveAspectRatio="none" role="img" aria-label=(label) {
            // Calls lie over waits, which are long.
            @for bar in bars.iter().filter(|bar| bar.kind == Kind::Wait) {
                line.wait x1=(Short(bar.x)) x2=(Short(bar.x + bar.width)) y1="9" y2="9" vector-effect="non-scaling-stroke" { title { (bar.title) } }
            }
            @for bar in bars.iter().filter(|bar| bar.kind != Kind::Wait) {
                rect class=(if bar.kind == Kind::Success { "ok" } else { "no" }) x=(Short(bar.x)) y="3" width=(Short(bar.width)) height="12" { title { (bar.title) } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ID: &str = "0192f0c1-0000-7000-8000-000000000001";

    fn execution(started_at: &str, duration_ms: i64, status: &str, retry_at: Option<&str>) -> Value {
        json!({
            "id": ID, "event_id": ID, "events_id": "clients.create", "object_id": 1, "handler_id": 7, "handler_name": "CRM", "priority": 1,
            "generation": 1, "attempt": 1, "status": status, "started_at": started_at, "duration_ms": duration_ms, "error": null,
            "response": null, "retry_at": retry_at,
        })
    }

    fn event(executions: &[Value], status: &str) -> Event {
        let text = json!({
            "id": ID, "events_id": "clients.create", "object_id": 1, "ordering_key": "client/1", "dt": "", "data": {}, "status": status,
            "generation": 1, "received_at": "2026-03-04T11:00:00Z", "finished_at": null, "chain": [], "executions": executions,
        });
        serde_json::from_str(&text.to_string()).unwrap()
    }

    #[test]
    fn calls_and_waits_stand_where_they_were() {
        let event = event(
            &[
                execution("2026-03-04T11:00:00Z", 10_000, "fail", Some("2026-03-04T11:00:50Z")),
                execution("2026-03-04T11:00:50Z", 0, "success", None),
            ],
            "delivered",
        );
        let scale = Scale::of(&event, "2026-03-04T12:00:00Z".parse().unwrap());
        assert_eq!(scale.length(), "50 s");
        let bars = bars(&scale, &event.executions.iter().collect::<Vec<_>>(), None);
        let places: Vec<_> = bars.iter().map(|bar| (bar.kind, bar.x, bar.width)).collect();
        let expected = [(Kind::Fail, 0.0, 200.0), (Kind::Wait, 200.0, 800.0), (Kind::Success, WIDTH - NARROWEST, NARROWEST)];
        assert_eq!(places, expected);
    }

    #[test]
    fn what_goes_on_reaches_to_now_or_to_the_next_attempt() {
        let open = event(&[execution("2026-03-04T11:00:00Z", 1000, "fail", Some("2026-03-04T11:01:40Z"))], "retrying");
        let before = Scale::of(&open, "2026-03-04T11:00:10Z".parse().unwrap());
        assert_eq!(before.length(), "1 min 40 s");
        let after = Scale::of(&open, "2026-03-04T11:02:00Z".parse().unwrap());
        assert_eq!(after.length(), "2 min");
        let calls: Vec<_> = open.executions.iter().collect();
        let bars = bars(&before, &calls, Some("2026-03-04T11:01:40Z".parse().unwrap()));
        assert_eq!(bars.iter().map(|bar| (bar.x, bar.width)).collect::<Vec<_>>(), [(0.0, 10.0), (10.0, 990.0)]);
        assert_eq!(Scale::of(&event(&[], "unmatched"), Utc::now()).length(), "1 ms");
    }
}
