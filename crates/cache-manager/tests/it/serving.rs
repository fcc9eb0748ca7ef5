//! While generation N+1 is built, N serves: whoever looks sees one whole generation or the next, at every moment.

use std::collections::BTreeMap;

use baton_domain::GenerationNumber;
use baton_handler_cache::HandlerCache;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::fixture::{LATE, Site, handler, on_both};

on_both!(readers_see_whole_generations_only);

const RESTARTS: i64 = 12;
const HANDLERS: i64 = 25;

/// Looks without a pause until `stop`: the checksum of every generation that it saw.
fn reader(cache: HandlerCache, stop: CancellationToken) -> JoinHandle<BTreeMap<i64, String>> {
    tokio::spawn(async move {
        let mut seen = BTreeMap::new();
        let mut newest = 0;
        let mut looks = 0_u64;
        while !stop.is_cancelled() {
            let live = cache.live().expect("a generation is live at every moment");
            let number = live.number.0;
            assert!(number >= newest, "generation {number} after {newest}");
            newest = number;
            // Parts that belong together were saved together.
            let priority = live.handlers()[0].priority;
            assert!(live.handlers().iter().all(|handler| handler.priority == priority), "generation {number} is mixed");
            assert_eq!(live.chain("clients.create").len(), live.handlers().len());
            looks += 1;
            if looks % 16 == 1 {
                let checksum = live.checksum();
                assert_eq!(*seen.entry(number).or_insert_with(|| checksum.clone()), checksum);
            }
            tokio::task::yield_now().await;
        }
        seen
    })
}

async fn readers_see_whole_generations_only(site: Site) {
    let mut handlers = Vec::new();
    for n in 0..HANDLERS {
        handlers.push(site.create(handler(&format!("handler {n}"), 1)).await);
    }
    let manager = site.started().await;
    manager.cache.refresh().await.unwrap();
    let stop = CancellationToken::new();
    let caches = [&site.cache, &site.cache, &manager.cache];
    let readers = caches.map(|cache| reader(cache.clone(), stop.clone()));
    for restart in 1..=RESTARTS {
        for handler in &mut handlers {
            handler.spec.priority = 1 + restart as u16;
            *handler = site.update(handler).await;
        }
        let result = site.restart().await;
        assert_eq!((result.generation.0, result.handlers as i64), (1 + restart, HANDLERS));
        assert_eq!(result.changes.changed.len() as i64, HANDLERS);
        site.live_within(1 + restart, LATE).await;
    }
    stop.cancel();
    for reader in readers {
        let seen = reader.await.unwrap();
        assert!(seen.len() > 1, "it saw generations come: {:?}", seen.keys());
        for (number, checksum) in seen {
            let stored = site.store.generation(GenerationNumber(number)).await.unwrap().unwrap();
            assert_eq!((stored.checksum, stored.snapshot.checksum()), (checksum.clone(), checksum), "generation {number}");
        }
    }
}
