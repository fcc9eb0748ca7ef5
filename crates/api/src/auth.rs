//! The bearer token.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq;

use crate::problem::{Code, Problem};
use crate::request::discard;
use crate::state::ApiState;

/// Lets a request with the right token through.
pub(crate) async fn require_token(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    let given = bearer(request.headers());
    // Compared in a time that does not tell how much of it is right.
    if given.is_some_and(|token| bool::from(token.as_bytes().ct_eq(state.admin_token.as_bytes()))) {
        return next.run(request).await;
    }
    let (detail, challenge) = match given {
        None => ("The header 'Authorization: Bearer <token>' is missing.", "Bearer realm=\"baton\""),
        Some(_) => ("The token is not the one that BATON_ADMIN_TOKEN sets.", "Bearer realm=\"baton\", error=\"invalid_token\""),
    };
    discard(request.into_body()).await;
    let mut response = Problem::new(Code::Unauthorized, detail).into_response();
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    response
}

/// The token that the request shows, whether it is right or not.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}
