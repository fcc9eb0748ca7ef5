//! Start, rest and end of the programs.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use baton_testkit::{Process, Servers};
use tokio::time::sleep;

use crate::figures::{Figure, Figures, Goal};
use crate::plan::Plan;
use crate::system::{Baton, SetUp, embedded, usage};

const START: Figure = Figure { name: "start to ready, nothing there yet", unit: "ms" };
const START_AGAIN: Figure = Figure { name: "start to ready", unit: "ms" };
const IDLE: Figure = Figure { name: "idle memory", unit: "MB" };
const STOP: Figure = Figure { name: "graceful stop, idle", unit: "ms" };
const BATON: &str = "SQLite, one process";
const MB: f64 = 1024.0 * 1024.0;
const REST: Duration = Duration::from_secs(3);
const ENDS_WITHIN: Duration = Duration::from_secs(30);
const MORE_ROUNDS: usize = 2;

pub(crate) async fn start_and_end(plan: Plan) -> Result<Figures> {
    let (servers, mut figures) = (Servers::start().await, Figures::default());
    for _ in plan.each_round() {
        for _ in 0..MORE_ROUNDS {
            alone(&mut figures).await?;
        }
        let mut baton = Baton::start(&servers, SetUp::Services(1), &[]).await?;
        sleep(REST).await;
        for (name, process) in &mut baton.processes {
            figures.add(name, IDLE, usage::memory(process.pid())? as f64 / MB);
            figures.add(name, STOP, stop(process).await?);
        }
    }
    figures.goal(BATON, START, Goal::to(300.0, 100.0));
    figures.goal(BATON, START_AGAIN, Goal::to(300.0, 100.0));
    figures.goal(BATON, IDLE, Goal::to(40.0, 25.0));
    Ok(figures)
}

async fn alone(figures: &mut Figures) -> Result<()> {
    let began = Instant::now();
    let mut baton = embedded().start().await;
    figures.add(BATON, START, milliseconds(began));
    sleep(REST).await;
    figures.add(BATON, IDLE, usage::memory(baton.pid())? as f64 / MB);
    figures.add(BATON, STOP, stop(&mut baton).await?);
    let began = Instant::now();
    baton.restart().await;
    figures.add(BATON, START_AGAIN, milliseconds(began));
    Ok(())
}

/// Asks a program to end: how long it takes, in milliseconds.
async fn stop(process: &mut Process) -> Result<f64> {
    let began = Instant::now();
    let status = process.terminate(ENDS_WITHIN).await;
    ensure!(status.success(), "a program that was asked to end ended with {status}");
    Ok(milliseconds(began))
}

fn milliseconds(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1000.0
}
