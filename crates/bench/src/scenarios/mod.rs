//! What is measured, one function a scenario.

mod backlog;
mod cost;
mod handlers;
mod latency;
mod neighbours;
mod pages;
mod process;
mod scripts;
mod search;
mod throughput;

use anyhow::Result;
use futures_util::future::LocalBoxFuture;

use crate::figures::{Figures, Row};
use crate::plan::Plan;

/// One scenario and how it is measured.
pub(crate) struct Scenario {
    pub name: &'static str,
    /// What it shows.
    pub about: &'static str,
    /// Whether it is part of the short form.
    pub quick: bool,
    run: fn(Plan) -> LocalBoxFuture<'static, Result<Figures>>,
}

impl Scenario {
    /// Measures it: its lines of the table.
    pub(crate) async fn measure(&self, plan: Plan) -> Result<Vec<Row>> {
        Ok((self.run)(plan).await?.rows(self.name))
    }
}

macro_rules! scenarios {
    ($($name:literal, $about:literal, $quick:literal, $run:path;)*) => {
        /// All of them, in the order of the table.
        pub(crate) const ALL: &[Scenario] =
            &[$(Scenario { name: $name, about: $about, quick: $quick, run: |plan| Box::pin($run(plan)) }),*];
    };
}

scenarios! {
    "single", "an event a request, one handler, in every set-up", true, throughput::single;
    "crowded", "the same from 256 connections", true, throughput::single_crowded;
    "stage", "five handlers in one stage", true, throughput::one_stage;
    "stages", "five handlers in five stages", true, throughput::five_stages;
    "batch", "100 events a request, one handler", true, throughput::batch;
    "latency", "from publication to arrival at 200 events a second", true, latency::at_200_a_second;
    "cost", "processor time, memory, round trips, rows and log of an event", true, cost::of_an_event;
    "long", "a long run against a burst", true, throughput::long;
    "objects", "1, 1,000 and 100,000 objects", true, throughput::objects;
    "hot", "one object with half of the traffic", true, throughput::hot;
    "drain", "10,000 and 100,000 pending events", true, backlog::drain;
    "drain-million", "1,000,000 pending events against 10,000", false, backlog::drain_million;
    "dead", "a dead handler beside a healthy one", true, neighbours::dead;
    "slow", "a handler that takes 500 ms, alone and beside a healthy one", true, neighbours::slow;
    "scripts", "script handlers against bare spawns of the same script", true, scripts::against_spawns;
    "restart", "a restart of the Cache Manager with 100, 1,000 and 10,000 handlers", true, handlers::restart;
    "lookup", "an event among 10,000 handlers against 10", true, handlers::lookup;
    "search", "lists and searches with a million rows", true, search::a_million_rows;
    "pages", "every page of the console with a million executions and 1,000 handlers", false, pages::of_the_console;
    "process", "start, idle memory and end of baton", true, process::start_and_end;
}
