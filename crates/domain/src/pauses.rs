//! What an operator has paused. Deliveries of what is paused are held in order, not lost; a pause works at once, without a restart of the
//! Cache Manager.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::handler::HandlerSpec;
use crate::ids::HandlerId;

/// What one pause is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseScope {
    /// Every handler.
    Everything,
    /// The handlers of an event type, by the catalogue's id.
    EventType(String),
    /// One handler.
    Handler(HandlerId),
}

impl fmt::Display for PauseScope {
    /// The form that the tables use; [`PauseScope::parse`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everything => f.write_str("everything"),
            Self::EventType(id) => write!(f, "event:{id}"),
            Self::Handler(id) => write!(f, "handler:{id}"),
        }
    }
}

impl PauseScope {
    /// The scope that is written like this.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once(':') {
            None => (text == "everything").then_some(Self::Everything),
            Some(("event", id)) => Some(Self::EventType(id.to_owned())),
            Some(("handler", id)) => id.parse().ok().map(|id| Self::Handler(HandlerId(id))),
            Some(_) => None,
        }
    }
}

/// All pauses that are in force.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pauses(BTreeSet<PauseScope>);

impl FromIterator<PauseScope> for Pauses {
    fn from_iter<I: IntoIterator<Item = PauseScope>>(scopes: I) -> Self {
        Self(scopes.into_iter().collect())
    }
}

impl Pauses {
    /// Whether nothing is paused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this pause itself is in force.
    #[must_use]
    pub fn contains(&self, scope: &PauseScope) -> bool {
        self.0.contains(scope)
    }

    /// Whether a handler's deliveries are held by any of them.
    #[must_use]
    pub fn hold(&self, handler: &HandlerSpec) -> bool {
        !self.0.is_empty()
            && (self.0.contains(&PauseScope::Everything)
                || self.0.contains(&PauseScope::Handler(handler.id))
                || self.0.contains(&PauseScope::EventType(handler.event.clone())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handler::{OnFailure, Task};
    use crate::retry::RetryPolicy;

    fn handler(id: i64, event: &str) -> HandlerSpec {
        HandlerSpec {
            id: HandlerId(id),
            name: String::new(),
            event: event.into(),
            task: Task::Http { url: String::new() },
            priority: 1,
            on_failure: OnFailure::Continue,
            timeout_ms: 1000,
            retry: RetryPolicy::default(),
            lane: None,
            headers: Default::default(),
            secrets: Vec::new(),
            filter: None,
            limits: Default::default(),
            auth: None,
            tls: None,
        }
    }

    #[test]
    fn each_scope_holds_what_it_names() {
        let held = |scope: PauseScope| {
            let pauses = Pauses::from_iter([scope]);
            [handler(1, "a.b"), handler(2, "a.b"), handler(3, "c.d")].map(|h| pauses.hold(&h))
        };
        assert_eq!(held(PauseScope::Everything), [true, true, true]);
        assert_eq!(held(PauseScope::EventType("a.b".into())), [true, true, false]);
        assert_eq!(held(PauseScope::Handler(HandlerId(3))), [false, false, true]);
    }

    #[test]
    fn scopes_are_read_as_they_are_written() {
        for scope in [PauseScope::Everything, PauseScope::EventType("a.b".into()), PauseScope::Handler(HandlerId(7))] {
            assert_eq!(PauseScope::parse(&scope.to_string()), Some(scope));
        }
        for bad in ["", "all", "handler:x", "other:1"] {
            assert_eq!(PauseScope::parse(bad), None, "{bad}");
        }
    }
}
