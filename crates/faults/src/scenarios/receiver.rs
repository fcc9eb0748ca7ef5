//! A receiver that is not there for a while, as a whole or for one handler.

use std::time::Duration;

use anyhow::Result;
use tokio::time::Instant;

use super::{AFTERWARDS, Plan};
use crate::fault::Fault;
use crate::load::Load;
use crate::reconcile::Seen;
use crate::services::Services;
use crate::verdict::{Verdict, conclude};
use crate::workload::{Lane, Workload};

const DOWN: Duration = Duration::from_secs(60);
/// How long one handler is dead.
const DEAD: Duration = Duration::from_secs(20);
/// What is left at least of the throughput of a handler beside a dead one.
const LEFT: f64 = 0.8;
/// The longest time between two probes of a handler that is held, and some more.
const PROBED_WITHIN: Duration = Duration::from_secs(32);

/// Nothing listens: every handler is held with all its events, and let go in order when a probe gets through.
pub(super) async fn down(plan: Plan) -> Result<Verdict> {
    let mut services = Services::start(2).await?;
    let mut load = Load::start(services.api()?, plan, Workload::standard()).await?;
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

/// One handler lets every call wait and then fails it. Its events are held; the others do not notice.
pub(super) async fn dead_handler(plan: Plan) -> Result<Verdict> {
    let mut services = Services::start(2).await?;
    let load = Load::start(services.api()?, plan, Workload::standard()).await?;
    load.hold(AFTERWARDS).await;
    let dies = Instant::now();
    load.receiving.let_mailer_die(true);
    load.hold(DEAD).await;
    load.receiving.let_mailer_die(false);
    let back = Instant::now();
    load.hold(PROBED_WITHIN).await;
    let calls = load.receiving.seen();
    let (beside_live, beside_dead) = (rate(&calls, dies - AFTERWARDS, dies), rate(&calls, dies, back));
    let fault = Fault { unrecorded: None, ..Fault::receiver_away(dies, back) };
    let verdict = conclude(load, services.processes(), &[fault]).await?;
    let share = beside_dead / beside_live;
    let said = format!("another handler: {beside_live:.0} calls/s before, {beside_dead:.0} calls/s beside the dead one");
    Ok(verdict.note(said).problem_if(share < LEFT, format!("another handler kept {:.0} % of its calls", share * 100.0)))
}

/// Calls a second of the lane that has nothing to do with the mailer.
fn rate(calls: &[Seen], from: Instant, to: Instant) -> f64 {
    let calls = calls.iter().filter(|call| call.lane == Lane::Crm && (from..to).contains(&call.at)).count();
    calls as f64 / (to - from).as_secs_f64()
}
