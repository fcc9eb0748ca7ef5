//! Forms as browsers send them.

use axum::body::{Bytes, to_bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;

use crate::csrf;
use crate::failure::Failure;
use crate::kept::Asked;
use crate::session::Session;
use crate::state::Console;

/// The largest form that is read, in bytes: notes and headers at their longest fit.
pub(crate) const FORM_MAX: usize = 1024 * 1024;

/// A form of a signed-in operator, whose token has been checked. Fields that `T` does not know are passed over.
#[derive(Debug)]
pub(crate) struct Form<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Console> for Form<T> {
    type Rejection = Response;

    async fn from_request(request: Request, _: &Console) -> Result<Self, Response> {
        let session = request.extensions().get::<Session>().cloned();
        let session = session.ok_or_else(|| Failure::internal("a form is read without a session").into_response())?;
        let asked = Asked::of(&request);
        let body = body(request, FORM_MAX).await.map_err(IntoResponse::into_response)?;
        let fields: Fields = parse(&body).map_err(IntoResponse::into_response)?;
        if csrf::is_right(&session, token(&fields)) {
            return parse(&body).map(Self).map_err(IntoResponse::into_response);
        }
        // A page that was open while somebody signed in anew beside it.
        Err(match asked.kept(fields, None) {
            Some(kept) => (StatusCode::FORBIDDEN, kept.asked_about(&session)).into_response(),
            None => {
                let reason = "This form belongs to another session. Go back, load the page again, and send it again.";
                Failure::forbidden(reason).into_response()
            }
        })
    }
}

/// The fields of a form, in their order.
pub(crate) type Fields = Vec<(String, String)>;

/// The token among the fields of a form.
pub(crate) fn token(fields: &Fields) -> Option<&str> {
    fields.iter().find(|(name, _)| name == csrf::FIELD).map(|(_, token)| token.as_str())
}

/// The body of a form, of at most so many bytes.
///
/// # Errors
/// When it is none, or too large.
pub(crate) async fn body(request: Request, most: usize) -> Result<Bytes, Failure> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("application/x-www-form-urlencoded") {
        return Err(Failure::bad_request("The console takes forms only."));
    }
    to_bytes(request.into_body(), most).await.map_err(|_| Failure::bad_request("The form is too large, or broke off."))
}

/// The fields of a form or of a query.
///
/// # Errors
/// When they cannot be read.
pub(crate) fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, Failure> {
    serde_html_form::from_bytes(text).map_err(|error| Failure::bad_request(format!("The form cannot be read: {error}.")))
}
