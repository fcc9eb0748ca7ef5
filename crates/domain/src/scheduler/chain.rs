//! One event's chain: its deliveries in stages.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::event::EventStatus;
use crate::handler::{HandlerSpec, OnFailure};
use crate::ids::{HandlerId, Seq};

/// How a delivery ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ending {
    /// The handler did it.
    Succeeded,
    /// Its retries are used up, or it failed for good.
    Dead,
    /// It will not be called: the handler is gone, or the chain was stopped before it.
    Skipped,
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// Not tried yet.
    Waiting,
    /// Handed out to be called.
    Running,
    /// Tried without success; due again at this instant.
    Retrying {
        /// When.
        due: DateTime<Utc>,
    },
    /// Over.
    Ended(Ending),
}

/// One handler's part in one event.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The handler.
    pub handler: HandlerId,
    /// Its priority: deliveries of equal priority form one stage.
    pub priority: u16,
    /// What its failure means for later stages.
    pub on_failure: OnFailure,
    /// The lane in which it keeps its place.
    pub lane: Arc<str>,
    /// How often it has been tried, attempts under way not counted.
    pub attempts: u32,
    /// Where it stands.
    pub state: DeliveryState,
}

impl Delivery {
    /// A delivery that has not been tried yet. `lane` is the handler's effective lane, shared among deliveries to save memory.
    #[must_use]
    pub fn new(spec: &HandlerSpec, lane: Arc<str>) -> Self {
        Self {
            handler: spec.id,
            priority: spec.priority,
            on_failure: spec.on_failure,
            lane,
            attempts: 0,
            state: DeliveryState::Waiting,
        }
    }

    /// Whether nothing more will happen to it.
    #[must_use]
    pub fn ended(&self) -> bool {
        matches!(self.state, DeliveryState::Ended(_))
    }
}

/// The deliveries of one event, by priority.
#[derive(Debug, Clone)]
pub struct Chain {
    /// The event's place in the order of publication.
    pub seq: Seq,
    pub(super) deliveries: Vec<Delivery>,
}

impl Chain {
    /// A chain of these deliveries, which need not be sorted. Some may have ended already, as after a takeover.
    #[must_use]
    pub fn new(seq: Seq, mut deliveries: Vec<Delivery>) -> Self {
        deliveries.sort_by_key(|d| (d.priority, d.handler));
        Self { seq, deliveries }
    }

    /// Its deliveries, by priority, then handler.
    #[must_use]
    pub fn deliveries(&self) -> &[Delivery] {
        &self.deliveries
    }

    /// The delivery to this handler.
    #[must_use]
    pub fn delivery(&self, handler: HandlerId) -> Option<&Delivery> {
        self.deliveries.iter().find(|d| d.handler == handler)
    }

    pub(super) fn delivery_mut(&mut self, handler: HandlerId) -> Option<&mut Delivery> {
        self.deliveries.iter_mut().find(|d| d.handler == handler)
    }

    /// Whether any delivery has been tried, is being tried or has ended.
    #[must_use]
    pub fn started(&self) -> bool {
        self.deliveries.iter().any(|d| d.attempts > 0 || d.state != DeliveryState::Waiting)
    }

    /// Whether every delivery has ended; true for an empty chain.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.deliveries.iter().all(Delivery::ended)
    }

    /// The event's status as these deliveries make it. All skipped counts as unmatched: no live handler had it.
    #[must_use]
    pub fn status(&self) -> EventStatus {
        let any = |state: DeliveryState| self.deliveries.iter().any(|d| d.state == state);
        if !self.ended() {
            let retried = self.deliveries.iter().any(|d| !d.ended() && d.attempts > 0);
            if retried { EventStatus::Retrying } else { EventStatus::Pending }
        } else if any(DeliveryState::Ended(Ending::Dead)) {
            EventStatus::Failed
        } else if any(DeliveryState::Ended(Ending::Succeeded)) {
            EventStatus::Delivered
        } else {
            EventStatus::Unmatched
        }
    }

    /// Ends the stages behind a dead delivery that says `stop`. None of them can have been started, since they waited for it.
    pub(super) fn skip_after(&mut self, handler: HandlerId) -> Vec<HandlerId> {
        let Some(dead) = self.delivery(handler) else { return Vec::new() };
        let priority = dead.priority;
        let behind = self.deliveries.iter_mut().filter(|d| d.priority > priority && !d.ended());
        behind
            .map(|delivery| {
                delivery.state = DeliveryState::Ended(Ending::Skipped);
                delivery.handler
            })
            .collect()
    }
}
