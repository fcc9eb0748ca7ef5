//! Random stories of one object.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::Index;

use super::naive::Part;
use crate::handler::OnFailure;

/// The handlers that take part.
pub(super) const HANDLERS: std::ops::RangeInclusive<i64> = 1..=6;
/// A part like any other.
pub(super) const PLAIN: Part = Part { handler: 1, priority: 1, on_failure: OnFailure::Continue, lane: 0 };

/// What becomes of a call.
#[derive(Debug, Clone, Copy)]
pub(super) enum Then {
    Succeed,
    /// To be tried again after this many seconds.
    Retry(u8),
    Die,
    /// Its handler turned out to be gone.
    Skip,
    PutBack,
}

/// What happens next. Which delivery it happens to is chosen among those that it can happen to.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Plan(Vec<Part>),
    Settle(Index, Then),
    /// Any delivery that has not ended, called or not, is skipped.
    SkipAny(Index),
    Later(u8),
    Hold(i64),
    Release(i64),
    Takeover,
    Replan(Vec<Option<Vec<Part>>>),
    Nonsense(Index),
}

fn chain() -> impl Strategy<Value = Vec<Part>> {
    let policy = prop_oneof![2 => Just(OnFailure::Continue), 1 => Just(OnFailure::Wait), 1 => Just(OnFailure::Stop)];
    let chain = btree_map(HANDLERS, (1..=3_u16, policy, 0..4_u8), 1..=5).prop_map(|parts| {
        let part = |(handler, (priority, on_failure, lane))| Part { handler, priority, on_failure, lane };
        parts.into_iter().map(part).collect::<Vec<_>>()
    });
    chain.prop_shuffle()
}

fn then() -> impl Strategy<Value = Then> {
    prop_oneof![
        6 => Just(Then::Succeed),
        6 => (0..20_u8).prop_map(Then::Retry),
        3 => Just(Then::Die),
        1 => Just(Then::Skip),
        1 => Just(Then::PutBack),
    ]
}

/// Each with the places in what starts after it that are handed back at once; mostly none.
fn with_back(step: impl Strategy<Value = Step>) -> impl Strategy<Value = Vec<(Step, u32)>> {
    vec((step, prop_oneof![2 => Just(0), 1 => any::<u32>()]), 1..40)
}

fn plain_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => chain().prop_map(Step::Plan),
        10 => (any::<Index>(), then()).prop_map(|(which, then)| Step::Settle(which, then)),
        1 => any::<Index>().prop_map(Step::SkipAny),
        3 => (0..20_u8).prop_map(Step::Later),
        2 => HANDLERS.prop_map(Step::Hold),
        2 => HANDLERS.prop_map(Step::Release),
        1 => Just(Step::Takeover),
        1 => any::<Index>().prop_map(Step::Nonsense),
    ]
}

/// Stories with everything that can happen.
pub(super) fn steps() -> impl Strategy<Value = Vec<(Step, u32)>> {
    let anew = prop_oneof![1 => Just(None), 1 => Just(Some(Vec::new())), 3 => chain().prop_map(Some)];
    with_back(prop_oneof![20 => plain_step(), 2 => vec(anew, 1..4).prop_map(Step::Replan)])
}

/// Stories in which every chain stays as it was planned.
pub(super) fn steps_without_replan() -> impl Strategy<Value = Vec<(Step, u32)>> {
    with_back(plain_step())
}
