//! A disk that can be full: a small file system in memory, or, where none may be mounted, a limit on the size of files.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

/// The size of the file system.
const SIZE: &str = "256m";
/// Less than the database or its log has, so that nothing can be written to either: a soft limit, in bytes.
const SMALL: &str = "8192:";
/// What ignores the signal that a write beyond the limit would bring, so that the write fails instead, and becomes the program.
const DEAF_TO_LIMITS: [&str; 4] = ["sh", "-c", r#"trap '' XFSZ; exec "$@""#, "sh"];
const BALLAST: &str = "ballast";

/// A folder on such a disk.
pub(crate) struct SmallDisk {
    folder: TempDir,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Mounted,
    Limited,
}

impl SmallDisk {
    /// Mounts one, or takes the other kind.
    pub(crate) fn new() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("baton-disk-").tempdir()?;
        let mounted = run(Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={SIZE}"), "none"]).arg(folder.path()));
        let kind = if mounted.is_ok() { Kind::Mounted } else { Kind::Limited };
        Ok(Self { folder, kind })
    }

    /// Which kind it is, for the report.
    pub(crate) fn describe(&self) -> String {
        match self.kind {
            Kind::Mounted => format!("the disk is a tmpfs of {SIZE}, filled to the last byte"),
            Kind::Limited => {
                "no file system could be mounted here: instead no file may have more than 8 KiB (RLIMIT_FSIZE)".to_owned()
            }
        }
    }

    /// A folder on it.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// What a program has to be started through.
    pub(crate) fn through(&self) -> &'static [&'static str] {
        if self.kind == Kind::Limited { &DEAF_TO_LIMITS } else { &[] }
    }

    /// What the program may log: its log would be a file that cannot be written either.
    pub(crate) fn log_level(&self) -> &'static str {
        if self.kind == Kind::Limited { "off" } else { "info" }
    }

    /// Leaves no room for a program that works on it.
    pub(crate) fn fill(&self, pid: u32) -> Result<()> {
        match self.kind {
            Kind::Limited => limit(pid, SMALL),
            Kind::Mounted => {
                let mut ballast = File::create(self.folder.path().join(BALLAST))?;
                let mut part = vec![0; 1024 * 1024];
                while !part.is_empty() {
                    match ballast.write_all(&part) {
                        Ok(()) => {}
                        // Smaller and smaller, until not a byte fits.
                        Err(error) if error.kind() == std::io::ErrorKind::StorageFull => part.truncate(part.len() / 2),
                        Err(error) => return Err(error).context("the disk cannot be filled"),
                    }
                }
                Ok(())
            }
        }
    }

    /// Makes room again.
    pub(crate) fn free(&self, pid: u32) -> Result<()> {
        match self.kind {
            Kind::Limited => limit(pid, "unlimited:"),
            Kind::Mounted => Ok(fs::remove_file(self.folder.path().join(BALLAST))?),
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        if self.kind == Kind::Mounted
            && let Err(error) = run(Command::new("umount").arg(self.folder.path()))
        {
            eprintln!("{} stays mounted: {error:#}", self.folder.path().display());
        }
    }
}

/// The soft limit on files of a running process.
fn limit(pid: u32, fsize: &str) -> Result<()> {
    run(Command::new("prlimit").args(["--pid", &pid.to_string(), &format!("--fsize={fsize}")]))
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("cannot run {}", command.get_program().display()))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}
