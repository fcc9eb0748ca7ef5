//! The programs of Baton under measurement, started in a folder of their own and ended when dropped.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// How long the programs may take until they are ready, or until everything is recorded.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(20);
const TOKEN: &str = "token-of-a-measurement";
const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// What is measured.
#[derive(Debug, Clone)]
pub(crate) enum SetUp {
    /// `baton serve` without settings.
    Sqlite,
    /// `baton serve` on PostgreSQL and Redis.
    OneProcess { postgres: String, redis: String },
    /// api, dispatcher and cache-manager as services.
    Services { postgres: String, redis: String },
}

impl SetUp {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite, one process",
            Self::OneProcess { .. } => "PostgreSQL and Redis, one process",
            Self::Services { .. } => "PostgreSQL and Redis, services",
        }
    }
}

/// Programs that are ready.
pub(crate) struct Programs {
    port: u16,
    client: reqwest::Client,
    _children: Vec<Child>,
    _dir: TempDir,
}

impl Programs {
    /// Starts them on a database of their own and waits until they are ready.
    pub(crate) async fn start(folder: &Path, set_up: &SetUp) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let mut settings =
            vec![("BATON_ADMIN_TOKEN", TOKEN.to_owned()), ("BATON_SECRET_KEY", KEY.to_owned()), ("BATON_LOG", "warn".into())];
        settings.push(("BATON_DATA_DIR", dir.path().join("data").display().to_string()));
        let programs: &[&[&str]] = match set_up {
            SetUp::Sqlite => &[&["baton", "serve"]],
            SetUp::OneProcess { .. } => &[&["baton", "serve"]],
            SetUp::Services { .. } => &[&["baton-api"], &["baton-dispatcher"], &["baton-cache-manager"]],
        };
        if let SetUp::OneProcess { postgres, redis } | SetUp::Services { postgres, redis } = set_up {
            let name = format!(
                "bench_{}",
                dir.path().file_name().map_or_else(String::new, |n| n.to_string_lossy().replace(['.', '-'], "_").to_lowercase())
            );
            settings.push(("BATON_DATABASE_URL", create_database(postgres, &name).await?));
            settings.push(("BATON_REDIS_URL", redis.clone()));
            settings.push(("BATON_REDIS_PREFIX", name));
            let migrated = command(folder, &["baton", "migrate"], &settings, 0).status().await.context("baton migrate")?;
            ensure!(migrated.success(), "baton migrate ended with {migrated}");
        }
        let (mut children, mut ports) = (Vec::new(), Vec::new());
        for program in programs {
            let port = free_port()?;
            children
                .push(command(folder, program, &settings, port).spawn().with_context(|| format!("cannot start {}", program[0]))?);
            ports.push(port);
        }
        let client = reqwest::Client::builder().no_proxy().build()?;
        for port in &ports {
            wait_ready(&client, *port).await?;
        }
        Ok(Self { port: ports[0], client, _children: children, _dir: dir })
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(crate) fn token(&self) -> String {
        TOKEN.into()
    }

    /// Makes handlers in one stage live.
    pub(crate) async fn configure(&self, sink: &str, handlers: usize) -> Result<()> {
        for number in 0..handlers {
            let handler = json!({"name": format!("handler {number}"), "event": "clients.update", "task": {"type": "http", "url": format!("{sink}/{number}")}});
            self.call("/v1/handlers", Some(handler)).await?;
        }
        self.call("/v1/services/cache-manager/restart?wait=30", Some(Value::Null)).await?;
        Ok(())
    }

    /// Checks that every event is recorded as delivered.
    pub(crate) async fn check_balance(&self, events: usize) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        loop {
            let stats = self.call("/v1/stats", None).await?;
            if stats["delivered"] == json!(events) && stats["published"] == json!(events) {
                return Ok(());
            }
            if Instant::now() > end {
                bail!("not every event is recorded as delivered: {stats}");
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn call(&self, path: &str, body: Option<Value>) -> Result<Value> {
        let request = match body {
            None => self.client.get(self.url(path)),
            Some(Value::Null) => self.client.post(self.url(path)),
            Some(body) => self.client.post(self.url(path)).header("content-type", "application/json").body(body.to_string()),
        };
        let answer = request.bearer_auth(TOKEN).send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        ensure!(status.is_success(), "{path} was answered with {status}: {text}");
        Ok(serde_json::from_str(&text)?)
    }
}

fn command(folder: &Path, program: &[&str], settings: &[(&str, String)], port: u16) -> Command {
    let mut command = Command::new(folder.join(program[0]));
    command.args(&program[1..]).envs(settings.iter().map(|(name, value)| (*name, value)));
    command.env("BATON_LISTEN", format!("127.0.0.1:{port}")).stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
    command
}

/// A new database on a server, through its own client.
async fn create_database(server: &str, name: &str) -> Result<String> {
    let statement = format!("CREATE DATABASE {name}");
    let psql =
        Command::new("psql").args([server, "-qc", &statement]).status().await.context("psql is needed to make a database")?;
    ensure!(psql.success(), "psql could not make a database");
    let (base, _) = server.rsplit_once('/').context("the URL of PostgreSQL names a database")?;
    Ok(format!("{base}/{name}"))
}

async fn wait_ready(client: &reqwest::Client, port: u16) -> Result<()> {
    let end = Instant::now() + PATIENCE;
    loop {
        let ready = client.get(format!("http://127.0.0.1:{port}/readyz")).send().await;
        if ready.is_ok_and(|answer| answer.status().is_success()) {
            return Ok(());
        }
        ensure!(Instant::now() < end, "nothing was ready on port {port} within {} s", PATIENCE.as_secs());
        tokio::time::sleep(LOOK).await;
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
