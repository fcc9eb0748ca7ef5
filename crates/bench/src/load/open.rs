//! Publishing at a rate, whatever the answers do: the load of a platform that does not wait.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::{Objects, Target, events};

/// When an event was published.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Published {
    /// When it was due.
    pub due: Instant,
    /// When its request was made, which is after the timer has woken up; when it was due, where its connection still waited for an answer.
    pub asked: Instant,
}

/// Publishes so many events a second over some connections that take turns. Answers, by the place of an event in `numbers`, when it was
/// published.
pub(crate) async fn publish_at_rate(
    target: &Target,
    numbers: Range<usize>,
    rate: u32,
    connections: usize,
) -> Result<Vec<Published>> {
    let (begin, count) = (Instant::now() + Duration::from_millis(20), numbers.len());
    let target = Arc::new(target.clone());
    let mut publishers = JoinSet::new();
    for first in 0..connections {
        let (target, start) = (Arc::clone(&target), numbers.start);
        publishers.spawn(async move {
            let mut connection = target.connect().await?;
            let mut published = Vec::with_capacity(count / connections + 1);
            for place in (first..count).step_by(connections) {
                let due = begin + Duration::from_secs_f64(place as f64 / f64::from(rate));
                let is_late = Instant::now() > due;
                sleep_until(due).await;
                let body = events::event(start + place, Objects::Spread(OBJECTS));
                published.push((place, Published { due, asked: if is_late { due } else { Instant::now() } }));
                connection.post(&target.one, body).await?;
            }
            anyhow::Ok(published)
        });
    }
    let mut published = vec![Published { due: begin, asked: begin }; count];
    while let Some(ended) = publishers.join_next().await {
        for (place, at) in ended.context("a publisher")?? {
            published[place] = at;
        }
    }
    Ok(published)
}

const OBJECTS: usize = 5_000;
