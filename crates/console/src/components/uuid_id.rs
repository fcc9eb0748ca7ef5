//! The id in the address of a page about an event, an execution or a job.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use uuid::Uuid;

use crate::failure::Failure;

/// The UUID in the address: `/console/events/{id}`. Anything else is a page that is not there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UuidId(pub(crate) Uuid);

impl<S: Send + Sync> FromRequestParts<S> for UuidId {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        match Path::<Uuid>::from_request_parts(parts, state).await {
            Ok(Path(id)) => Ok(Self(id)),
            Err(_) => Err(Failure::not_found(format!("There is no page '{}'.", parts.uri.path()))),
        }
    }
}

/// The end of an id, which tells neighbours apart: UUIDs of one moment begin alike.
pub(crate) fn ending(id: Uuid) -> String {
    let text = id.to_string();
    format!("…{}", &text[text.len() - 8..])
}
