//! A dispatcher that is cut off from its database, while its database, its handlers and the other dispatchers go on.

use std::time::Duration;

use anyhow::Result;
use tokio::time::Instant;

use super::{AFTERWARDS, OUTAGE, Plan};
use baton_testkit::Servers;

use crate::fault::Fault;
use crate::load::Load;
use crate::proxy::{Network, Proxy};
use crate::services::{Layout, Services};
use crate::verdict::{FENCED, Verdict, conclude};
use crate::workload::Workload;

/// Nothing gets through and nobody is told: the database believes a transaction under way for as long as it is let.
pub(super) async fn silent(plan: Plan) -> Result<Verdict> {
    cut(plan, Network::Silent).await
}

/// Connections are closed and cannot be opened.
pub(super) async fn closing(plan: Plan) -> Result<Verdict> {
    cut(plan, Network::Closing).await
}

async fn cut(plan: Plan, network: Network) -> Result<Verdict> {
    let servers = Servers::start().await;
    let proxy = Proxy::start(servers.postgres.port()).await?;
    let database = servers.postgres.url_at(proxy.port());
    let layout = Layout { apis: 2, dispatchers: 2, first_database: Some(database), ..Layout::default() };
    let mut services = Services::start_on(servers, layout).await?;
    let load = Load::start(services.api()?, plan, Workload::standard()).await?;
    let cut = Instant::now();
    proxy.set(network);
    load.hold(OUTAGE).await;
    proxy.set(Network::Whole);
    // Long enough for the one that was cut off to notice, begin anew and get its share back.
    load.hold(AFTERWARDS + Duration::from_secs(4)).await;
    let output = services.dispatchers[0].output();
    let verdict = conclude(load, services.processes(), &[Fault::cut_off(cut)]).await?;
    Ok(verdict.problem_if(!output.contains(FENCED), "the dispatcher that was cut off was not fenced"))
}
