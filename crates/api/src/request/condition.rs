//! `ETag` and `If-Match`: guards against edits that are lost.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};

use crate::problem::{Code, Problem};

/// The header `If-Match`: which versions may be edited.
#[derive(Debug)]
pub(crate) struct IfMatch(Option<Versions>);

#[derive(Debug)]
enum Versions {
    Any,
    These(Vec<String>),
}

/// The `ETag` of a version: `"3"`.
pub(crate) fn etag(version: i64) -> HeaderValue {
    // Digits in quotes are always a header value.
    HeaderValue::from_str(&format!("\"{version}\"")).unwrap_or(HeaderValue::from_static("\"0\""))
}

impl IfMatch {
    /// Whether the caller set a condition at all.
    pub(crate) fn is_given(&self) -> bool {
        self.0.is_some()
    }

    /// Checks the version that is stored.
    ///
    /// # Errors
    /// `version_mismatch`.
    pub(crate) fn check(&self, version: i64) -> Result<(), Problem> {
        let met = match &self.0 {
            None | Some(Versions::Any) => true,
            Some(Versions::These(versions)) => versions.iter().any(|v| *v == version.to_string()),
        };
        if met { Ok(()) } else { Err(mismatch(version)) }
    }
}

/// The stored version is another than the caller's.
pub(crate) fn mismatch(version: i64) -> Problem {
    let detail = format!("The stored version is {version}: somebody has edited it since you read it. Read it again, then edit.");
    Problem::new(Code::VersionMismatch, detail)
}

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let unclear = || Problem::field("If-Match", "must be an ETag, such as \"3\", or *");
        let mut tags = Vec::new();
        for value in parts.headers.get_all(header::IF_MATCH) {
            let text = value.to_str().map_err(|_| unclear())?;
            tags.extend(text.split(',').map(str::trim).filter(|tag| !tag.is_empty()));
        }
        Ok(Self(match tags.as_slice() {
            // A client that lost its version means to guard its edit all the same.
            [] if parts.headers.contains_key(header::IF_MATCH) => return Err(unclear()),
            [] => None,
            _ if tags.contains(&"*") => Some(Versions::Any),
            // A weak tag (W/"3") never matches (RFC 9110, section 13.1.1); the bare number is understood too.
            _ => Some(Versions::These(tags.iter().map(|tag| tag.trim_matches('"').to_owned()).collect())),
        }))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    async fn met(value: &str, version: i64) -> bool {
        let request = Request::builder().header(header::IF_MATCH, value).body(()).unwrap();
        IfMatch::from_request_parts(&mut request.into_parts().0, &()).await.unwrap().check(version).is_ok()
    }

    #[tokio::test]
    async fn only_the_stored_version_matches() {
        for (value, is_met) in [
            ("\"3\"", true),
            ("3", true),
            ("*", true),
            ("\"2\", \"3\"", true),
            ("\"4\"", false),
            ("W/\"3\"", false),
            ("x", false),
        ] {
            assert_eq!(met(value, 3).await, is_met, "{value}");
        }
        assert_eq!(etag(3), "\"3\"");
        for nothing in ["", ",", " , "] {
            let request = Request::builder().header(header::IF_MATCH, nothing).body(()).unwrap();
            assert!(IfMatch::from_request_parts(&mut request.into_parts().0, &()).await.is_err(), "{nothing:?}");
        }
        let without = Request::builder().body(()).unwrap();
        assert!(!IfMatch::from_request_parts(&mut without.into_parts().0, &()).await.unwrap().is_given());
    }
}
