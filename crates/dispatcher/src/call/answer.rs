//! What an HTTP answer means, and which headers of it are kept.

use std::collections::BTreeMap;

use ::http::{HeaderMap, StatusCode, header};
use baton_domain::Verdict;
use baton_domain::retry::parse_retry_after;
use chrono::{DateTime, Utc};

/// The most header names of an answer that are kept.
const HEADERS_KEPT: usize = 100;
/// The most of one header's value that is kept, in bytes.
const HEADER_KEPT_BYTES: usize = 8 * 1024;
/// The most of all values that is kept, in bytes.
const HEADERS_KEPT_BYTES: usize = 64 * 1024;
/// The most of a redirect's place that an error repeats, in characters.
const LOCATION_SHOWN: usize = 200;

/// What a complete answer means, and why it is no success.
pub(super) fn judge(status: StatusCode, headers: &HeaderMap, now: DateTime<Utc>) -> (Verdict, Option<String>) {
    if status.is_success() {
        return (Verdict::Succeeded, None);
    }
    let verdict = if is_retried(status) { Verdict::Retry { after: retry_after(status, headers, now) } } else { Verdict::Failed };
    (verdict, Some(sentence(status, headers)))
}

/// How long an answer asks to wait, where its status is one that is retried.
pub(super) fn retry_after(status: StatusCode, headers: &HeaderMap, now: DateTime<Utc>) -> Option<std::time::Duration> {
    let value = headers.get(header::RETRY_AFTER).filter(|_| is_retried(status))?;
    parse_retry_after(value.to_str().ok()?, now)
}

fn is_retried(status: StatusCode) -> bool {
    const RETRIED: [StatusCode; 3] = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
    status.is_server_error() || RETRIED.contains(&status)
}

fn sentence(status: StatusCode, headers: &HeaderMap) -> String {
    let answered = match status.canonical_reason() {
        Some(reason) => format!("answered {} {reason}", status.as_u16()),
        None => format!("answered {}", status.as_u16()),
    };
    match headers.get(header::LOCATION) {
        Some(location) if status.is_redirection() => {
            let location: String = String::from_utf8_lossy(location.as_bytes()).chars().take(LOCATION_SHOWN).collect();
            format!("{answered}, which points to {location}; redirects are not followed")
        }
        _ if status.is_redirection() => format!("{answered}; redirects are not followed"),
        _ => answered,
    }
}

/// The headers by lower-case name, values of a repeated one joined by a comma; and whether there was more than is kept.
pub(super) fn kept_headers(headers: &HeaderMap) -> (BTreeMap<String, String>, bool) {
    let mut kept = BTreeMap::new();
    let mut room = HEADERS_KEPT_BYTES;
    let mut truncated = false;
    for name in headers.keys() {
        let mut joined = String::new();
        for (number, value) in headers.get_all(name).iter().enumerate() {
            if number > 0 {
                joined.push_str(", ");
            }
            joined.push_str(&String::from_utf8_lossy(value.as_bytes()));
        }
        let end = joined.floor_char_boundary(HEADER_KEPT_BYTES.min(room));
        truncated |= end < joined.len();
        if kept.len() == HEADERS_KEPT {
            return (kept, true);
        }
        room -= end;
        joined.truncate(end);
        kept.insert(name.as_str().to_owned(), joined);
    }
    (kept, truncated)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ::http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(list: &[(&str, &str)]) -> HeaderMap {
        let pair = |(n, v): &(&str, &str)| (HeaderName::try_from(*n).unwrap(), HeaderValue::try_from(*v).unwrap());
        list.iter().map(pair).collect()
    }

    fn judged(status: u16, list: &[(&str, &str)]) -> (Verdict, String) {
        let now = "2026-11-24T10:00:00Z".parse().unwrap();
        let (verdict, error) = judge(StatusCode::from_u16(status).unwrap(), &headers(list), now);
        (verdict, error.unwrap_or_default())
    }

    #[test]
    fn each_status_has_its_verdict() {
        for status in 100..1000 {
            let expected = match status {
                200..=299 => Verdict::Succeeded,
                408 | 425 | 429 | 500..=599 => Verdict::Retry { after: None },
                _ => Verdict::Failed,
            };
            assert_eq!(judged(status, &[]).0, expected, "{status}");
        }
    }

    #[test]
    fn retry_after_counts_where_it_is_retried() {
        let after = |status, value| judged(status, &[("retry-after", value)]).0;
        assert_eq!(after(503, "7"), Verdict::Retry { after: Some(Duration::from_secs(7)) });
        assert_eq!(after(429, "Tue, 24 Nov 2026 10:00:30 GMT"), Verdict::Retry { after: Some(Duration::from_secs(30)) });
        assert_eq!(after(500, "soon"), Verdict::Retry { after: None });
        assert_eq!(after(404, "7"), Verdict::Failed);
        assert_eq!(after(200, "7"), Verdict::Succeeded);
    }

    #[test]
    fn errors_are_sentences() {
        assert_eq!(judged(503, &[]).1, "answered 503 Service Unavailable");
        assert_eq!(judged(599, &[]).1, "answered 599");
        assert_eq!(judged(304, &[]).1, "answered 304 Not Modified; redirects are not followed");
        assert_eq!(
            judged(302, &[("location", "/new")]).1,
            "answered 302 Found, which points to /new; redirects are not followed"
        );
        assert!(judged(302, &[("location", &"x".repeat(5000))]).1.len() < 300);
    }

    #[test]
    fn repeated_headers_are_joined_and_names_are_lower_case() {
        let (kept, truncated) = kept_headers(&headers(&[("Set-Cookie", "a=1"), ("X-One", "1"), ("set-cookie", "b=2")]));
        assert_eq!(kept, BTreeMap::from([("set-cookie".into(), "a=1, b=2".into()), ("x-one".into(), "1".into())]));
        assert!(!truncated);
    }

    #[test]
    fn headers_are_bounded_in_number_and_size() {
        let many: Vec<_> = (0..150).map(|i| format!("x-{i}")).collect();
        let (kept, truncated) = kept_headers(&headers(&many.iter().map(|n| (n.as_str(), "v")).collect::<Vec<_>>()));
        assert_eq!((kept.len(), truncated), (HEADERS_KEPT, true));
        let long = "v".repeat(HEADER_KEPT_BYTES + 1);
        let (kept, truncated) = kept_headers(&headers(&[("x", &long)]));
        assert_eq!((kept["x"].len(), truncated), (HEADER_KEPT_BYTES, true));
        let (kept, truncated) = kept_headers(&headers(&many.iter().map(|n| (n.as_str(), long.as_str())).collect::<Vec<_>>()));
        assert_eq!((kept.values().map(String::len).sum::<usize>(), truncated), (HEADERS_KEPT_BYTES, true));
    }
}
