//! A receiver that answers in every way that it should not.

use std::time::Duration;

use anyhow::Result;

use super::Plan;
use crate::load::Load;
use crate::services::Services;
use crate::verdict::{Verdict, conclude};
use crate::workload::Workload;

const HELD: Duration = Duration::from_secs(20);

/// One lane misbehaves now and then; nothing is lost or repeated there, and the other lanes do not notice.
pub(super) async fn rough(plan: Plan) -> Result<Verdict> {
    let mut services = Services::start(2).await?;
    let load = Load::start(services.api()?, plan, Workload::with_rough()).await?;
    load.hold(HELD).await;
    conclude(load, services.processes(), &[]).await
}
