//! The very first start, and what later starts do not do.

use baton_cache_manager::SERVICE;
use baton_domain::HandlerStatus;
use baton_storage::{GenerationCause, RunState, Vault};
use baton_testkit::eventually;

use crate::fixture::{SOON, Site, handler, on_both};

on_both!(the_very_first_start_builds_the_first_generation, a_start_makes_no_edit_live, a_cache_manager_is_listed_while_it_runs,);

async fn the_very_first_start_builds_the_first_generation(site: Site) {
    site.create(handler("second", 20)).await;
    site.create(handler("first", 10)).await;
    site.create(baton_storage::NewHandler { status: HandlerStatus::Disabled, ..handler("disabled", 1) }).await;
    site.create(baton_storage::NewHandler { status: HandlerStatus::Archived, ..handler("archived", 1) }).await;
    let _manager = site.started().await;
    let generations = site.generations().await;
    assert_eq!(generations.len(), 1);
    assert_eq!((generations[0].cause, generations[0].rolled_back_to), (GenerationCause::Start, None));
    assert_eq!(site.live_names().await, ["first", "second"]);
    let live = site.cache.live().unwrap();
    assert_eq!(live.checksum(), generations[0].checksum);
    let run = eventually(SOON, "the run to end", async || site.store.last_runs(SERVICE).await.unwrap().last).await;
    assert_eq!(run.state, RunState::Done);
}

async fn a_start_makes_no_edit_live(site: Site) {
    let kept = site.create(handler("kept", 10)).await;
    site.started().await.end().await;
    let mut edited = kept.clone();
    edited.spec.priority = 99;
    site.update(&edited).await;
    site.create(handler("added", 10)).await;

    let again = site.manager("again").await;
    eventually(SOON, "it to be there", async || (!site.instances().await.is_empty()).then_some(())).await;
    // Neither by its start nor by time.
    site.another_look().await;
    assert_eq!(site.generations().await.len(), 1);
    assert_eq!(site.cache.refresh().await.unwrap().unwrap().handlers()[0].priority, 10);
    assert_eq!(again.cache.refresh().await.unwrap().unwrap().handlers().len(), 1);

    let result = site.restart().await;
    assert_eq!((result.generation.0, result.handlers), (2, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_that_start_at_once_build_it_once() {
    let site = Site::postgres().await;
    site.create(handler("a", 10)).await;
    let managers = futures_util::future::join_all(["one", "two", "three", "four"].map(|name| site.manager(name))).await;
    site.live(1).await;
    // Saved later than the first build: a second one that was asked for at the same time must not make it live.
    site.create(handler("b", 10)).await;
    eventually(SOON, "all to be there", async || (site.instances().await.len() == 4).then_some(())).await;
    site.another_look().await;
    eventually(SOON, "the queue to be empty", async || {
        let runs = site.store.last_runs(SERVICE).await.unwrap();
        (runs.queued.is_none() && runs.running.is_none()).then_some(())
    })
    .await;
    assert_eq!(site.generations().await.len(), 1);
    assert_eq!(site.live_names().await, ["a"]);
    for manager in &managers {
        assert_eq!(manager.cache.refresh().await.unwrap().unwrap().number.0, 1);
    }
    assert_eq!(site.restart().await.generation.0, 2);
}

#[tokio::test]
async fn a_restart_that_waits_already_builds_the_first() {
    let site = Site::sqlite().await;
    site.create(handler("a", 10)).await;
    let asked = site.ask().await;
    let _manager = site.manager("first").await;
    let (_, result) = site.done(asked.id).await;
    assert_eq!(result.generation.0, 1);
    site.another_look().await;
    assert_eq!(site.generations().await[0].cause, GenerationCause::Restart);
    assert_eq!(site.store.last_runs(SERVICE).await.unwrap().last.unwrap().id, asked.id, "nothing else was asked for");
}

#[tokio::test]
async fn a_first_build_that_fails_is_left_to_the_operator() {
    let site = Site::sqlite().await;
    let stranger = Vault::new(&Vault::generate_key()).unwrap();
    let headers = [("x-api-key".to_owned(), stranger.seal("secret"))].into();
    let broken = site.create(baton_storage::NewHandler { headers, ..handler("broken", 10) }).await;
    let _manager = site.manager("first").await;
    let first = eventually(SOON, "the first run to end", async || site.store.last_runs(SERVICE).await.unwrap().last).await;
    assert_eq!(first.state, RunState::Failed);
    assert!(first.error.unwrap().contains("broken"));
    site.another_look().await;
    let runs = site.store.last_runs(SERVICE).await.unwrap();
    assert_eq!((runs.last.unwrap().id, runs.queued), (first.id, None), "not asked for with every look");
    assert!(site.generations().await.is_empty());
    assert!(site.cache.live().is_none());

    let mut mended = broken.clone();
    mended.spec.headers.clear();
    site.update(&mended).await;
    let result = site.restart().await;
    assert_eq!((result.generation.0, result.handlers), (1, 1));
}

async fn a_cache_manager_is_listed_while_it_runs(site: Site) {
    let one = site.started().await;
    let two = site.manager("second").await;
    eventually(SOON, "both to be there", async || (site.instances().await.len() == 2).then_some(())).await;
    let names: Vec<_> = site.instances().await.into_iter().map(|instance| instance.name).collect();
    assert_eq!(names, ["first", "second"]);
    one.end().await;
    assert_eq!(site.instances().await.len(), 1);
    two.end().await;
    assert!(site.instances().await.is_empty());
}
