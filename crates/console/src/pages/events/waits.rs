//! What a delivery waits for that has not been tried.

use std::collections::{BTreeSet, HashMap};

use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::PATH;
use super::model::{Delivery, Event, Listed, Stage};
use crate::client::{ApiClient, Paged, Result};
use crate::components::cut::short;
use crate::components::instant::for_api;
use crate::components::query;
use crate::layout::Shell;

/// How many earlier events are looked into.
const LOOKED_INTO_MAX: usize = 4;
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
    /// By lane: the earlier event of the same object that is not through with it, and the handler it is waited for.
    ahead: HashMap<String, (Uuid, String)>,
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
    /// What is around an event that is not through.
    ///
    /// # Errors
    /// What the API refuses with.
    pub(super) async fn of(api: &ApiClient, event: &Event, shell: &Shell) -> Result<Self> {
        let pauses: Paged<Pause> = api.get("/v1/pauses").await?;
        let object = super::model::plain(event.object_id.get());
        let received = for_api(&event.received_at.to_rfc3339());
        let status = [("status", "pending"), ("status", "retrying")];
        let asked = [("object_id", object.as_str()), ("to", received.as_str()), ("limit", "200")];
        let found: Paged<Listed> = api.get(&query::address("/v1/events", asked.into_iter().chain(status))).await?;
        let same = found.items.iter().filter(|other| other.ordering_key == event.ordering_key && other.id != event.id);
        let mut ahead = HashMap::new();
        // The oldest of them are what the others wait for too.
        for other in same.rev().take(LOOKED_INTO_MAX) {
            let other: Event = api.get(&format!("/v1/events/{}", other.id)).await?;
            let open = other.chain.iter().flat_map(|stage| &stage.deliveries).filter(|delivery| !delivery.state.has_ended());
            for delivery in open {
                if let Some(lane) = &delivery.lane {
                    ahead.entry(lane.clone()).or_insert_with(|| (other.id, delivery.name.clone()));
                }
            }
        }
        let failing = shell.breakers.keys().copied().collect();
        Ok(Self { pauses: pauses.items, ahead, has_dispatcher: shell.has_dispatcher(), failing })
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
        if let Some((event, handler)) = delivery.lane.as_ref().and_then(|lane| self.ahead.get(lane)) {
            return Wait::Lane(*event, handler.clone());
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
                || other.lane.as_ref().is_some_and(|lane| self.ahead.contains_key(lane))
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
            "on_failure": on_failure, "lane": format!("lane{id}"),
        })
    }

    fn wait(around: &Around, first: &Value) -> Wait {
        let stages = chain(&json!([
            {"priority": 1, "deliveries": [first]},
            {"priority": 2, "deliveries": [delivery(2, "waiting", 0, "continue")]},
        ]));
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
        let id = Uuid::nil();
        let held = |lane: &str| Around {
            ahead: HashMap::from([(lane.to_owned(), (id, "h9".to_owned()))]),
            has_dispatcher: true,
            ..Around::default()
        };
        assert_eq!(wait(&held("lane2"), &delivery(1, "succeeded", 1, "continue")), Wait::Lane(id, "h9".into()));
        // The one before is held by its own lane, and so holds up nobody.
        assert_eq!(wait(&held("lane1"), &delivery(1, "waiting", 0, "continue")), Wait::Turn);
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
