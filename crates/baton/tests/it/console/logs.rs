//! Execution Logs, Events and Dead letters by requests alone: files, streams, and what others have written.

use std::time::Duration;

use baton_testkit::rules::always;
use baton_testkit::{Answer as Said, Receiver, eventually, within};
use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::pages::{Operator, between};
use crate::rig::bodies::{event, http, with};
use crate::rig::{Embedded, SOON};

const HOSTILE: &str = "<script>alert(1)</script>\"'&";
const PAGE_MAX: usize = 150 * 1024;

/// A handler that fails for good, live, and an event that it has had.
async fn failed(baton: &Embedded, receiver: &Receiver, name: &str, answer: Said) -> (i64, String) {
    receiver.script("/gone", always(answer));
    let handler = http(name, "clients.create", receiver.url("/gone"));
    let ids = baton.api.create_live([with(handler, json!({"headers": {"X-Key": "hidden-value"}}))]).await;
    let id = baton.api.publish(&event("clients.create", HOSTILE, json!({"note": HOSTILE, "password": "hidden-value"}))).await;
    assert_eq!(baton.api.finished(&id).await["status"], "failed");
    (ids[0], id)
}

async fn execution(baton: &Embedded) -> String {
    baton.api.get("/v1/executions").await["items"][0]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn what_others_have_written_is_shown_as_text_and_secrets_are_not() {
    let (baton, receiver) = (Embedded::start().await, Receiver::start().await);
    let answer = Said::status(410).header("x-said", "<b>no</b>").body(HOSTILE);
    let (handler, id) = failed(&baton, &receiver, HOSTILE, answer).await;
    let operator = Operator::of(&baton).await;
    let execution = execution(&baton).await;
    for (path, holds) in [
        ("/console/executions".to_owned(), "410"),
        (format!("/console/executions/{execution}"), "410 Gone"),
        ("/console/events".to_owned(), "failed"),
        (format!("/console/events/{id}"), "dead letter, 1 of 12 tried"),
        ("/console/dead-letters".to_owned(), "Replay selected"),
        (
            format!("/console/executions?handler_id={handler}&object_id=%3Cscript%3E&data=%3Cscript%3E&error=%22%3E%3Cb%3E"),
            "No execution",
        ),
    ] {
        let page = operator.page(&path).await;
        assert!(page.contains(holds), "{holds} in {path}: {page}");
        assert!(!page.contains("<script>alert") && !page.contains("<b>no") && !page.contains("\"><b>"), "{path}: {page}");
        assert!(!page.contains("hidden-value"), "{path}: {page}");
        assert!(page.len() < PAGE_MAX, "{path}: {}", page.len());
    }
    let details = operator.page(&format!("/console/executions/{execution}")).await;
    for part in ["x-key: ••••", &format!("webhook-id: {id}-{handler}"), "x-said: &lt;b&gt;no&lt;/b&gt;", "&lt;script&gt;alert(1)"]
    {
        assert!(details.contains(part), "{part}: {details}");
    }
    let missing = baton.api.send(operator.request(Method::GET, "/console/executions/0192f0c1-0000-7000-8000-000000000001")).await;
    assert_eq!(missing.status, 404);
}

#[tokio::test]
async fn long_answers_are_cut_on_the_page_and_whole_as_a_file() {
    let (baton, receiver) = (Embedded::start().await, Receiver::start().await);
    let long = "\"<".repeat(32 * 1024);
    failed(&baton, &receiver, "Long", Said::status(400).header("content-type", "text/html").body(long.clone())).await;
    let operator = Operator::of(&baton).await;
    let execution = execution(&baton).await;
    let page = operator.page(&format!("/console/executions/{execution}")).await;
    assert!(page.len() < PAGE_MAX && page.contains("The beginning is shown, of 64 KiB."), "{}", page.len());
    let file = baton.api.send(operator.request(Method::GET, &format!("/console/executions/{execution}/body"))).await;
    assert_eq!(file.text, long);
    assert_eq!(file.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(file.header("content-disposition"), format!("attachment; filename=\"body-{execution}.txt\""));
    assert_eq!(file.header("x-content-type-options"), "nosniff");
    let sent = baton.api.send(operator.request(Method::GET, &format!("/console/executions/{execution}/sent"))).await;
    assert_eq!(serde_json::from_str::<Value>(&sent.text).unwrap()["data"]["password"], "••••");
    for part in ["stdout", "x", "..%2f"] {
        let missing = baton.api.send(operator.request(Method::GET, &format!("/console/executions/{execution}/{part}"))).await;
        assert_eq!(missing.status, 404, "{part}");
    }
}

#[tokio::test]
async fn brackets_without_end_are_shown_as_they_are() {
    let (baton, receiver) = (Embedded::start().await, Receiver::start().await);
    let deep = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
    failed(&baton, &receiver, "Deep", Said::status(400).body(deep)).await;
    let operator = Operator::of(&baton).await;
    let page = operator.page(&format!("/console/executions/{}", execution(&baton).await)).await;
    assert!(page.contains("[[[[[["), "{page}");
}

#[tokio::test]
async fn the_log_is_exported_whole_and_safe() {
    let (baton, receiver) = (Embedded::start().await, Receiver::start().await);
    let attack = "=HYPERLINK(\"http://127.0.0.1/\")";
    baton.api.create_live([http(attack, "clients.create", receiver.url("/ok"))]).await;
    let events: Vec<_> = (0..120).map(|number| event("clients.create", number, json!({}))).collect();
    let ids = baton.api.publish_batch(&events).await;
    for id in &ids {
        baton.api.finished(id).await;
    }
    let operator = Operator::of(&baton).await;
    let csv = baton.api.send(operator.request(Method::GET, "/console/executions/export.csv")).await;
    assert!(csv.header("content-type").starts_with("text/csv"), "{}", csv.header("content-type"));
    assert!(csv.header("content-disposition").starts_with("attachment; filename=\"executions-"));
    assert_eq!(csv.text.matches("\r\n").count(), 121, "{}", csv.text);
    assert!(csv.text.starts_with("id,started_at,events_id,status,handler_id,handler_name,object_id,attempt,"), "{}", csv.text);
    assert_eq!(csv.text.matches("\"'=HYPERLINK(\"\"http://127.0.0.1/\"\")\"").count(), 120, "{}", csv.text);

    let lines = baton.api.send(operator.request(Method::GET, "/console/executions/export.jsonl")).await.text;
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let logged = baton.api.list("/v1/executions?").await;
    assert_eq!(lines, logged);

    let some = baton.api.send(operator.request(Method::GET, "/console/executions/export.csv?object_id=7")).await.text;
    assert_eq!(some.matches("\r\n").count(), 2, "{some}");
    let refused = baton.api.send(operator.request(Method::GET, "/console/executions/export.csv?status=odd")).await;
    assert_eq!((refused.status, refused.text.contains("That did not work")), (422, true), "{}", refused.text);
}

/// What a stream has said so far, until it holds a text.
async fn until(stream: &mut Response, said: &mut String, text: &str) {
    within(SOON, &format!("'{text}' in the stream"), async {
        while !said.contains(text) {
            let chunk = stream.chunk().await.unwrap().expect("the stream has ended");
            said.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    })
    .await;
}

#[tokio::test]
async fn the_tail_tells_what_runs_and_ends_with_the_program() {
    let (mut baton, receiver) = (Embedded::start().await, Receiver::start().await);
    baton.api.create_live([http("Followed", "clients.create", receiver.url("/ok"))]).await;
    let operator = Operator::of(&baton).await;
    for refused in ["data=x", "error=x", "from=2026-01-01T00:00", "cursor=x"] {
        let answer = baton.api.send(operator.request(Method::GET, &format!("/console/executions/tail?{refused}"))).await;
        assert_eq!(answer.status, 400, "{refused}");
    }
    let stranger = baton.api.send(baton.api.anonymous(Method::GET, "/console/executions/tail")).await;
    assert_eq!(stranger.status, 303);

    let mut all = operator.request(Method::GET, "/console/executions/tail").send().await.unwrap();
    let mut fails = operator.request(Method::GET, "/console/executions/tail?status=fail").send().await.unwrap();
    assert_eq!(all.headers()["content-type"], "text/event-stream");
    let (mut said, mut of_fails) = (String::new(), String::new());
    let first = baton.api.publish(&event("clients.create", 1, json!({}))).await;
    until(&mut all, &mut said, &first).await;
    assert!(said.contains("event: rows") && said.contains("Followed"), "{said}");
    receiver.script("/ok", always(Said::status(400)));
    let second = baton.api.publish(&event("clients.create", 2, json!({}))).await;
    until(&mut all, &mut said, &second).await;
    until(&mut fails, &mut of_fails, &second).await;
    assert!(!of_fails.contains(&first), "{of_fails}");
    assert_eq!(said.matches(&format!("/console/events/{first}")).count(), 1, "told twice: {said}");

    // Who comes back gets what came in between, and nothing twice.
    let newest = between(&said[said.rfind("id: ").unwrap()..], "id: ", "\n").to_owned();
    let again = operator.request(Method::GET, "/console/executions/tail").header("last-event-id", newest);
    let third = baton.api.publish(&event("clients.create", 3, json!({}))).await;
    let (mut again, mut of_again) = (again.send().await.unwrap(), String::new());
    until(&mut again, &mut of_again, &third).await;
    assert!(!of_again.contains(&format!("/console/events/{second}")), "{of_again}");

    let ends = within(Duration::from_secs(5), "the streams to end", async {
        for stream in [&mut all, &mut fails, &mut again] {
            while let Ok(Some(_)) = stream.chunk().await {}
        }
    });
    let (status, ()) = tokio::join!(baton.process.terminate(Duration::from_secs(5)), ends);
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn forms_without_sense_or_token_do_nothing() {
    let (baton, receiver) = (Embedded::start().await, Receiver::start().await);
    let (_, id) = failed(&baton, &receiver, "Slow to look at", Said::status(400)).await;
    let operator = Operator::of(&baton).await;
    let explained = [("events_id", "clients.create"), ("object_id", HOSTILE), ("data", "{\"a\":")];
    let page = operator.send("/console/events/explain", &explained).await;
    assert!(page.text.contains("id=\"data-error\"") && page.text.contains("is no JSON"), "{}", page.text);
    assert!(!page.text.contains("<script>alert"), "{}", page.text);
    let bad = operator.send("/console/dead-letters/replay", &[("pick", "x")]).await;
    assert_eq!((bad.status, bad.header("location")), (303, "/console/dead-letters"));
    let elsewhere = operator.send("/console/dead-letters/replay", &[("back", "//evil.example/")]).await;
    assert_eq!(elsewhere.header("location"), "/console/dead-letters");
    for form in [format!("/console/events/{id}/replay"), "/console/dead-letters/replay-all".to_owned()] {
        assert_eq!(operator.send_as(&form, "wrong", &[]).await.status, 403, "{form}");
    }
    assert_eq!(receiver.count(), 1);
    eventually(SOON, "the event to stay as it was", async || (baton.api.event(&id).await["status"] == "failed").then_some(()))
        .await;
}
