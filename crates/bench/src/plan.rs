//! How much is measured.

use serde::Serialize;

/// Events of one burst, in full and in short.
const EVENTS: (usize, usize) = (30_000, 8_000);
/// Rounds, in full and in short.
const ROUNDS: (usize, usize) = (3, 1);

/// The sizes of a run.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Plan {
    /// Whether it is the short form.
    pub quick: bool,
    /// How often everything is measured.
    pub rounds: usize,
    /// How many events a burst has.
    pub events: usize,
    /// How many connections publish at once.
    pub connections: usize,
}

impl Plan {
    pub(crate) fn new(quick: bool, rounds: Option<usize>, events: Option<usize>, connections: usize) -> Self {
        let of = |(full, short): (usize, usize)| if quick { short } else { full };
        Self { quick, rounds: rounds.unwrap_or(of(ROUNDS)), events: events.unwrap_or(of(EVENTS)), connections }
    }

    /// One of two sizes.
    pub(crate) fn either<T>(self, full: T, short: T) -> T {
        if self.quick { short } else { full }
    }

    /// The rounds, told as they begin.
    pub(crate) fn each_round(self) -> impl Iterator<Item = usize> {
        (1..=self.rounds).inspect(move |round| eprintln!("  round {round} of {}", self.rounds))
    }
}
