//! Where a handler stands in its event's chain, drawn beside the form.

use axum::extract::{RawQuery, State};
use maud::{Markup, html};
use serde::Deserialize;

use super::super::PATH;
use super::super::model::Handler;
use crate::client::{ApiClient, Result};
use crate::components::query;
use crate::components::status::{Tone, dot};
use crate::failure::Failure;
use crate::form;
use crate::state::Console;

/// The most handlers that are drawn.
const DRAWN_MAX: usize = 200;

/// The handler that the form is about, as it is typed.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Own {
    pub(super) id: Option<i64>,
    pub(super) event: String,
    pub(super) name: String,
    pub(super) priority: String,
    pub(super) status: String,
}

/// A handler of a chain.
struct Member {
    id: Option<i64>,
    name: String,
    priority: u32,
    status: String,
    on_failure: String,
    is_own: bool,
}

/// `GET /console/provisioning/chain`: the drawing alone, for the script.
pub(super) async fn fragment(State(console): State<Console>, RawQuery(raw): RawQuery) -> std::result::Result<Markup, Failure> {
    let own: Own = form::parse(raw.unwrap_or_default().as_bytes())?;
    Ok(chain(&console.api, &own).await?)
}

/// The stages of the event's chain, with the handler in its place.
///
/// # Errors
/// What the API refuses with, unless it does not know the event.
pub(super) async fn chain(api: &ApiClient, own: &Own) -> Result<Markup> {
    let event = own.event.trim();
    if event.is_empty() {
        return Ok(html! { p.hint { "Choose an event to see which other handlers it has." } });
    }
    let path = query::address("/v1/handlers", [("event", event), ("order", "chain")]);
    let others: Vec<Handler> = match api.list(&format!("{path}&"), DRAWN_MAX).await {
        Err(error) if !error.fields().is_empty() => return Ok(html! { p.hint { "The catalogue has no such event." } }),
        others => others?,
    };
    Ok(drawn(&members(own, others)))
}

fn members(own: &Own, others: Vec<Handler>) -> Vec<Member> {
    let mut on_failure = "continue".to_owned();
    let mut members = Vec::new();
    for other in others {
        if Some(other.id) == own.id {
            on_failure = other.on_failure;
            continue;
        }
        let Handler { id, name, priority, status, on_failure, .. } = other;
        members.push(Member { id: Some(id), name, priority: priority.into(), status, on_failure, is_own: false });
    }
    if let Ok(priority) = own.priority.trim().parse()
        && own.status != "archived"
    {
        let name = if own.name.trim().is_empty() { "This handler".to_owned() } else { own.name.clone() };
        let at = members.partition_point(|member| member.priority <= priority);
        members.insert(at, Member { id: own.id, name, priority, status: own.status.clone(), on_failure, is_own: true });
    }
    members
}

fn drawn(members: &[Member]) -> Markup {
    if members.is_empty() {
        return html! { p.hint { "No other handler has this event." } };
    }
    html! {
        ol.chain {
            @for stage in members.chunk_by(|a, b| a.priority == b.priority) {
                li.stage {
                    span.number { (stage.first().map_or(0, |member| member.priority)) }
                    ul { @for member in stage { (drawn_member(member)) } }
                }
            }
        }
        @if members.len() > DRAWN_MAX { p.hint { "More follow." } }
    }
}

fn drawn_member(member: &Member) -> Markup {
    let is_on = member.status == "enabled";
    html! {
        li.own[member.is_own].off[!is_on] aria-current=[member.is_own.then_some("true")] {
            (dot(if is_on { Tone::Good } else { Tone::Plain })) " "
            @match (member.is_own, member.id) {
                (false, Some(id)) => { a href={ (PATH) "/" (id) } { (member.name) } }
                _ => { b { (member.name) } }
            }
            @if !is_on { " " small.muted { (member.status) } }
            @match member.on_failure.as_str() {
                "wait" => { " " small.muted { "what follows waits for it" } }
                "stop" => { " " small.muted { "what follows waits for it, and stops with it" } }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_handler_stands_in_its_stage() {
        let member = |id, priority| Member {
            id: Some(id),
            name: format!("n{id}"),
            priority,
            status: "enabled".into(),
            on_failure: "continue".into(),
            is_own: id == 2,
        };
        let shown = drawn(&[member(1, 10), member(2, 10), member(3, 20)]).into_string();
        assert_eq!(shown.matches("class=\"stage\"").count(), 2, "{shown}");
        assert!(shown.contains("aria-current=\"true\""), "{shown}");
        let own = Own { event: "e.x".into(), priority: "15".into(), status: "enabled".into(), ..Own::default() };
        assert_eq!(members(&own, Vec::new())[0].name, "This handler");
        assert!(members(&Own { status: "archived".into(), ..own }, Vec::new()).is_empty());
    }
}
