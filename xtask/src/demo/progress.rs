//! What happens at the moment, on standard error.

use std::cell::Cell;
use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

/// From when on it is worth saying how long something takes.
const LONG: Duration = Duration::from_secs(2);

/// Says what begins now.
pub(super) fn say(text: &str) {
    eprintln!("==> {text}");
}

/// Says what begins now, and on a terminal how long it has been going on.
pub(super) struct Lasting {
    text: String,
    began: Instant,
    /// What the clock shows at the moment, in seconds.
    shown: Cell<u64>,
    is_terminal: bool,
}

impl Lasting {
    pub(super) fn begin(text: &str) -> Self {
        let is_terminal = stderr().is_terminal();
        if is_terminal {
            eprint!("==> {text}");
        } else {
            say(text);
        }
        Self { text: text.to_owned(), began: Instant::now(), shown: Cell::new(0), is_terminal }
    }

    /// Still going on.
    pub(super) fn tick(&self) {
        let lasted = self.began.elapsed();
        let seconds = lasted.as_secs();
        if self.is_terminal && lasted >= LONG && self.shown.replace(seconds) != seconds {
            eprint!("\r==> {} ({})", self.text, clock(lasted));
            let _ = stderr().flush();
        }
    }
}

impl Drop for Lasting {
    fn drop(&mut self) {
        if self.is_terminal {
            eprintln!();
        }
    }
}

fn clock(time: Duration) -> String {
    match (time.as_secs() / 60, time.as_secs() % 60) {
        (0, seconds) => format!("{seconds} s"),
        (minutes, seconds) => format!("{minutes} min {seconds:02} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_shows_minutes_from_the_first_on() {
        assert_eq!(clock(Duration::from_millis(59_900)), "59 s");
        assert_eq!(clock(Duration::from_secs(185)), "3 min 05 s");
    }
}
