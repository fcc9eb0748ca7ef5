//! What answers mean, and how much of them is kept.

use baton_domain::Verdict;
use baton_domain::limits::OUTPUT_KEPT_BYTES;
use chrono::{Duration as Span, Utc};

use super::server::{Server, Step};
use super::*;

const RETRY: Verdict = Verdict::Retry { after: None };

fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

async fn answered(bytes: impl Into<Vec<u8>>) -> Outcome {
    let server = Server::saying(bytes).await;
    post(&server.url("/"), AMPLE).await
}

#[tokio::test]
async fn each_class_of_status_has_its_verdict() {
    for (line, verdict, error) in [
        ("200 OK", Verdict::Succeeded, None),
        ("202 Accepted", Verdict::Succeeded, None),
        ("299 Whatever", Verdict::Succeeded, None),
        ("400 Bad Request", Verdict::Failed, Some("answered 400 Bad Request")),
        ("404 Not Found", Verdict::Failed, Some("answered 404 Not Found")),
        ("410 Gone", Verdict::Failed, Some("answered 410 Gone")),
        ("408 Request Timeout", RETRY, Some("answered 408 Request Timeout")),
        ("425 Too Early", RETRY, Some("answered 425 Too Early")),
        ("429 Too Many Requests", RETRY, Some("answered 429 Too Many Requests")),
        ("500 Internal Server Error", RETRY, Some("answered 500 Internal Server Error")),
        ("503 Service Unavailable", RETRY, Some("answered 503 Service Unavailable")),
        ("599 Mine", RETRY, Some("answered 599")),
    ] {
        let outcome = answered(answer(line, "why")).await;
        assert_eq!((outcome.verdict, outcome.error.as_deref()), (verdict, error), "{line}");
        assert_eq!(body(&outcome), ("why", false));
        assert_eq!(status(&outcome).to_string(), line[..3]);
    }
    let outcome = answered("HTTP/1.1 204 No Content\r\n\r\n").await;
    assert_eq!((outcome.verdict, body(&outcome)), (Verdict::Succeeded, ("", false)));
}

#[tokio::test]
async fn retry_after_is_read_in_both_forms() {
    let with = |value: &str| answered(format!("HTTP/1.1 503 No\r\nretry-after: {value}\r\ncontent-length: 0\r\n\r\n"));
    assert_eq!(with("120").await.verdict, Verdict::Retry { after: Some(Duration::from_secs(120)) });
    let at = (Utc::now() + Span::seconds(90)).format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let Verdict::Retry { after: Some(after) } = with(&at).await.verdict else { panic!("{at}") };
    assert!((60..=90).contains(&after.as_secs()), "{after:?}");
    assert_eq!(with("soon").await.verdict, RETRY);
    let failed = answered("HTTP/1.1 400 No\r\nretry-after: 120\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(failed.verdict, Verdict::Failed);
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = Server::saying(answer("200 OK", "")).await;
    let to = elsewhere.url("/new");
    for line in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let outcome = answered(format!("HTTP/1.1 {line}\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n")).await;
        let error = format!("answered {line}, which points to {to}; redirects are not followed");
        assert_eq!((outcome.verdict, outcome.error), (Verdict::Failed, Some(error)));
    }
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn headers_are_kept() {
    let outcome =
        answered("HTTP/1.1 200 OK\r\nX-One: 1\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\ncontent-length: 0\r\n\r\n").await;
    let Some(Response::Http { headers, .. }) = outcome.response else { panic!() };
    let headers: Vec<_> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(headers, [("content-length", "0"), ("set-cookie", "a=1, b=2"), ("x-one", "1")]);
}

#[tokio::test]
async fn of_a_long_body_the_beginning_is_kept() {
    let long = "x".repeat(200 * 1024);
    for line in ["200 OK", "500 Internal Server Error"] {
        let outcome = answered(answer(line, &long)).await;
        assert_eq!(outcome.verdict, if line.starts_with('2') { Verdict::Succeeded } else { RETRY });
        assert_eq!(body(&outcome), (&long[..OUTPUT_KEPT_BYTES], true));
    }
    let exact = answered(answer("200 OK", &long[..OUTPUT_KEPT_BYTES])).await;
    assert_eq!(body(&exact), (&long[..OUTPUT_KEPT_BYTES], false));
}

#[tokio::test]
async fn an_endless_body_is_cut_off_and_its_connection_closed() {
    let chunk = format!("{:x}\r\n{}\r\n", 50_000, "y".repeat(50_000));
    let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    let server = Server::always(vec![Step::Send(head), Step::Flood(chunk.into())]).await;
    let outcome = post(&server.url("/"), AMPLE).await;
    assert_eq!(outcome.verdict, Verdict::Succeeded);
    assert_eq!(body(&outcome), ("y".repeat(OUTPUT_KEPT_BYTES).as_str(), true));
    server.caller_gone().await;
}

#[tokio::test]
async fn a_compressed_body_is_kept_as_it_came() {
    let mut bytes = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\n".to_vec();
    bytes.extend([0x1f, 0x8b, b'a']);
    let outcome = answered(bytes).await;
    assert_eq!(body(&outcome), ("\u{1f}\u{fffd}a", false));
}

#[tokio::test]
async fn an_interim_answer_is_none() {
    let outcome = answered(format!("HTTP/1.1 103 Early Hints\r\nx: 1\r\n\r\n{}", answer("200 OK", "done"))).await;
    assert_eq!((outcome.verdict, body(&outcome)), (Verdict::Succeeded, ("done", false)));
}

#[tokio::test]
async fn headers_without_end_are_cut_off() {
    let line = format!("x-filler: {}\r\n", "y".repeat(1000));
    let value = "z".repeat(50_000);
    for (head, flood) in [("HTTP/1.1 200 OK\r\n", line), ("HTTP/1.1 200 OK\r\nx-filler: ", value)] {
        let server = Server::always(vec![Step::Send(head.into()), Step::Flood(flood.into())]).await;
        let outcome = post(&server.url("/"), AMPLE).await;
        let error = outcome.error.unwrap();
        assert_eq!((outcome.verdict, &outcome.response), (RETRY, &None), "{error}");
        assert!(error.contains("message head is too large"), "{error}");
        assert!(outcome.duration < AMPLE / 2, "{error}");
        server.caller_gone().await;
    }
}
