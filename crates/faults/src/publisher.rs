//! The load: publishers that hold a rate, repeat what was not acknowledged with the same key, and keep what was.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use crate::api::Api;
use crate::workload::{Kind, body, is_refused};

/// How many publishers there are, each with a connection and objects of its own.
pub(crate) const PUBLISHERS: usize = 16;
/// How many objects each of them has. Some come up far more often than others.
const OBJECTS_EACH: u64 = 25;
/// How long a publisher waits before it repeats what was not acknowledged.
const AGAIN_AFTER: Duration = Duration::from_millis(150);
/// How long after the end of the load what is under way is repeated.
const LAST_WORDS: Duration = Duration::from_secs(60);

/// An event that was acknowledged.
#[derive(Debug, Clone)]
pub(crate) struct Published {
    pub object: u64,
    /// Its place among the events of its object, from 0: the order of acknowledged publication.
    pub n: u64,
    pub kind: Kind,
    /// Whether the mailer refuses it for good.
    pub refused: bool,
    pub id: String,
    /// When its publisher first tried.
    pub born: Instant,
    pub acknowledged: Instant,
}

/// What came of the load.
#[derive(Debug, Default)]
pub(crate) struct Publications {
    pub acknowledged: Vec<Published>,
    /// Events that never got an answer although they were repeated to the end.
    pub unanswered: usize,
    /// Why publishers had to repeat, and how often.
    pub repeats: BTreeMap<String, usize>,
}

/// Publishers at work.
#[derive(Debug)]
pub(crate) struct Publisher {
    shares: Vec<JoinHandle<Publications>>,
    stop: CancellationToken,
    began: Instant,
}

impl Publisher {
    /// Starts to publish `rate` events a second.
    pub(crate) fn start(api: &Api, rate: u32) -> Self {
        let stop = CancellationToken::new();
        let every = Duration::from_secs_f64(PUBLISHERS as f64 / f64::from(rate));
        let share = |number| {
            let share = Share { number, api: api.clone(), at: number, stop: stop.clone(), done: Publications::default() };
            tokio::spawn(share.publish(every))
        };
        Self { shares: (0..PUBLISHERS).map(share).collect(), stop: stop.clone(), began: Instant::now() }
    }

    /// Ends the load: no new events, but those under way are repeated until they are acknowledged. Says how long the load was held.
    pub(crate) async fn finish(self) -> (Publications, Duration) {
        let lasted = self.began.elapsed();
        self.stop.cancel();
        let mut all = Publications::default();
        for share in join_all(self.shares).await {
            let Ok(share) = share else {
                all.unanswered += 1;
                continue;
            };
            all.acknowledged.extend(share.acknowledged);
            all.unanswered += share.unanswered;
            for (reason, times) in share.repeats {
                *all.repeats.entry(reason).or_default() += times;
            }
        }
        (all, lasted)
    }
}

/// One publisher.
struct Share {
    number: usize,
    api: Api,
    /// The API that it speaks to at the moment.
    at: usize,
    stop: CancellationToken,
    done: Publications,
}

impl Share {
    async fn publish(mut self, every: Duration) -> Publications {
        // They take turns instead of all publishing at the same instant.
        sleep(every.mul_f64(self.number as f64 / PUBLISHERS as f64)).await;
        let mut luck = StdRng::seed_from_u64(self.number as u64);
        let mut next = BTreeMap::<u64, u64>::new();
        let mut turns = interval(every);
        // What a fault kept from being published is not made up for: load is held, not piled up.
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while self.stop.run_until_cancelled(turns.tick()).await.is_some() {
            let pick = luck.random::<f64>();
            let object = self.number as u64 * OBJECTS_EACH + (pick * pick * OBJECTS_EACH as f64) as u64;
            let n = next.entry(object).or_default();
            if !self.publish_one(object, *n).await {
                break;
            }
            *n += 1;
        }
        self.done
    }

    /// Publishes one event until it is acknowledged; `false` when the time for that is over.
    async fn publish_one(&mut self, object: u64, n: u64) -> bool {
        let (key, body) = (format!("faults-{object}-{n}"), body(object, n));
        let born = Instant::now();
        let mut end = None;
        loop {
            match self.api.publish(self.at, &key, &body).await {
                Ok(id) => {
                    let (kind, refused, acknowledged) = (Kind::of(n), is_refused(object, n), Instant::now());
                    self.done.acknowledged.push(Published { object, n, kind, refused, id, born, acknowledged });
                    return true;
                }
                Err(reason) => {
                    *self.done.repeats.entry(reason).or_default() += 1;
                    self.at += 1;
                }
            }
            if self.stop.is_cancelled() && Instant::now() > *end.get_or_insert_with(|| Instant::now() + LAST_WORDS) {
                self.done.unanswered += 1;
                return false;
            }
            sleep(AGAIN_AFTER).await;
        }
    }
}
