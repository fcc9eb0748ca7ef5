//! A PostgreSQL that goes away and comes back.

use std::time::Duration;

use anyhow::Result;
use baton_testkit::Shutdown;
use tokio::time::Instant;

use super::{AFTERWARDS, OUTAGE, Plan};
use crate::fault::Fault;
use crate::load::Load;
use crate::services::Services;
use crate::verdict::{Verdict, conclude};
use crate::workload::Workload;

/// How often it crashes: what is under way then is a matter of luck.
const CRASHES: usize = 4;
/// How long it runs in between.
const BETWEEN: Duration = Duration::from_secs(3);

/// Ends it where it stands and starts it at once, several times: it recovers as after a crash.
pub(super) async fn restart(plan: Plan) -> Result<Verdict> {
    let (mut services, load) = start(plan).await?;
    let mut faults = Vec::new();
    for _ in 0..CRASHES {
        faults.push(away(&mut services, &load, Shutdown::Immediate, Duration::ZERO).await);
        load.hold(BETWEEN).await;
    }
    load.hold(AFTERWARDS).await;
    conclude(load, services.processes(), &faults).await
}

/// Shuts it down in good order, for longer than a dispatcher's lease.
pub(super) async fn outage(plan: Plan) -> Result<Verdict> {
    let (mut services, load) = start(plan).await?;
    let fault = away(&mut services, &load, Shutdown::Fast, OUTAGE).await;
    load.hold(AFTERWARDS).await;
    conclude(load, services.processes(), &[fault]).await
}

async fn start(plan: Plan) -> Result<(Services, Load)> {
    let services = Services::start(2).await?;
    let load = Load::start(services.api()?, plan, Workload::standard()).await?;
    Ok((services, load))
}

async fn away(services: &mut Services, load: &Load, how: Shutdown, time: Duration) -> Fault {
    let gone = Instant::now();
    services.postgres.stop(how).await;
    load.hold(time).await;
    services.postgres.restart().await;
    Fault::database_away(gone, Instant::now())
}
