//! The API, as a program of an operator would use it.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use ureq::Agent;

use crate::interrupt::Interrupt;

/// How long one answer may take: longer than the longest wait that the demo asks for.
const PATIENCE: Duration = Duration::from_secs(45);
/// How often a wait for an answer looks for an interrupt.
const LOOK: Duration = Duration::from_millis(100);

/// Speaks to the API at one address with one token.
pub(super) struct Client {
    agent: Agent,
    url: String,
    token: String,
    interrupt: Interrupt,
}

struct Call {
    method: &'static str,
    path: String,
    body: Option<String>,
}

struct Answer {
    status: u16,
    body: String,
}

/// What the API says when it refuses (RFC 9457).
#[derive(Deserialize)]
struct Problem {
    detail: String,
    #[serde(default)]
    errors: Vec<FieldError>,
}

#[derive(Deserialize)]
struct FieldError {
    field: String,
    message: String,
}

impl Client {
    pub(super) fn new(url: &str, token: &str, interrupt: &Interrupt) -> Self {
        // What the environment says about proxies is not meant for this machine's own address.
        let config = Agent::config_builder().http_status_as_error(false).proxy(None).timeout_global(Some(PATIENCE)).build();
        Self { agent: config.into(), url: url.to_owned(), token: token.to_owned(), interrupt: interrupt.clone() }
    }

    pub(super) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.call(Call { method: "GET", path: path.to_owned(), body: None })
    }

    pub(super) fn post<T: DeserializeOwned>(&self, path: &str, body: &str) -> Result<T> {
        self.call(Call { method: "POST", path: path.to_owned(), body: Some(body.to_owned()) })
    }

    /// A call that says all in its path.
    pub(super) fn order<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.call(Call { method: "POST", path: path.to_owned(), body: None })
    }

    fn call<T: DeserializeOwned>(&self, call: Call) -> Result<T> {
        self.interrupt.check()?;
        let name = format!("{} {}", call.method, call.path);
        let answer = self.exchange(call).with_context(|| name.clone())?;
        if !(200..300).contains(&answer.status) {
            bail!("{name} was answered with {}: {}", answer.status, reason(&answer.body));
        }
        serde_json::from_str(&answer.body).with_context(|| format!("{name} was answered with something strange: {}", answer.body))
    }

    /// Asks on a thread of its own, so that an interrupt need not wait for the answer.
    fn exchange(&self, call: Call) -> Result<Answer> {
        let (agent, url, token) = (self.agent.clone(), format!("{}{}", self.url, call.path), format!("Bearer {}", self.token));
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            // Nobody waits for it any more after an interrupt.
            let _ = sender.send(exchange(&agent, &url, &token, call));
        });
        let answer = self.interrupt.poll(2 * PATIENCE, || match receiver.recv_timeout(LOOK) {
            Ok(answer) => answer.map(Some),
            Err(mpsc::RecvTimeoutError::Timeout) => Ok(None),
            Err(mpsc::RecvTimeoutError::Disconnected) => bail!("the request was given up"),
        })?;
        answer.context("no answer")
    }
}

fn exchange(agent: &Agent, url: &str, token: &str, call: Call) -> Result<Answer> {
    let mut response = match (call.method, call.body) {
        ("GET", _) => agent.get(url).header("authorization", token).call(),
        (_, None) => agent.post(url).header("authorization", token).send_empty(),
        (_, Some(body)) => agent.post(url).header("authorization", token).header("content-type", "application/json").send(body),
    }?;
    Ok(Answer { status: response.status().as_u16(), body: response.body_mut().read_to_string()? })
}

/// The sentences of a problem; the whole text where it is none.
fn reason(body: &str) -> String {
    let Ok(problem) = serde_json::from_str::<Problem>(body) else { return body.to_owned() };
    let fields = problem.errors.iter().map(|error| format!("{}: {}", error.field, error.message));
    let unsaid = fields.filter(|field| !problem.detail.contains(field)).map(|field| format!("\n  {field}"));
    std::iter::once(problem.detail.clone()).chain(unsaid).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_its_fields() {
        let problem =
            r#"{"title":"x","detail":"One field is refused.","errors":[{"field":"priority","message":"must be 1 to 65535"}]}"#;
        assert_eq!(reason(problem), "One field is refused.\n  priority: must be 1 to 65535");
        let problem = r#"{"detail":"priority: must be more","errors":[{"field":"priority","message":"must be more"}]}"#;
        assert_eq!(reason(problem), "priority: must be more");
        assert_eq!(reason(r#"{"detail":"No."}"#), "No.");
        assert_eq!(reason("<html>"), "<html>");
    }
}
