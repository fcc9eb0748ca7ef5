//! Generations in Redis: each snapshot under its number, and a pointer to the live one that only moves forward.

use std::sync::Arc;
use std::time::Duration;

use baton_domain::{GenerationNumber, Snapshot};
use redis::AsyncCommands;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};

use crate::error::CacheError;

/// How long Redis may take to answer before the database is asked.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);
/// How long a snapshot that is no longer live stays in Redis, for processes that are about to read it, in seconds.
const OLD_KEPT_S: i64 = 600;

/// Moves the pointer, if that is a step forward, and lets the snapshot that it leaves expire. Answers whether it moved.
const MOVE_FORWARD: &str = r"
local live = tonumber(redis.call('GET', KEYS[1]) or '0')
local new = tonumber(ARGV[1])
if new <= live then return 0 end
redis.call('SET', KEYS[1], ARGV[1])
if live > 0 then redis.call('EXPIRE', ARGV[2] .. live, ARGV[3]) end
return 1
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
        let client = redis::Client::open(settings.url.as_str()).map_err(CacheError::BadUrl)?;
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(1)
            .set_min_delay(Duration::from_millis(20))
            .set_connection_timeout(Some(ANSWER_WITHIN))
            .set_response_timeout(Some(ANSWER_WITHIN));
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

    /// The number that Redis holds as live.
    pub(crate) async fn live(&self) -> Result<Option<GenerationNumber>, CacheError> {
        let number: Option<i64> = self.connection.clone().get(self.pointer()).await?;
        Ok(number.map(GenerationNumber))
    }

    /// The snapshot of this number, if Redis has it.
    pub(crate) async fn snapshot(&self, number: GenerationNumber) -> Result<Option<Snapshot>, CacheError> {
        let text: Option<String> = self.connection.clone().get(format!("{}{number}", self.snapshots())).await?;
        let Some(text) = text else { return Ok(None) };
        let spoiled = |reason: String| CacheError::Spoiled { number: number.0, reason };
        let (checksum, json) = text.split_once('\n').ok_or_else(|| spoiled("it has no checksum".into()))?;
        let snapshot: Snapshot = serde_json::from_str(json).map_err(|e| spoiled(e.to_string()))?;
        if snapshot.number != number || snapshot.checksum() != checksum {
            return Err(spoiled("its number or checksum is another".into()));
        }
        Ok(Some(snapshot))
    }

    /// Stores a snapshot, then points to it, unless a later one is pointed to.
    pub(crate) async fn publish(&self, snapshot: &Arc<Snapshot>) -> Result<(), CacheError> {
        let number = snapshot.number;
        let json = serde_json::to_string(&**snapshot).map_err(|e| CacheError::Spoiled { number: number.0, reason: e.to_string() })?;
        let mut connection = self.connection.clone();
        let key = format!("{}{number}", self.snapshots());
        let () = connection.set(&key, format!("{}\n{json}", snapshot.checksum())).await?;
        let script = redis::Script::new(MOVE_FORWARD);
        let moved: i32 = script
            .key(self.pointer())
            .arg(number.0)
            .arg(self.snapshots())
            .arg(OLD_KEPT_S)
            .invoke_async(&mut connection)
            .await?;
        let live = if moved == 1 { Some(number) } else { self.live().await? };
        if live != Some(number) {
            let () = connection.expire(&key, OLD_KEPT_S).await?;
        }
        Ok(())
    }
}
