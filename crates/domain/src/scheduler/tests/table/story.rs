//! Stories: what happens to one object's queue, a line at a time.
//!
//! A chain is written as `10:A/x/wait 20:B`: priority, handler (a letter), its lane (one of its own when left out), `on_failure`
//! (`continue` when left out). A delivery may have a past: `=ok`, `=dead`, `=skipped`, `=running`, or `=2@60` for two tries and the
//! next one due in 60 seconds. `A1` is the delivery of event 1 to handler A.
//!
//! | line | what it says |
//! |---|---|
//! | `plan 1: CHAIN` / `refuse 1: CHAIN` | the chain is taken / handed back |
//! | `starts A1 B1` / `starts nothing` | exactly these may start now, in this order, and do |
//! | `ok A1`, `dead A1` | a call ended the delivery; what comes of it stands behind `->` |
//! | `skip A1` | it ended without a call |
//! | `retry A1 in 60`, `back A1` | to be tried again in 60 seconds; handed back without a call |
//! | `later 60`, `pause A`, `resume A` | time passes; a pause or an open breaker begins and ends |
//! | `replan 1: CHAIN \| 2: nothing -> out 2` | a new generation |
//! | `left 1 2`, `held 3`, `attempts A1 2`, `event 1 is pending` | how things stand |

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use crate::event::EventStatus;
use crate::handler::{HandlerSpec, OnFailure, Task};
use crate::ids::{HandlerId, Seq};
use crate::retry::RetryPolicy;
use crate::scheduler::{Chain, Delivery, DeliveryState, Ending, ObjectQueue, Settled};

/// Tells a story from an empty queue and checks every line. A failing test prints the lines up to the one that is not true.
pub(super) fn tell(story: &str) {
    let mut told = Told { queue: ObjectQueue::default(), now: DateTime::UNIX_EPOCH, paused: BTreeSet::new() };
    for line in story.lines().map(str::trim) {
        println!("{line}");
        told.line(line);
        let running = told.queue.chains().flat_map(Chain::deliveries).filter(|d| d.state == DeliveryState::Running).count();
        assert_eq!(told.queue.running() as usize, running, "how many are running");
        assert_eq!(
            (told.queue.len(), told.queue.is_empty()),
            (told.queue.chains().count(), told.queue.chains().next().is_none())
        );
    }
}

struct Told {
    queue: ObjectQueue,
    now: DateTime<Utc>,
    paused: BTreeSet<HandlerId>,
}

impl Told {
    fn line(&mut self, line: &str) {
        let (told, outcome) = line.split_once(" -> ").unwrap_or((line, ""));
        let (verb, rest) = told.split_once(' ').unwrap_or((told, ""));
        let words: Vec<&str> = rest.split(' ').collect();
        let came_of_it = match (verb, words.as_slice()) {
            ("plan", _) => self.plan(rest, true),
            ("refuse", _) => self.plan(rest, false),
            ("starts", _) => self.starts(rest),
            ("ok", [at]) => self.end(at, Ending::Succeeded, true),
            ("dead", [at]) => self.end(at, Ending::Dead, true),
            ("skip", [at]) => self.end(at, Ending::Skipped, false),
            ("replan", _) => self.replan(rest),
            _ => {
                self.happens_or_stands(verb, &words);
                String::new()
            }
        };
        assert_eq!(came_of_it, outcome, "what came of '{told}'");
    }

    fn happens_or_stands(&mut self, verb: &str, words: &[&str]) {
        match (verb, words) {
            ("retry", [at, "in", delay]) => self.queue.retry(pair(at).0, pair(at).1, self.now + seconds(delay)),
            ("back", [at]) => self.queue.put_back(pair(at).0, pair(at).1, self.now),
            ("later", [delay]) => self.now += seconds(delay),
            ("pause", [name]) => assert!(self.paused.insert(handler(name))),
            ("resume", [name]) => assert!(self.paused.remove(&handler(name))),
            ("left", names) => {
                let left: Vec<_> = self.queue.chains().map(|c| c.seq.to_string()).collect();
                assert_eq!(or_nothing(&left), names.join(" "), "what is left");
            }
            ("held", [count]) => assert_eq!(self.queue.held_by_lane().to_string(), *count, "held by a lane"),
            ("attempts", [at, count]) => assert_eq!(self.delivery(at).attempts.to_string(), *count, "attempts"),
            ("event", [event, "is", status]) => {
                let chain = self.queue.chain(seq(event)).expect("the event is unfinished");
                assert_eq!(chain.status().as_str(), *status);
            }
            _ => panic!("no such line: {verb} {words:?}"),
        }
    }

    fn plan(&mut self, text: &str, taken: bool) -> String {
        let (event, deliveries) = event(text, self.now);
        let back = self.queue.plan(Chain::new(event, deliveries));
        assert_eq!(back.map(|chain| chain.seq), (!taken).then_some(event), "what was handed back");
        String::new()
    }

    fn starts(&mut self, expected: &str) -> String {
        let started = self.queue.start_ready(self.now, |handler| self.paused.contains(&handler));
        let names: Vec<_> = started.iter().map(|&(seq, handler)| format!("{}{seq}", name(handler))).collect();
        assert_eq!(or_nothing(&names), expected, "what starts");
        String::new()
    }

    fn end(&mut self, at: &str, ending: Ending, called: bool) -> String {
        let (seq, handler) = pair(at);
        let Settled { skipped, finished } = self.queue.end(seq, handler, ending, called);
        let skipped = skipped.iter().map(|&h| format!("skipped {}", name(h)));
        skipped.chain(finished.map(|c| format!("event {} {}", c.seq, c.status().as_str()))).collect::<Vec<_>>().join(", ")
    }

    fn replan(&mut self, text: &str) -> String {
        let plans: BTreeMap<_, _> = text.split(" | ").map(|text| event(text, self.now)).collect();
        let out = self.queue.replan(|seq| plans.get(&seq).cloned());
        out.iter().map(|chain| format!("out {}", chain.seq)).collect::<Vec<_>>().join(", ")
    }

    fn delivery(&self, at: &str) -> &Delivery {
        let (seq, handler) = pair(at);
        self.queue.chain(seq).and_then(|chain| chain.delivery(handler)).expect("there is such a delivery")
    }
}

/// A chain on its own, for what can be said of it without a queue.
pub(super) fn chain(text: &str) -> Chain {
    let (seq, deliveries) = event(&format!("1: {text}"), DateTime::UNIX_EPOCH);
    Chain::new(seq, deliveries)
}

/// The status that a word names.
pub(super) fn status(word: &str) -> EventStatus {
    EventStatus::parse(word).expect("a status")
}

fn or_nothing(names: &[String]) -> String {
    if names.is_empty() { "nothing".into() } else { names.join(" ") }
}

fn seconds(text: &str) -> TimeDelta {
    TimeDelta::seconds(text.parse().expect("seconds"))
}

fn seq(text: &str) -> Seq {
    Seq(text.parse().expect("an event's number"))
}

fn handler(name: &str) -> HandlerId {
    let &[letter @ b'A'..=b'Z'] = name.as_bytes() else { panic!("'{name}' is no handler: a letter is") };
    HandlerId(i64::from(letter))
}

fn name(handler: HandlerId) -> char {
    char::from(u8::try_from(handler.0).expect("a letter"))
}

fn pair(text: &str) -> (Seq, HandlerId) {
    let (name, event) = text.split_at(1);
    (seq(event), handler(name))
}

fn event(text: &str, now: DateTime<Utc>) -> (Seq, Vec<Delivery>) {
    let (event, chain) = text.split_once(": ").expect("an event and its chain");
    let deliveries = if chain == "nothing" { Vec::new() } else { chain.split(' ').map(|part| delivery(part, now)).collect() };
    (seq(event), deliveries)
}

fn delivery(text: &str, now: DateTime<Utc>) -> Delivery {
    let (spec, past) = text.split_once('=').unwrap_or((text, ""));
    let (priority, spec) = spec.split_once(':').expect("a priority");
    let mut words = spec.split('/');
    let name = words.next().expect("a handler");
    let spec = HandlerSpec {
        id: handler(name),
        name: name.into(),
        event: "clients.create".into(),
        // Without a lane of its own the handler is alone with its target.
        task: Task::Script { path: format!("{name}.sh"), args: Vec::new() },
        priority: priority.parse().expect("a priority"),
        lane: words.next().filter(|lane| !lane.is_empty()).map(str::to_owned),
        on_failure: words.next().map_or(OnFailure::Continue, |word| OnFailure::parse(word).expect("a policy")),
        timeout_ms: 10_000,
        retry: RetryPolicy::default(),
        headers: BTreeMap::new(),
        secrets: Vec::new(),
        filter: None,
        limits: Default::default(),
        auth: None,
        tls: None,
    };
    let mut delivery = Delivery::new(&spec, Arc::from(spec.effective_lane()));
    (delivery.state, delivery.attempts) = match past {
        "" => (DeliveryState::Waiting, 0),
        "running" => (DeliveryState::Running, 0),
        "again" => (DeliveryState::Running, 1),
        "ok" => (DeliveryState::Ended(Ending::Succeeded), 1),
        "dead" => (DeliveryState::Ended(Ending::Dead), 1),
        "skipped" => (DeliveryState::Ended(Ending::Skipped), 0),
        tries => {
            let (attempts, due) = tries.split_once('@').expect("a past such as 2@60");
            (DeliveryState::Retrying { due: now + seconds(due) }, attempts.parse().expect("attempts"))
        }
    };
    delivery
}
