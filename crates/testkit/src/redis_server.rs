//! Redis for tests: a corner of the shared one, or one of its own that can be stopped.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use tempfile::TempDir;

use crate::deadline::eventually;
use crate::environment::{REDIS_URL, required};
use crate::port::free_port;

const START: Duration = Duration::from_secs(10);

/// The shared Redis that `BATON_TEST_REDIS_URL` names, and a key prefix that no other test has.
#[derive(Debug)]
pub struct TestRedis {
    url: String,
    prefix: String,
}

impl TestRedis {
    /// A new prefix on the shared server.
    ///
    /// # Panics
    /// When the variable is missing.
    pub fn shared() -> Self {
        Self { url: required(REDIS_URL), prefix: format!("test:{}:", uuid::Uuid::now_v7().simple()) }
    }

    /// What `BATON_REDIS_URL` takes.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What every key of this test begins with; ends with a colon.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Removes the keys under the prefix, and no others.
    ///
    /// # Panics
    /// When the server does not answer.
    pub async fn flush(&self) {
        let mut connection = connect(&self.url).await.expect("a connection to the shared Redis");
        let pattern = format!("{}*", self.prefix);
        let mut cursor = 0_u64;
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(1000);
            let (next, keys): (u64, Vec<String>) = scan.query_async(&mut connection).await.expect("SCAN");
            if !keys.is_empty() {
                redis::cmd("DEL").arg(keys).exec_async(&mut connection).await.expect("DEL");
            }
            cursor = next;
            if cursor == 0 {
                return;
            }
        }
    }
}

/// A Redis server of its own, empty and without persistence, ended when dropped.
#[derive(Debug)]
pub struct RedisServer {
    port: u16,
    dir: TempDir,
    child: Option<Child>,
}

impl RedisServer {
    /// Starts `redis-server` from the PATH and waits until it answers.
    ///
    /// # Panics
    /// When there is no such program or it does not come up.
    pub async fn start() -> Self {
        let dir = tempfile::Builder::new().prefix("baton-redis-").tempdir().expect("a temporary directory");
        let mut server = Self { port: free_port(), dir, child: None };
        server.restart().await;
        server
    }

    /// What `BATON_REDIS_URL` takes; stays the same over restarts.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Its process id; `None` while it does not run.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Ends the server at once, without a word to its clients; nothing that it held survives.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts the server again on the same port, empty; ends it first when it runs.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn restart(&mut self) {
        self.stop();
        let child = self.spawn("redis-server").or_else(|_| self.spawn("valkey-server"));
        let child =
            child.unwrap_or_else(|e| panic!("cannot start redis-server ({e}): run `cargo xtask test`, which installs it"));
        self.child = Some(child);
        let url = self.url();
        eventually(START, "redis-server to answer", async || {
            let mut connection = connect(&url).await.ok()?;
            redis::cmd("PING").exec_async(&mut connection).await.ok()
        })
        .await;
    }

    fn spawn(&self, program: &str) -> std::io::Result<Child> {
        let mut command = Command::new(program);
        command.args(["--bind", "127.0.0.1", "--port", &self.port.to_string(), "--save", "", "--appendonly", "no", "--dir"]);
        command.arg(self.dir.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
    }

    /// Removes all keys.
    ///
    /// # Panics
    /// When the server does not answer.
    pub async fn flush(&self) {
        let mut connection = connect(&self.url()).await.expect("a connection to the test's Redis");
        redis::cmd("FLUSHALL").exec_async(&mut connection).await.expect("FLUSHALL");
    }

    /// Sets a configuration parameter of the running server, such as `maxmemory`; a restart forgets it.
    ///
    /// # Panics
    /// When the server does not answer or refuses.
    pub async fn configure(&self, parameter: &str, value: &str) {
        let mut connection = connect(&self.url()).await.expect("a connection to the test's Redis");
        redis::cmd("CONFIG").arg("SET").arg(parameter).arg(value).exec_async(&mut connection).await.expect("CONFIG SET");
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn connect(url: &str) -> redis::RedisResult<MultiplexedConnection> {
    redis::Client::open(url)?.get_multiplexed_async_connection().await
}
