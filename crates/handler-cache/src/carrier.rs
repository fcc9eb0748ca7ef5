//! Generations in Redis: each snapshot under its number, and a pointer to the live one that only moves forward.

use std::sync::Arc;
use std::time::Duration;

use baton_domain::{GenerationNumber, Snapshot};
use redis::AsyncCommands;

use crate::error::CacheError;
use crate::hints::Channels;
use crate::link::Link;

/// How long a question to Redis may take before the database is asked. Together with the time between two looks it stays under a second, so
/// that a Redis that hangs does not make a generation late.
const ANSWER_WITHIN: Duration = Duration::from_millis(300);
/// How long it may take to put a generation there.
const PUBLISH_WITHIN: Duration = Duration::from_millis(800);
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
    pub(crate) link: Link,
    prefix: String,
}

impl Carrier {
    /// A carrier that connects when it is first used.
    pub(crate) fn new(settings: &RedisSettings) -> Result<Self, CacheError> {
        let link = Link::new(&settings.url).map_err(CacheError::BadUrl)?;
        Ok(Self { link, prefix: settings.prefix.clone() })
    }

    pub(crate) fn channels(&self) -> Channels {
        Channels { hints: format!("{}:hints", self.prefix), appends: format!("{}:appends", self.prefix) }
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
        let mut both = redis::pipe();
        both.get(self.pointer()).exists(self.key(number));
        let asking = self.link.ask(ANSWER_WITHIN, async |mut redis| both.query_async(&mut redis).await);
        let (pointer, there): (Option<String>, bool) = asking.await?;
        // What is not a number is no pointer.
        let live = pointer.and_then(|text| text.parse().ok()).map(GenerationNumber);
        Ok(live > Some(number) || live == Some(number) && there)
    }

    /// The snapshot of this number and checksum, if Redis has it. The checksum is the database's word, since a Redis may hold the generation of
    /// another database under the same number.
    pub(crate) async fn snapshot(&self, number: GenerationNumber, checksum: &str) -> Result<Option<Snapshot>, CacheError> {
        let asking = self.link.ask(ANSWER_WITHIN, async |mut redis| redis.get(self.key(number)).await);
        let text: Option<String> = asking.await?;
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
        let putting = self.link.ask(PUBLISH_WITHIN, async |mut redis| {
            // It expires until it is pointed to: one that never comes to that does not stay for ever.
            let () = redis.set_ex(self.key(number), text, NOT_LIVE_KEPT_S).await?;
            let script = redis::Script::new(MOVE_FORWARD);
            let mut moving = script.key(self.pointer());
            moving.key(self.key(number)).arg(number.0).arg(self.snapshots()).arg(NOT_LIVE_KEPT_S);
            moving.invoke_async(&mut redis).await
        });
        Ok(putting.await?)
    }
}
