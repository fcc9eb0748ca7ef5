//! A scripted HTTP receiver: keeps what it got, answers as a test says.

mod answer;
mod received;
pub mod rules;
mod server;

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

pub use self::answer::{Answer, Gate};
pub use self::received::Received;
pub use self::rules::Rule;

// A condition may look at every call, and calls arrive by the thousand: look at them in groups.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// An HTTP server on 127.0.0.1 that keeps every call. A path without a rule answers 200.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    log: Arc<Log>,
    up: CancellationToken,
}

/// What came in, and how to answer it.
#[derive(Default)]
pub(crate) struct Log {
    calls: Mutex<Vec<Arc<Received>>>,
    rules: Mutex<HashMap<String, Rule>>,
    news: Notify,
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log").field("calls", &self.calls.lock().unwrap().len()).finish_non_exhaustive()
    }
}

impl Receiver {
    /// Starts a receiver on a free port.
    ///
    /// # Panics
    /// When 127.0.0.1 cannot be listened on.
    pub async fn start() -> Self {
        let mut receiver =
            Self { address: (Ipv4Addr::LOCALHOST, 0).into(), log: Arc::new(Log::default()), up: CancellationToken::new() };
        receiver.resume().await;
        receiver
    }

    /// Where it listens; stays the same when it is stopped and resumed.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a path, which begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Answers the calls of a path by this rule from now on.
    pub fn script(&self, path: &str, rule: impl FnMut(&Received) -> Answer + Send + 'static) {
        self.log.rules.lock().unwrap().insert(path.to_owned(), Box::new(rule));
    }

    /// Every call so far, in the order of arrival.
    pub fn calls(&self) -> Vec<Arc<Received>> {
        self.log.calls.lock().unwrap().clone()
    }

    /// How many calls there were so far.
    pub fn count(&self) -> usize {
        self.log.calls.lock().unwrap().len()
    }

    /// The calls of one path so far, in the order of arrival.
    pub fn calls_at(&self, path: &str) -> Vec<Arc<Received>> {
        self.log.calls.lock().unwrap().iter().filter(|call| call.path == path).cloned().collect()
    }

    /// Forgets the calls so far; the next one is number 0 again. Rules keep what they have counted.
    pub fn forget(&self) {
        self.log.calls.lock().unwrap().clear();
    }

    /// Waits until `condition` holds for all the calls, and returns them. It is asked again after each call and each answer.
    ///
    /// # Panics
    /// When `deadline` has passed: "waited … for `what`", and the calls that there were.
    pub async fn wait_until(
        &self,
        deadline: Duration,
        what: &str,
        mut condition: impl FnMut(&[Arc<Received>]) -> bool,
    ) -> Vec<Arc<Received>> {
        let end = Instant::now() + deadline;
        loop {
            let news = self.log.news.notified();
            if let Some(calls) = self.log.when(&mut condition) {
                return calls;
            }
            let woken = timeout_at(end, async {
                news.await;
                sleep(LOOK_AGAIN).await;
            });
            if woken.await.is_err() {
                if let Some(calls) = self.log.when(&mut condition) {
                    return calls;
                }
                panic!("waited {deadline:?} for {what}; {}", self.log.summary());
            }
        }
    }

    /// Waits until a path has had this many calls, and returns its calls.
    ///
    /// # Panics
    /// When `deadline` has passed.
    pub async fn wait_for(&self, deadline: Duration, path: &str, count: usize) -> Vec<Arc<Received>> {
        let at_path = |calls: &[Arc<Received>]| calls.iter().filter(|call| call.path == path).count();
        self.wait_until(deadline, &format!("{count} calls of {path}"), |calls| at_path(calls) >= count).await;
        self.calls_at(path)
    }

    /// Waits until a path has answered this many calls with a 2xx, and returns all its calls.
    ///
    /// # Panics
    /// When `deadline` has passed.
    pub async fn wait_for_successes(&self, deadline: Duration, path: &str, count: usize) -> Vec<Arc<Received>> {
        let done = |call: &&Arc<Received>| call.path == path && call.succeeded() && call.answered().is_some();
        let what = format!("{count} successful calls of {path}");
        self.wait_until(deadline, &what, |calls| calls.iter().filter(done).count() >= count).await;
        self.calls_at(path)
    }

    /// Closes its connections and refuses new ones until [`Self::resume`].
    pub async fn stop(&self) {
        self.up.cancel();
        // The listener is dropped by its task; only then are connections refused.
        crate::eventually(Duration::from_secs(5), "the receiver to stop listening", async || {
            tokio::net::TcpStream::connect(self.address).await.is_err().then_some(())
        })
        .await;
    }

    /// Listens again on the same address, with the same rules and calls.
    ///
    /// # Panics
    /// When another program has taken the port.
    pub async fn resume(&mut self) {
        self.up.cancel();
        let address = self.address;
        let listener =
            crate::eventually(Duration::from_secs(5), "the receiver's port", async || TcpListener::bind(address).await.ok())
                .await;
        self.address = listener.local_addr().expect("the receiver's address");
        self.up = CancellationToken::new();
        tokio::spawn(server::serve(listener, Arc::clone(&self.log), self.up.clone()));
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.up.cancel();
    }
}

impl Log {
    fn when(&self, condition: &mut impl FnMut(&[Arc<Received>]) -> bool) -> Option<Vec<Arc<Received>>> {
        let calls = self.calls.lock().unwrap();
        condition(&calls).then(|| calls.clone())
    }

    /// How many calls each path had, and the last few.
    fn summary(&self) -> String {
        let calls = self.calls.lock().unwrap();
        let last = calls.iter().rev().take(5).rev();
        let last: Vec<_> = last.map(|c| format!("{} {:?} {:?}", c.path, c.status, String::from_utf8_lossy(&c.body))).collect();
        format!("{} calls arrived; the last of them: {last:#?}", calls.len())
    }
}
