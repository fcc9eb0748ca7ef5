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

/// Ends it where it stands and starts it at once: it recovers as after a crash.
pub(super) async fn restart(plan: Plan) -> Result<Verdict> {
    away(plan, Shutdown::Immediate, Duration::ZERO).await
}

/// Shuts it down in good order, for longer than a dispatcher's lease.
pub(super) async fn outage(plan: Plan) -> Result<Verdict> {
    away(plan, Shutdown::Fast, OUTAGE).await
}

async fn away(plan: Plan, how: Shutdown, time: Duration) -> Result<Verdict> {
    let mut services = Services::start(2).await?;
    let load = Load::start(services.api()?, plan, Workload::standard()).await?;
    let gone = Instant::now();
    services.postgres.stop(how).await;
    load.hold(time).await;
    services.postgres.restart().await;
    let back = Instant::now();
    load.hold(AFTERWARDS).await;
    conclude(load, services.processes(), &[Fault::database_away(gone, back)]).await
}
