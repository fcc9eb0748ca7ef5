//! The conductor: one task that holds everything a dispatcher knows, and decides.
//!
//! It alone touches the queues of the objects, so order is a matter of plain data in memory. Whatever takes time (reading, calling,
//! recording, renewing the lease) runs in tasks of its own and comes back as a [`Message`].

mod away;
mod calls;
mod counted;
mod handover;
mod holds;
mod order;
mod pace;
mod planning;
mod reading;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use baton_domain::scheduler::ObjectQueue;
use baton_domain::{EventId, HandlerId, ObjectId, PartitionId, Seq};
use baton_handler_cache::{HandlerCache, Hint};
use baton_storage::{FedDispatch, Store, Work};
use bytes::Bytes;
use chrono::Utc;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use self::away::AwayObjects;
use self::counted::Counted;
use self::holds::Holds;
use self::order::Called;
use self::pace::Paces;
use self::reading::Brought;
use crate::call::Caller;
use crate::compiled::{Compiled, Shelf};
use crate::feed::{Feed, Read};
use crate::ready::ReadyQueues;
use crate::recorder::Change;
use crate::settings::{DispatcherSettings, POLL_EVERY};
use crate::timers::Timers;

/// How many messages are taken before new calls are started.
const MESSAGES_AT_ONCE: usize = 256;

/// What comes back to the conductor.
pub(crate) enum Message {
    /// A call ended.
    Called(Box<Called>),
    /// A read ended.
    Read { read: Read, brought: baton_storage::Result<Brought> },
    /// Payloads of dispatches that had been put aside.
    Payloads { wanted: Vec<Seq>, brought: baton_storage::Result<Vec<FedDispatch>> },
    /// Objects that had been put away are read back, so many dispatches of each.
    Woken { keys: Vec<(Arc<str>, usize)>, brought: baton_storage::Result<Brought> },
    /// Changes of these partitions and keys are written.
    Recorded(Vec<(PartitionId, Arc<str>)>),
    /// Partitions were claimed.
    Acquired(Vec<PartitionId>),
    /// The fair share is so many partitions: whatever is owned beyond it is to be given up.
    ShedTo(usize),
    /// Another dispatcher has taken over.
    Fenced,
}

/// How an incarnation ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It was asked to stop, and everything is written.
    Stopped,
    /// Another dispatcher has taken over.
    Fenced,
}

/// What is known of an unfinished dispatch beside its place in the queue of its object.
struct Dispatch {
    key: Arc<str>,
    partition: PartitionId,
    event_id: EventId,
    events_id: Arc<str>,
    object_id: ObjectId,
    only: Option<HandlerId>,
    received_at: chrono::DateTime<Utc>,
    /// The generation that its chain runs under.
    under: Arc<Compiled>,
    /// Whether its generation is recorded: another one that goes live does not change it, even if nothing has been called yet.
    pinned: bool,
    /// Whether it is recorded that something of it is to be tried again.
    retrying: bool,
    called: bool,
    /// The body that handlers get; put aside while nothing can run.
    body: Option<Bytes>,
}

/// The unfinished events of one ordering key.
struct Object {
    partition: PartitionId,
    queue: ObjectQueue,
    /// Changes that are not written yet.
    unwritten: u32,
    noted_idle: bool,
}

/// What an incarnation works with.
pub(crate) struct Tools {
    pub store: Store,
    pub cache: HandlerCache,
    pub caller: Caller,
    pub shelf: Shelf,
    pub settings: DispatcherSettings,
    pub work: watch::Sender<Work>,
    pub lease: watch::Receiver<Instant>,
    pub recorder: mpsc::UnboundedSender<Change>,
    pub given_up: mpsc::UnboundedSender<Vec<PartitionId>>,
    pub outbox: mpsc::UnboundedSender<Message>,
}

pub(crate) struct Conductor {
    tools: Tools,
    counted: Counted,
    live: Arc<Compiled>,
    objects: HashMap<Arc<str>, Object>,
    dispatches: HashMap<Seq, Dispatch>,
    ready: ReadyQueues,
    holds: Holds,
    paces: Paces,
    away: AwayObjects,
    timers: Timers,
    feed: Feed,
    reading: bool,
    /// No read begins before: the database failed the last one, or it brought much.
    read_not_before: Instant,
    /// Whether a read would have begun but for that.
    read_rests: bool,
    owned: HashSet<PartitionId>,
    /// Partitions that are being given up: nothing more is started there.
    leaving: HashSet<PartitionId>,
    /// Calls under way and changes not yet written, by partition.
    busy: HashMap<PartitionId, u32>,
    calls: usize,
    unrecorded: usize,
    /// How many dispatches have their body in memory, and its bytes.
    bodies: (usize, usize),
    /// Deliveries that wait for a body that was put aside.
    without_body: HashMap<Seq, Vec<HandlerId>>,
    stopping: bool,
}

impl Conductor {
    pub(crate) fn new(tools: Tools) -> Self {
        Self {
            tools,
            counted: Counted::default(),
            live: Arc::new(Compiled::empty()),
            objects: HashMap::new(),
            dispatches: HashMap::new(),
            ready: ReadyQueues::default(),
            holds: Holds::default(),
            paces: Paces::default(),
            away: AwayObjects::default(),
            timers: Timers::default(),
            feed: Feed::default(),
            reading: false,
            read_not_before: Instant::now(),
            read_rests: false,
            owned: HashSet::new(),
            leaving: HashSet::new(),
            busy: HashMap::new(),
            calls: 0,
            unrecorded: 0,
            bodies: (0, 0),
            without_body: HashMap::new(),
            stopping: false,
        }
    }

    /// Works until `stop` and everything under way is written, or until another dispatcher has taken over.
    pub(crate) async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Message>, stop: CancellationToken) -> End {
        let mut appends = self.tools.cache.hints().subscribe_appends();
        let mut generations = self.tools.cache.changes();
        generations.mark_changed();
        let mut pauses = self.tools.cache.pauses();
        let mut polls = interval(POLL_EVERY);
        polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let timer = self.until_next_timer();
            tokio::select! {
                message = inbox.recv() => {
                    let mut next = message;
                    for _ in 0..MESSAGES_AT_ONCE {
                        let Some(message) = next else { break };
                        if let Message::Fenced = message {
                            return End::Fenced;
                        }
                        self.handle(message);
                        next = inbox.try_recv().ok();
                    }
                    if let Some(Message::Fenced) = next {
                        return End::Fenced;
                    } else if let Some(message) = next {
                        self.handle(message);
                    }
                }
                hint = appends.recv() => match hint {
                    Ok(Hint::AppendedHere) => self.feed.want_here(),
                    Ok(Hint::Appended) | Err(broadcast::error::RecvError::Lagged(_)) => self.feed.want(),
                    Ok(_) | Err(broadcast::error::RecvError::Closed) => {}
                },
                Ok(()) = generations.changed() => {
                    generations.mark_unchanged();
                    self.take_live_generation();
                }
                Ok(()) = pauses.changed() => self.take_pauses(),
                _ = polls.tick() => {
                    self.feed.want();
                    self.look_after_probes();
                    self.count();
                }
                () = tokio::time::sleep(timer) => {}
                () = stop.cancelled(), if !self.stopping => {
                    self.stopping = true;
                    self.leave_partitions(&self.owned.clone());
                }
            }
            self.go_on();
            if self.stopping && self.owned.is_empty() && self.unrecorded == 0 && self.calls == 0 {
                return End::Stopped;
            }
        }
    }

    fn handle(&mut self, message: Message) {
        match message {
            Message::Called(called) => self.called(*called),
            Message::Read { read, brought } => self.read_done(read, brought),
            Message::Payloads { wanted, brought } => self.payloads_came(&wanted, brought),
            Message::Woken { keys, brought } => self.woken(keys, brought),
            Message::Recorded(written) => self.recorded(&written),
            Message::Acquired(partitions) => self.acquired(partitions),
            Message::ShedTo(share) => self.shed_to(share),
            Message::Fenced => {}
        }
    }

    /// What follows from whatever has just changed.
    fn go_on(&mut self) {
        let now = Utc::now();
        while let Some(key) = self.timers.pop_due(now) {
            self.start_ready(&key);
        }
        self.let_go();
        self.probe();
        for handler in self.paces.take_due(Instant::now()) {
            self.ready.resume(handler);
        }
        self.start_calls();
        self.put_away_idle();
        self.wake_next();
        self.read_next();
        self.give_up_idle();
    }

    fn until_next_timer(&self) -> Duration {
        if self.holds.has_released() {
            return Duration::ZERO;
        }
        let due = self.timers.next().into_iter().chain(self.holds.next_probe()).min();
        let due = due.map_or(POLL_EVERY, |due| (due - Utc::now()).to_std().unwrap_or_default().min(POLL_EVERY));
        let read = self.read_rests.then_some(self.read_not_before);
        read.into_iter().chain(self.paces.next()).map(|at| at.saturating_duration_since(Instant::now())).fold(due, Duration::min)
    }

    /// Hands what may start now to the queues of the handlers, and puts bodies aside where nothing can run.
    fn start_ready(&mut self, key: &Arc<str>) {
        let Some(object) = self.objects.get(key) else { return self.wake(key) };
        if self.leaving.contains(&object.partition) {
            return;
        }
        for (seq, handler) in self.ready_of(key, None) {
            self.ready.push(seq, handler);
        }
        let Some(object) = self.objects.get(key) else { return };
        if object.queue.is_empty() {
            self.objects.remove(key);
        } else if object.queue.running() == 0 {
            let waiting: Vec<Seq> = object.queue.chains().map(|chain| chain.seq).collect();
            for seq in waiting {
                self.put_body_aside(seq);
            }
            self.note_idle(key);
        }
    }

    fn put_body_aside(&mut self, seq: Seq) {
        if let Some(body) = self.dispatches.get_mut(&seq).and_then(|dispatch| dispatch.body.take()) {
            self.bodies.0 -= 1;
            self.bodies.1 -= body.len();
        }
    }

    fn set_body(&mut self, seq: Seq, body: Bytes) {
        let Some(dispatch) = self.dispatches.get_mut(&seq) else { return };
        self.bodies.1 += body.len();
        match dispatch.body.replace(body) {
            None => self.bodies.0 += 1,
            Some(before) => self.bodies.1 -= before.len(),
        }
    }

    fn write(&mut self, change: Change) {
        self.unrecorded += 1;
        *self.busy.entry(change.partition).or_default() += 1;
        if let Some(object) = self.objects.get_mut(&change.key) {
            object.unwritten += 1;
        }
        // The recorder ends only when this dispatcher is fenced, and a message says so.
        let _ = self.tools.recorder.send(change);
    }

    fn count(&self) {
        let held: usize = self.objects.values().map(|object| object.queue.waiting(|handler| self.holds.is_held(handler))).sum();
        let held = held + self.away.len();
        self.tools.work.send_replace(Work { held: held as u64, breakers: self.holds.open_breakers() });
        metrics::gauge!("baton_deliveries_held").set(held as f64);
        metrics::gauge!("baton_breakers_open").set(self.holds.open_breakers().len() as f64);
        metrics::gauge!("baton_calls_in_flight").set(self.calls as f64);
        metrics::gauge!("baton_dispatches_put_away").set(self.away.len() as f64);
        metrics::gauge!("baton_dispatches_tracked").set(self.dispatches.len() as f64);
        metrics::gauge!("baton_dispatches_loaded").set(self.bodies.0 as f64);
        metrics::gauge!("baton_dispatches_loaded_bytes").set(self.bodies.1 as f64);
        metrics::gauge!("baton_results_unrecorded").set(self.unrecorded as f64);
    }
}
