//! What a receiver says to a call.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tokio::sync::Semaphore;

/// One answer: what is sent, and what happens before.
#[derive(Debug, Clone)]
pub struct Answer {
    pub(super) end: End,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) delay: Duration,
    pub(super) gate: Option<Gate>,
}

/// How a call ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Status(StatusCode),
    Stalled(StatusCode),
    Repeated { status: StatusCode, times: Option<u64>, pause: Duration },
    Hang,
    Reset,
}

impl Answer {
    /// 200 with an empty body.
    pub fn ok() -> Self {
        Self::status(200)
    }

    /// This status with an empty body.
    ///
    /// # Panics
    /// When it is not a status.
    pub fn status(status: u16) -> Self {
        Self::ending(End::Status(StatusCode::from_u16(status).expect("a status between 100 and 999")))
    }

    /// Never: the call stays open until the caller gives up or the receiver stops.
    pub fn hang() -> Self {
        Self::ending(End::Hang)
    }

    /// The connection is reset, with no answer.
    pub fn reset() -> Self {
        Self::ending(End::Reset)
    }

    /// 503 with this many seconds of `Retry-After`.
    pub fn retry_after(seconds: u64) -> Self {
        Self::status(503).header("retry-after", &seconds.to_string())
    }

    fn ending(end: End) -> Self {
        Self { end, headers: HeaderMap::new(), body: Bytes::new(), delay: Duration::ZERO, gate: None }
    }

    /// With one more header.
    ///
    /// # Panics
    /// When name or value is not one that HTTP allows.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name: HeaderName = name.parse().expect("a header name");
        self.headers.append(name, HeaderValue::from_str(value).expect("a header value"));
        self
    }

    /// With this body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends status, headers and body, and then never ends the body.
    #[must_use]
    pub fn stalled(mut self) -> Self {
        if let End::Status(status) = self.end {
            self.end = End::Stalled(status);
        }
        self
    }

    /// Sends the body so many times, or without end, with a pause after each.
    #[must_use]
    pub fn repeated(mut self, times: Option<u64>, pause: Duration) -> Self {
        if let End::Status(status) = self.end {
            self.end = End::Repeated { status, times, pause };
        }
        self
    }

    /// Not before this time has passed.
    #[must_use]
    pub fn delayed(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Not before the gate lets it through.
    #[must_use]
    pub fn behind(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.clone());
        self
    }

    /// The status, where there is one.
    pub(super) fn code(&self) -> Option<u16> {
        match self.end {
            End::Status(status) | End::Stalled(status) | End::Repeated { status, .. } => Some(status.as_u16()),
            End::Hang | End::Reset => None,
        }
    }

    pub(super) async fn due(&self) {
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        if let Some(gate) = &self.gate {
            gate.pass().await;
        }
    }
}

/// Holds answers until a test lets them through. Clones are the same gate.
#[derive(Debug, Clone)]
pub struct Gate(Arc<Semaphore>);

impl Gate {
    /// A closed gate.
    pub fn closed() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    /// Lets this many answers through, those that wait first, in their order.
    pub fn let_through(&self, answers: usize) {
        self.0.add_permits(answers);
    }

    /// Lets through all that wait and all that will come.
    pub fn open(&self) {
        self.0.close();
    }

    async fn pass(&self) {
        if let Ok(permit) = self.0.acquire().await {
            permit.forget();
        }
    }
}
