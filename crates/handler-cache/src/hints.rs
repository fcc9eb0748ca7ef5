//! Hints: short messages that say where a look is worth while. Losing one costs time (the next periodic look), never an event.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::{Notify, broadcast};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::link::{Link, in_time};

/// How many hints a slow listener may be behind before it loses some.
const BEHIND_MAX: usize = 256;
/// How long to leave Redis alone after it failed.
const REDIS_PAUSE: Duration = Duration::from_millis(250);
/// How long Redis may take to pass a hint on, to begin a subscription, or to say that it still stands.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// How long a subscription may be quiet before Redis is asked whether it still stands.
const QUIET_MAX: Duration = Duration::from_secs(3);

/// Something happened that a periodic look would find out later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    /// Events were appended, or sent on their way again.
    Appended,
    /// Events were appended by this process; to others that is [`Self::Appended`].
    AppendedHere,
    /// A run of a service was asked for.
    RunRequested,
    /// A run of a service ended.
    RunFinished,
    /// A generation went live.
    Generation,
    /// Partitions are without an owner.
    Partitions,
    /// Something was paused or resumed.
    Pauses,
}

const ALL: [(Hint, &str, u8); 6] = [
    (Hint::Appended, "appended", 1),
    (Hint::RunRequested, "run-requested", 2),
    (Hint::RunFinished, "run-finished", 4),
    (Hint::Generation, "generation", 8),
    (Hint::Partitions, "partitions", 16),
    (Hint::Pauses, "pauses", 32),
];

/// Sends hints to this process's listeners at once, and to other processes through Redis, if there is one. Cheap to clone.
#[derive(Clone)]
pub struct Hints {
    /// Whose hints they are, so that its own need not be taken in again.
    sender: Uuid,
    local: broadcast::Sender<Hint>,
    outgoing: Option<Arc<Outgoing>>,
}

/// What still has to go to Redis: one bit a kind, so that a burst goes out as one message.
#[derive(Default)]
struct Outgoing {
    bits: AtomicU8,
    wake: Notify,
}

impl Hints {
    /// Hints within this process.
    pub(crate) fn local() -> Self {
        Self { sender: Uuid::now_v7(), local: broadcast::Sender::new(BEHIND_MAX), outgoing: None }
    }

    /// Hints that other processes get too, once [`run`] is under way.
    pub(crate) fn shared() -> Self {
        Self { outgoing: Some(Arc::default()), ..Self::local() }
    }

    /// Sends a hint. Never waits, never fails.
    pub fn send(&self, hint: Hint) {
        // Without a listener there is nobody to tell.
        let _ = self.local.send(hint);
        if let Some(outgoing) = &self.outgoing {
            let hint = if hint == Hint::AppendedHere { Hint::Appended } else { hint };
            let bit = ALL.iter().find(|(kind, _, _)| *kind == hint).map_or(0, |(_, _, bit)| *bit);
            if outgoing.bits.fetch_or(bit, Ordering::AcqRel) & bit == 0 {
                outgoing.wake.notify_one();
            }
        }
    }

    /// The hint of a message, unless it is one of its own.
    fn understood(&self, message: &str) -> Option<Hint> {
        let (word, sender) = message.split_once(' ').unwrap_or((message, ""));
        let hint = ALL.iter().find(|(_, w, _)| *w == word).map(|(hint, _, _)| *hint)?;
        (sender.parse() != Ok(self.sender)).then_some(hint)
    }

    /// Listens from now on. A listener that fell behind gets `Lagged`, which is a hint too: look at everything.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Hint> {
        self.local.subscribe()
    }
}

/// Carries hints to and from Redis until `stop`.
pub(crate) async fn run(hints: Hints, link: Link, channel: String, stop: CancellationToken) {
    let Some(outgoing) = hints.outgoing.clone() else { return };
    let both = async { tokio::join!(send_out(&outgoing, &link, &channel, hints.sender), take_in(&hints, &link, &channel)) };
    stop.run_until_cancelled(both).await;
}

async fn send_out(outgoing: &Outgoing, link: &Link, channel: &str, sender: Uuid) {
    loop {
        outgoing.wake.notified().await;
        let bits = outgoing.bits.swap(0, Ordering::AcqRel);
        for (_, word, _) in ALL.iter().filter(|(_, _, bit)| bits & bit != 0) {
            let publish = redis::cmd("PUBLISH").arg(channel).arg(format!("{word} {sender}")).to_owned();
            let sent = link.ask(ANSWER_WITHIN, async |mut redis| publish.exec_async(&mut redis).await).await;
            if let Err(error) = sent {
                tracing::debug!(%error, "a hint was lost");
                metrics::counter!("baton_redis_errors_total").increment(1);
                tokio::time::sleep(REDIS_PAUSE).await;
            }
        }
    }
}

async fn take_in(hints: &Hints, link: &Link, channel: &str) {
    let mut is_lost = false;
    loop {
        let error = listen(hints, link, channel, &mut is_lost).await.err();
        if !std::mem::replace(&mut is_lost, true) {
            let error = error.map_or_else(|| "the subscription was closed".to_owned(), |error| error.to_string());
            tracing::warn!(error, "no hints through Redis: what is new is found by looking until it answers again");
        }
        // Hints may have been missed: everybody looks once, then again when the subscription stands.
        tokio::time::sleep(REDIS_PAUSE).await;
    }
}

/// Takes hints in until the subscription is gone. `is_lost` says whether the one before it was reported as such.
async fn listen(hints: &Hints, link: &Link, channel: &str, is_lost: &mut bool) -> redis::RedisResult<()> {
    let (mut questions, mut messages) = link.subscribe(ANSWER_WITHIN, channel).await?.split();
    if std::mem::replace(is_lost, false) {
        tracing::info!("hints come through Redis again");
    }
    for (hint, _, _) in ALL {
        let _ = hints.local.send(hint);
    }
    loop {
        match timeout(QUIET_MAX, messages.next()).await {
            Ok(Some(message)) => {
                let text: String = message.get_payload()?;
                if let Some(hint) = hints.understood(&text) {
                    let _ = hints.local.send(hint);
                }
            }
            Ok(None) => return Ok(()),
            // A connection whose other end went away without a word looks like a quiet one.
            Err(_) => in_time(ANSWER_WITHIN, questions.ping()).await?,
        }
    }
}
