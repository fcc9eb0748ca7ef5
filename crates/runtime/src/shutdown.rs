//! How a program ends: the first signal asks it to finish, the second ends it at once.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How long what is under way may take to finish after the first signal.
pub const GRACE: Duration = Duration::from_secs(30);

/// The exit status of a program that did not finish in time, as a shell reports a process ended by SIGTERM.
const EXIT_IMPATIENT: i32 = 143;

/// A token that the first SIGTERM or SIGINT cancels. A second signal, or the end of [`GRACE`], ends the process.
///
/// # Errors
/// When the signals cannot be listened to.
pub fn on_signals() -> anyhow::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let token = stop.clone();
    tokio::spawn(async move {
        either(&mut term, &mut int).await;
        tracing::info!("stopping: what is under way is finished first, a second signal ends at once");
        token.cancel();
        tokio::select! {
            () = either(&mut term, &mut int) => tracing::warn!("ended at once by a second signal"),
            () = tokio::time::sleep(GRACE) => tracing::warn!("ended: not finished after {} s", GRACE.as_secs()),
        }
        std::process::exit(EXIT_IMPATIENT);
    });
    Ok(stop)
}

async fn either(a: &mut Signal, b: &mut Signal) {
    tokio::select! {
        _ = a.recv() => {}
        _ = b.recv() => {}
    }
}
