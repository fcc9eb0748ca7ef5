//! A process that ends in the middle of a chain, asked to or not.

use std::time::Duration;

use baton_testkit::{Answer, Gate, Receiver, eventually, rules};
use reqwest::Method;
use serde_json::json;

use crate::rig::bodies::{event, http, with};
use crate::rig::{Embedded, SOON};

/// How soon a process that was killed goes on when it is back: alone on its database, it does not wait for its own lease.
const GOES_ON: Duration = Duration::from_secs(5);

/// Two handlers of one event, of which the second does not answer before the gate lets it; the id of an event whose second call is under way.
async fn in_the_middle(baton: &Embedded, receiver: &Receiver, gate: &Gate) -> String {
    receiver.script("/second", rules::always(Answer::ok().behind(gate)));
    let handler = |name: &str, path: &str, priority: u16| {
        with(http(name, "clients.create", receiver.url(path)), json!({"priority": priority, "timeout_ms": 60_000}))
    };
    baton.api.create_live([handler("First", "/first", 1), handler("Second", "/second", 2), handler("Third", "/third", 3)]).await;
    let id = baton.api.publish(&event("clients.create", 1, json!({}))).await;
    receiver.wait_for(SOON, "/second", 1).await;
    id
}

fn calls(receiver: &Receiver) -> [usize; 3] {
    ["/first", "/second", "/third"].map(|path| receiver.calls_at(path).len())
}

#[tokio::test]
async fn a_process_that_is_asked_to_end_finishes_the_call_under_way_and_goes_on_behind_it() {
    let (receiver, gate) = (Receiver::start().await, Gate::closed());
    let mut baton = Embedded::start().await;
    let id = in_the_middle(&baton, &receiver, &gate).await;

    let api = baton.api.clone();
    let gone = async {
        eventually(SOON, "the port to be closed", async || {
            api.try_send(api.anonymous(Method::GET, "/healthz")).await.is_err().then_some(())
        })
        .await;
        assert_eq!(calls(&receiver), [1, 1, 0], "the call is still under way");
        gate.open();
    };
    let (status, ()) = tokio::join!(baton.process.terminate(SOON), gone);
    assert!(status.success(), "{status}");
    assert_eq!(calls(&receiver), [1, 1, 0], "nothing is begun any more");

    baton.process.restart().await;
    let ended = baton.api.finished(&id).await;
    assert_eq!(ended["status"], "delivered", "{ended}");
    assert_eq!(calls(&receiver), [1, 1, 1], "nothing is repeated");
}

#[tokio::test]
async fn a_process_that_is_killed_repeats_the_call_under_way_and_none_that_is_written() {
    let (receiver, gate) = (Receiver::start().await, Gate::closed());
    let mut baton = Embedded::start().await;
    let id = in_the_middle(&baton, &receiver, &gate).await;
    eventually(SOON, "the first call to be written", async || {
        let event = baton.api.event(&id).await;
        (event["executions"].as_array().map(Vec::len) == Some(1)).then_some(())
    })
    .await;

    baton.process.kill9();
    gate.open();
    baton.process.restart().await;
    receiver.wait_for(GOES_ON, "/third", 1).await;
    let ended = baton.api.finished(&id).await;
    assert_eq!(ended["status"], "delivered", "{ended}");
    assert_eq!(calls(&receiver), [1, 2, 1]);
    let written: Vec<_> = ended["executions"].as_array().unwrap().iter().map(|e| json!([e["priority"], e["attempt"]])).collect();
    assert_eq!(written, [json!([1, 1]), json!([2, 1]), json!([3, 1])]);
}

#[tokio::test]
async fn a_second_signal_ends_a_process_at_once() {
    let (receiver, gate) = (Receiver::start().await, Gate::closed());
    let mut baton = Embedded::start().await;
    let id = in_the_middle(&baton, &receiver, &gate).await;
    let api = baton.api.clone();
    let pid = baton.process.pid();
    let again = async {
        eventually(SOON, "the port to be closed", async || {
            api.try_send(api.anonymous(Method::GET, "/healthz")).await.is_err().then_some(())
        })
        .await;
        let told = std::process::Command::new("kill").args(["-TERM", &pid.to_string()]).status().unwrap();
        assert!(told.success());
    };
    let (status, ()) = tokio::join!(baton.process.terminate(SOON), again);
    assert_eq!(status.code(), Some(143), "{status}");
    gate.open();
    baton.process.restart().await;
    assert_eq!(baton.api.finished(&id).await["status"], "delivered");
}
