//! Hints: short messages that say where a look is worth while. Losing one costs time (the next periodic look), never an event.
//!
//! Appends are told apart from the rest: there are hundreds a second under load, and only dispatchers need to hear of them.

mod carried;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use tokio::sync::{Notify, broadcast, watch};
use uuid::Uuid;

pub(crate) use self::carried::{Channels, run};

/// How many hints a slow listener may be behind before it loses some.
const BEHIND_MAX: usize = 256;

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

const APPENDED: &str = "appended";
/// All but appends, each with its word and its bit among what has to go out.
const SELDOM: [(Hint, &str, u8); 5] = [
    (Hint::RunRequested, "run-requested", 1),
    (Hint::RunFinished, "run-finished", 2),
    (Hint::Generation, "generation", 4),
    (Hint::Partitions, "partitions", 8),
    (Hint::Pauses, "pauses", 16),
];

impl Hint {
    fn is_of_appends(self) -> bool {
        matches!(self, Self::Appended | Self::AppendedHere)
    }

    fn of_word(word: &str) -> Option<Self> {
        if word == APPENDED {
            return Some(Self::Appended);
        }
        SELDOM.iter().find(|(_, w, _)| *w == word).map(|(hint, _, _)| *hint)
    }
}

/// Sends hints to this process's listeners at once, and to other processes through Redis, if there is one. Cheap to clone.
#[derive(Clone)]
pub struct Hints {
    /// Whose hints they are, so that its own need not be taken in again.
    sender: Uuid,
    seldom: broadcast::Sender<Hint>,
    appends: broadcast::Sender<Hint>,
    /// Whether anybody here has ever listened for appends: only then is Redis asked for those of others.
    appends_wanted: Arc<watch::Sender<bool>>,
    outgoing: Option<Arc<Outgoing>>,
}

/// What still has to go to Redis: one bit a kind, and one for appends, so that a burst goes out as one message.
#[derive(Default)]
struct Outgoing {
    bits: AtomicU8,
    wake: Notify,
    appended: AtomicBool,
    wake_for_appends: Notify,
}

impl Hints {
    /// Hints within this process.
    pub(crate) fn local() -> Self {
        Self {
            sender: Uuid::now_v7(),
            seldom: broadcast::Sender::new(BEHIND_MAX),
            appends: broadcast::Sender::new(BEHIND_MAX),
            appends_wanted: Arc::new(watch::Sender::new(false)),
            outgoing: None,
        }
    }

    /// Hints that other processes get too, once [`run`] is under way.
    pub(crate) fn shared() -> Self {
        Self { outgoing: Some(Arc::default()), ..Self::local() }
    }

    /// Sends a hint. Never waits, never fails.
    pub fn send(&self, hint: Hint) {
        self.tell_here(hint);
        let Some(outgoing) = &self.outgoing else { return };
        if hint.is_of_appends() {
            if !outgoing.appended.swap(true, Ordering::AcqRel) {
                outgoing.wake_for_appends.notify_one();
            }
            return;
        }
        let bit = SELDOM.iter().find(|(kind, _, _)| *kind == hint).map_or(0, |(_, _, bit)| *bit);
        if outgoing.bits.fetch_or(bit, Ordering::AcqRel) & bit == 0 {
            outgoing.wake.notify_one();
        }
    }

    /// Tells the listeners of this process.
    fn tell_here(&self, hint: Hint) {
        let listeners = if hint.is_of_appends() { &self.appends } else { &self.seldom };
        // Without a listener there is nobody to tell.
        let _ = listeners.send(hint);
    }

    /// Listens from now on, to all hints but those of appends. A listener that fell behind gets `Lagged`, which is a hint too: look at
    /// everything.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Hint> {
        self.seldom.subscribe()
    }

    /// Listens to appends from now on; `Lagged` is a hint as well. Those of other processes come once Redis has been asked for them, which
    /// [`Hint::Appended`] says.
    #[must_use]
    pub fn subscribe_appends(&self) -> broadcast::Receiver<Hint> {
        let listener = self.appends.subscribe();
        self.appends_wanted.send_if_modified(|wanted| !std::mem::replace(wanted, true));
        listener
    }
}
