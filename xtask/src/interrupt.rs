//! Ctrl-C and its relatives, as something to look at between two steps: whoever started processes ends them first.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// How often a wait looks at what it waits for.
const LOOK: Duration = Duration::from_millis(20);

/// The command was asked to end.
#[derive(Debug)]
pub(crate) struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

/// Knows whether SIGINT, SIGTERM or SIGHUP has come.
#[derive(Clone)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Takes these signals over; from now on they do not end the process by themselves.
    pub(crate) fn listen() -> Result<Self> {
        let raised = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&raised)).context("cannot listen for signals")?;
        }
        Ok(Self(raised))
    }

    /// An error when it has come.
    pub(crate) fn check(&self) -> Result<()> {
        if self.0.load(Ordering::Relaxed) {
            bail!(Interrupted);
        }
        Ok(())
    }

    /// Asks until there is an answer, at most for `patience`: then `None`.
    pub(crate) fn poll<T>(&self, patience: Duration, mut ask: impl FnMut() -> Result<Option<T>>) -> Result<Option<T>> {
        let end = Instant::now() + patience;
        loop {
            if let Some(answer) = ask()? {
                return Ok(Some(answer));
            }
            self.check()?;
            if Instant::now() >= end {
                return Ok(None);
            }
            sleep(LOOK);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quiet() -> Interrupt {
        Interrupt(Arc::new(AtomicBool::new(false)))
    }

    #[test]
    fn polling_ends_with_an_answer_or_with_patience() {
        let mut asked = 0;
        let answer = quiet().poll(Duration::from_secs(5), || {
            asked += 1;
            Ok((asked == 3).then_some(asked))
        });
        assert_eq!(answer.unwrap(), Some(3));
        assert_eq!(quiet().poll(Duration::ZERO, || Ok(None::<()>)).unwrap(), None);
    }

    #[test]
    fn an_interrupt_ends_polling() {
        let interrupt = quiet();
        interrupt.0.store(true, Ordering::Relaxed);
        let error = interrupt.poll(Duration::from_secs(5), || Ok(None::<()>)).unwrap_err();
        assert!(error.is::<Interrupted>());
    }
}
