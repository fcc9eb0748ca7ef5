use std::io::ErrorKind;
use std::time::{Duration, Instant};

use baton_testkit::{Answer, Gate, Receiver, rules, within};
use futures_util::future::join_all;
use serde_json::json;
use tokio::io::AsyncReadExt;

use crate::client::{post, send, status};

const SOON: Duration = Duration::from_secs(10);
const BODY: &str = r#"{"event":{"dt":"2026-03-04T09:15:27+00:00","events_id":"clients.create","object_id":4107},"data":{}}"#;

async fn statuses(receiver: &Receiver, path: &str, ids: &[&str]) -> Vec<u16> {
    let mut all = Vec::new();
    for id in ids {
        all.push(status(&post(receiver.address(), path, &[("webhook-id", id)], BODY).await.unwrap()));
    }
    all
}

#[tokio::test]
async fn a_call_is_kept_as_it_came() {
    let receiver = Receiver::start().await;
    let headers = [("webhook-id", "msg_1"), ("baton-attempt", "3"), ("X-Own", "a b")];
    let answer = post(receiver.address(), "/crm?x=1", &headers, BODY).await.unwrap();
    assert_eq!(status(&answer), 200);
    let [call] = receiver.calls().try_into().unwrap();
    assert_eq!((call.number, call.method.as_str(), call.path.as_str(), call.query.as_deref()), (0, "POST", "/crm", Some("x=1")));
    assert_eq!(call.body, BODY);
    assert_eq!(call.json()["data"], json!({}));
    assert_eq!(call.events_id.as_deref(), Some("clients.create"));
    assert_eq!(call.object_id, Some(json!(4107)));
    assert_eq!((call.webhook_id.as_deref(), call.attempt, call.header("x-own")), (Some("msg_1"), Some(3), Some("a b")));
    assert!(call.succeeded() && call.answered().unwrap() >= call.at);
    assert_eq!(receiver.url("/crm"), format!("http://{}/crm", receiver.address()));
}

#[tokio::test]
async fn rules_decide_by_path() {
    let receiver = Receiver::start().await;
    receiver.script("/first", rules::fail_first(2, Answer::status(500)));
    receiver.script("/each", rules::fail_first_of_each(1, Answer::status(503)));
    receiver.script("/turns", rules::one_after_the_other([Answer::status(429), Answer::status(302), Answer::ok()]));
    receiver
        .script("/own", |call| if call.webhook_id.as_deref() == Some("b") { Answer::status(400) } else { Answer::status(204) });
    assert_eq!(statuses(&receiver, "/first", &["a", "b", "c"]).await, [500, 500, 200]);
    assert_eq!(statuses(&receiver, "/each", &["a", "b", "a", "b"]).await, [503, 503, 200, 200]);
    assert_eq!(statuses(&receiver, "/turns", &["a", "b", "c", "d"]).await, [429, 302, 200, 200]);
    assert_eq!(statuses(&receiver, "/own", &["a", "b", "c"]).await, [204, 400, 204]);
    assert_eq!(statuses(&receiver, "/free", &["a"]).await, [200]);
    assert_eq!(receiver.calls().len(), 15);
    assert_eq!(receiver.calls_at("/own").iter().filter(|call| call.succeeded()).count(), 2);
}

#[tokio::test]
async fn failing_at_random_is_the_same_each_time_and_in_any_order() {
    let receiver = Receiver::start().await;
    let ids: Vec<_> = (0..200).map(|n| format!("msg_{n}")).collect();
    let mut ids: Vec<_> = ids.iter().map(String::as_str).collect();
    let failed = async |path: &str, ids: &[&str]| {
        receiver.script(path, rules::fail_at_random(7, 20, Answer::status(500)));
        let statuses = statuses(&receiver, path, ids).await;
        let mut failed: Vec<_> =
            ids.iter().zip(statuses).filter(|(_, status)| *status == 500).map(|(id, _)| id.to_string()).collect();
        failed.sort();
        failed
    };
    let first = failed("/one", &ids).await;
    ids.reverse();
    assert_eq!(failed("/two", &ids).await, first);
    assert!((15..=65).contains(&first.len()), "{} of 200", first.len());
}

#[tokio::test]
async fn headers_bodies_and_delays_are_sent() {
    let receiver = Receiver::start().await;
    receiver.script(
        "/",
        rules::always(Answer::retry_after(7).header("location", "/x").body("later").delayed(Duration::from_millis(80))),
    );
    let start = Instant::now();
    let answer = post(receiver.address(), "/", &[], BODY).await.unwrap().to_lowercase();
    assert!(start.elapsed() >= Duration::from_millis(80));
    for part in ["http/1.1 503", "retry-after: 7\r\n", "location: /x\r\n", "\r\n\r\nlater"] {
        assert!(answer.contains(part), "{part} in {answer}");
    }
}

#[tokio::test]
async fn hanging_stalling_and_resetting() {
    let receiver = Receiver::start().await;
    receiver.script("/hang", rules::always(Answer::hang()));
    receiver.script("/stall", rules::always(Answer::ok().body("half").stalled()));
    receiver.script("/reset", rules::always(Answer::reset()));

    let error = post(receiver.address(), "/reset", &[], BODY).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);

    let mut stalled = send(receiver.address(), "/stall", &[], BODY).await.unwrap();
    let mut text = String::new();
    while !text.contains("half") {
        let mut part = [0; 1024];
        let length = within(SOON, "the first half", stalled.read(&mut part)).await.unwrap();
        assert_ne!(length, 0, "{text}");
        text.push_str(std::str::from_utf8(&part[..length]).unwrap());
    }
    assert!(tokio::time::timeout(Duration::from_millis(100), stalled.read(&mut [0; 8])).await.is_err());

    let mut hanging = send(receiver.address(), "/hang", &[], BODY).await.unwrap();
    let [call] = receiver.wait_for(SOON, "/hang", 1).await.try_into().unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(100), hanging.read(&mut [0; 8])).await.is_err());
    assert_eq!((call.status, call.answered()), (None, None));
}

#[tokio::test]
async fn a_body_is_repeated_so_many_times_or_without_end() {
    let receiver = Receiver::start().await;
    let part = "x".repeat(1000);
    receiver.script("/three", rules::always(Answer::ok().body(part.clone()).repeated(Some(3), Duration::from_millis(1))));
    receiver.script("/endless", rules::always(Answer::ok().body(part).repeated(None, Duration::ZERO)));
    let answer = post(receiver.address(), "/three", &[], BODY).await.unwrap();
    assert_eq!(answer.matches('x').count(), 3000);
    let mut endless = send(receiver.address(), "/endless", &[], BODY).await.unwrap();
    within(SOON, "a million bytes", endless.read_exact(&mut vec![0; 1_000_000])).await.unwrap();
}

#[tokio::test]
async fn a_gate_holds_answers_until_it_lets_them_through() {
    let receiver = Receiver::start().await;
    let gate = Gate::closed();
    receiver.script("/", rules::always(Answer::ok().behind(&gate)));
    let address = receiver.address();
    let callers = tokio::spawn(join_all((0..5).map(move |_| post(address, "/", &[], BODY))));
    let calls = receiver.wait_for(SOON, "/", 5).await;
    assert!(calls.iter().all(|call| call.answered().is_none()));
    gate.let_through(2);
    receiver.wait_for_successes(SOON, "/", 2).await;
    assert_eq!(receiver.calls().iter().filter(|call| call.answered().is_some()).count(), 2);
    gate.open();
    receiver.wait_for_successes(SOON, "/", 5).await;
    assert!(callers.await.unwrap().iter().all(|answer| status(answer.as_ref().unwrap()) == 200));
}

#[tokio::test]
async fn a_stopped_receiver_refuses_and_a_resumed_one_knows_what_it_knew() {
    let mut receiver = Receiver::start().await;
    receiver.script("/", rules::one_after_the_other([Answer::status(500), Answer::ok()]));
    receiver.script("/hang", rules::always(Answer::hang()));
    assert_eq!(statuses(&receiver, "/", &["a"]).await, [500]);
    let mut hanging = send(receiver.address(), "/hang", &[], BODY).await.unwrap();
    receiver.wait_for(SOON, "/hang", 1).await;
    receiver.stop().await;
    assert_eq!(within(SOON, "the connection to close", hanging.read(&mut [0; 8])).await.unwrap_or(0), 0);
    assert_eq!(send(receiver.address(), "/", &[], BODY).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    receiver.resume().await;
    assert_eq!(statuses(&receiver, "/", &["b"]).await, [200]);
    assert_eq!(receiver.calls().len(), 3);
    receiver.forget();
    assert_eq!(receiver.calls().len(), 0);
}
