//! Rules that answer a path's calls. A closure `FnMut(&Received) -> Answer` is a rule too.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::answer::Answer;
use super::received::Received;

/// Decides on the answer to each call of one path, in the order of arrival.
pub type Rule = Box<dyn FnMut(&Received) -> Answer + Send>;

/// The same answer to every call.
pub fn always(answer: Answer) -> Rule {
    Box::new(move |_| answer.clone())
}

/// `failure` to the first `times` calls, 200 afterwards.
pub fn fail_first(times: usize, failure: Answer) -> Rule {
    let mut left = times;
    Box::new(move |_| match left.checked_sub(1) {
        None => Answer::ok(),
        Some(fewer) => {
            left = fewer;
            failure.clone()
        }
    })
}

/// `failure` to the first `times` calls of each `webhook-id`, 200 to its later ones.
pub fn fail_first_of_each(times: usize, failure: Answer) -> Rule {
    let mut seen: HashMap<Option<String>, usize> = HashMap::new();
    Box::new(move |call| {
        let calls = seen.entry(call.webhook_id.clone()).or_default();
        *calls += 1;
        if *calls <= times { failure.clone() } else { Answer::ok() }
    })
}

/// These answers one after the other, the last one for ever.
///
/// # Panics
/// When there is none.
pub fn one_after_the_other(answers: impl IntoIterator<Item = Answer>) -> Rule {
    let mut answers: Vec<_> = answers.into_iter().collect();
    assert!(!answers.is_empty(), "a rule needs an answer");
    answers.reverse();
    Box::new(move |_| match answers.as_slice() {
        [last] => last.clone(),
        _ => answers.pop().unwrap_or_else(Answer::ok),
    })
}

/// `failure` to about `percent` of the calls, 200 to the others. The seed, the `webhook-id` and how often that was called decide, so
/// that the same calls fail in every run, whatever the order in which they arrive.
pub fn fail_at_random(seed: u64, percent: u32, failure: Answer) -> Rule {
    let mut seen: HashMap<Option<String>, u64> = HashMap::new();
    Box::new(move |call| {
        let calls = seen.entry(call.webhook_id.clone()).or_default();
        *calls += 1;
        let mut hash = DefaultHasher::new();
        (seed, &call.webhook_id, *calls).hash(&mut hash);
        if hash.finish() % 100 < u64::from(percent) { failure.clone() } else { Answer::ok() }
    })
}
