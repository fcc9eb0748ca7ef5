//! Whether every event reached its handlers as it should have: from what they got, and from what Baton says.

use super::api::Execution;
use super::arrival::Arrival;
use super::handler::PLANS;
use super::story::{Followed, Handlers};

/// All that is known after the last event.
pub(super) struct Seen<'a> {
    /// In the order of publication.
    pub(super) events: &'a [Followed],
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

fn of_event(event: &Followed, seen: &Seen<'_>) -> Vec<String> {
    let name = event.published.event.name();
    let told = &event.told;
    let mut problems = Vec::new();
    // The reason of a failure says more than the status.
    if told.status != "delivered" && told.executions.iter().all(Execution::succeeded) {
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
fn executions(event: &Followed, seen: &Seen<'_>) -> Vec<String> {
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
    if let Some(other) = executions.iter().find(|execution| execution.generation != Some(seen.generation)) {
        let other = other.generation.map_or_else(|| "none".to_owned(), |number| number.to_string());
        problems.push(format!("ran under generation {other} instead of {}", seen.generation));
    }
    problems
}

/// What its handlers got.
fn arrivals(event: &Followed, arrivals: &[Arrival]) -> Vec<String> {
    let published = &event.published.event;
    let mut own: Vec<_> = arrivals.iter().filter(|arrival| arrival.event.is_same(published)).collect();
    own.sort_by_key(|arrival| arrival.at);
    let mut problems = Vec::new();
    if !own.iter().map(|arrival| arrival.priority).eq(PLANS.iter().map(|plan| plan.priority)) {
        let order: Vec<_> = own.iter().map(|arrival| arrival.priority.to_string()).collect();
        problems.push(format!("arrived at the priorities {}", list(&order)));
    }
    let differs = own.iter().filter(|arrival| arrival.event.data != published.data);
    problems.extend(
        differs.map(|arrival| {
            format!("had other data for priority {} than was published: {}", arrival.priority, arrival.event.data)
        }),
    );
    let stranger = own.iter().filter_map(|arrival| arrival.event_id.as_ref()).find(|id| **id != event.published.id);
    problems.extend(stranger.map(|id| format!("is {} and was called {id} for the script", event.published.id)));
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
        let same = |earlier: &&Followed| earlier.told.ordering_key == event.told.ordering_key;
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

fn arrived(event: &Followed, priority: u16, seen: &Seen<'_>) -> Option<u128> {
    let is_it = |arrival: &&Arrival| arrival.priority == priority && arrival.event.is_same(&event.published.event);
    seen.arrivals.iter().find(is_it).map(|arrival| arrival.at)
}

fn list(words: &[String]) -> String {
    if words.is_empty() { "(none)".into() } else { words.join(", ") }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use serde_json::value::RawValue;

    use super::super::api;
    use super::super::event::Event;
    use super::super::story::Published;
    use super::*;

    const GENERATION: i64 = 2;

    /// Two events of one object and one of another, published one after the other, all well.
    struct Well {
        events: Vec<Followed>,
        arrivals: Vec<Arrival>,
        handlers: Handlers,
    }

    impl Well {
        fn new() -> Self {
            let objects = ["1", "1", "2"];
            let events: Vec<_> = (0_i32..).zip(objects).map(|(place, object)| followed(place, object)).collect();
            let arrivals = (0_u32..).zip(&events).flat_map(|(place, event)| {
                PLANS.iter().map(move |plan| Arrival {
                    at: u128::from(place * 10) + u128::from(plan.priority),
                    priority: plan.priority,
                    event: event.published.event.clone(),
                    event_id: (plan.priority == 2).then(|| event.published.id.clone()),
                })
            });
            let arrivals = arrivals.collect();
            Self { events, arrivals, handlers: Handlers::from([("a.b".to_owned(), [11, 12, 13])]) }
        }

        fn problems(&self) -> Vec<String> {
            let Self { events, arrivals, handlers } = self;
            problems(&Seen { events, arrivals, handlers, generation: GENERATION })
        }
    }

    fn followed(place: i32, object: &str) -> Followed {
        let event = Event {
            events_id: "a.b".into(),
            object_id: object.into(),
            dt: format!("dt-{place}"),
            data: format!("{{\"n\":{place}}}"),
        };
        let executions = [11, 12, 13].map(|handler_id| Execution {
            handler_id,
            priority: u16::try_from(handler_id - 10).unwrap(),
            generation: Some(GENERATION),
            attempt: 1,
            status: "success".into(),
            started_at: DateTime::UNIX_EPOCH + chrono::Duration::milliseconds(handler_id),
            duration_ms: 1,
            error: None,
            response: None,
        });
        let told = api::Event {
            events_id: "a.b".into(),
            object_id: RawValue::from_string(object.into()).unwrap(),
            ordering_key: format!("x/{object}"),
            status: "delivered".into(),
            executions: executions.to_vec(),
        };
        Followed { published: Published { id: format!("event-{place}"), event }, told }
    }

    /// The one problem after a change.
    #[track_caller]
    fn only(change: impl FnOnce(&mut Well)) -> String {
        let mut well = Well::new();
        change(&mut well);
        let problems = well.problems();
        assert_eq!(problems.len(), 1, "{problems:?}");
        problems.into_iter().next().unwrap()
    }

    #[test]
    fn nothing_is_said_when_all_is_well() {
        assert_eq!(Well::new().problems(), Vec::<String>::new());
        let mut shuffled = Well::new();
        shuffled.arrivals.reverse();
        assert_eq!(shuffled.problems(), Vec::<String>::new());
    }

    #[test]
    fn a_wrong_order_of_arrivals_is_found() {
        assert_eq!(only(|well| well.arrivals[6].at = 22 + 1), "a.b 2 arrived at the priorities 2, 1, 3".to_owned());
        assert_eq!(only(|well| well.arrivals[8].at = 20), "a.b 2 arrived at the priorities 3, 1, 2");
    }

    #[test]
    fn a_call_too_few_and_one_too_many_are_found() {
        assert_eq!(only(|well| drop(well.arrivals.remove(7))), "a.b 2 arrived at the priorities 1, 3");
        assert_eq!(only(|well| well.arrivals.truncate(6)), "a.b 2 arrived at the priorities (none)");
        assert_eq!(
            only(|well| {
                let again = Arrival { at: 99, ..well.arrivals[8].clone() };
                well.arrivals.push(again);
            }),
            "a.b 2 arrived at the priorities 1, 2, 3, 3"
        );
    }

    #[test]
    fn other_data_other_ids_and_unknown_events_are_found() {
        assert!(only(|well| well.arrivals[3].event.data = "{}".into()).contains("a.b 1 had other data for priority 1"));
        assert!(only(|well| well.arrivals[4].event_id = Some("event-0".into())).contains("was called event-0"));
        let unknown = only(|well| {
            let mut stranger = well.arrivals[0].clone();
            stranger.event.dt = "dt-9".into();
            well.arrivals.push(stranger);
        });
        assert_eq!(unknown, "a.b 1 of dt-9 was never published");
    }

    #[test]
    fn an_event_that_overtakes_another_of_its_object_is_found() {
        let overtaking = |well: &mut Well| {
            for arrival in &mut well.arrivals[3..6] {
                // Before the first event's call of the same priority, and still in the order of priorities.
                arrival.at -= 10;
            }
            for arrival in &mut well.arrivals[0..3] {
                arrival.at += 10;
            }
        };
        let mut well = Well::new();
        overtaking(&mut well);
        let expected = [1, 2, 3].map(|priority| format!("a.b 1 overtook a.b 1 at priority {priority}"));
        assert_eq!(well.problems(), expected);
    }

    #[test]
    fn what_baton_tells_is_checked() {
        assert_eq!(only(|well| well.events[2].told.status = "failed".into()), "a.b 2 is failed instead of delivered");
        assert_eq!(
            only(|well| well.events[2].told.object_id = RawValue::from_string("\"2\"".into()).unwrap()),
            "a.b 2 is kept as a.b \"2\""
        );
        assert!(only(|well| drop(well.events[2].told.executions.remove(1))).contains("executions of the priorities 1, 3,"));
        assert!(only(|well| well.events[2].told.executions[0].handler_id = 13).contains("other handlers"));
        let late = DateTime::UNIX_EPOCH + chrono::Duration::seconds(9);
        assert!(only(|well| well.events[2].told.executions[0].started_at = late).contains("priorities 2, 3, 1,"));
        assert!(only(|well| well.events[2].told.executions[0].generation = Some(1)).contains("generation 1 instead of 2"));
        let failed = only(|well| {
            let execution = &mut well.events[2].told.executions[0];
            (execution.status, execution.error) = ("fail".into(), Some("no answer".into()));
            well.events[2].told.status = "failed".into();
        });
        assert_eq!(failed, "a.b 2 failed at the handler of priority 1, attempt 1: no answer");
    }
}
