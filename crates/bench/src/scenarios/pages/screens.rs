//! The screens, and what is asked for on them.

use super::sample::Sample;
use crate::scenarios::search::{TYPES, hour};

/// A screen, or a search on it.
pub(super) struct Screen {
    pub name: &'static str,
    /// What has to stand on the page.
    pub shows: &'static str,
    /// What is asked for the n-th time.
    pub asked: fn(&Sample, usize) -> Asked,
}

/// What is asked for.
pub(super) struct Asked {
    pub path: String,
    /// The fields of a form; `None` for a page that is only looked at.
    pub form: Option<String>,
}

fn look(path: impl Into<String>) -> Asked {
    Asked { path: path.into(), form: None }
}

/// The n-th of some, all over again behind the last.
fn nth(of: &[String], n: usize) -> &str {
    &of[n % of.len()]
}

fn event_type(n: usize) -> &'static str {
    TYPES[n % TYPES.len()]
}

/// An object that something has happened to.
fn object(n: usize) -> usize {
    1 + n * 397 % 50_000
}

const HANDLER: &str = "tr id=\"h";
const EXECUTION: &str = "href=\"/console/executions/0";
const EVENT: &str = "href=\"/console/events/0";

macro_rules! screens {
    ($($name:literal, $shows:expr, $asked:expr;)*) => {
        pub(super) const SCREENS: &[Screen] = &[$(Screen { name: $name, shows: $shows, asked: $asked }),*];
    };
}

screens! {
    "Overview: an hour", "Slowest handlers", |_, _| look("/console/");
    "Overview: six hours", "Slowest handlers", |_, _| look("/console/?span=6h");
    "Overview: a day", "Slowest handlers", |_, _| look("/console/?span=24h");
    "Provisioning", HANDLER, |_, _| look("/console/provisioning");
    "Provisioning: a later page", HANDLER, |of, n| look(nth(&of.provisioning, n));
    "Provisioning: part of the name", HANDLER, |of, n| look(format!("/console/provisioning?q=crm+{}", n % of.handlers));
    "Provisioning: event", HANDLER, |_, n| look(format!("/console/provisioning?event={}", TYPES[1 + n % (TYPES.len() - 1)]));
    "Provisioning: task", HANDLER, |_, _| look("/console/provisioning?task_type=http");
    "Provisioning: status", HANDLER, |_, n| look(format!("/console/provisioning?status={}", ["disabled", "enabled"][n % 2]));
    "Provisioning: priority", HANDLER, |of, n| {
        look(format!("/console/provisioning?priority={}", 1 + n % of.handlers * 7919 % 65_535))
    };
    "a handler's form", "name=\"priority\"", |of, n| look(format!("/console/provisioning/{}", 1 + n * 7 % of.handlers));
    "a new handler's form", "name=\"priority\"", |_, n| look(format!("/console/provisioning/new?event={}", event_type(n)));
    "Execution Logs", EXECUTION, |_, _| look("/console/executions");
    "Execution Logs: a later page", EXECUTION, |of, n| look(nth(&of.logs, n));
    "Execution Logs: status", EXECUTION, |_, _| look("/console/executions?status=fail");
    "Execution Logs: event", EXECUTION, |_, n| look(format!("/console/executions?events_id={}", event_type(n)));
    "Execution Logs: object", EXECUTION, |_, n| look(format!("/console/executions?object_id={}", object(n)));
    "Execution Logs: handler", EXECUTION, |of, n| look(format!("/console/executions?handler_id={}", 1 + n * 7 % of.handlers));
    "Execution Logs: handler by name", EXECUTION, |of, n| {
        look(format!("/console/executions?handler_id=CRM+{}:+tells+the+warehouse", n * 7 % of.handlers))
    };
    "Execution Logs: error", EXECUTION, |_, n| look(format!("/console/executions?error=answered+50{}", n % 4));
    "Execution Logs: data, an hour", EXECUTION, |_, n| look(format!("/console/executions?data=northwind&{}", hour(n)));
    "Execution Logs: an hour", EXECUTION, |_, n| look(format!("/console/executions?{}", hour(n)));
    "an execution", "Northwind", |of, n| look(format!("/console/executions/{}", nth(&of.executions, n)));
    "Events", EVENT, |_, _| look("/console/events");
    "Events: a later page", EVENT, |of, n| look(nth(&of.lists_of_events, n));
    "Events: event", EVENT, |_, n| look(format!("/console/events?events_id={}", event_type(n)));
    "Events: object", EVENT, |_, n| look(format!("/console/events?object_id={}", object(n)));
    "Events: status", EVENT, |_, n| look(format!("/console/events?status={}", ["failed", "delivered", "pending"][n % 3]));
    "Events: an hour", EVENT, |_, n| look(format!("/console/events?{}", hour(n)));
    "an event", "Northwind", |of, n| look(format!("/console/events/{}", nth(&of.events, n)));
    "an event that failed", "Northwind", |of, n| look(format!("/console/events/{}", nth(&of.failed, n)));
    "an event that waits", "everything is paused", |of, n| look(format!("/console/events/{}", nth(&of.waiting, n * 7)));
    "Explain", "Fill in a sample", |_, n| look(format!("/console/events/explain?events_id={}", event_type(n)));
    "Explain: an answer", "As saved", |_, n| Asked {
        path: "/console/events/explain".into(),
        form: Some(format!("events_id={}&object_id={}&data=%7B%7D", event_type(n), object(n))),
    };
    "Dead letters", EVENT, |_, _| look("/console/dead-letters");
    "Dead letters: a later page", EVENT, |of, n| look(nth(&of.dead_letters, n));
    "Dead letters: event", EVENT, |_, _| look("/console/dead-letters?events_id=clients.update");
    "Dead letters: object", EVENT, |_, n| look(format!("/console/dead-letters?object_id={}", 1 + n % 500 * 100));
    "Dead letters: handler", EVENT, |of, n| look(format!("/console/dead-letters?handler_id={}", 1 + n * 100 % of.handlers));
    "Dead letters: error", EVENT, |_, n| look(format!("/console/dead-letters?error=answered+50{}", n % 4));
    "Dead letters: data, an hour", "Dead letters", |_, n| look(format!("/console/dead-letters?data=northwind&{}", hour(n)));
    "Task Scheduler", "id=\"generations\"", |_, _| look("/console/scheduler");
    "a generation", "generation", |_, _| look("/console/scheduler/generations/2");
}

#[cfg(test)]
mod tests {
    use http::Uri;

    use super::*;

    #[test]
    fn every_path_is_one() {
        let some = || vec!["/console/x".to_owned()];
        let sample = Sample {
            handlers: 7,
            events: some(),
            failed: some(),
            waiting: some(),
            executions: some(),
            provisioning: some(),
            logs: some(),
            lists_of_events: some(),
            dead_letters: some(),
        };
        for screen in SCREENS {
            for n in [0, 1, 199] {
                let path = (screen.asked)(&sample, n).path;
                assert!(path.starts_with("/console/") && path.parse::<Uri>().is_ok(), "{}: {path}", screen.name);
            }
        }
    }
}
