//! The receiver of a run: how it answers, and what it has seen.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use baton_testkit::{Answer, Received, Receiver, rules};
use bytes::Bytes;
use chrono::Utc;
use serde_json::Value;
use tokio::time::Instant;

use crate::reconcile::{End, Seen};
use crate::workload::Lane;

/// How long a well-behaved lane takes to answer.
const ANSWERS_AFTER: Duration = Duration::from_millis(4);
/// How long a mailer that is dead takes to say so.
const DEAD_ANSWERS_AFTER: Duration = Duration::from_secs(8);
/// How often the mailer fails, in percent.
const FAILS: u32 = 2;
/// How often the rough lane misbehaves at the first call of an event, in percent.
const ROUGH: u64 = 20;
const KIB: usize = 1024;

/// The receiver, and which of its answers are none: they do not end within the handler's timeout.
pub(crate) struct Receiving {
    pub receiver: Receiver,
    unfinished: Arc<Mutex<HashSet<usize>>>,
    mailer_is_dead: Arc<AtomicBool>,
}

impl Receiving {
    pub(crate) async fn start() -> Self {
        let receiver = Receiver::start().await;
        let unfinished = Arc::<Mutex<HashSet<usize>>>::default();
        let ok = Answer::ok().delayed(ANSWERS_AFTER);
        let crm = ok.clone();
        receiver.script(&Lane::Crm.path(), move |_| crm.clone());
        let mut flaky = rules::fail_at_random(7, FAILS, Answer::status(500).delayed(ANSWERS_AFTER));
        let mailer_is_dead = Arc::<AtomicBool>::default();
        let is_dead = Arc::clone(&mailer_is_dead);
        receiver.script(&Lane::Mail.path(), move |call| match call.json()["data"]["refuse"] == true {
            _ if is_dead.load(Ordering::Relaxed) => Answer::status(503).delayed(DEAD_ANSWERS_AFTER),
            true => Answer::status(422),
            false => flaky(call).delayed(ANSWERS_AFTER),
        });
        let noted = Arc::clone(&unfinished);
        let mut turn = 0;
        receiver.script(&Lane::Rough.path(), move |call| match misbehaves(call) {
            false => ok.clone(),
            true => {
                turn += 1;
                let (answer, ends) = rough(turn);
                if !ends {
                    noted.lock().unwrap_or_else(PoisonError::into_inner).insert(call.number);
                }
                answer
            }
        });
        Self { receiver, unfinished, mailer_is_dead }
    }

    /// From now on the mailer lets every call wait long and then fails it; or it no longer does.
    pub(crate) fn let_mailer_die(&self, is_dead: bool) {
        self.mailer_is_dead.store(is_dead, Ordering::Relaxed);
    }

    /// The calls so far, in the order of arrival.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        let unfinished = self.unfinished.lock().unwrap_or_else(PoisonError::into_inner);
        let (now, today) = (Instant::now(), Utc::now().timestamp());
        // To the second, as it was written down.
        let instant = |second: i64| now.checked_sub(Duration::from_secs(u64::try_from(today - second).ok()?));
        let seen = |call: &Arc<Received>| {
            let lane = Lane::of_path(&call.path)?;
            let (object, n) = event_of(&call.json())?;
            let end = if unfinished.contains(&call.number) { End::Open } else { end(call) };
            let begun = call.header("webhook-timestamp").and_then(|second| instant(second.parse().ok()?));
            Some(Seen { lane, object, n, at: call.at.into(), begun, end })
        };
        self.receiver.calls().iter().filter_map(seen).collect()
    }
}

/// Object and number of an event, from the body that a handler gets.
pub(crate) fn event_of(body: &Value) -> Option<(u64, u64)> {
    Some((body["event"]["object_id"].as_u64()?, body["data"]["n"].as_u64()?))
}

fn end(call: &Received) -> End {
    match call.status {
        // An answer that was still held back when its caller went away was never given.
        _ if call.answered().is_none() => End::Open,
        Some(200..=299) => End::Succeeded,
        Some(408 | 425 | 429 | 500..) | None => End::Open,
        Some(_) => End::Refused,
    }
}

/// The first call of some events, the same ones in every run.
fn misbehaves(call: &Received) -> bool {
    let (object, n) = event_of(&call.json()).unwrap_or_default();
    call.attempt == Some(1) && object.wrapping_mul(7919).wrapping_add(n.wrapping_mul(104_729)) % 100 < ROUGH
}

/// Every way to misbehave in turn, and whether it ends within the handler's timeout.
fn rough(turn: usize) -> (Answer, bool) {
    let chunk = || Bytes::from(vec![b'x'; 64 * KIB]);
    let pause = Duration::from_millis(50);
    match turn % 12 {
        0 => (Answer::status(500), true),
        1 => (Answer::status(429).header("retry-after", "1"), true),
        2 => (Answer::hang(), false),
        3 => (Answer::reset(), false),
        // Head only, then nothing; half a body, then nothing.
        4 => (Answer::ok().stalled(), false),
        5 => (Answer::ok().body("half of it").stalled(), false),
        // A byte at a time: to an end in time, and without end.
        6 => (Answer::ok().body("x").repeated(Some(10), pause), true),
        7 => (Answer::ok().body("x").repeated(None, pause), false),
        // 600 MB, and as fast as it goes without end: the part that is kept is there at once.
        8 => (Answer::ok().body(chunk()).repeated(Some(9600), Duration::ZERO), true),
        9 => (Answer::ok().body(chunk()).repeated(None, Duration::ZERO), true),
        10 => (Answer::ok().delayed(Duration::from_millis(700)), true),
        _ => (Answer::retry_after(1).body(chunk()), true),
    }
}
