//! The bearer token.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq;

use crate::problem::{Code, Problem};
use crate::request::discard;
use crate::state::ApiState;

/// The request, if it shows the right token.
///
/// # Errors
/// The answer to one that does not.
pub(crate) async fn with_token(state: &ApiState, request: Request) -> Result<Request, Response> {
    let given = bearer(request.headers());
    // Compared in a time that does not tell how much of it is right.
    if given.is_some_and(|token| bool::from(token.as_bytes().ct_eq(state.admin_token.as_bytes()))) {
        return Ok(request);
    }
    let (detail, challenge) = match given {
        None => ("The header 'Authorization: Bearer <token>' is missing.", "Bearer realm=\"baton\""),
        Some(_) => ("The token is not the one that BATON_ADMIN_TOKEN sets.", "Bearer realm=\"baton\", error=\"invalid_token\""),
    };
    discard(request.into_body()).await;
    let mut response = Problem::new(Code::Unauthorized, detail).into_response();
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    Err(response)
}

/// The token that the request shows, whether it is right or not.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}
