//! The HTTP handlers: a small server on 127.0.0.1 that remembers what it got and when.

use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result, anyhow};
use tiny_http::{Header, Method, Request, Response, Server};

use super::arrival::{Arrival, now};
use super::event::Event;
use super::handler::{Kind, PLANS};

/// The most bytes of a request that are read.
const BODY_MAX: u64 = 2 * 1024 * 1024;
/// The most requests that are remembered: it may be left running.
const REMEMBERED_MAX: usize = 10_000;

/// A request that was answered with 200.
struct Request200 {
    at: u128,
    priority: u16,
    body: String,
}

/// The server, ended when dropped.
pub(super) struct Receiver {
    server: Arc<Server>,
    port: u16,
    got: Arc<Mutex<Vec<Request200>>>,
    thread: Option<JoinHandle<()>>,
}

impl Receiver {
    /// Starts it on a free port.
    pub(super) fn start() -> Result<Self> {
        let server = Server::http("127.0.0.1:0").map_err(|error| anyhow!("cannot start the receiver: {error}"))?;
        let port = server.server_addr().to_ip().context("the receiver has no port")?.port();
        let (server, got) = (Arc::new(server), Arc::new(Mutex::new(Vec::new())));
        let (serving, remembered) = (Arc::clone(&server), Arc::clone(&got));
        let thread = thread::spawn(move || serve(&serving, &remembered));
        Ok(Self { server, port, got, thread: Some(thread) })
    }

    /// Its port on 127.0.0.1.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// What has arrived so far.
    pub(super) fn arrivals(&self) -> Result<Vec<Arrival>> {
        let got = self.got.lock().unwrap_or_else(PoisonError::into_inner);
        let read = |r: &Request200| Ok(Arrival { at: r.at, priority: r.priority, event: Event::parse(&r.body)?, event_id: None });
        got.iter().map(read).collect::<Result<_>>().context("the receiver got something strange")
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.unblock();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(server: &Server, got: &Mutex<Vec<Request200>>) {
    for mut request in server.incoming_requests() {
        let at = now();
        let (status, answer) = match take(&mut request) {
            Ok((priority, body)) => {
                let mut got = got.lock().unwrap_or_else(PoisonError::into_inner);
                if got.len() < REMEMBERED_MAX {
                    got.push(Request200 { at, priority, body });
                }
                (200, r#"{"received":true}"#)
            }
            Err(status) => (status, r#"{"received":false}"#),
        };
        let mut response = Response::from_string(answer).with_status_code(status);
        if let Ok(json) = "Content-Type: application/json".parse::<Header>() {
            response = response.with_header(json);
        }
        // Whoever asked may be gone.
        let _ = request.respond(response);
    }
}

/// The priority of the handler that was called, and the body; or the status of a refusal.
fn take(request: &mut Request) -> Result<(u16, String), u16> {
    let called = PLANS.iter().find(|plan| matches!(plan.kind, Kind::Http(path) if path == request.url()));
    let priority = called.ok_or(404_u16)?.priority;
    if *request.method() != Method::Post {
        return Err(405);
    }
    let mut body = String::new();
    request.as_reader().take(BODY_MAX).read_to_string(&mut body).map_err(|_| 400_u16)?;
    Ok((priority, body))
}

#[cfg(test)]
mod tests {
    use super::super::event::samples;
    use super::*;

    fn status(path: &str, receiver: &Receiver, body: &str) -> u16 {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().into();
        let url = format!("http://127.0.0.1:{}{path}", receiver.port());
        agent.post(&url).send(body).unwrap().status().as_u16()
    }

    #[test]
    fn it_remembers_what_its_handlers_got_in_order() {
        let receiver = Receiver::start().unwrap();
        let (samples, before) = (samples().unwrap(), now());
        assert_eq!(status("/softswitch", &receiver, &samples[0]), 200);
        assert_eq!(status("/crm", &receiver, &samples[1]), 200);
        assert_eq!(status("/elsewhere", &receiver, &samples[2]), 404);
        let arrivals = receiver.arrivals().unwrap();
        let seen: Vec<_> = arrivals.iter().map(|arrival| (arrival.priority, arrival.event.clone())).collect();
        assert_eq!(seen, [(3, Event::parse(&samples[0]).unwrap()), (1, Event::parse(&samples[1]).unwrap())]);
        assert!(before < arrivals[0].at && arrivals[0].at < arrivals[1].at);
    }

    #[test]
    fn what_is_not_an_event_is_an_error() {
        let receiver = Receiver::start().unwrap();
        assert_eq!(status("/crm", &receiver, "{}"), 200);
        assert!(receiver.arrivals().is_err());
    }
}
