//! The connection to Redis.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use redis::aio::{ConnectionManager, ConnectionManagerConfig, PubSub};
use redis::io::tcp::TcpSettings;
use redis::{Client, IntoConnectionInfo, RedisError, RedisResult};
use tokio::time::timeout;

/// How long a connection waits, for Redis to be reached and for an answer; callers are often less patient.
const CONNECTION_WITHIN: Duration = Duration::from_millis(500);

/// One connection for all questions, made when it is first used, and again when it is lost. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Link {
    client: Client,
    connection: Arc<ArcSwap<ConnectionManager>>,
}

impl Link {
    /// A link to the Redis of this URL. Does not connect yet: a Redis that is down must not stop a program from starting.
    pub(crate) fn new(url: &str) -> RedisResult<Self> {
        // A hint is a few bytes: waiting to fill a packet would only delay it.
        let info = url.into_connection_info()?.set_tcp_settings(TcpSettings::default().set_nodelay(true));
        let client = Client::open(info)?;
        let connection = Arc::new(ArcSwap::from_pointee(connection(&client)?));
        Ok(Self { client, connection })
    }

    /// What Redis answers, within the limit.
    pub(crate) async fn ask<T, A>(&self, limit: Duration, question: impl FnOnce(ConnectionManager) -> A) -> RedisResult<T>
    where
        A: Future<Output = RedisResult<T>>,
    {
        let used = self.connection.load_full();
        let answer = in_time(limit, question(ConnectionManager::clone(&used))).await;
        if answer.as_ref().is_err_and(RedisError::is_timeout) {
            // The other end may be gone without a word, which the connection itself would find out after minutes only.
            let new = Arc::new(connection(&self.client)?);
            self.connection.compare_and_swap(&used, new);
        }
        answer
    }

    /// A subscription, begun within the limit.
    pub(crate) async fn subscribe(&self, limit: Duration, channel: &str) -> RedisResult<PubSub> {
        let subscribing = async {
            let mut subscription = self.client.get_async_pubsub().await?;
            subscription.subscribe(channel).await?;
            Ok(subscription)
        };
        in_time(limit, subscribing).await
    }
}

fn connection(client: &Client) -> RedisResult<ConnectionManager> {
    let config = ConnectionManagerConfig::new()
        .set_number_of_retries(1)
        .set_min_delay(Duration::from_millis(20))
        .set_connection_timeout(Some(CONNECTION_WITHIN))
        .set_response_timeout(Some(CONNECTION_WITHIN));
    client.get_connection_manager_lazy(config)
}

/// What Redis answers, or the error of one that takes too long.
pub(crate) async fn in_time<T>(limit: Duration, answer: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    let late = || RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut));
    timeout(limit, answer).await.unwrap_or_else(|_| Err(late()))
}
