//! Several Cache Managers: each run is done once.

use std::collections::{BTreeMap, BTreeSet};

use baton_storage::RunState;
use baton_testkit::eventually;

use crate::fixture::{LATE, SOON, Site, handler, on_both, result_of};

on_both!(each_run_is_done_once, many_who_ask_at_once_get_a_generation_built_after_they_asked);

async fn each_run_is_done_once(site: Site) {
    let managers = futures_util::future::join_all(["one", "two", "three"].map(|name| site.manager(name))).await;
    site.live(1).await;
    eventually(SOON, "all to be there", async || (site.instances().await.len() == 3).then_some(())).await;
    let ids: BTreeSet<_> = site.instances().await.into_iter().map(|instance| instance.id).collect();
    let mut builders = BTreeMap::new();
    for number in 2..=13 {
        site.create(handler(&format!("number {number}"), 10)).await;
        let run = site.ask().await;
        let (run, result) = site.done(run.id).await;
        assert_eq!(result.generation.0, number);
        assert_eq!((result.changes.added.len(), result.handlers as i64), (1, number - 1));
        assert!(ids.contains(&run.runner.unwrap()));
        *builders.entry(run.runner.unwrap()).or_insert(0) += 1;
        site.live_within(number, LATE).await;
    }
    assert_eq!(site.generations().await.len(), 13);
    assert_eq!(builders.values().sum::<i32>(), 12);
    for manager in managers {
        assert_eq!(manager.cache.refresh().await.unwrap().unwrap().number.0, 13);
        manager.end().await;
    }
}

async fn many_who_ask_at_once_get_a_generation_built_after_they_asked(site: Site) {
    let _managers = futures_util::future::join_all(["one", "two", "three"].map(|name| site.manager(name))).await;
    site.live(1).await;
    let asking = (0..40).map(async |n| {
        let name = format!("of caller {n}");
        site.create(handler(&name, 10)).await;
        let run = site.ask().await;
        let run = site.ended(run.id).await;
        (name, run)
    });
    let answers = futures_util::future::join_all(asking).await;
    let mut built = BTreeMap::new();
    for (name, run) in answers {
        assert_eq!(run.state, RunState::Done, "{run:?}");
        let number = result_of(&run).generation;
        assert_eq!(*built.entry(number).or_insert(run.id), run.id, "a generation comes of one run");
        let generation = site.store.generation(number).await.unwrap().unwrap();
        assert!(generation.snapshot.handlers().iter().any(|handler| handler.name == name), "{name} is in generation {number}");
    }
    let numbers: Vec<_> = site.generations().await.iter().map(|generation| generation.number.0).rev().collect();
    assert_eq!(numbers, (1..=numbers.len() as i64).collect::<Vec<_>>());
    assert_eq!(numbers.len(), built.len() + 1);
}
