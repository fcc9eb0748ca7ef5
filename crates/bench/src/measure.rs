//! One measurement: publish N, account for N.

use std::ops::Range;

use anyhow::{Context, Result};
use baton_testkit::Servers;
use http::Uri;
use serde_json::Value;

use crate::load::{Load, Objects, Target};
use crate::plan::Plan;
use crate::sink::Sink;
use crate::system::{Baton, Relay, SetUp, Settings, Way, handler};

/// How many objects events are about where nothing else is said.
pub(crate) const OBJECTS: usize = 5_000;
/// The share of a burst that is published before it, so that connections are there and code is warm, and its limits.
const WARM_UP_PART: usize = 20;
const WARM_UP: (usize, usize) = (200, 2_000);

/// What is published as fast as it is taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Burst {
    /// The number of the first event, which those before it are accounted with.
    pub first: usize,
    pub events: usize,
    pub objects: Objects,
    pub connections: usize,
    /// Events in a request.
    pub per_request: usize,
}

impl Burst {
    /// The usual one: an event a request.
    pub(crate) fn of(plan: Plan) -> Self {
        Self { first: 0, events: plan.events, objects: Objects::Spread(OBJECTS), connections: plan.connections, per_request: 1 }
    }

    /// The number behind its last event: how many there are with the warm-up, which has the first numbers, and all before it.
    pub(crate) fn total(&self) -> usize {
        self.warmed_up() + self.events
    }

    /// The numbers of the events that count.
    pub(crate) fn numbers(&self) -> Range<usize> {
        self.warmed_up()..self.total()
    }

    fn warmed_up(&self) -> usize {
        self.first + (self.events / WARM_UP_PART).clamp(WARM_UP.0, WARM_UP.1)
    }

    pub(crate) fn load(&self, numbers: Range<usize>) -> Load {
        Load { numbers, objects: self.objects, connections: self.connections, per_request: self.per_request }
    }

    /// Publishes the warm-up and waits for it.
    pub(crate) async fn warm(&self, target: &Target, sink: &Sink, handlers: Range<usize>) -> Result<()> {
        self.load(self.first..self.warmed_up()).publish(target).await?;
        sink.account(handlers, self.warmed_up()).await
    }

    /// Publishes all and accounts for all at these handlers: deliveries a second, from the first publication to the last arrival.
    pub(crate) async fn run(&self, target: &Target, sink: &Sink, handlers: Range<usize>) -> Result<f64> {
        self.warm(target, sink, handlers.clone()).await?;
        let began = self.load(self.numbers()).publish(target).await?;
        sink.account(handlers.clone(), self.total()).await?;
        let (_, last) = sink.span(handlers.clone(), self.numbers()).context("nothing arrived")?;
        Ok((self.events * handlers.len()) as f64 / (last - began).as_secs_f64())
    }
}

/// How the handlers of an event stand to each other.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Chain {
    /// Side by side.
    OneStage(usize),
    /// One after the other.
    Stages(usize),
}

impl Chain {
    pub(crate) fn handlers(self) -> usize {
        let (Self::OneStage(handlers) | Self::Stages(handlers)) = self;
        handlers
    }

    pub(crate) fn saved(self, sink: &Sink) -> Vec<Value> {
        let priority = |number| if matches!(self, Self::Stages(_)) { 10 * (number + 1) } else { 100 };
        let saved = |number| handler(&format!("handler {number}"), &sink.url(number), priority(number));
        (0..self.handlers()).map(saved).collect()
    }
}

/// The load generator straight to the receiver: what both can do without anything between them.
pub(crate) async fn alone(burst: &Burst) -> Result<f64> {
    let sink = Sink::well(burst.total(), 1).await?;
    let path: Uri = Sink::path(0).parse()?;
    let target = Target { address: sink.address(), token: None, one: path.clone(), many: path };
    burst.run(&target, &sink, 0..1).await
}

/// The bare relay with so many posts an event.
pub(crate) async fn relay(burst: &Burst, handlers: usize, way: Way) -> Result<f64> {
    let sink = Sink::well(burst.total(), handlers).await?;
    let relay = Relay::start(sink.urls(), way).await?;
    burst.run(&relay.target, &sink, 0..handlers).await
}

/// Baton in one of its set-ups; all of it has to be recorded as delivered in the end.
pub(crate) async fn baton(servers: &Servers, set_up: SetUp, settings: Settings<'_>, chain: Chain, burst: &Burst) -> Result<f64> {
    let sink = Sink::well(burst.total(), chain.handlers()).await?;
    let baton = Baton::start(servers, set_up, settings).await?;
    baton.configure(&chain.saved(&sink)).await?;
    let rate = burst.run(&baton.api.target, &sink, 0..chain.handlers()).await?;
    baton.api.all_delivered(burst.total()).await?;
    tell_duplicates(&sink);
    Ok(rate)
}

/// Nothing fails in these runs, so nothing should be called twice.
pub(crate) fn tell_duplicates(sink: &Sink) {
    if sink.duplicates() > 0 {
        eprintln!("    {} deliveries arrived more than once", sink.duplicates());
    }
}
