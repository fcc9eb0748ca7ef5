//! The shapes of events.

use baton_domain::event as domain;
use baton_storage::{Appended, StoredEvent};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

use super::chain::Stage;
use crate::page::page;
use crate::raw::{masked, object_id};
use crate::request::object;
use crate::routes::executions::Execution;
use crate::words::EventStatus;

/// What happened, to what, when.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PublicationHead {
    /// An id or an older spelling of the catalogue.
    #[schema(example = "clients.create")]
    events_id: String,
    /// A number or a string; reaches handlers as it is published.
    #[schema(schema_with = crate::openapi::object_id)]
    object_id: Box<RawValue>,
    /// ISO 8601 with an offset; the time of receipt when it is left out.
    #[schema(value_type = Option<DateTime<Utc>>, example = "2026-03-04T09:15:27+00:00")]
    dt: Option<String>,
}

/// An event as it is published.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Publication {
    #[serde(deserialize_with = "object")]
    event: PublicationHead,
    /// The details; `{}` where there is nothing to say. Kept to the letter.
    #[schema(schema_with = crate::openapi::data)]
    data: Box<RawValue>,
    /// What "the same object" means for the order of events; `<object kind>/<object_id>` when it is left out.
    #[schema(min_length = 1, max_length = 300)]
    ordering_key: Option<String>,
}

impl From<Publication> for domain::Publication {
    fn from(publication: Publication) -> Self {
        let Publication { event: PublicationHead { events_id, object_id, dt }, data, ordering_key } = publication;
        Self { event: domain::PublicationHead { events_id, object_id, dt }, data, ordering_key }
    }
}

/// Events that are stored all or none, in this order.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Batch {
    #[schema(value_type = Vec<Publication>, min_items = 1, max_items = 1000)]
    pub(super) events: Vec<Box<RawValue>>,
}

/// An event that was accepted: it is durable.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Accepted {
    /// For a duplicate that of the first.
    id: Uuid,
    /// For a duplicate the present status of the first.
    status: EventStatus,
    /// Whether an event with the same idempotency key was there already.
    duplicate: bool,
}

/// The events of a batch, in its order.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AcceptedBatch {
    pub(super) items: Vec<Accepted>,
}

impl From<Appended> for Accepted {
    fn from(appended: Appended) -> Self {
        Self { id: appended.id.0, status: appended.status.into(), duplicate: appended.duplicate }
    }
}

/// An event.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Event {
    id: Uuid,
    #[schema(example = "clients.create")]
    events_id: String,
    /// As it was published.
    #[schema(schema_with = crate::openapi::object_id)]
    object_id: Box<RawValue>,
    #[schema(example = "client/4107")]
    ordering_key: String,
    /// As it was published.
    #[schema(value_type = DateTime<Utc>)]
    dt: String,
    /// As it was published, but with the values of keys named like `password`, `secret` or `token` masked.
    #[schema(schema_with = crate::openapi::data)]
    data: Box<RawValue>,
    status: EventStatus,
    /// The generation that its chain ran under; null before it has begun.
    #[schema(required)]
    generation: Option<i64>,
    received_at: DateTime<Utc>,
    /// When its last delivery ended; null while one is under way.
    #[schema(required)]
    finished_at: Option<DateTime<Utc>>,
    /// The handlers of the event in stages, and how far each has come. Only where one event is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    chain: Option<Vec<Stage>>,
    /// The oldest first, at most 1000; `GET /v1/executions?event_id=` pages through all. Only where one event is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    executions: Option<Vec<Execution>>,
}

page! {
    /// A page of events.
    EventPage of Event
}

impl From<StoredEvent> for Event {
    fn from(stored: StoredEvent) -> Self {
        Self {
            id: stored.id.0,
            events_id: stored.events_id,
            object_id: object_id(&stored.object_id),
            ordering_key: stored.ordering_key,
            dt: stored.dt,
            data: masked(&stored.data),
            status: stored.status.into(),
            generation: stored.generation.map(|number| number.0),
            received_at: stored.received_at,
            finished_at: stored.finished_at,
            chain: None,
            executions: None,
        }
    }
}

impl Event {
    /// The event in full.
    pub(super) fn with(self, chain: Vec<Stage>, executions: Vec<Execution>) -> Self {
        Self { chain: Some(chain), executions: Some(executions), ..self }
    }
}

/// Under which handlers an event is sent again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReplayUnder {
    /// Under those that are live when its turn comes.
    #[default]
    Live,
    /// As it was: under those of the generation that it first ran under. A retry uses the live handler, as any retry.
    Original,
}

/// To whom an event is sent again.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventReplayInput {
    /// To this handler alone; to all when it is left out.
    pub(super) handler_id: Option<i64>,
    #[serde(default)]
    #[schema(required = false, default = "live")]
    pub(super) under: ReplayUnder,
}

/// An event that is on its way again.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Replayed {
    pub(super) id: Uuid,
    pub(super) status: EventStatus,
    /// The one handler that it goes to; null for all.
    #[schema(required)]
    pub(super) handler_id: Option<i64>,
    /// The generation that its chain runs under; null for the one that is live when its turn comes.
    #[schema(required)]
    pub(super) generation: Option<i64>,
}
