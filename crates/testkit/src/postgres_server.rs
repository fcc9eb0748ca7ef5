//! A PostgreSQL of a test's own, which can be stopped and started again.

use std::env;
use std::fs::{self, File, OpenOptions, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid, User};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection};
use tempfile::TempDir;

use crate::database::TestDatabase;
use crate::deadline::eventually;
use crate::port::free_port;

const START: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(30);
/// The superuser of the cluster.
const USER: &str = "baton";
const LOCALE: &str = if cfg!(target_os = "macos") { "en_US.UTF-8" } else { "C.UTF-8" };
/// Where packages put PostgreSQL beside the PATH, and what the name of a version's folder in it begins with.
const VERSIONED: [(&str, &str); 5] = [
    ("/usr/lib/postgresql", ""),
    ("/usr", "pgsql-"),
    ("/usr/libexec", "postgresql"),
    ("/opt/homebrew/opt", "postgresql@"),
    ("/usr/local/opt", "postgresql@"),
];

/// How a PostgreSQL is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// Transactions are rolled back, clients told, everything written (SIGINT).
    Fast,
    /// Everything ends where it stands; the next start recovers from the log, as after a crash (SIGQUIT).
    Immediate,
}

/// A PostgreSQL server with a cluster of its own, ended when dropped. It keeps its promises as one in production does: it waits for the
/// disk (`fsync`), and what it acknowledged survives its end.
#[derive(Debug)]
pub struct PostgresServer {
    programs: PathBuf,
    owner: Option<User>,
    port: u16,
    dir: TempDir,
    child: Option<Child>,
}

impl PostgresServer {
    /// Makes a cluster with an empty database, starts the server and waits until it lets its user in. Where the test runs as root, it runs
    /// as another user: PostgreSQL refuses to run as root.
    ///
    /// # Panics
    /// When PostgreSQL is not installed or does not come up.
    pub async fn start() -> Self {
        let programs = programs().unwrap_or_else(|| {
            panic!("the programs of PostgreSQL are missing: run `cargo xtask test`, which installs them, or set PATH")
        });
        let owner = owner();
        let dir = directory(owner.as_ref());
        let mut server = Self { programs, owner, port: free_port(), dir, child: None };
        server.make_cluster().await;
        server.restart().await;
        server
    }

    /// What the installed server calls itself: `postgres (PostgreSQL) 17.2`; empty when there is none.
    pub fn version() -> String {
        let said = programs().and_then(|dir| Command::new(dir.join("postgres")).arg("--version").output().ok());
        said.map(|said| String::from_utf8_lossy(&said.stdout).trim().to_owned()).unwrap_or_default()
    }

    /// What `BATON_DATABASE_URL` takes; stays the same over restarts.
    pub fn url(&self) -> String {
        self.url_at(self.port)
    }

    /// The same for whatever stands between a program and the server on another port of 127.0.0.1.
    pub fn url_at(&self, port: u16) -> String {
        format!("postgres://{USER}@127.0.0.1:{port}/postgres")
    }

    /// The port of 127.0.0.1 that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The id of its first process, whose children the others are; `None` while it does not run.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// A new database on it; it cannot be removed once the server is stopped, which goes away with it anyway.
    ///
    /// # Panics
    /// When the server does not run.
    pub async fn database(&self) -> TestDatabase {
        TestDatabase::on_server(self.url()).await
    }

    /// Sets a configuration parameter, such as `wal_writer_delay`, and lets the running server know; a restart keeps it.
    ///
    /// # Panics
    /// When the server does not run or refuses.
    pub async fn configure(&self, parameter: &str, value: &str) {
        let mut connection = PgConnection::connect(&self.url()).await.expect("a connection to the test's PostgreSQL");
        for statement in [format!("ALTER SYSTEM SET {parameter} = '{value}'"), "SELECT pg_reload_conf()".to_owned()] {
            sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.expect("a parameter of PostgreSQL");
        }
    }

    /// Stops the server and waits until it has ended; nothing happens when it does not run.
    ///
    /// # Panics
    /// When it does not end.
    pub async fn stop(&mut self, how: Shutdown) {
        let Some(mut child) = self.child.take() else { return };
        let signal = if how == Shutdown::Fast { Signal::SIGINT } else { Signal::SIGQUIT };
        send(&child, signal);
        eventually(STOP, "PostgreSQL to end", async || child.try_wait().expect("the state of a child")).await;
    }

    /// Starts the server with the cluster as it is, and waits until it lets its user in; when it runs it is stopped first, at once.
    ///
    /// # Panics
    /// When it does not come up, with the end of its log.
    pub async fn restart(&mut self) {
        self.stop(Shutdown::Immediate).await;
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data()).args(["-p", &self.port.to_string()]);
        let sockets = format!("unix_socket_directories={}", self.dir.path().display());
        for setting in ["listen_addresses=127.0.0.1", "max_connections=200", "shared_buffers=64MB", &sockets] {
            command.args(["-c", setting]);
        }
        self.child = Some(command.spawn().unwrap_or_else(|e| panic!("cannot start PostgreSQL: {e}")));
        let url = self.url();
        eventually(START, &format!("PostgreSQL to answer; its log is {}", self.log().display()), async || {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().expect("the state of a child"));
            assert!(ended.is_none(), "PostgreSQL has ended: {}", self.log_text());
            PgConnection::connect(&url).await.ok()?.close().await.ok()
        })
        .await;
    }

    async fn make_cluster(&self) {
        let mut command = self.command("initdb");
        command.arg("-D").arg(self.data()).args(["-U", USER, "-A", "trust", "-E", "UTF8", "--no-sync"]);
        command.arg(format!("--locale={LOCALE}"));
        let mut child = command.spawn().unwrap_or_else(|e| panic!("cannot start initdb: {e}"));
        let status = eventually(START, "initdb to end", async || child.try_wait().expect("the state of a child")).await;
        assert!(status.success(), "initdb failed ({status}): {}", self.log_text());
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("postgres.log")
    }

    fn log_text(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log()).unwrap_or_default()).into_owned()
    }

    /// A program of PostgreSQL, run as the owner, in a directory that it can read, with none of the settings of other installations.
    fn command(&self, name: &str) -> Command {
        let log = OpenOptions::new().create(true).append(true).open(self.log()).expect("a file for the log");
        let mut command = Command::new(self.programs.join(name));
        command.current_dir(self.dir.path()).env("LC_ALL", "C").stdin(Stdio::null());
        command.stdout(log.try_clone().expect("a second handle of the file")).stderr(log);
        for (variable, _) in env::vars_os() {
            if variable.to_string_lossy().starts_with("PG") {
                command.env_remove(variable);
            }
        }
        if let Some(owner) = &self.owner {
            command.uid(owner.uid.as_raw()).gid(owner.gid.as_raw());
        }
        command
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            send(&child, Signal::SIGQUIT);
            let _ = child.wait();
        }
    }
}

fn send(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id()).expect("a process id");
    let _ = kill(Pid::from_raw(pid), signal);
}

/// Whom to run it as.
fn owner() -> Option<User> {
    if !Uid::effective().is_root() {
        return None;
    }
    let user = ["postgres", "nobody"].into_iter().find_map(|name| User::from_name(name).ok().flatten());
    Some(user.expect("PostgreSQL refuses to run as root, and there is no user postgres or nobody to run it as"))
}

/// A directory that the owner can enter and write in.
fn directory(owner: Option<&User>) -> TempDir {
    let dir = tempfile::Builder::new().prefix("baton-postgres-").tempdir().expect("a temporary directory");
    fs::set_permissions(dir.path(), Permissions::from_mode(0o700)).expect("the directory's mode");
    File::create(dir.path().join("postgres.log")).expect("a file for the log");
    if let Some(owner) = owner {
        chown(dir.path(), Some(owner.uid.as_raw()), Some(owner.gid.as_raw())).expect("the directory's owner");
    }
    dir
}

/// The folder with `postgres` and `initdb`: one of the PATH, or else the one of the highest version.
fn programs() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let is_there = |dir: &PathBuf| dir.join("postgres").is_file() && dir.join("initdb").is_file();
    env::split_paths(&path).chain(by_version()).find(is_there)
}

fn by_version() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for (folder, prefix) in VERSIONED {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if let Some(version) = name.strip_prefix(prefix).and_then(version) {
                found.push((version, programs_of(&entry.path())));
            }
        }
    }
    found.sort();
    found.into_iter().rev().map(|(_, dir)| dir).collect()
}

fn programs_of(version: &Path) -> PathBuf {
    let bin = version.join("bin");
    if bin.is_dir() { bin } else { version.to_path_buf() }
}

/// `9.6` is before `15`.
fn version(text: &str) -> Option<Vec<u32>> {
    text.split('.').map(|part| part.parse().ok()).collect()
}
