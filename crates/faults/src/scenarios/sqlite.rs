//! The same promises with everything in one process, on SQLite.

use std::time::Duration;

use anyhow::Result;
use tokio::time::Instant;

use super::{AFTERWARDS, Plan};
use crate::disk::SmallDisk;
use crate::embedded::Embedded;
use crate::fault::{Fault, RETURN_LIMIT};
use crate::load::Load;
use crate::publisher::PUBLISHERS;
use crate::verdict::{Verdict, conclude};
use crate::workload::Workload;

/// How often it is killed.
const KILLS: usize = 3;
/// How long it runs in between.
const BETWEEN: Duration = Duration::from_secs(4);
const ENDS_WITHIN: Duration = Duration::from_secs(30);
const FULL: Duration = Duration::from_secs(10);

/// Kills it under load and starts it at once, several times.
pub(super) async fn kill(plan: Plan) -> Result<Verdict> {
    let mut embedded = Embedded::start().await;
    let load = Load::start(embedded.api()?, plan, Workload::standard()).await?;
    let mut faults = Vec::new();
    for _ in 0..KILLS {
        faults.push(Fault::killed(Instant::now()));
        embedded.baton.kill9();
        embedded.baton.restart().await;
        load.hold(BETWEEN).await;
    }
    conclude(load, embedded.processes(), &faults).await
}

/// Asks it to end under load, and starts it again.
pub(super) async fn restart(plan: Plan) -> Result<Verdict> {
    let mut embedded = Embedded::start().await;
    let load = Load::start(embedded.api()?, plan, Workload::standard()).await?;
    let asked = Instant::now();
    let status = embedded.baton.terminate(ENDS_WITHIN).await;
    let took = asked.elapsed().as_secs_f64();
    embedded.baton.restart().await;
    load.hold(AFTERWARDS).await;
    let verdict = conclude(load, embedded.processes(), &[Fault::asked(asked)]).await?;
    let verdict = verdict.note(format!("it took {took:.1} s to end"));
    Ok(verdict.problem_if(!status.success(), format!("it ended with {status}")))
}

/// Not a byte is left for a while: nothing is accepted that cannot be kept, and nothing that was accepted is lost.
pub(super) async fn full_disk(plan: Plan) -> Result<Verdict> {
    let disk = SmallDisk::new()?;
    let mut embedded = Embedded::start_on(&disk).await;
    let load = Load::start(embedded.api()?, plan, Workload::standard()).await?;
    let full = Instant::now();
    disk.fill(embedded.baton.pid())?;
    load.hold(FULL).await;
    disk.free(embedded.baton.pid())?;
    let back = Instant::now();
    load.hold(AFTERWARDS).await;
    // What could not be recorded waits in memory: nothing may be repeated.
    let fault = Fault { unrecorded: None, limit: Some(RETURN_LIMIT), ..Fault::database_away(full, back) };
    let verdict = conclude(load, embedded.processes(), &[fault]).await?;
    let refused = verdict.repeats;
    Ok(verdict.note(disk.describe()).problem_if(refused < PUBLISHERS, "hardly anything was refused: the disk was not full"))
}
