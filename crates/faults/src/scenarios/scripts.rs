//! Script handlers under faults.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::time::Instant;

use super::{AFTERWARDS, Plan, UNTIL_TAKEN_OVER};
use baton_testkit::Servers;

use crate::fault::Fault;
use crate::load::Load;
use crate::receiving::event_of;
use crate::reconcile::{End, Seen};
use crate::services::{Layout, Services};
use crate::verdict::{Verdict, conclude_with};
use crate::workload::{LEDGER_SCRIPT, Lane, Workload};

/// Writes down the time in nanoseconds and what it got, in one piece.
const LEDGER: &str = "#!/bin/sh\nread -r event\nprintf '%s %s\\n' \"$(date +%s%N)\" \"$event\" >> \"$1\"\n";
/// A script is a process: that is what most of the load would be.
const RATE_MAX: u32 = 200;

/// Kills a dispatcher whose scripts are under way.
pub(super) async fn kill_dispatcher(plan: Plan) -> Result<Verdict> {
    let folder = tempfile::Builder::new().prefix("baton-scripts-").tempdir()?;
    let ledger = folder.path().join("ledger");
    let root = folder.path().join("root");
    fs::create_dir(&root)?;
    let script = root.join(LEDGER_SCRIPT);
    fs::write(&script, LEDGER)?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    let layout = Layout { apis: 2, dispatchers: 3, script_root: Some(root), ..Layout::default() };
    let mut services = Services::start_on(Servers::start().await, layout).await?;
    let workload = Workload::with_ledger(ledger.to_str().context("a path that is not UTF-8")?);
    let load = Load::start(services.api()?, Plan { rate: plan.rate.min(RATE_MAX), ..plan }, workload).await?;
    let killed = Instant::now();
    services.dispatchers[0].kill9();
    load.hold(UNTIL_TAKEN_OVER).await;
    services.dispatchers[0].restart().await;
    load.hold(AFTERWARDS).await;
    conclude_with(load, services.processes(), &[Fault::killed(killed)], || read(&ledger)).await
}

/// The runs of the script. One that was killed before it had written anything has not happened.
fn read(ledger: &Path) -> Vec<Seen> {
    let (now, today) = (Instant::now(), SystemTime::now());
    let seen = |line: &str| {
        let (written, event) = line.split_once(' ')?;
        let written = SystemTime::UNIX_EPOCH + Duration::from_nanos(written.parse().ok()?);
        let at = now - today.duration_since(written).unwrap_or_default();
        let (object, n) = event_of(&serde_json::from_str::<Value>(event).ok()?)?;
        Some(Seen { lane: Lane::Ledger, object, n, at, begun: None, end: End::Succeeded })
    };
    fs::read_to_string(ledger).unwrap_or_default().lines().filter_map(seen).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_ledger_is_a_call() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let line = |n| format!("1700000000000000000 {}\n", r#"{"event":{"object_id":5},"data":{"n":N}}"#.replace('N', n));
        fs::write(file.path(), format!("{}{}half a li", line("3"), line("4"))).unwrap();
        let seen = read(file.path());
        assert_eq!(seen.iter().map(|call| (call.object, call.n)).collect::<Vec<_>>(), [(5, 3), (5, 4)]);
        assert!(seen[0].lane == Lane::Ledger && seen[0].end == End::Succeeded);
    }
}
