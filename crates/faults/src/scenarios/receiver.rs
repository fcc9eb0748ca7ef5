//! A receiver that is not there for a while.

use std::time::Duration;

use anyhow::Result;
use tokio::time::Instant;

use super::{AFTERWARDS, Plan};
use crate::fault::Fault;
use crate::load::Load;
use crate::services::Services;
use crate::verdict::{Verdict, conclude};
use crate::workload::Workload;

const DOWN: Duration = Duration::from_secs(45);
/// The longest time between two probes of a handler that is held, and some more.
const PROBED_WITHIN: Duration = Duration::from_secs(32);

/// Nothing listens: every handler is held with all its events, and let go in order when a probe gets through.
pub(super) async fn down(plan: Plan) -> Result<Verdict> {
    let mut services = Services::start(2).await?;
    let mut load = Load::start(services.api()?, plan.rate, Workload::standard()).await?;
    let gone = Instant::now();
    load.receiving.receiver.stop().await;
    load.hold(DOWN).await;
    load.receiving.receiver.resume().await;
    let back = Instant::now();
    load.hold(PROBED_WITHIN + AFTERWARDS).await;
    let outputs: Vec<_> = services.dispatchers.iter().map(|dispatcher| dispatcher.output()).collect();
    let held = outputs.iter().map(|output| output.matches("its deliveries are held").count()).sum::<usize>();
    let verdict = conclude(load, services.processes(), &[Fault::receiver_away(gone, back)]).await?;
    let verdict = verdict.note(format!("handlers were held {held} times"));
    Ok(verdict.problem_if(held == 0, "no handler was held"))
}
