//! Bodies: of the right type, of a bounded size, in a bounded time.

use std::time::Duration;

use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, Method, header};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::json::{parse, parse_unique};
use crate::problem::{Code, Problem};

/// What most paths take.
pub(crate) const JSON: &[&str] = &["application/json"];
/// What an edit of some fields takes (RFC 7396).
pub(crate) const MERGE_PATCH: &[&str] = &["application/merge-patch+json", "application/json"];

/// The largest body of a path that says nothing else, in bytes.
const BODY_MAX: usize = 1024 * 1024;
/// How long a body may take to arrive.
const BODY_WITHIN: Duration = Duration::from_secs(60);
/// How much of a body that is refused is still read, in bytes, and how long. A client that is cut off in the middle of its body sees a
/// reset connection instead of the answer.
const DISCARD_MAX: usize = 64 * 1024 * 1024;
const DISCARD_WITHIN: Duration = Duration::from_secs(10);

/// A JSON body.
#[derive(Debug)]
pub(crate) struct Body<T>(pub(crate) T);

/// A JSON body as a value, for what is checked field by field.
#[derive(Debug)]
pub(crate) struct Whole(pub(crate) Value);

/// A JSON body, or none.
#[derive(Debug)]
pub(crate) struct OptionalBody<T>(pub(crate) Option<T>);

/// No body, or an empty object.
#[derive(Debug)]
pub(crate) struct NoBody;

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        parse(&read_json(request, JSON, BODY_MAX).await?).map(Self)
    }
}

impl<S: Sync> FromRequest<S> for Whole {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let types = if request.method() == Method::PATCH { MERGE_PATCH } else { JSON };
        parse_unique(&read_json(request, types, BODY_MAX).await?).map(Self)
    }
}

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for OptionalBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (head, body) = request.into_parts();
        let text = read(body, BODY_MAX).await?;
        if text.is_empty() {
            return Ok(Self(None));
        }
        check_type(&head.headers, JSON)?;
        // Generated clients send null for a body that is not given.
        if text.trim_ascii() == b"null" {
            return Ok(Self(None));
        }
        parse(&text).map(|value| Self(Some(value)))
    }
}

impl<S: Sync> FromRequest<S> for NoBody {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let text = read(request.into_body(), BODY_MAX).await?;
        if text.is_empty() || parse_unique(&text)? == Value::Object(serde_json::Map::new()) {
            return Ok(Self);
        }
        Err(Problem::field("body", "this path takes none; leave it out or send {}"))
    }
}

/// Reads a body of one of these types.
///
/// # Errors
/// `unsupported_media_type`, `body_too_large`, `request_timeout`, or `bad_request` when the client goes away.
pub(crate) async fn read_json(request: Request, types: &[&str], limit: usize) -> Result<Bytes, Problem> {
    let (head, body) = request.into_parts();
    if let Err(problem) = check_type(&head.headers, types) {
        Box::pin(discard(body)).await;
        return Err(problem);
    }
    read(body, limit).await
}

fn check_type(headers: &HeaderMap, types: &[&str]) -> Result<(), Problem> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = given.and_then(|value| value.split(';').next()).map(str::trim);
    if essence.is_some_and(|essence| types.iter().any(|t| essence.eq_ignore_ascii_case(t))) {
        return check_encoding(headers);
    }
    let given = given.map_or_else(|| "is missing".into(), |given| format!("is '{given}'"));
    let detail = format!("The header Content-Type {given}; it must be {}.", types.join(" or "));
    Err(Problem::new(Code::UnsupportedMediaType, detail))
}

/// A body that is compressed would only be told to be no JSON.
fn check_encoding(headers: &HeaderMap) -> Result<(), Problem> {
    match headers.get(header::CONTENT_ENCODING) {
        Some(encoding) if !encoding.as_bytes().eq_ignore_ascii_case(b"identity") => {
            let detail = "The header Content-Encoding is set; bodies are taken as they are, not compressed.";
            Err(Problem::new(Code::UnsupportedMediaType, detail))
        }
        _ => Ok(()),
    }
}

async fn read(body: axum::body::Body, limit: usize) -> Result<Bytes, Problem> {
    read_within(body, limit, BODY_WITHIN).await
}

async fn read_within(body: axum::body::Body, limit: usize, within: Duration) -> Result<Bytes, Problem> {
    let in_time = tokio::time::timeout(within, read_all(body, limit)).await;
    in_time.unwrap_or_else(|_| {
        let detail = format!("The body was not complete after {} seconds.", within.as_secs());
        Err(Problem::new(Code::RequestTimeout, detail))
    })
}

async fn read_all(body: axum::body::Body, limit: usize) -> Result<Bytes, Problem> {
    let mut chunks = body.into_data_stream();
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| Problem::new(Code::BadRequest, format!("The body cannot be read: {error}.")))?;
        if first.len() + all.len() + chunk.len() > limit {
            Box::pin(discard(axum::body::Body::from_stream(chunks))).await;
            return Err(Problem::new(
                Code::BodyTooLarge,
                format!("The body is larger than the {limit} bytes that this path takes."),
            ));
        }
        if first.is_empty() && all.is_empty() {
            // Most bodies come in one piece, which need not be copied.
            first = chunk;
        } else {
            if all.is_empty() {
                all.extend_from_slice(&std::mem::take(&mut first));
            }
            all.extend_from_slice(&chunk);
        }
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

/// Reads what is left of a body that is refused, within bounds, so that the client gets to see the answer.
pub(crate) async fn discard(body: axum::body::Body) {
    let mut chunks = body.into_data_stream();
    let mut left = DISCARD_MAX;
    let reading = async {
        while let Some(Ok(chunk)) = chunks.next().await {
            match left.checked_sub(chunk.len()) {
                Some(less) => left = less,
                None => return,
            }
        }
    };
    // Either way the answer goes out next.
    let _ = tokio::time::timeout(DISCARD_WITHIN, reading).await;
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn the_type_is_compared_without_its_parameters() {
        let check = |value: &'static str, types: &[&str]| {
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(value))]);
            check_type(&headers, types).is_ok()
        };
        assert!(check("application/json", JSON) && check("Application/JSON; charset=utf-8", JSON));
        assert!(check("application/merge-patch+json", MERGE_PATCH) && check("application/json", MERGE_PATCH));
        assert!(!check("application/merge-patch+json", JSON) && !check("text/plain", JSON) && !check("", JSON));
        assert!(check_type(&HeaderMap::new(), JSON).is_err());
        let json = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (encoding, taken) in [("identity", true), ("gzip", false)] {
            let headers = HeaderMap::from_iter([json.clone(), (header::CONTENT_ENCODING, HeaderValue::from_static(encoding))]);
            assert_eq!(check_type(&headers, JSON).is_ok(), taken, "{encoding}");
        }
    }

    #[tokio::test]
    async fn a_body_that_never_ends_is_given_up() {
        let start = futures_util::stream::iter([Ok::<_, std::convert::Infallible>(Bytes::from_static(b"{"))]);
        let endless = axum::body::Body::from_stream(start.chain(futures_util::stream::pending()));
        let problem = read_within(endless, 100, Duration::from_millis(10)).await.unwrap_err();
        assert_eq!(problem.code(), Code::RequestTimeout);
    }

    #[tokio::test]
    async fn a_body_is_read_whole_or_refused() {
        let chunks = |sizes: &'static [usize]| {
            let chunks = sizes.iter().map(|&size| Ok::<_, std::convert::Infallible>(Bytes::from(vec![b'x'; size])));
            axum::body::Body::from_stream(futures_util::stream::iter(chunks))
        };
        for (sizes, limit, read_bytes) in [(&[][..], 5, 0), (&[5], 5, 5), (&[1, 2, 2], 5, 5), (&[0, 5], 5, 5)] {
            assert_eq!(read(chunks(sizes), limit).await.unwrap().len(), read_bytes, "{sizes:?}");
        }
        for sizes in [&[6][..], &[3, 3], &[5, 1], &[1, 1, 1, 1, 1, 1]] {
            assert_eq!(read(chunks(sizes), 5).await.unwrap_err().code(), Code::BodyTooLarge, "{sizes:?}");
        }
    }
}
