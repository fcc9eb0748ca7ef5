//! Scripts, by Baton and barely.

use std::fs::{self, File, Permissions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use baton_testkit::Servers;
use serde_json::json;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::figures::{DELIVERIES, Figures, Goal};
use crate::load::{EVENT, Load, Objects, event, number_in};
use crate::measure::OBJECTS;
use crate::plan::Plan;
use crate::system::{Baton, SetUp};

const SPAWNS: &str = "bare spawns, 16 at once";
/// As many scripts as Baton runs at once.
const AT_ONCE: usize = 16;
const NAME: &str = "note.sh";
/// Takes the event from standard input and writes it behind what is in the file that it is given.
const SCRIPT: &str = "#!/bin/sh\nread -r event\nprintf '%s\\n' \"$event\" >> \"$1\"\n";
const LOOK: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(30);
const PER_REQUEST: usize = 100;
const CONNECTIONS: usize = 4;

/// A folder with the script, and the file that it writes to.
struct Place {
    root: TempDir,
    notes: PathBuf,
}

impl Place {
    fn new() -> Result<Self> {
        let root = tempfile::Builder::new().prefix("baton-bench-").tempdir()?;
        let script = root.path().join(NAME);
        fs::write(&script, SCRIPT)?;
        fs::set_permissions(&script, Permissions::from_mode(0o755))?;
        let notes = root.path().join("notes");
        File::create(&notes)?;
        Ok(Self { root, notes })
    }

    /// Waits until so many different events are noted: when that was seen.
    async fn account(&self, events: usize) -> Result<Instant> {
        let (mut file, mut text, mut since) = (File::open(&self.notes)?, Vec::new(), Instant::now());
        loop {
            let before = text.len();
            file.seek(SeekFrom::Start(before as u64))?;
            file.read_to_end(&mut text)?;
            let now = Instant::now();
            if text.len() > before {
                since = now;
            }
            // A look at every line is left to the end: it would take time from the scripts.
            if lines(&text) >= events && different(&text) >= events {
                return Ok(now);
            }
            ensure!(since.elapsed() < PATIENCE, "{} of {events} events are noted, then none for {PATIENCE:?}", different(&text));
            sleep(LOOK).await;
        }
    }
}

fn lines(text: &[u8]) -> usize {
    text.iter().filter(|byte| **byte == b'\n').count()
}

/// How many different events these lines have.
fn different(text: &[u8]) -> usize {
    let complete = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let numbers = text[..complete].split(|byte| *byte == b'\n').filter_map(number_in);
    numbers.collect::<std::collections::HashSet<_>>().len()
}

pub(crate) async fn against_spawns(plan: Plan) -> Result<Figures> {
    let events = plan.either(3_000, 1_000);
    let (servers, mut figures) = (Servers::start().await, Figures::default());
    for _ in plan.each_round() {
        figures.add(SPAWNS, DELIVERIES, spawns(events).await?);
        for set_up in [SetUp::OneProcess, SetUp::Sqlite] {
            figures.add(set_up.name(), DELIVERIES, baton(&servers, set_up, events).await?);
        }
    }
    figures.compare(DELIVERIES, SPAWNS);
    figures.goal(SetUp::OneProcess.name(), DELIVERIES, Goal::ratio_from(0.8, 0.95));
    Ok(figures)
}

async fn spawns(events: usize) -> Result<f64> {
    let (place, next) = (Place::new()?, Arc::new(AtomicUsize::new(0)));
    let began = Instant::now();
    let mut running = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (script, notes, next) = (place.root.path().join(NAME), place.notes.clone(), Arc::clone(&next));
        running.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= events {
                    return anyhow::Ok(());
                }
                spawn(&script, &notes, event(number, Objects::Spread(OBJECTS))).await?;
            }
        });
    }
    while let Some(ended) = running.join_next().await {
        ended.context("a spawn")??;
    }
    let last = place.account(events).await?;
    Ok(events as f64 / (last - began).as_secs_f64())
}

async fn spawn(script: &Path, notes: &Path, body: String) -> Result<()> {
    let mut command = Command::new(script);
    command.arg(notes).env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("the script")?;
    let mut input = child.stdin.take().context("its input")?;
    input.write_all(body.as_bytes()).await?;
    drop(input);
    let output = child.wait_with_output().await?;
    ensure!(output.status.success(), "the script ended with {}", output.status);
    Ok(())
}

async fn baton(servers: &Servers, set_up: SetUp, events: usize) -> Result<f64> {
    let place = Place::new()?;
    let root = place.root.path().display().to_string();
    let baton = Baton::start(servers, set_up, &[("BATON_SCRIPT_ROOT", root)]).await?;
    let task = json!({"type": "script", "path": NAME, "args": [place.notes]});
    baton.configure(&[json!({"name": "notes", "event": EVENT, "task": task})]).await?;
    let load = Load { numbers: 0..events, objects: Objects::Spread(OBJECTS), connections: CONNECTIONS, per_request: PER_REQUEST };
    let began = load.publish(&baton.api.target).await?;
    let last = place.account(events).await?;
    baton.api.all_delivered(events).await?;
    Ok(events as f64 / (last - began).as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complete_lines_count_once() {
        assert_eq!(different(b"{\"n\":1}\n{\"n\":2}\n{\"n\":1}\n{\"n\":3}"), 2);
        assert_eq!(different(b"{\"n\":1"), 0);
    }

    #[tokio::test]
    async fn bare_spawns_note_every_event() {
        assert!(spawns(20).await.unwrap() > 0.0);
    }
}
