//! Generations in Redis: each snapshot under its number, and a pointer to the live one that only moves forward.

use std::sync::Arc;
use std::time::Duration;

use baton_domain::{GenerationNumber, Snapshot};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::io::tcp::TcpSettings;
use redis::{AsyncCommands, IntoConnectionInfo, RedisError, RedisResult};
use tokio::time::timeout;

use crate::error::CacheError;

/// How long a question to Redis may take before the database is asked. Together with the time between two looks it stays under a second, so
/// that a Redis that hangs does not make a generation late.
const ANSWER_WITHIN: Duration = Duration::from_millis(300);
/// How long it may take to put a generation there.
const PUBLISH_WITHIN: Duration = Duration::from_millis(800);
/// How long the connection itself waits, for Redis to be reached and for an answer.
const CONNECTION_WITHIN: Duration = Duration::from_millis(500);
/// How long a snapshot that is not live stays in Redis, for processes that are about to read it, in seconds.
const NOT_LIVE_KEPT_S: u64 = 600;

/// Moves the pointer, if that is a step forward, and lets the snapshot that it leaves expire. The snapshot that it points to then stays.
const MOVE_FORWARD: &str = r"
local live = tonumber(redis.call('GET', KEYS[1]) or '0') or 0
local new = tonumber(ARGV[1])
if new < live then return end
if new > live then
    redis.call('SET', KEYS[1], ARGV[1])
    if live > 0 then redis.call('EXPIRE', ARGV[2] .. live, ARGV[3]) end
end
redis.call('PERSIST', KEYS[2])
";

/// Which Redis, and what the names in it begin with.
#[derive(Debug, Clone)]
pub struct RedisSettings {
    /// `redis://host:port/database`.
    pub url: String,
    /// Keys and channels begin with it and a colon.
    pub prefix: String,
}

/// Generations in Redis.
#[derive(Clone)]
pub(crate) struct Carrier {
    pub(crate) client: redis::Client,
    pub(crate) connection: ConnectionManager,
    prefix: String,
}

impl Carrier {
    /// A carrier that connects when it is first used: a Redis that is down must not stop a program from starting.
    pub(crate) fn new(settings: &RedisSettings) -> Result<Self, CacheError> {
        let info = settings.url.as_str().into_connection_info().map_err(CacheError::BadUrl)?;
        // A hint is a few bytes: waiting to fill a packet would only delay it.
        let info = info.set_tcp_settings(TcpSettings::default().set_nodelay(true));
        let client = redis::Client::open(info).map_err(CacheError::BadUrl)?;
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(1)
            .set_min_delay(Duration::from_millis(20))
            .set_connection_timeout(Some(CONNECTION_WITHIN))
            .set_response_timeout(Some(CONNECTION_WITHIN));
        let connection = client.get_connection_manager_lazy(config).map_err(CacheError::BadUrl)?;
        Ok(Self { client, connection, prefix: settings.prefix.clone() })
    }

    pub(crate) fn channel(&self) -> String {
        format!("{}:hints", self.prefix)
    }

    fn pointer(&self) -> String {
        format!("{}:live", self.prefix)
    }

    fn snapshots(&self) -> String {
        format!("{}:generation:", self.prefix)
    }

    fn key(&self, number: GenerationNumber) -> String {
        format!("{}{number}", self.snapshots())
    }

    /// Whether Redis has this generation as the live one, or a later one.
    pub(crate) async fn holds(&self, number: GenerationNumber) -> Result<bool, CacheError> {
        let mut connection = self.connection.clone();
        let mut both = redis::pipe();
        both.get(self.pointer()).exists(self.key(number));
        let (pointer, there): (Option<String>, bool) = in_time(ANSWER_WITHIN, both.query_async(&mut connection)).await?;
        // What is not a number is no pointer.
        let live = pointer.and_then(|text| text.parse().ok()).map(GenerationNumber);
        Ok(live > Some(number) || live == Some(number) && there)
    }

    /// The snapshot of this number and checksum, if Redis has it. The checksum is the database's word, since a Redis may hold the generation of
    /// another database under the same number.
    pub(crate) async fn snapshot(&self, number: GenerationNumber, checksum: &str) -> Result<Option<Snapshot>, CacheError> {
        let mut connection = self.connection.clone();
        let text: Option<String> = in_time(ANSWER_WITHIN, connection.get(self.key(number))).await?;
        let Some(text) = text else { return Ok(None) };
        let spoiled = |reason: String| CacheError::Spoiled { number: number.0, reason };
        let (kept, json) = text.split_once('\n').ok_or_else(|| spoiled("it has no checksum".into()))?;
        let snapshot: Snapshot = serde_json::from_str(json).map_err(|e| spoiled(e.to_string()))?;
        if snapshot.number != number || kept != checksum || snapshot.checksum() != checksum {
            return Err(spoiled("its number or checksum is another".into()));
        }
        Ok(Some(snapshot))
    }

    /// Stores a snapshot, then points to it, unless a later one is pointed to.
    pub(crate) async fn publish(&self, snapshot: &Arc<Snapshot>) -> Result<(), CacheError> {
        let number = snapshot.number;
        let json =
            serde_json::to_string(&**snapshot).map_err(|e| CacheError::Spoiled { number: number.0, reason: e.to_string() })?;
        let text = format!("{}\n{json}", snapshot.checksum());
        let mut connection = self.connection.clone();
        let putting = async {
            // It expires until it is pointed to: one that never comes to that does not stay for ever.
            let () = connection.set_ex(self.key(number), text, NOT_LIVE_KEPT_S).await?;
            let script = redis::Script::new(MOVE_FORWARD);
            let mut moving = script.key(self.pointer());
            moving.key(self.key(number)).arg(number.0).arg(self.snapshots()).arg(NOT_LIVE_KEPT_S);
            moving.invoke_async(&mut connection).await
        };
        Ok(in_time(PUBLISH_WITHIN, putting).await?)
    }
}

/// What Redis answers, or the error of one that takes too long.
pub(crate) async fn in_time<T>(limit: Duration, answer: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    let late = || RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut));
    timeout(limit, answer).await.unwrap_or_else(|_| Err(late()))
}
