//! Processes that die, are asked to end, or stand still.

use std::time::Duration;

use anyhow::Result;
use baton_testkit::Process;
use tokio::time::Instant;

use super::{AFTERWARDS, Plan, UNTIL_TAKEN_OVER};
use crate::fault::Fault;
use crate::load::Load;
use crate::services::Services;
use crate::verdict::{FENCED, Verdict, conclude};
use crate::workload::Workload;

/// How long a process that was asked to end may take.
const ENDS_WITHIN: Duration = Duration::from_secs(30);
/// How long a supervisor takes to notice that a process is gone.
const NOTICED: Duration = Duration::from_secs(1);
/// Longer than a lease, which is 9 s.
const STALL: Duration = Duration::from_secs(14);

pub(super) async fn calm(plan: Plan) -> Result<Verdict> {
    let (mut services, load) = start(plan).await?;
    load.hold(AFTERWARDS).await;
    conclude(load, services.processes(), &[]).await
}

/// Kills one dispatcher of three; its supervisor starts it again only when the others have taken over.
pub(super) async fn kill_dispatcher(plan: Plan) -> Result<Verdict> {
    let (mut services, load) = start(plan).await?;
    let killed = Instant::now();
    services.dispatchers[0].kill9();
    load.hold(UNTIL_TAKEN_OVER).await;
    services.dispatchers[0].restart().await;
    load.hold(AFTERWARDS).await;
    conclude(load, services.processes(), &[Fault::killed(killed)]).await
}

/// Kills one API of two, and later, once it is back, the other.
pub(super) async fn kill_api(plan: Plan) -> Result<Verdict> {
    let (mut services, load) = start(plan).await?;
    let mut faults = Vec::new();
    for api in &mut services.apis {
        faults.push(Fault { unrecorded: None, ..Fault::killed(Instant::now()) });
        kill_and_restart(api, &load).await;
        load.hold(AFTERWARDS).await;
    }
    conclude(load, services.processes(), &faults).await
}

/// Kills the only Cache Manager. Back again it does what it is for: it makes an edit live.
pub(super) async fn kill_cache_manager(plan: Plan) -> Result<Verdict> {
    let (mut services, load) = start(plan).await?;
    let fault = Fault { unrecorded: None, ..Fault::killed(Instant::now()) };
    kill_and_restart(&mut services.cache_manager, &load).await;
    let restarted = load.api.post("/v1/services/cache-manager/restart?wait=30", None).await?;
    load.hold(AFTERWARDS).await;
    let verdict = conclude(load, services.processes(), &[fault]).await?;
    Ok(verdict.note(format!("generation {} went live afterwards", restarted["generation"])))
}

/// Kills every process at the same time, as a power cut would, and starts all again.
pub(super) async fn kill_all(plan: Plan) -> Result<Verdict> {
    let (mut services, load) = start(plan).await?;
    let killed = Instant::now();
    for (_, process) in services.processes() {
        process.kill9();
    }
    load.hold(NOTICED).await;
    for (_, process) in services.processes() {
        process.restart().await;
    }
    load.hold(UNTIL_TAKEN_OVER).await;
    conclude(load, services.processes(), &[Fault::killed(killed)]).await
}

/// Asks each process to end and starts it again, one after the other: nothing may be called twice.
pub(super) async fn restart_all(plan: Plan) -> Result<Verdict> {
    let (mut services, load) = start(plan).await?;
    let mut faults = Vec::new();
    let (mut refused, mut longest) = (Vec::new(), Duration::ZERO);
    for (name, process) in services.processes() {
        let asked = Instant::now();
        faults.push(Fault::asked(asked));
        let status = process.terminate(ENDS_WITHIN).await;
        longest = longest.max(asked.elapsed());
        if !status.success() {
            refused.push(format!("{name} ended with {status}"));
        }
        process.restart().await;
        load.hold(NOTICED).await;
    }
    load.hold(AFTERWARDS).await;
    let verdict = conclude(load, services.processes(), &faults).await?;
    let verdict = verdict.note(format!("the longest took {:.1} s to end", longest.as_secs_f64()));
    Ok(verdict.problem_if(!refused.is_empty(), refused.join(", ")))
}

/// Stalls a dispatcher until others have taken over, then lets it go on with what it believed to be its own.
pub(super) async fn stall_dispatcher(plan: Plan) -> Result<Verdict> {
    let (mut services, load) = start(plan).await?;
    let stalled = Instant::now();
    services.dispatchers[0].stop();
    load.hold(STALL).await;
    let resumed = Instant::now();
    services.dispatchers[0].cont();
    load.hold(AFTERWARDS).await;
    let output = services.dispatchers[0].output();
    let verdict = conclude(load, services.processes(), &[Fault::stalled(stalled, resumed)]).await?;
    Ok(verdict.problem_if(!output.contains(FENCED), "the stalled dispatcher was not fenced"))
}

async fn start(plan: Plan) -> Result<(Services, Load)> {
    let services = Services::start(3).await?;
    let load = Load::start(services.api()?, plan, Workload::standard()).await?;
    Ok((services, load))
}

async fn kill_and_restart(process: &mut Process, load: &Load) {
    process.kill9();
    load.hold(NOTICED).await;
    process.restart().await;
}
