//! Waiting for something to become true, but not for ever.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout, timeout_at};

const POLL: Duration = Duration::from_millis(5);

/// Asks again and again until the answer is `Some`, and returns what is in it.
///
/// `what` completes the sentence "waited 10s for …".
///
/// # Panics
/// When `deadline` has passed. A question that hangs counts as unanswered.
pub async fn eventually<T>(deadline: Duration, what: &str, probe: impl AsyncFnMut() -> Option<T>) -> T {
    poll(deadline, probe).await.unwrap_or_else(|| panic!("waited {deadline:?} for {what}"))
}

/// Like [`eventually`], for callers with more to say: `None` when `deadline` has passed.
pub(crate) async fn poll<T>(deadline: Duration, mut probe: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + deadline;
    loop {
        if let Ok(Some(found)) = timeout_at(end, probe()).await {
            return Some(found);
        }
        if Instant::now() >= end {
            return None;
        }
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
