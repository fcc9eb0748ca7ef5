//! Connections that are refused, break, stall, or are used again.

use std::time::Instant;

use baton_domain::Verdict;
use tokio::net::TcpListener;

use super::server::{Server, Step};
use super::*;

const RETRY: Verdict = Verdict::Retry { after: None };
const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const HALF: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf";

#[tokio::test]
async fn a_refused_connection_is_retried() {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let outcome = post(&format!("http://{address}/"), AMPLE).await;
    assert_eq!((outcome.verdict, outcome.error), (RETRY, Some(format!("connection refused by {address}"))));
    assert!(outcome.response.is_none());
}

#[tokio::test]
async fn a_reset_connection_is_retried() {
    let server = Server::always(vec![Step::Reset]).await;
    let outcome = post(&server.url("/"), AMPLE).await;
    let error = format!("{} reset the connection before it answered", server.address);
    assert_eq!((outcome.verdict, outcome.error), (RETRY, Some(error)));
}

#[tokio::test]
async fn what_is_no_http_is_retried() {
    let closed = Server::always(vec![Step::Close]).await;
    let outcome = post(&closed.url("/"), AMPLE).await;
    let error = format!("no HTTP answer from {}: connection closed before message completed", closed.address);
    assert_eq!((outcome.verdict, outcome.error), (RETRY, Some(error)));
    let other = Server::always(vec![Step::Send(b"220 mail ready\r\n\r\n".to_vec()), Step::Close]).await;
    let outcome = post(&other.url("/"), AMPLE).await;
    assert_eq!(outcome.verdict, RETRY);
    assert!(outcome.error.unwrap().starts_with(&format!("no HTTP answer from {}: ", other.address)));
}

#[tokio::test]
async fn https_where_http_is_spoken_is_retried_and_says_so() {
    let server = Server::saying(OK).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let plain = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        stream
    });
    let outcome = post(&format!("https://{address}/"), AMPLE).await;
    assert_eq!(outcome.verdict, RETRY);
    let error = outcome.error.unwrap();
    assert!(
        error.starts_with(&format!("no TLS connection to {address}: ")) && error.ends_with("does it speak https there?"),
        "{error}"
    );
    drop((plain.await.unwrap(), server));
}

#[tokio::test]
async fn a_stall_before_the_head_ends_at_the_timeout() {
    let server = Server::always(vec![Step::Stall]).await;
    let begin = Instant::now();
    let outcome = post(&server.url("/"), BRIEF).await;
    assert_eq!((outcome.verdict, outcome.error.as_deref()), (RETRY, Some("no answer within 300 ms")));
    assert!(outcome.response.is_none());
    assert!((BRIEF..BRIEF * 10).contains(&outcome.duration) && begin.elapsed() < BRIEF * 10, "{:?}", outcome.duration);
    server.caller_gone().await;
}

#[tokio::test]
async fn a_stall_in_the_middle_of_the_body_ends_at_the_timeout() {
    let server = Server::always(vec![Step::Send(HALF.to_vec()), Step::Stall]).await;
    let outcome = post(&server.url("/"), BRIEF).await;
    assert_eq!((outcome.verdict, outcome.error.as_deref()), (RETRY, Some("the answer was not complete within 300 ms")));
    assert_eq!((status(&outcome), body(&outcome)), (200, ("half", false)));
    server.caller_gone().await;
}

#[tokio::test]
async fn an_answer_that_drips_ends_at_the_timeout() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n".to_vec();
    let server = Server::always(vec![Step::Send(head), Step::Drip(b".".to_vec(), BRIEF / 10)]).await;
    let outcome = post(&server.url("/"), BRIEF).await;
    assert_eq!((outcome.verdict, outcome.error.as_deref()), (RETRY, Some("the answer was not complete within 300 ms")));
    assert!(!body(&outcome).0.is_empty() && outcome.duration < BRIEF * 4);
    server.caller_gone().await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_retried() {
    let server = Server::always(vec![Step::Send(HALF.to_vec()), Step::Close]).await;
    let outcome = post(&server.url("/"), AMPLE).await;
    assert_eq!((outcome.verdict, body(&outcome)), (RETRY, ("half", false)));
    let error = outcome.error.unwrap();
    assert!(error.starts_with(&format!("{} broke off in the middle of its answer: ", server.address)), "{error}");
    let limited = b"HTTP/1.1 429 No\r\nretry-after: 7\r\ncontent-length: 100\r\n\r\nhalf".to_vec();
    let server = Server::always(vec![Step::Send(limited), Step::Close]).await;
    assert_eq!(post(&server.url("/"), AMPLE).await.verdict, Verdict::Retry { after: Some(Duration::from_secs(7)) });
}

#[tokio::test]
async fn calls_one_after_the_other_share_a_connection() {
    let full = format!("HTTP/1.1 500 No\r\ncontent-length: 65536\r\n\r\n{}", "x".repeat(65536));
    let server = Server::start(move |n| vec![Step::Send(if n % 2 == 0 { OK.to_vec() } else { full.clone().into() })]).await;
    let (caller, target) = (caller(&[], true), target(&server.url("/"), AMPLE));
    for attempt in 1..=20 {
        assert!(call(&caller, &target, attempt).await.response.is_some());
    }
    assert_eq!((server.requests().len(), server.connections()), (20, 1));
}

#[tokio::test]
async fn a_connection_that_was_closed_while_unused_is_made_anew() {
    let server = Server::always(vec![Step::Send(OK.to_vec()), Step::Close]).await;
    let (caller, target) = (caller(&[], true), target(&server.url("/"), AMPLE));
    for attempt in 1..=20 {
        let outcome = call(&caller, &target, attempt).await;
        assert!(outcome.verdict == Verdict::Succeeded || outcome.error.is_some_and(|e| e.contains(&server.address.to_string())));
    }
    assert!(server.connections() > 1);
}

#[tokio::test]
async fn calls_side_by_side_do_not_wait_for_each_other() {
    let server = Server::start(|n| vec![if n == 0 { Step::Stall } else { Step::Send(OK.to_vec()) }]).await;
    let (caller, target) = (caller(&[], true), target(&server.url("/"), AMPLE));
    let stalled = tokio::spawn({
        let (caller, url) = (caller.clone(), server.url("/"));
        async move { call(&caller, &super::target(&url, AMPLE), 1).await }
    });
    baton_testkit::eventually(AMPLE, "the first request", async || (!server.requests().is_empty()).then_some(())).await;
    assert_eq!(call(&caller, &target, 1).await.verdict, Verdict::Succeeded);
    assert!(!stalled.is_finished());
    stalled.abort();
    server.caller_gone().await;
}
