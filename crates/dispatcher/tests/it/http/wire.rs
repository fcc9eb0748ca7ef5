//! What goes over the wire.

use baton_dispatcher::call::{Opened, Target};
use chrono::{Duration as Span, Utc};
use standardwebhooks::Webhook;

use super::server::{Request, Server};
use super::*;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OLDER_SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

fn verified(request: &Request, secret: &str) -> bool {
    let name = |name: &String| ::http::HeaderName::try_from(name).unwrap();
    let headers = request.headers.iter().map(|(n, v)| (name(n), v.parse().unwrap())).collect();
    Webhook::new(secret).unwrap().verify(&request.body, &headers).is_ok()
}

#[tokio::test]
async fn the_request_is_exact() {
    let server = Server::saying(OK).await;
    let extra =
        [("X-Api-Key", "k 1"), ("Webhook-Id", "mine"), ("Content-Length", "3"), ("Host", "elsewhere"), ("User-Agent", "mine")];
    let headers = extra.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect();
    let target = Target::new(&spec(&server.url("/api/clients?x=1"), AMPLE), Opened { headers, ..Opened::default() }).unwrap();
    let before = Utc::now().timestamp();
    let outcome = call(&caller(&[], true), &target, 3).await;
    assert_eq!((outcome.verdict, outcome.error.as_deref()), (baton_domain::Verdict::Succeeded, None));
    let [request] = &server.requests()[..] else { panic!("{:?}", server.requests()) };
    assert_eq!(request.line, "POST /api/clients?x=1 HTTP/1.1");
    assert_eq!(request.body, BODY.as_bytes());
    let mut headers: Vec<_> = request.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    headers.sort_unstable();
    let timestamp = request.header("webhook-timestamp").unwrap();
    assert!((before..=Utc::now().timestamp()).contains(&timestamp.parse().unwrap()));
    let length = BODY.len().to_string();
    let expected = [
        ("accept", "*/*"),
        ("baton-attempt", "3"),
        ("baton-generation", "7"),
        ("baton-handler", "5"),
        ("content-length", length.as_str()),
        ("content-type", "application/json"),
        ("host", &server.address.to_string()),
        ("user-agent", "Baton/test"),
        ("webhook-id", "0192f0c1-5d3e-7c41-9a55-0123456789ab-5"),
        ("webhook-timestamp", timestamp),
        ("x-api-key", "k 1"),
    ];
    assert_eq!(headers, expected);
}

#[tokio::test]
async fn the_user_of_a_url_is_sent_as_a_header_and_its_fragment_not_at_all() {
    let server = Server::saying(OK).await;
    let url = format!("http://us%40er:p%3Ass@{}/x?y=1#part", server.address);
    let own = [("Authorization".to_owned(), "Bearer own".to_owned())];
    for headers in [vec![], own.to_vec()] {
        let target = Target::new(&spec(&url, AMPLE), Opened { headers, ..Opened::default() }).unwrap();
        call(&caller(&[], true), &target, 1).await;
    }
    let sent: Vec<_> = server.requests().iter().map(|r| r.header("authorization").unwrap().to_owned()).collect();
    // base64 of us@er:p:ss; an operator's own header counts.
    assert_eq!(sent, ["Basic dXNAZXI6cDpzcw==", "Bearer own"]);
    for request in server.requests() {
        assert_eq!(request.line, "POST /x?y=1 HTTP/1.1");
        assert_eq!(request.header("host").unwrap(), server.address.to_string());
    }
}

#[tokio::test]
async fn the_id_is_the_same_on_every_attempt() {
    let server = Server::saying(OK).await;
    let (caller, target) = (caller(&[], true), target(&server.url("/"), AMPLE));
    for attempt in 1..=3 {
        call(&caller, &target, attempt).await;
    }
    let requests = server.requests();
    let sent = |name: &str| requests.iter().map(|r| r.header(name).unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(sent("baton-attempt"), ["1", "2", "3"]);
    assert!(sent("webhook-id").iter().all(|id| id == "0192f0c1-5d3e-7c41-9a55-0123456789ab-5"));
}

#[tokio::test]
async fn signatures_of_all_valid_secrets_are_verified_by_the_published_library() {
    let server = Server::saying(OK).await;
    let later = Utc::now() + Span::hours(1);
    let secrets = vec![(SECRET.to_owned(), None), (OLDER_SECRET.to_owned(), Some(later))];
    let target = Target::new(&spec(&server.url("/"), AMPLE), Opened { secrets, ..Opened::default() }).unwrap();
    call(&caller(&[], true), &target, 1).await;
    let request = &server.requests()[0];
    assert!(verified(request, SECRET) && verified(request, OLDER_SECRET));
    assert!(!verified(request, "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
    let changed = Request { body: BODY.replace("4107", "4108").into(), ..request.clone() };
    assert!(!verified(&changed, SECRET));
}

#[tokio::test]
async fn an_ended_secret_signs_no_more() {
    let server = Server::saying(OK).await;
    let earlier = Utc::now() - Span::seconds(1);
    let secrets = vec![(SECRET.to_owned(), None), (OLDER_SECRET.to_owned(), Some(earlier))];
    let target = Target::new(&spec(&server.url("/"), AMPLE), Opened { secrets, ..Opened::default() }).unwrap();
    call(&caller(&[], true), &target, 1).await;
    let request = &server.requests()[0];
    assert!(verified(request, SECRET));
    assert!(!verified(request, OLDER_SECRET));
}
