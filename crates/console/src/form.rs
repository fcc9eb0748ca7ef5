//! Forms as browsers send them.

use axum::body::{Bytes, to_bytes};
use axum::extract::{FromRequest, Request};
use axum::http::header;
use serde::de::DeserializeOwned;

use crate::csrf;
use crate::failure::Failure;
use crate::session::Session;

/// The largest form that is read, in bytes: notes and headers at their longest fit.
const FORM_MAX: usize = 1024 * 1024;

/// A form of a signed-in operator, whose token has been checked. Fields that `T` does not know are passed over.
#[derive(Debug)]
pub(crate) struct Form<T>(pub(crate) T);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for Form<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        let session = request.extensions().get::<Session>().cloned();
        let session = session.ok_or_else(|| Failure::internal("a form is read without a session"))?;
        let body = body(request).await?;
        let fields: Vec<(String, String)> = parse(&body)?;
        let token = fields.iter().find(|(name, _)| name == csrf::FIELD).map(|(_, token)| token.as_str());
        if !csrf::is_right(&session, token) {
            return Err(Failure::forbidden(
                "This form belongs to another session. Go back, load the page again, and send it again.",
            ));
        }
        parse(&body).map(Self)
    }
}

/// The body of a form.
///
/// # Errors
/// When it is none, or too large.
pub(crate) async fn body(request: Request) -> Result<Bytes, Failure> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("application/x-www-form-urlencoded") {
        return Err(Failure::bad_request("The console takes forms only."));
    }
    to_bytes(request.into_body(), FORM_MAX).await.map_err(|_| Failure::bad_request("The form is too large, or broke off."))
}

/// The fields of a form or of a query.
///
/// # Errors
/// When they cannot be read.
pub(crate) fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, Failure> {
    serde_html_form::from_bytes(text).map_err(|error| Failure::bad_request(format!("The form cannot be read: {error}.")))
}
