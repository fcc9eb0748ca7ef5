//! The machine that a measurement was made on.

use std::fs;
use std::io::Write;
use std::process::Command;
use std::time::Instant;

use serde::Serialize;

use crate::PostgresServer;

/// How often the disk is asked.
const SYNCS: usize = 50;
const SYNC_BYTES: [u8; 4096] = [7; 4096];

/// What figures depend on beside the program.
#[derive(Debug, Serialize)]
pub struct Machine {
    processor: String,
    cores: usize,
    memory_gb: u64,
    /// How long the disk takes to say that 4 KiB more are safe: what an acknowledged publication waits for.
    fsync_ms: f64,
    system: String,
    postgres: String,
    redis: String,
    /// `release` or `debug`.
    programs: &'static str,
    began: String,
}

impl Machine {
    /// This one, with the programs that tests start here.
    ///
    /// # Panics
    /// When no temporary file can be written.
    #[must_use]
    pub fn here() -> Self {
        let file = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let field = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
        };
        let memory = field(&file("/proc/meminfo"), "MemTotal");
        let kib: u64 = memory.split(' ').next().and_then(|kib| kib.parse().ok()).unwrap_or_default();
        Self {
            processor: field(&file("/proc/cpuinfo"), "model name"),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_gb: kib.div_ceil(1024 * 1024),
            fsync_ms: fsync_ms(),
            system: format!("{} {}", std::env::consts::OS, file("/proc/sys/kernel/osrelease").trim()),
            postgres: PostgresServer::version(),
            redis: first_line("redis-server"),
            programs: if cfg!(debug_assertions) { "debug" } else { "release" },
            began: chrono::Utc::now().format("%Y-%m-%d %H:%M UTC").to_string(),
        }
    }

    /// In one line.
    #[must_use]
    pub fn line(&self) -> String {
        let Self { processor, cores, memory_gb, fsync_ms, system, postgres, redis, programs, began } = self;
        let hardware = format!("{processor}, {cores} cores, {memory_gb} GB, fsync {fsync_ms:.2} ms");
        format!("{began}; {hardware}; {system}; {postgres}; {redis}; {programs} build")
    }
}

/// The median of some appends with `fdatasync`, where the databases will be.
fn fsync_ms() -> f64 {
    let mut file = tempfile::tempfile().expect("a temporary file");
    let mut sync = || {
        let began = Instant::now();
        file.write_all(&SYNC_BYTES).and_then(|()| file.sync_data()).expect("a write to a temporary file");
        began.elapsed().as_secs_f64() * 1000.0
    };
    let mut times: Vec<_> = (0..SYNCS).map(|_| sync()).collect();
    times.sort_unstable_by(f64::total_cmp);
    times[SYNCS / 2]
}

/// What `PROGRAM --version` says first.
fn first_line(program: &str) -> String {
    let output = Command::new(program).arg("--version").output().map(|output| output.stdout).unwrap_or_default();
    let text = String::from_utf8_lossy(&output).into_owned();
    text.lines().next().unwrap_or_default().split(" sha=").next().unwrap_or_default().to_owned()
}
