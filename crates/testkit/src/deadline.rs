//! Waiting for something to become true, but not for ever.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

const POLL: Duration = Duration::from_millis(5);

/// Asks again and again until the answer is `Some`, and returns what is in it.
///
/// `what` completes the sentence "waited 10s for …".
///
/// # Panics
/// When `deadline` has passed. A question that hangs counts as unanswered.
pub async fn eventually<T>(deadline: Duration, what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + deadline;
    loop {
        if let Ok(Some(found)) = tokio::time::timeout_at(end, probe()).await {
            return found;
        }
        assert!(Instant::now() < end, "waited {deadline:?} for {what}");
        sleep(POLL).await;
    }
}

/// Awaits a future, at most so long.
///
/// # Panics
/// When `deadline` has passed.
pub async fn within<F: Future>(deadline: Duration, what: &str, future: F) -> F::Output {
    timeout(deadline, future).await.unwrap_or_else(|_| panic!("waited {deadline:?} for {what}"))
}
