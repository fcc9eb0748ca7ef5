//! The chain of one event: a lane for each handler, with its calls and waits and what came of them.

use chrono::Utc;
use maud::{Markup, html};

use super::model::{Delivery, Event, State};
use super::timeline::{self, Scale};
use super::waits::Around;
use crate::components::cut::short;
use crate::components::time;
use crate::pages::executions::model::Execution;

/// How many handlers are drawn, how many bars for all of them, and how many calls of each, the last ones.
const LANES_MAX: usize = 50;
const BARS_MAX: usize = 200;
const CALLS_MAX: usize = 40;
/// How much of a text is shown, in characters.
const NAME_MAX: usize = 80;
const ERROR_MAX: usize = 120;

/// The panel of the chain.
pub(super) fn chain(event: &Event, around: &Around) -> Markup {
    let scale = Scale::of(event, Utc::now());
    let all: Vec<_> =
        event.chain.iter().flat_map(|stage| stage.deliveries.iter().map(move |one| (stage.priority, one))).collect();
    let mut bars_left = BARS_MAX;
    html! {
        section.panel aria-labelledby="chain-title" {
            div.cap {
                h2 #chain-title { "Chain" @match event.generation { Some(number) => { ", generation " (number) } None => {} } }
                span.muted { (begin(event)) }
            }
            @if all.is_empty() {
                div.in { p.muted { (nothing(event)) } }
            } @else {
                div.scale aria-hidden="true" { div { span { "0" } span { (scale.length()) } } }
                @for (priority, delivery) in all.iter().take(LANES_MAX) {
                    (lane(event, around, &scale, *priority, delivery, &mut bars_left))
                }
                @if all.len() > LANES_MAX { div.in { p.muted { "and " (all.len() - LANES_MAX) " more handlers" } } }
            }
        }
    }
}

fn begin(event: &Event) -> Markup {
    let first =
        event.executions.iter().filter(|execution| execution.status != "skipped").map(|execution| execution.started_at).min();
    html! {
        "published " (time::at(event.received_at))
        @if let Some(first) = first { ", first call after " (time::took((first - event.received_at).num_milliseconds().max(0))) }
    }
}

fn nothing(event: &Event) -> &'static str {
    match event.status.as_str() {
        "unmatched" => "No handler was live for this event, so nothing was called. With one that is live, it can be replayed.",
        "pending" => "No handler is live for this event at the moment.",
        _ => "The generation that it ran under is not kept any more.",
    }
}

fn lane(event: &Event, around: &Around, scale: &Scale, priority: u16, delivery: &Delivery, bars_left: &mut usize) -> Markup {
    let calls: Vec<_> = event.executions.iter().filter(|execution| execution.handler_id == delivery.handler_id).collect();
    let last = calls.last().copied();
    let drawn = &calls[calls.len() - calls.len().min(CALLS_MAX)..];
    let mut bars = timeline::bars(scale, drawn, delivery.next_attempt_at);
    // Where there are too many, those of the end tell more.
    let over = bars.len().saturating_sub(*bars_left);
    bars.drain(..over);
    *bars_left -= bars.len();
    let label = format!("{}: {}", short(&delivery.name, NAME_MAX), in_words(delivery));
    html! {
        div.lane {
            div.who {
                span.rank title="priority" { (priority) }
                a href={ "/console/provisioning/" (delivery.handler_id) } { (short(&delivery.name, NAME_MAX)) }
                small {
                    @match (&delivery.on_failure, &delivery.lane) {
                        (Some(policy), Some(lane)) => { (policy) ", lane " (short(lane, NAME_MAX)) }
                        _ => { "of another generation" }
                    }
                }
            }
            (timeline::track(&bars, &label))
            div.how { (how(event, around, priority, delivery, last)) }
        }
    }
}

fn in_words(delivery: &Delivery) -> String {
    let state = match delivery.state {
        State::Waiting => "waiting",
        State::Retrying => "retrying",
        State::Succeeded => "success",
        State::Dead => "dead letter",
        State::Skipped => "skipped",
    };
    format!("{state}, {} tried", delivery.attempts)
}

fn how(event: &Event, around: &Around, priority: u16, delivery: &Delivery, last: Option<&Execution>) -> Markup {
    let error = last.and_then(|last| last.error.as_deref()).map(|error| short(error, ERROR_MAX));
    let tried = match delivery.max_attempts {
        Some(max) => format!("{} of {max} tried", delivery.attempts),
        None => format!("{} tried", delivery.attempts),
    };
    match delivery.state {
        State::Succeeded => html! {
            span.good-text { "success" @if let Some(last) = last { ", " (time::took(last.duration_ms)) } }
            @if delivery.attempts > 1 { small { "attempt " (delivery.attempts) } }
        },
        State::Retrying => html! {
            span.bad-text { (tried) @if let Some(error) = error { ", " (error) } }
            @match delivery.next_attempt_at {
                Some(at) if at > Utc::now() => small { "next " (time::next(at)) },
                Some(_) => small {
                    "due: " (around.wait(&event.events_id, &event.chain, priority, delivery).shown())
                },
                None => {}
            }
        },
        State::Dead => html! {
            span.bad-text { "dead letter, " (tried) }
            @if let Some(error) = error { small { (error) } }
        },
        State::Skipped => html! {
            span.muted { "skipped" }
            small { @match error { Some(error) => { (error) } None => { "the chain ended before it" } } }
        },
        State::Waiting => html! {
            span.warn-text { @if delivery.attempts > 0 { "on its way again" } @else { "waits" } }
            small { (around.wait(&event.events_id, &event.chain, priority, delivery).shown()) }
        },
    }
}
