//! Many events of many objects, published so that the order of acknowledged publication is known.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::Api;
use super::bodies::event;

/// How many events one publication has.
const BATCH: usize = 100;
/// How many objects a publisher takes on at the same time.
const SIDE_BY_SIDE: usize = 10;

/// What is published: events numbered from `numbers.start` for each of the objects.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    pub objects: Range<u64>,
    pub numbers: Range<u64>,
    /// The type of the event with this number.
    pub kind: fn(u64) -> &'static str,
}

impl Load {
    pub(crate) fn total(&self) -> u64 {
        (self.objects.end - self.objects.start) * (self.numbers.end - self.numbers.start)
    }

    /// The numbers of the events of these types.
    pub(crate) fn numbers_of(&self, kinds: &[&str]) -> Vec<u64> {
        self.numbers.clone().filter(|number| kinds.contains(&(self.kind)(*number))).collect()
    }

    /// Publishes everything, with so many publishers. Each has objects of its own and waits for the answer to one batch before the next,
    /// so that of one object the numbers are the order of acknowledged publication. `acknowledged` counts along.
    pub(crate) async fn publish(&self, api: &Api, publishers: usize, acknowledged: &Arc<AtomicU64>) {
        let objects: Vec<u64> = self.objects.clone().collect();
        let shares = objects.chunks(objects.len().div_ceil(publishers));
        let tasks = shares.map(|share| {
            let (load, api, share, acknowledged) = (self.clone(), api.clone(), share.to_vec(), Arc::clone(acknowledged));
            tokio::spawn(async move { load.publish_share(&api, &share, &acknowledged).await })
        });
        for published in join_all(tasks).await {
            published.expect("a publisher");
        }
    }

    async fn publish_share(&self, api: &Api, objects: &[u64], acknowledged: &AtomicU64) {
        let in_order = objects
            .chunks(SIDE_BY_SIDE)
            .flat_map(|group| self.numbers.clone().flat_map(move |n| group.iter().map(move |o| (*o, n))));
        let events: Vec<Value> = in_order.map(|(object, n)| event((self.kind)(n), object, json!({"n": n}))).collect();
        for batch in events.chunks(BATCH) {
            api.publish_batch(batch).await;
            acknowledged.fetch_add(batch.len() as u64, Ordering::SeqCst);
        }
    }
}
