//! `on_failure`: what a handler's failures mean for the handlers behind it.

use baton_testkit::{Answer, Receiver, rules};
use serde_json::{Value, json};

use crate::rig::bodies::{event, http, quick_retry, with};
use crate::rig::{Api, Embedded, SOON};

/// Two handlers of one event: the first fails `failures` times and has this `on_failure`, the second succeeds.
async fn chain(baton: &Embedded, receiver: &Receiver, on_failure: &str, failures: usize, attempts: u32) -> Vec<i64> {
    receiver.script("/first", rules::fail_first(failures, Answer::status(500)));
    let first = http("First", "clients.create", receiver.url("/first"));
    let first = with(first, json!({"priority": 1, "on_failure": on_failure, "retry": quick_retry(attempts)}));
    let second = with(http("Second", "clients.create", receiver.url("/second")), json!({"priority": 2}));
    baton.api.create_live([first, second]).await
}

/// Publishes one event; how it ended, and the paths that were called, in order.
async fn run(api: &Api, receiver: &Receiver) -> (Value, Vec<String>) {
    let ended = api.finished(&api.publish(&event("clients.create", 1, json!({}))).await).await;
    (ended, receiver.calls().iter().map(|call| call.path.clone()).collect())
}

/// The executions of an event as (handler, attempt, status).
fn executions(ended: &Value) -> Vec<(i64, u64, &str)> {
    let of = |e: &Value| (e["handler_id"].as_i64().unwrap(), e["attempt"].as_u64().unwrap());
    ended["executions"].as_array().unwrap().iter().map(|e| (of(e).0, of(e).1, e["status"].as_str().unwrap())).collect()
}

#[tokio::test]
async fn continue_goes_on_at_once_and_retries_beside() {
    let (baton, receiver) = (Embedded::start().await, Receiver::start().await);
    let ids = chain(&baton, &receiver, "continue", 2, 5).await;
    let (ended, called) = run(&baton.api, &receiver).await;
    assert_eq!(ended["status"], "delivered");
    assert_eq!(called, ["/first", "/second", "/first", "/first"]);
    let mut seen = executions(&ended);
    seen.sort_unstable();
    assert_eq!(seen, [(ids[0], 1, "fail"), (ids[0], 2, "fail"), (ids[0], 3, "success"), (ids[1], 1, "success")]);
}

#[tokio::test]
async fn continue_goes_on_though_the_handler_is_exhausted() {
    let (baton, receiver) = (Embedded::start().await, Receiver::start().await);
    let ids = chain(&baton, &receiver, "continue", 99, 2).await;
    let (ended, called) = run(&baton.api, &receiver).await;
    assert_eq!(ended["status"], "failed");
    assert_eq!(called, ["/first", "/second", "/first"]);
    let dead = baton.api.list("/v1/dead-letters?").await;
    assert_eq!((dead.len(), &dead[0]["handler_id"], &dead[0]["attempts"]), (1, &json!(ids[0]), &json!(2)));
}

#[tokio::test]
async fn wait_holds_the_rest_until_the_handler_has_succeeded() {
    let (baton, receiver) = (Embedded::start().await, Receiver::start().await);
    let ids = chain(&baton, &receiver, "wait", 3, 5).await;
    let (ended, called) = run(&baton.api, &receiver).await;
    assert_eq!(ended["status"], "delivered");
    assert_eq!(called, ["/first", "/first", "/first", "/first", "/second"]);
    let first = (1..=4).map(|attempt| (ids[0], attempt, if attempt < 4 { "fail" } else { "success" }));
    assert_eq!(executions(&ended), first.chain([(ids[1], 1, "success")]).collect::<Vec<_>>());
}

#[tokio::test]
async fn wait_goes_on_when_the_handler_is_exhausted() {
    let (baton, receiver) = (Embedded::start().await, Receiver::start().await);
    let ids = chain(&baton, &receiver, "wait", 99, 3).await;
    let (ended, called) = run(&baton.api, &receiver).await;
    assert_eq!(ended["status"], "failed");
    assert_eq!(called, ["/first", "/first", "/first", "/second"]);
    assert_eq!(executions(&ended).last(), Some(&(ids[1], 1, "success")));
}

#[tokio::test]
async fn stop_skips_the_rest_when_the_handler_is_exhausted_and_the_log_says_why() {
    let (baton, receiver) = (Embedded::start().await, Receiver::start().await);
    let ids = chain(&baton, &receiver, "stop", 99, 3).await;
    let (ended, called) = run(&baton.api, &receiver).await;
    assert_eq!(ended["status"], "failed");
    assert_eq!(called, ["/first"; 3]);
    let skipped = baton.api.list(&format!("/v1/executions?handler_id={}&status=skipped", ids[1])).await;
    assert_eq!(skipped.len(), 1);
    let why = skipped[0]["error"].as_str().unwrap();
    assert!(why.contains(&format!("handler {}", ids[0])), "{why}");
}

#[tokio::test]
async fn stop_goes_on_when_the_handler_has_succeeded_after_all() {
    let (baton, receiver) = (Embedded::start().await, Receiver::start().await);
    chain(&baton, &receiver, "stop", 2, 3).await;
    let (ended, called) = run(&baton.api, &receiver).await;
    assert_eq!(
        (&ended["status"], called),
        (&json!("delivered"), vec!["/first".to_owned(); 3].into_iter().chain(["/second".to_owned()]).collect())
    );
}

#[tokio::test]
async fn an_answer_that_fails_for_good_is_not_tried_again() {
    let (baton, receiver) = (Embedded::start().await, Receiver::start().await);
    chain(&baton, &receiver, "stop", 0, 5).await;
    receiver.script("/first", rules::always(Answer::status(422)));
    let (ended, called) = run(&baton.api, &receiver).await;
    assert_eq!((&ended["status"], called.as_slice()), (&json!("failed"), &["/first".to_owned()][..]));
}

#[tokio::test]
async fn a_dead_letter_is_replayed_to_its_handler_alone() {
    let (baton, receiver) = (Embedded::start().await, Receiver::start().await);
    let ids = chain(&baton, &receiver, "continue", 2, 2).await;
    let (ended, _) = run(&baton.api, &receiver).await;
    assert_eq!(ended["status"], "failed");
    let id = ended["id"].as_str().unwrap();
    let replay = format!("/v1/events/{id}/replay");
    baton.api.call(reqwest::Method::POST, &replay, &json!({"handler_id": ids[0]})).await.expect(202);
    receiver.wait_for_successes(SOON, "/first", 1).await;
    assert_eq!(baton.api.finished(id).await["status"], "delivered");
    let paths: Vec<_> = receiver.calls().iter().map(|call| call.path.clone()).collect();
    assert_eq!(paths, ["/first", "/second", "/first", "/first"]);
    assert_eq!(baton.api.list("/v1/dead-letters?").await, Vec::<Value>::new());
}
