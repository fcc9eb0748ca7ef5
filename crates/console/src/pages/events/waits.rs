//! What a delivery waits for that has not been tried.

use std::collections::BTreeSet;

use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::PATH;
use super::model::{Delivery, Stage};
use crate::client::{ApiClient, Paged, Result};
use crate::components::cut::short;
use crate::layout::Shell;

/// How much of a name is said, in characters.
const NAME_MAX: usize = 60;

/// A pause that is in force.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Pause {
    /// `everything`, `event_type`, `handler`.
    scope: String,
    #[serde(default)]
    id: Value,
}

/// What holds deliveries up from outside of their chain.
#[derive(Debug, Default)]
pub(super) struct Around {
    pauses: Vec<Pause>,
    /// Whether anything calls handlers at all.
    has_dispatcher: bool,
    /// Handlers whose circuit breaker is open.
    failing: BTreeSet<i64>,
}

/// What a delivery waits for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// A handler before it, which has to have ended.
    End(String),
    /// A handler before it, which has to have been tried.
    Try(String),
    /// Everything, its event type or its handler is paused.
    Paused(&'static str),
    /// An earlier event of its object in its lane.
    Lane(Uuid, String),
    /// Its handler keeps failing and is held.
    Breaker,
    /// Nobody is there to call it.
    NoDispatcher,
    /// Nothing that can be seen from here.
    Turn,
}

impl Around {
    /// What is around events that are not through.
    ///
    /// # Errors
    /// What the API refuses with.
    pub(super) async fn of(api: &ApiClient, shell: &Shell) -> Result<Self> {
        let pauses: Paged<Pause> = api.get("/v1/pauses").await?;
        let failing = shell.breakers.keys().copied().collect();
        Ok(Self { pauses: pauses.items, has_dispatcher: shell.has_dispatcher(), failing })
    }

    fn pause(&self, events_id: &str, handler_id: i64) -> Option<&'static str> {
        let holds = |pause: &Pause| match pause.scope.as_str() {
            "everything" => Some("everything is paused"),
            "event_type" if pause.id == events_id => Some("this event type is paused"),
            "handler" if pause.id == handler_id => Some("this handler is paused"),
            _ => None,
        };
        self.pauses.iter().find_map(holds)
    }

    /// What a delivery of this chain waits for.
    pub(super) fn wait(&self, events_id: &str, chain: &[Stage], priority: u16, delivery: &Delivery) -> Wait {
        let before: Vec<_> = chain.iter().filter(|stage| stage.priority < priority).flat_map(|stage| &stage.deliveries).collect();
        let holds_up =
            |other: &&&Delivery| !other.state.has_ended() && matches!(other.on_failure.as_deref(), Some("wait" | "stop"));
        if let Some(other) = before.iter().find(holds_up) {
            return Wait::End(other.name.clone());
        }
        if let Some(why) = self.pause(events_id, delivery.handler_id) {
            return Wait::Paused(why);
        }
        if let Some(held) = &delivery.held_by {
            return Wait::Lane(held.event_id, held.name.clone());
        }
        if self.failing.contains(&delivery.handler_id) {
            return Wait::Breaker;
        }
        if !self.has_dispatcher {
            return Wait::NoDispatcher;
        }
        // One that is held itself does not hold up others.
        let is_held = |other: &Delivery| {
            self.pause(events_id, other.handler_id).is_some()
                || self.failing.contains(&other.handler_id)
                || other.held_by.is_some()
        };
        match before.iter().find(|other| !other.state.has_ended() && other.attempts == 0 && !is_held(other)) {
            Some(other) => Wait::Try(other.name.clone()),
            None => Wait::Turn,
        }
    }
}

impl Wait {
    /// In words.
    pub(super) fn shown(&self) -> Markup {
        match self {
            Self::End(name) => html! { "until " b { (short(name, NAME_MAX)) } " has succeeded or is used up" },
            Self::Try(name) => html! { "until " b { (short(name, NAME_MAX)) } " has been tried" },
            Self::Paused(why) => html! { (why) },
            Self::Lane(event, name) => html! {
                "its lane is held by " a.inline href={ (PATH) "/" (event) } { "an earlier event" } " of this object, at " b { (short(name, NAME_MAX)) }
            },
            Self::Breaker => html! { "its handler keeps failing: one probe at a time goes out, the others are held" },
            Self::NoDispatcher => html! { "no dispatcher is running" },
            Self::Turn => html! { "for its turn" },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn chain(value: &Value) -> Vec<Stage> {
        serde_json::from_value(value.clone()).unwrap()
    }

    fn delivery(id: i64, state: &str, attempts: u32, on_failure: &str) -> Value {
        json!({
            "handler_id": id, "name": format!("h{id}"), "state": state, "attempts": attempts, "max_attempts": 3, "next_attempt_at": null,
            "on_failure": on_failure, "held_by": null,
        })
    }

    fn held(mut delivery: Value) -> Value {
        delivery["held_by"] = json!({"event_id": Uuid::nil(), "handler_id": 9, "name": "h9"});
        delivery
    }

    fn wait(around: &Around, first: &Value) -> Wait {
        wait_of(around, first, &delivery(2, "waiting", 0, "continue"))
    }

    fn wait_of(around: &Around, first: &Value, second: &Value) -> Wait {
        let stages = chain(&json!([{"priority": 1, "deliveries": [first]}, {"priority": 2, "deliveries": [second]}]));
        around.wait("clients.create", &stages, 2, &stages[1].deliveries[0])
    }

    #[test]
    fn the_rule_that_holds_it_up_is_named() {
        let free = Around { has_dispatcher: true, ..Around::default() };
        assert_eq!(wait(&free, &delivery(1, "retrying", 1, "wait")), Wait::End("h1".into()));
        assert_eq!(wait(&free, &delivery(1, "retrying", 1, "stop")), Wait::End("h1".into()));
        assert_eq!(wait(&free, &delivery(1, "retrying", 1, "continue")), Wait::Turn);
        assert_eq!(wait(&free, &delivery(1, "waiting", 0, "continue")), Wait::Try("h1".into()));
        assert_eq!(wait(&free, &delivery(1, "dead", 3, "wait")), Wait::Turn);
        assert_eq!(wait(&Around::default(), &delivery(1, "succeeded", 1, "continue")), Wait::NoDispatcher);
        let failing = |handler| Around { failing: BTreeSet::from([handler]), has_dispatcher: true, ..Around::default() };
        assert_eq!(wait(&failing(2), &delivery(1, "succeeded", 1, "continue")), Wait::Breaker);
        assert_eq!(wait(&failing(1), &delivery(1, "waiting", 0, "continue")), Wait::Turn);
        let second = held(delivery(2, "waiting", 0, "continue"));
        assert_eq!(wait_of(&free, &delivery(1, "succeeded", 1, "continue"), &second), Wait::Lane(Uuid::nil(), "h9".into()));
        // The one before is held by its own lane, and so holds up nobody.
        assert_eq!(wait(&free, &held(delivery(1, "waiting", 0, "continue"))), Wait::Turn);
        for (scope, of, said) in [
            ("everything", Value::Null, Some("everything is paused")),
            ("event_type", json!("clients.create"), Some("this event type is paused")),
            ("event_type", json!("clients.update"), None),
            ("handler", json!(2), Some("this handler is paused")),
            ("handler", json!(1), None),
        ] {
            let around =
                Around { pauses: vec![Pause { scope: scope.into(), id: of }], has_dispatcher: true, ..Around::default() };
            let expected = said.map_or(Wait::Turn, Wait::Paused);
            assert_eq!(wait(&around, &delivery(1, "succeeded", 1, "continue")), expected, "{scope}");
        }
    }
}
