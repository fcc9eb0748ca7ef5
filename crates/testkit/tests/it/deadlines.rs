use std::future::pending;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use baton_testkit::{eventually, free_port, within};
use futures_util::FutureExt;

const SHORT: Duration = Duration::from_millis(50);

async fn panic_of(future: impl Future) -> String {
    let panic = AssertUnwindSafe(future).catch_unwind().await.map(|_| ()).unwrap_err();
    panic.downcast_ref::<String>().unwrap().clone()
}

#[tokio::test]
async fn eventually_asks_until_there_is_an_answer() {
    let mut asked = 0;
    let answer = eventually(Duration::from_secs(5), "the third question", async || {
        asked += 1;
        (asked == 3).then_some("yes")
    })
    .await;
    assert_eq!((answer, asked), ("yes", 3));
}

#[tokio::test]
async fn a_deadline_ends_waiting_with_its_reason_also_where_the_question_hangs() {
    let start = Instant::now();
    assert_eq!(panic_of(eventually(SHORT, "rain", async || None::<()>)).await, "waited 50ms for rain");
    assert_eq!(panic_of(eventually(SHORT, "an echo", async || pending::<Option<()>>().await)).await, "waited 50ms for an echo");
    assert_eq!(panic_of(within(SHORT, "the end", pending::<()>())).await, "waited 50ms for the end");
    assert!(start.elapsed() >= 3 * SHORT && start.elapsed() < Duration::from_secs(5));
}

#[test]
fn free_ports_are_free_and_differ() {
    let ports: Vec<_> = (0..50).map(|_| free_port()).collect();
    let listeners: Vec<_> = ports.iter().map(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).unwrap()).collect();
    assert_eq!(listeners.len(), 50);
}
