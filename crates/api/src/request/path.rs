//! Ids in paths.

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use baton_domain::{EventId, ExecutionId, HandlerId};

use crate::problem::Problem;

/// The id that a path ends in or has in its middle. What does not look like one leads nowhere: `not_found`.
#[derive(Debug)]
pub(crate) struct Id<T>(pub(crate) T);

/// What an id looks like in a path.
pub(crate) trait InPath: Sized {
    /// What it is the id of.
    const OF: &'static str;

    fn parse(text: &str) -> Option<Self>;
}

impl InPath for HandlerId {
    const OF: &'static str = "handler";

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok().filter(|id| *id > 0).map(Self)
    }
}

/// An event type by its id or an older spelling.
#[derive(Debug)]
pub(crate) struct EventTypeName(pub(crate) String);

impl InPath for EventTypeName {
    const OF: &'static str = "event type";

    fn parse(text: &str) -> Option<Self> {
        Some(Self(text.to_owned()))
    }
}

/// A job.
#[derive(Debug)]
pub(crate) struct JobId(pub(crate) uuid::Uuid);

impl InPath for JobId {
    const OF: &'static str = "job";

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }
}

impl InPath for EventId {
    const OF: &'static str = "event";

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }
}

impl InPath for ExecutionId {
    const OF: &'static str = "execution";

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }
}

impl<S: Send + Sync, T: InPath> FromRequestParts<S> for Id<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = RawPathParams::from_request_parts(parts, state).await.ok();
        let text = params.as_ref().and_then(|params| params.iter().next()).map(|(_, text)| text).unwrap_or_default();
        T::parse(text).map(Self).ok_or_else(|| no_such::<T>(text))
    }
}

/// There is none with this id.
pub(crate) fn no_such<T: InPath>(id: impl std::fmt::Display) -> Problem {
    Problem::not_found(format_args!("{} with the id '{id}'", T::OF))
}
