//! A run under way: it keeps its place, and it ends between two batches.

use baton_storage::RunState;
use baton_testkit::eventually;
use chrono::TimeDelta;

use crate::fixture::{SOON, Site, on_demand};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_takes_long_keeps_its_place() {
    let site = Site::postgres().await;
    site.delivered(5, TimeDelta::days(91)).await;
    let _cleaner = site.cleaner(on_demand("one"));
    let hold = site.hold().await;
    let run = site.ask().await;
    let begun = site.running(run.id).await;
    eventually(SOON, "signs of life", async || {
        let run = site.store.run(run.id).await.unwrap().unwrap();
        let instance = &site.instances().await[0];
        (run.lease_until > begun.lease_until && Some(instance.lease_until) > begun.lease_until).then_some(())
    })
    .await;
    hold.release().await;
    assert_eq!(site.done(run.id).await.removed.events, 5);
    assert_eq!(site.ended(run.id).await.runner, begun.runner);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_stops_between_two_batches_and_the_next_run_goes_on() {
    let site = Site::postgres().await;
    site.delivered(3000, TimeDelta::days(91)).await;
    let cleaner = site.cleaner(on_demand("one"));
    let hold = site.hold().await;
    let run = site.ask().await;
    site.running(run.id).await;
    // Asked to stop in the middle of a batch.
    cleaner.stop.cancel();
    hold.release().await;
    cleaner.end().await;
    let stopped = site.ended(run.id).await;
    assert_eq!(stopped.state, RunState::Failed);
    let error = stopped.error.unwrap();
    assert!(error.contains("was stopped before the run was done"), "{error}");
    assert_eq!(site.stored().await, 200, "most are still there");
    assert!(site.instances().await.is_empty());

    let _next = site.cleaner(on_demand("two"));
    let result = site.done(site.ask().await.id).await;
    assert_eq!((result.removed.events, site.stored().await), (3000, 0));
}
