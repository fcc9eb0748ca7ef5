//! Deliveries that may run and wait for a slot: one queue a handler, served in turn, so that no handler can take all slots.

use std::collections::{HashMap, VecDeque};

use baton_domain::{HandlerId, Seq};

/// The queue of one handler.
#[derive(Default)]
struct Line {
    waiting: VecDeque<Seq>,
    running: usize,
    in_turn: bool,
    /// Whether it waits until it may be called again.
    parked: bool,
}

/// The queues of all handlers.
#[derive(Default)]
pub(crate) struct ReadyQueues {
    lines: HashMap<HandlerId, Line>,
    turns: VecDeque<HandlerId>,
}

impl ReadyQueues {
    /// Adds a delivery that may run.
    pub(crate) fn push(&mut self, seq: Seq, handler: HandlerId) {
        let line = self.lines.entry(handler).or_default();
        line.waiting.push_back(seq);
        if !line.in_turn && !line.parked {
            line.in_turn = true;
            self.turns.push_back(handler);
        }
    }

    /// Takes the next delivery that gets a slot. `limit` says how many of a handler may run at once.
    pub(crate) fn pop(&mut self, limit: impl Fn(HandlerId) -> usize) -> Option<(Seq, HandlerId)> {
        while let Some(handler) = self.turns.pop_front() {
            let Some(line) = self.lines.get_mut(&handler) else { continue };
            line.in_turn = false;
            if line.parked {
                continue;
            }
            if line.running >= limit(handler) {
                // It comes back into the round when one of its calls ends.
                continue;
            }
            let Some(seq) = line.waiting.pop_front() else { continue };
            line.running += 1;
            if !line.waiting.is_empty() {
                line.in_turn = true;
                self.turns.push_back(handler);
            }
            return Some((seq, handler));
        }
        None
    }

    /// Gives a slot back.
    pub(crate) fn release(&mut self, handler: HandlerId) {
        let Some(line) = self.lines.get_mut(&handler) else { return };
        line.running = line.running.saturating_sub(1);
        if line.waiting.is_empty() {
            if line.running == 0 && !line.parked {
                self.lines.remove(&handler);
            }
        } else if !line.in_turn && !line.parked {
            line.in_turn = true;
            self.turns.push_back(handler);
        }
    }

    /// Takes back what got a slot, to be the next of its handler, which gets none until [`Self::resume`].
    pub(crate) fn park(&mut self, seq: Seq, handler: HandlerId) {
        let line = self.lines.entry(handler).or_default();
        line.running = line.running.saturating_sub(1);
        line.waiting.push_front(seq);
        line.parked = true;
    }

    /// Lets a handler have slots again.
    pub(crate) fn resume(&mut self, handler: HandlerId) {
        let Some(line) = self.lines.get_mut(&handler) else { return };
        line.parked = false;
        if line.waiting.is_empty() {
            if line.running == 0 {
                self.lines.remove(&handler);
            }
        } else if !line.in_turn {
            line.in_turn = true;
            self.turns.push_back(handler);
        }
    }

    /// Whether anything of a handler waits or runs.
    pub(crate) fn is_busy(&self, handler: HandlerId) -> bool {
        self.lines.contains_key(&handler)
    }

    /// Takes out everything that waits.
    pub(crate) fn drain(&mut self) -> Vec<(Seq, HandlerId)> {
        self.turns.clear();
        let mut drained = Vec::new();
        for (&handler, line) in &mut self.lines {
            line.in_turn = false;
            drained.extend(line.waiting.drain(..).map(|seq| (seq, handler)));
        }
        self.lines.retain(|_, line| line.running > 0 || line.parked);
        drained
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handlers_take_turns_and_keep_their_own_order() {
        let mut ready = ReadyQueues::default();
        for seq in 1..=3 {
            ready.push(Seq(seq), HandlerId(1));
        }
        ready.push(Seq(4), HandlerId(2));
        let order: Vec<_> = std::iter::from_fn(|| ready.pop(|_| 10)).map(|(seq, handler)| (seq.0, handler.0)).collect();
        assert_eq!(order, [(1, 1), (4, 2), (2, 1), (3, 1)]);
    }

    #[test]
    fn a_parked_handler_goes_on_where_it_was() {
        let mut ready = ReadyQueues::default();
        for seq in 1..=2 {
            ready.push(Seq(seq), HandlerId(1));
        }
        let (seq, handler) = ready.pop(|_| 10).unwrap();
        ready.park(seq, handler);
        ready.push(Seq(3), HandlerId(1));
        ready.push(Seq(9), HandlerId(2));
        assert_eq!(ready.pop(|_| 10), Some((Seq(9), HandlerId(2))));
        assert_eq!(ready.pop(|_| 10), None);
        ready.resume(HandlerId(1));
        let order: Vec<_> = std::iter::from_fn(|| ready.pop(|_| 10)).map(|(seq, _)| seq.0).collect();
        assert_eq!(order, [1, 2, 3]);
        ready.park(Seq(3), HandlerId(1));
        assert_eq!(ready.drain(), [(Seq(3), HandlerId(1))]);
        ready.resume(HandlerId(1));
        ready.release(HandlerId(1));
        ready.release(HandlerId(1));
        assert!(!ready.lines.contains_key(&HandlerId(1)));
    }

    #[test]
    fn a_handler_at_its_limit_waits_without_holding_others() {
        let mut ready = ReadyQueues::default();
        for seq in 1..=3 {
            ready.push(Seq(seq), HandlerId(1));
        }
        ready.push(Seq(9), HandlerId(2));
        assert_eq!(ready.pop(|_| 1), Some((Seq(1), HandlerId(1))));
        assert_eq!(ready.pop(|_| 1), Some((Seq(9), HandlerId(2))));
        assert_eq!(ready.pop(|_| 1), None);
        ready.release(HandlerId(1));
        assert_eq!(ready.pop(|_| 1), Some((Seq(2), HandlerId(1))));
        ready.release(HandlerId(2));
        assert_eq!(ready.drain(), [(Seq(3), HandlerId(1))]);
        ready.release(HandlerId(1));
        assert!(ready.lines.is_empty());
    }
}
