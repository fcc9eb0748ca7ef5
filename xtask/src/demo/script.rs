//! The script handler, and the file that it leaves its lines in.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::arrival::Arrival;
use super::event::Event;

/// Its path under the script root.
pub(super) const NAME: &str = "append.sh";
const TEXT: &str = include_str!("append.sh");

/// Writes the script into a folder that is made for it. Nobody else may write to either: Baton would refuse it.
pub(super) fn write(root: &Path) -> Result<PathBuf> {
    DirBuilder::new().recursive(true).mode(0o755).create(root).with_context(|| format!("cannot make {}", root.display()))?;
    let path = root.join(NAME);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o700).open(&path);
    file.and_then(|mut file| file.write_all(TEXT.as_bytes())).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// Reads what the script has written; nothing when it has never run.
pub(super) fn read(log: &Path, priority: u16) -> Result<Vec<Arrival>> {
    if !log.exists() {
        return Ok(Vec::new());
    }
    let text = fs::read_to_string(log).with_context(|| format!("cannot read {}", log.display()))?;
    text.lines().map(|line| parse(line, priority).with_context(|| format!("a strange line of the script: {line}"))).collect()
}

fn parse(line: &str, priority: u16) -> Result<Arrival> {
    let mut parts = line.splitn(3, ' ');
    let mut part = |name: &str| parts.next().with_context(|| format!("no {name}"));
    let at = part("time")?.parse().context("the time is not a number of nanoseconds")?;
    let event_id = part("event id")?.to_owned();
    let event = Event::parse(part("event")?)?;
    Ok(Arrival { at, priority, event, event_id: Some(event_id) })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::process::{Command, Stdio};

    use super::super::arrival::now;
    use super::super::event::samples;
    use super::*;

    #[test]
    fn what_the_script_gets_is_in_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let script = write(&folder.path().join("scripts")).unwrap();
        assert_eq!(fs::metadata(&script).unwrap().permissions().mode() & 0o022, 0);
        let log = folder.path().join("a log");
        assert!(read(&log, 2).unwrap().is_empty());
        let (samples, before) = (samples().unwrap(), now());
        for (number, sample) in samples.iter().enumerate() {
            // Run by its interpreter: another test that starts a process at this moment may hold the new file open.
            let mut command = Command::new("sh");
            command.arg(&script).arg(&log).env("BATON_EVENT_ID", format!("event-{number}")).stdin(Stdio::piped());
            let mut child = command.spawn().unwrap();
            child.stdin.take().unwrap().write_all(sample.as_bytes()).unwrap();
            assert!(child.wait().unwrap().success());
        }
        let lines = read(&log, 2).unwrap();
        assert_eq!(lines.len(), samples.len());
        for (number, (line, sample)) in lines.iter().zip(&samples).enumerate() {
            assert_eq!((&line.event_id, &line.event), (&Some(format!("event-{number}")), &Event::parse(sample).unwrap()));
        }
        assert!(lines.iter().all(|line| (before..=now()).contains(&line.at) && line.priority == 2));
    }

    #[test]
    fn a_strange_line_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        for (line, reason) in [("1 event-1", "no event"), ("1%N event-1 {}", "nanoseconds"), ("1 event-1 {}", "not the body")] {
            fs::write(&log, line).unwrap();
            let error = format!("{:#}", read(&log, 2).unwrap_err());
            assert!(error.contains(line) && error.contains(reason), "{error}");
        }
    }
}
