//! A server that reads HTTP/1.1 requests as bytes and answers with bytes, well-formed or not.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use baton_testkit::eventually;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// One thing that the server does after it has read a request.
#[derive(Clone)]
pub(super) enum Step {
    Send(Vec<u8>),
    /// Sends this again and again until the caller has gone.
    Flood(Vec<u8>),
    /// Like [`Step::Flood`], with this time in between.
    Drip(Vec<u8>, Duration),
    /// Does nothing until the caller has gone.
    Stall,
    Close,
    Reset,
}

/// One request as it came.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) line: String,
    /// Names as they were sent, in their order.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

#[derive(Default)]
struct Log {
    requests: Vec<Request>,
    connections: usize,
    /// Callers that went away while the server stalled, flooded or dripped.
    gone: usize,
}

pub(super) struct Server {
    pub(super) address: SocketAddr,
    log: Arc<Mutex<Log>>,
    task: AbortHandle,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Answers every request like this.
    pub(super) async fn always(steps: Vec<Step>) -> Self {
        Self::start(move |_| steps.clone()).await
    }

    /// Answers every request with these bytes, and leaves the connection open.
    pub(super) async fn saying(answer: impl Into<Vec<u8>>) -> Self {
        Self::always(vec![Step::Send(answer.into())]).await
    }

    /// Answers by the number of the request, 0 for the first.
    pub(super) async fn start(answers: impl Fn(usize) -> Vec<Step> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let log = Arc::new(Mutex::new(Log::default()));
        let (kept, answers) = (Arc::clone(&log), Arc::new(answers));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                kept.lock().unwrap().connections += 1;
                tokio::spawn(serve(stream, Arc::clone(&kept), Arc::clone(&answers)));
            }
        });
        Self { address, log, task: task.abort_handle() }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.log.lock().unwrap().requests.clone()
    }

    pub(super) fn connections(&self) -> usize {
        self.log.lock().unwrap().connections
    }

    /// Waits until the caller has closed the connection on which the server stalls, floods or drips.
    pub(super) async fn caller_gone(&self) {
        let probe = async || (self.log.lock().unwrap().gone > 0).then_some(());
        eventually(Duration::from_secs(10), "the caller to close its connection", probe).await;
    }
}

async fn serve(mut stream: TcpStream, log: Arc<Mutex<Log>>, answers: Arc<impl Fn(usize) -> Vec<Step> + Send + Sync>) {
    let mut unread = Vec::new();
    while let Some(request) = read_request(&mut stream, &mut unread).await {
        let number = {
            let mut log = log.lock().unwrap();
            log.requests.push(request);
            log.requests.len() - 1
        };
        for step in answers(number) {
            match step {
                Step::Send(bytes) => drop(stream.write_all(&bytes).await),
                Step::Flood(bytes) => {
                    while stream.write_all(&bytes).await.is_ok() {}
                    log.lock().unwrap().gone += 1;
                }
                Step::Drip(bytes, pause) => {
                    let mut ticks = tokio::time::interval(pause);
                    while stream.write_all(&bytes).await.is_ok() {
                        ticks.tick().await;
                    }
                    log.lock().unwrap().gone += 1;
                }
                Step::Stall => {
                    while stream.read(&mut [0; 64]).await.is_ok_and(|read| read > 0) {}
                    log.lock().unwrap().gone += 1;
                }
                Step::Close => return,
                Step::Reset => {
                    stream.set_zero_linger().unwrap();
                    return;
                }
            }
        }
    }
}

async fn read_request(stream: &mut TcpStream, unread: &mut Vec<u8>) -> Option<Request> {
    let head_end = loop {
        match unread.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            Some(at) => break at + 4,
            None => more(stream, unread).await?,
        }
    };
    let head = String::from_utf8(unread[..head_end].to_vec()).unwrap();
    let mut lines = head.lines();
    let line = lines.next().unwrap().to_owned();
    let headers: Vec<(String, String)> =
        lines.filter_map(|l| l.split_once(": ")).map(|(name, value)| (name.into(), value.into())).collect();
    let mut request = Request { line, headers, body: Vec::new() };
    let length: usize = request.header("content-length").map_or(0, |length| length.parse().unwrap());
    while unread.len() < head_end + length {
        more(stream, unread).await?;
    }
    request.body = unread[head_end..head_end + length].to_vec();
    unread.drain(..head_end + length);
    Some(request)
}

async fn more(stream: &mut TcpStream, unread: &mut Vec<u8>) -> Option<()> {
    (stream.read_buf(unread).await.ok()? > 0).then_some(())
}
