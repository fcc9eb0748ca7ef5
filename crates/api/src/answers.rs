//! Counts answers by route, method and status. What the labels of an answer stand for is looked up once and kept, since making labels costs
//! more than counting.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use axum::http::{Method, StatusCode};
use metrics::{Counter, Histogram};

/// The counters that were needed so far: at most one for each route, known method and status.
#[derive(Default)]
pub(crate) struct Answers {
    by_route: RwLock<HashMap<String, OfRoute>>,
}

/// By method and status.
type OfRoute = HashMap<(&'static str, StatusCode), Counted>;

#[derive(Clone)]
struct Counted {
    requests: Counter,
    seconds: Histogram,
}

impl Answers {
    /// Counts one. `route` is one of the router's own paths.
    pub(crate) fn count(&self, route: &str, method: &Method, status: StatusCode, took: Duration) {
        let counted = self.counted(route, word_of(method), status);
        counted.requests.increment(1);
        counted.seconds.record(took);
    }

    fn counted(&self, route: &str, method: &'static str, status: StatusCode) -> Counted {
        let of = (method, status);
        let by_route = self.by_route.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(counted) = by_route.get(route).and_then(|answers| answers.get(&of)) {
            return counted.clone();
        }
        drop(by_route);
        let labels = [("route", route.to_owned()), ("method", method.to_owned()), ("status", status.as_u16().to_string())];
        let counted = Counted {
            requests: metrics::counter!("baton_http_requests_total", &labels),
            seconds: metrics::histogram!("baton_http_request_seconds", &labels),
        };
        let mut by_route = self.by_route.write().unwrap_or_else(PoisonError::into_inner);
        by_route.entry(route.to_owned()).or_default().insert(of, counted.clone());
        counted
    }
}

/// A method's word among the labels. Clients may send any; what they make up must not become a counter each.
fn word_of(method: &Method) -> &'static str {
    const KNOWN: [(Method, &str); 9] = [
        (Method::GET, "GET"),
        (Method::POST, "POST"),
        (Method::PUT, "PUT"),
        (Method::PATCH, "PATCH"),
        (Method::DELETE, "DELETE"),
        (Method::HEAD, "HEAD"),
        (Method::OPTIONS, "OPTIONS"),
        (Method::TRACE, "TRACE"),
        (Method::CONNECT, "CONNECT"),
    ];
    KNOWN.iter().find(|(known, _)| known == method).map_or("other", |(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_that_clients_make_up_are_one() {
        let answers = Answers::default();
        for method in ["GET", "POST", "BREW", "PROPFIND", "get"] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            answers.count("/v1/events", &method, StatusCode::METHOD_NOT_ALLOWED, Duration::ZERO);
        }
        let by_route = answers.by_route.read().unwrap();
        let mut words: Vec<_> = by_route["/v1/events"].keys().map(|(word, _)| *word).collect();
        words.sort_unstable();
        assert_eq!(words, ["GET", "POST", "other"]);
    }
}
