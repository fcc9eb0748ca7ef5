//! The handlers of the demo: the same three for each event type.

use std::path::Path;

use serde_json::{Value, json};

/// What a handler is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The receiver, under this path.
    Http(&'static str),
    /// The script of this name.
    Script(&'static str),
}

/// A handler that every event type has.
pub(super) struct Plan {
    pub(super) priority: u16,
    pub(super) name: &'static str,
    pub(super) kind: Kind,
}

/// In the order in which they have to be called.
pub(super) const PLANS: [Plan; 3] = [
    Plan { priority: 1, name: "CRM", kind: Kind::Http("/crm") },
    Plan { priority: 2, name: "Event log", kind: Kind::Script(super::script::NAME) },
    Plan { priority: 3, name: "Softswitch", kind: Kind::Http("/softswitch") },
];

impl Kind {
    /// How the API calls it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Http(_) => "http",
            Self::Script(_) => "script",
        }
    }
}

impl Plan {
    /// The body that creates it for an event type; `log` is what the script writes to.
    pub(super) fn body(&self, event: &str, receiver: u16, log: &Path) -> Value {
        let task = match self.kind {
            Kind::Http(path) => json!({"type": "http", "url": format!("http://127.0.0.1:{receiver}{path}")}),
            Kind::Script(name) => json!({"type": "script", "path": name, "args": [log]}),
        };
        json!({"name": format!("{}: {event}", self.name), "event": event, "priority": self.priority, "task": task})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_becomes_a_handler() {
        let [crm, log, _] = PLANS.map(|plan| plan.body("clients.create", 81, Path::new("/tmp/log")));
        assert_eq!((&crm["task"]["url"], &crm["priority"]), (&json!("http://127.0.0.1:81/crm"), &json!(1)));
        assert_eq!((&log["task"]["args"], &log["name"]), (&json!(["/tmp/log"]), &json!("Event log: clients.create")));
    }

    #[test]
    fn plans_are_in_the_order_of_their_priorities() {
        assert_eq!(PLANS.map(|plan| (plan.priority, plan.kind.word())), [(1, "http"), (2, "script"), (3, "http")]);
    }
}
