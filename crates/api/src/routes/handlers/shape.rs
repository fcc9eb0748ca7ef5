//! The shapes of handlers.

use std::collections::BTreeMap;

use baton_domain::handler::SigningSecret;
use baton_domain::{Handler as Saved, RetryPolicy};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::connection::{Auth, Limits, LimitsInput, Tls};
use super::last_execution::LastExecution;
use super::live::InForce;
use crate::page::page;
use crate::request::optional_object;
use crate::words::{HandlerStatus, Liveness, OnFailure};

/// A call by HTTP.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HttpTask {
    /// Always `http`.
    #[serde(rename = "type")]
    #[schema(schema_with = http_type)]
    kind: &'static str,
    /// Where to POST to; http or https.
    #[schema(example = "http://crm.example:8080/hooks/clients", max_length = 2000)]
    url: String,
}

/// A script under the script root.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ScriptTask {
    /// Always `script`.
    #[serde(rename = "type")]
    #[schema(schema_with = script_type)]
    kind: &'static str,
    /// Its path under the script root.
    #[schema(example = "vcs/script.py", max_length = 2000)]
    path: String,
    /// Its arguments.
    #[schema(required = false, max_items = 64)]
    args: Vec<String>,
}

/// What a handler calls.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(discriminator(property_name = "type", mapping(
    ("http" = "#/components/schemas/HttpTask"),
    ("script" = "#/components/schemas/ScriptTask"),
)))]
pub(crate) enum Task {
    Http(HttpTask),
    Script(ScriptTask),
}

fn constant(word: &str) -> utoipa::openapi::Object {
    utoipa::openapi::ObjectBuilder::new().schema_type(utoipa::openapi::Type::String).enum_values(Some([word])).build()
}

fn http_type() -> utoipa::openapi::Object {
    constant("http")
}

fn script_type() -> utoipa::openapi::Object {
    constant("script")
}

impl From<&baton_domain::Task> for Task {
    fn from(task: &baton_domain::Task) -> Self {
        match task {
            baton_domain::Task::Http { url } => Self::Http(HttpTask { kind: "http", url: url.clone() }),
            baton_domain::Task::Script { path, args } => {
                Self::Script(ScriptTask { kind: "script", path: path.clone(), args: args.clone() })
            }
        }
    }
}

/// When a failed call is tried again: exponential back-off with 20 % jitter to either side.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Retry {
    /// How often a delivery is tried in all.
    #[schema(minimum = 1, maximum = 1000, example = 12)]
    max_attempts: u32,
    /// The delay after the first failure, in milliseconds.
    #[schema(minimum = 1, maximum = 604_800_000, example = 1000)]
    first_delay_ms: u64,
    /// The longest delay, in milliseconds.
    #[schema(minimum = 1, maximum = 604_800_000, example = 3_600_000)]
    max_delay_ms: u64,
}

impl From<RetryPolicy> for Retry {
    fn from(policy: RetryPolicy) -> Self {
        let RetryPolicy { max_attempts, first_delay_ms, max_delay_ms } = policy;
        Self { max_attempts, first_delay_ms, max_delay_ms }
    }
}

/// A handler as it is saved.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Handler {
    #[schema(example = 17)]
    id: i64,
    #[schema(example = "CRM: clients")]
    name: String,
    /// The catalogue's id of the event that it is for.
    #[schema(example = "clients.create")]
    event: String,
    task: Task,
    status: HandlerStatus,
    /// 1 precedes all others; equal priorities run side by side.
    #[schema(minimum = 1, maximum = 65535, example = 100)]
    priority: u16,
    on_failure: OnFailure,
    /// The whole call, in milliseconds.
    #[schema(minimum = 100, maximum = 300_000, example = 10_000)]
    timeout_ms: u32,
    retry: Retry,
    /// Handlers with the same lane keep one object's events in order among them. The task's target, unless another was named.
    #[schema(example = "http://crm.example:8080/hooks/clients")]
    lane: String,
    /// Extra request headers of an HTTP task by name. Their values are write-only, so that null stands here.
    headers: BTreeMap<String, Option<String>>,
    /// A generated signing secret, in the answer to the edit that generated it and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    secret: Option<String>,
    /// How many signing secrets are valid: two while one takes the place of the other.
    #[schema(maximum = 2)]
    secrets_valid: u32,
    /// `whpk_…` for each valid signing secret that is an Ed25519 key pair, the current one first; left out where there is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    public_keys: Vec<String>,
    /// Which events it is called for, an expression of the Common Expression Language on `event` and `data`; null for all of its type.
    #[schema(required, example = "data.balance < 0", max_length = 2000)]
    filter: Option<String>,
    limits: Limits,
    /// Who Baton is to the receiver; null where it is nobody.
    #[schema(required)]
    auth: Option<Auth>,
    /// Whom Baton trusts there; null for the authorities that its system trusts.
    #[schema(required)]
    tls: Option<Tls>,
    notes: String,
    /// One more with each edit; the `ETag`.
    version: i64,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    live: Liveness,
    /// Whether its deliveries are held by a pause: its own, its event type's, or that of everything.
    paused: bool,
    /// Its newest execution in short, null where it never ran or its log was removed. Only with `with=last_execution`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<LastExecution>)]
    last_execution: Option<Option<LastExecution>>,
}

page! {
    /// A page of handlers.
    HandlerPage of Handler
}

impl Handler {
    /// The handler as answers show it, compared with what is in force.
    pub(super) fn new(saved: &Saved, in_force: &InForce) -> Self {
        let spec = &saved.spec;
        Self {
            id: spec.id.0,
            name: spec.name.clone(),
            event: spec.event.clone(),
            task: (&spec.task).into(),
            status: saved.status.into(),
            priority: spec.priority,
            on_failure: spec.on_failure.into(),
            timeout_ms: spec.timeout_ms,
            retry: spec.retry.into(),
            lane: spec.effective_lane(),
            headers: spec.headers.keys().map(|name| (name.clone(), None)).collect(),
            secret: None,
            secrets_valid: valid(&spec.secrets, in_force.at).count() as u32,
            public_keys: valid(&spec.secrets, in_force.at).filter_map(|secret| secret.public_key.clone()).collect(),
            filter: spec.filter.clone(),
            limits: spec.limits.into(),
            auth: spec.auth.as_ref().map(Auth::of),
            tls: spec.tls.as_ref().map(Tls::of),
            notes: saved.notes.clone(),
            version: saved.version,
            created_at: saved.created_at,
            updated_at: saved.updated_at,
            live: in_force.liveness(saved),
            paused: in_force.is_paused(saved),
            last_execution: None,
        }
    }

    /// The same with a secret that was just generated.
    pub(crate) fn showing(self, secret: Option<String>) -> Self {
        Self { secret, ..self }
    }

    /// The same with its last execution, where it has one.
    pub(super) fn with_last(self, last: Option<LastExecution>) -> Self {
        Self { last_execution: Some(last), ..self }
    }
}

fn valid(secrets: &[SigningSecret], now: DateTime<Utc>) -> impl Iterator<Item = &SigningSecret> {
    secrets.iter().filter(move |secret| secret.valid_until.is_none_or(|until| now < until))
}

/// A handler as it is sent to be saved. What a `GET` gave can be sent back: the fields that Baton gives are accepted and ignored. A field
/// that is left out takes its default.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HandlerInput {
    #[schema(required, nullable = false, min_length = 1, max_length = 200, example = "CRM: clients")]
    pub(super) name: Option<String>,
    /// An id or an older spelling of the catalogue.
    #[schema(required, nullable = false, example = "clients.create")]
    pub(super) event: Option<String>,
    #[serde(default, deserialize_with = "optional_object")]
    #[schema(required, nullable = false, value_type = Task)]
    pub(super) task: Option<TaskInput>,
    #[schema(nullable = false, default = "enabled")]
    pub(super) status: Option<HandlerStatus>,
    /// 1 precedes all others; equal priorities run side by side.
    #[schema(nullable = false, minimum = 1, maximum = 65535, default = 100)]
    pub(super) priority: Option<i64>,
    #[schema(nullable = false, default = "continue")]
    pub(super) on_failure: Option<OnFailure>,
    /// The whole call, in milliseconds.
    #[schema(nullable = false, minimum = 100, maximum = 300_000, default = 10_000)]
    pub(super) timeout_ms: Option<i64>,
    #[serde(default, deserialize_with = "optional_object")]
    #[schema(nullable = false)]
    pub(super) retry: Option<RetryInput>,
    /// Handlers with the same lane keep one object's events in order among them. The task's target when it is left out or null.
    #[schema(max_length = 2000)]
    pub(super) lane: Option<String>,
    /// Extra request headers of an HTTP task by name; encrypted at rest and never shown again. Null keeps the value that is stored.
    #[schema(nullable = false)]
    pub(super) headers: Option<BTreeMap<String, Option<String>>>,
    /// The signing secret: `whsec_…`, or `generate` for one that the answer shows once; or an Ed25519 key pair: `whsk_…`, or
    /// `generate_ed25519` for one of which `public_keys` shows the public half. Null removes it; left out, it stays as it is. The one before
    /// stays valid for 24 hours beside a new one.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, write_only, example = "generate")]
    pub(super) secret: Option<Option<String>>,
    /// Which events it is called for: an expression of the Common Expression Language (<https://cel.dev>) on `event` (`dt`, `events_id`,
    /// `object_id`) and `data`. All of its type when it is left out or null.
    #[schema(example = "has(data.balance) && data.balance < 0", max_length = 2000)]
    pub(super) filter: Option<String>,
    #[serde(default, deserialize_with = "optional_object")]
    #[schema(nullable = false)]
    pub(super) limits: Option<LimitsInput>,
    /// Who Baton is to the receiver. Nobody when it is left out or null.
    #[serde(default, deserialize_with = "optional_object")]
    pub(super) auth: Option<Auth>,
    /// Whom Baton trusts there. The authorities that its system trusts when it is left out or null.
    #[serde(default, deserialize_with = "optional_object")]
    pub(super) tls: Option<Tls>,
    /// Free text.
    #[schema(nullable = false, max_length = 10_000)]
    pub(super) notes: Option<String>,
    /// Given by Baton; must be the id in the path.
    #[schema(nullable = false, read_only)]
    pub(super) id: Option<i64>,
    /// Given by Baton, ignored.
    #[expect(dead_code, reason = "accepted and ignored")]
    #[schema(value_type = Option<i64>, nullable = false, read_only)]
    version: Option<Value>,
    /// Given by Baton, ignored.
    #[expect(dead_code, reason = "accepted and ignored")]
    #[schema(value_type = Option<u32>, nullable = false, read_only)]
    secrets_valid: Option<Value>,
    /// Given by Baton, ignored.
    #[expect(dead_code, reason = "accepted and ignored")]
    #[schema(value_type = Option<Vec<String>>, nullable = false, read_only)]
    public_keys: Option<Value>,
    /// Given by Baton, ignored.
    #[expect(dead_code, reason = "accepted and ignored")]
    #[schema(value_type = Option<DateTime<Utc>>, nullable = false, read_only)]
    created_at: Option<Value>,
    /// Given by Baton, ignored.
    #[expect(dead_code, reason = "accepted and ignored")]
    #[schema(value_type = Option<DateTime<Utc>>, nullable = false, read_only)]
    updated_at: Option<Value>,
    /// Given by Baton, ignored.
    #[expect(dead_code, reason = "accepted and ignored")]
    #[schema(value_type = Option<Liveness>, nullable = false, read_only)]
    live: Option<Value>,
    /// Given by Baton, ignored.
    #[expect(dead_code, reason = "accepted and ignored")]
    #[schema(value_type = Option<bool>, nullable = false, read_only)]
    paused: Option<Value>,
    /// Given by Baton, ignored.
    #[expect(dead_code, reason = "accepted and ignored")]
    #[schema(value_type = Option<LastExecution>, read_only)]
    last_execution: Option<Value>,
}

/// A task as it is sent: the fields of every type, so that each error has its place.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TaskInput {
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) url: Option<String>,
    pub(super) path: Option<String>,
    pub(super) args: Option<Vec<String>>,
}

/// When a failed call is tried again. What is left out takes its default.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RetryInput {
    /// How often a delivery is tried in all.
    #[schema(nullable = false, minimum = 1, maximum = 1000, default = 12)]
    pub(super) max_attempts: Option<i64>,
    /// The delay after the first failure, in milliseconds.
    #[schema(nullable = false, minimum = 1, maximum = 604_800_000, default = 1000)]
    pub(super) first_delay_ms: Option<i64>,
    /// The longest delay, in milliseconds.
    #[schema(nullable = false, minimum = 1, maximum = 604_800_000, default = 3_600_000)]
    pub(super) max_delay_ms: Option<i64>,
}

/// Tells null from a field that is left out.
pub(super) fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}
