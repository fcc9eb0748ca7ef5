//! Whether every event reached its handlers as it should have: from what they got, and from what Baton says.

use super::api::Execution;
use super::arrival::Arrival;
use super::handler::PLANS;
use super::story::{Finished, Handlers};

/// All that is known after the last event.
pub(super) struct Seen<'a> {
    /// In the order of publication.
    pub(super) events: &'a [Finished],
    /// What arrived, in any order.
    pub(super) arrivals: &'a [Arrival],
    /// The handlers that had to be called.
    pub(super) handlers: &'a Handlers,
    /// The generation that they had to be taken from.
    pub(super) generation: i64,
}

/// What is not as it should be, a sentence each; empty when all is well.
pub(super) fn problems(seen: &Seen<'_>) -> Vec<String> {
    let each = seen.events.iter().flat_map(|event| of_event(event, seen));
    each.chain(unknown(seen)).chain(lanes(seen)).collect()
}

fn of_event(event: &Finished, seen: &Seen<'_>) -> Vec<String> {
    let name = event.published.event.name();
    let told = &event.told;
    let mut problems = Vec::new();
    if told.status != "delivered" {
        problems.push(format!("is {} instead of delivered", told.status));
    }
    if (&told.events_id, told.object_id.get()) != (&event.published.event.events_id, event.published.event.object_id.as_str()) {
        problems.push(format!("is kept as {} {}", told.events_id, told.object_id));
    }
    problems.extend(executions(event, seen));
    problems.extend(arrivals(event, seen.arrivals));
    problems.into_iter().map(|problem| format!("{name} {problem}")).collect()
}

/// What Baton's log of calls says.
fn executions(event: &Finished, seen: &Seen<'_>) -> Vec<String> {
    let mut executions: Vec<&Execution> = event.told.executions.iter().collect();
    executions.sort_by_key(|execution| execution.started_at);
    let failed = executions.iter().filter(|execution| !execution.succeeded()).map(|execution| {
        let error = execution.error.as_deref().unwrap_or("for no reason that is known");
        format!("failed at the handler of priority {}, attempt {}: {error}", execution.priority, execution.attempt)
    });
    let mut problems: Vec<_> = failed.collect();
    let called: Vec<_> = executions.iter().map(|execution| (execution.priority, Some(execution.handler_id))).collect();
    let handlers = seen.handlers.get(&event.published.event.events_id);
    let expected: Vec<_> =
        PLANS.iter().enumerate().map(|(place, plan)| (plan.priority, handlers.map(|ids| ids[place]))).collect();
    if called != expected {
        let order: Vec<_> = called.iter().map(|(priority, _)| priority.to_string()).collect();
        problems.push(format!("has executions of the priorities {}, or of other handlers than were created", list(&order)));
    }
    if let Some(other) = executions.iter().find(|execution| execution.generation != seen.generation) {
        problems.push(format!("ran under generation {} instead of {}", other.generation, seen.generation));
    }
    problems
}

/// What its handlers got.
fn arrivals(event: &Finished, arrivals: &[Arrival]) -> Vec<String> {
    let published = &event.published.event;
    let mut own: Vec<_> = arrivals.iter().filter(|arrival| arrival.event.is_same(published)).collect();
    own.sort_by_key(|arrival| arrival.at);
    let mut problems = Vec::new();
    if !own.iter().map(|arrival| arrival.priority).eq(PLANS.iter().map(|plan| plan.priority)) {
        let order: Vec<_> = own.iter().map(|arrival| arrival.priority.to_string()).collect();
        problems.push(format!("arrived at the priorities {}", list(&order)));
    }
    let differs = own.iter().filter(|arrival| arrival.event.data != published.data);
    problems.extend(differs.map(|arrival| {
        format!("had other data for priority {} than was published: {}", arrival.priority, arrival.event.data)
    }));
    problems
}

fn unknown(seen: &Seen<'_>) -> Vec<String> {
    let known = |arrival: &&Arrival| seen.events.iter().any(|event| event.published.event.is_same(&arrival.event));
    let unknown = seen.arrivals.iter().filter(|arrival| !known(arrival));
    unknown.map(|arrival| format!("{} of {} was never published", arrival.event.name(), arrival.event.dt)).collect()
}

/// Whether each handler got the events of one object in the order of their publication.
fn lanes(seen: &Seen<'_>) -> Vec<String> {
    let mut problems = Vec::new();
    for (later, event) in seen.events.iter().enumerate() {
        let same = |earlier: &&Finished| earlier.told.ordering_key == event.told.ordering_key;
        let Some(before) = seen.events[..later].iter().rfind(same) else { continue };
        for priority in PLANS.iter().map(|plan| plan.priority) {
            let (first, second) = (arrived(before, priority, seen), arrived(event, priority, seen));
            // What has not arrived is a problem of its event.
            if first.zip(second).is_some_and(|(first, second)| first > second) {
                let (name, before) = (event.published.event.name(), before.published.event.name());
                problems.push(format!("{name} overtook {before} at priority {priority}"));
            }
        }
    }
    problems
}

fn arrived(event: &Finished, priority: u16, seen: &Seen<'_>) -> Option<u128> {
    let is_it = |arrival: &&Arrival| arrival.priority == priority && arrival.event.is_same(&event.published.event);
    seen.arrivals.iter().find(is_it).map(|arrival| arrival.at)
}

fn list(words: &[String]) -> String {
    if words.is_empty() { "(none)".into() } else { words.join(", ") }
}
