//! The REST API of Baton and its OpenAPI document.
//!
//! [`router`] serves everything under `/v1` from an [`ApiState`], and `/openapi.json` and `/docs` beside. Shapes of bodies live here, next
//! to their routes: the domain knows nothing of HTTP or OpenAPI. Every error is a [`Problem`].

mod answers;
mod appender;
mod auth;
mod backlog;
mod catalogue;
mod docs;
mod failure;
mod jobs;
mod openapi;
mod page;
mod past;
mod pending;
mod problem;
mod raw;
mod request;
mod router;
mod routes;
mod schemas;
mod state;
mod words;

pub use appender::{AppendError, Appender};
pub use jobs::JobWorker;
pub use problem::{Code, Problem};
pub use router::{openapi_document, openapi_json, router, router_beside};
pub use state::{ApiParts, ApiState};
