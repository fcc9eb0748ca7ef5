//! What a program does before its work: it waits for what it depends on.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// How long to wait between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Every how many looks the log says what is waited for.
const SAY_EVERY: u32 = 10;

/// Calls `attempt` until it succeeds: a program that starts before its database waits for it instead of failing. `attempt` says by `Err`
/// why it is not possible yet. `None` when `stop` came first.
pub async fn when_possible<T, E: std::fmt::Display>(
    what: &str,
    stop: &CancellationToken,
    attempt: impl AsyncFn() -> Result<T, E>,
) -> Option<T> {
    for look in 0_u32.. {
        match stop.run_until_cancelled(attempt()).await? {
            Ok(value) => return Some(value),
            Err(reason) if look % SAY_EVERY == 0 => tracing::warn!("waiting for {what}: {reason}"),
            Err(_) => {}
        }
        stop.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await?;
    }
    None
}
