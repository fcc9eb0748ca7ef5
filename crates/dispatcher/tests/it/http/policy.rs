//! The address policy, when a handler is saved and when it is called.

use baton_domain::Verdict;

use super::server::Server;
use super::*;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

async fn inspected(caller: &Caller, url: &str) -> Vec<(String, String)> {
    let errors = caller.inspect(&Task::Http { url: url.into() }).await;
    errors.0.into_iter().map(|e| (e.field, e.message)).collect()
}

fn says_why(text: &str, address: &str, range: &str) {
    for part in [address, "a loopback address", range, "BATON_ALLOW_TARGETS"] {
        assert!(text.contains(part), "{text}");
    }
}

#[tokio::test]
async fn a_literal_address_is_refused_for_good_before_it_is_connected_to() {
    let server = Server::saying(OK).await;
    let caller = caller(&[], false);
    let outcome = call(&caller, &target(&server.url("/"), AMPLE), 1).await;
    assert_eq!((outcome.verdict, &outcome.response), (Verdict::Failed, &None));
    says_why(&outcome.error.unwrap(), "127.0.0.1", "127.0.0.0/8");
    for spelling in ["127.1", "0x7f.1", "[::ffff:127.0.0.1]"] {
        let url = format!("http://{spelling}:{}/", server.address.port());
        let outcome = call(&caller, &target(&url, AMPLE), 1).await;
        assert_eq!(outcome.verdict, Verdict::Failed, "{url}");
        assert!(outcome.error.unwrap().contains("BATON_ALLOW_TARGETS"), "{url}");
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_name_is_refused_for_good_by_the_address_that_it_has() {
    let server = Server::saying(OK).await;
    let url = format!("http://localhost:{}/", server.address.port());
    let outcome = call(&caller(&[], false), &target(&url, AMPLE), 1).await;
    assert_eq!((outcome.verdict, &outcome.response), (Verdict::Failed, &None));
    let error = outcome.error.unwrap();
    assert!(error.starts_with("localhost has no address that may be connected to: "), "{error}");
    assert!(error.contains("a loopback address") && error.ends_with("list it in BATON_ALLOW_TARGETS to permit it"), "{error}");
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn an_allowed_name_is_called() {
    let server = Server::saying(OK).await;
    let url = format!("http://localhost:{}/", server.address.port());
    for caller in [caller(&[], true), caller(&["127.0.0.0/8"], false)] {
        assert_eq!(call(&caller, &target(&url, AMPLE), 1).await.verdict, Verdict::Succeeded);
    }
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_retried() {
    let outcome = post("http://no-such-host.invalid/", AMPLE).await;
    assert_eq!(outcome.verdict, Verdict::Retry { after: None });
    let error = outcome.error.unwrap();
    assert!(error.starts_with("the name no-such-host.invalid cannot be resolved: "), "{error}");
}

#[tokio::test]
async fn inspection_says_what_is_wrong_with_a_url() {
    let strict = caller(&[], false);
    for url in ["http://127.0.0.1:5000/api", "https://localhost/", "http://[::1]/", "http://2130706433/"] {
        let [(field, message)] = &inspected(&strict, url).await[..] else { panic!("{url}") };
        assert_eq!(field, "task.url", "{url}");
        assert!(message.contains("a loopback address") && message.contains("BATON_ALLOW_TARGETS"), "{message}");
        assert_eq!(inspected(&caller(&[], true), url).await, [], "{url}");
    }
    says_why(&inspected(&strict, "http://127.0.0.1/").await[0].1, "127.0.0.1", "127.0.0.0/8");
    for bad in ["", "crm.lan/api", "ftp://crm.lan/"] {
        assert_eq!(inspected(&strict, bad).await[0].0, "task.url", "{bad}");
    }
}

#[tokio::test]
async fn a_name_that_cannot_be_resolved_may_be_saved() {
    assert_eq!(inspected(&caller(&[], false), "http://no-such-host.invalid/").await, []);
}
