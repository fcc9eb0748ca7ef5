//! The words of the contract, as the OpenAPI document lists them.

use baton_storage::HandlerRank;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Declares an enum of the document and how it becomes the domain's and back. A variant that one of the two lacks does not compile.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident of $domain:path { $($(#[$variant_doc:meta])* $variant:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub(crate) enum $name { $($(#[$variant_doc])* $variant),+ }

        impl From<$domain> for $name {
            fn from(value: $domain) -> Self {
                match value { $(<$domain>::$variant => Self::$variant),+ }
            }
        }

        impl From<$name> for $domain {
            fn from(value: $name) -> Self {
                match value { $($name::$variant => Self::$variant),+ }
            }
        }
    };
}

words! {
    /// Whether a handler takes part in the next generation.
    HandlerStatus of baton_domain::HandlerStatus { Enabled, Disabled, Archived }
}
words! {
    /// What a handler's failure means for the rest of its chain. `continue`: lower priorities go on at once. `wait`: they wait until this
    /// handler has succeeded or is exhausted. `stop`: like wait, and when exhausted the rest of the chain is skipped.
    OnFailure of baton_domain::OnFailure { Continue, Wait, Stop }
}
words! {
    /// The state of an event as a whole.
    EventStatus of baton_domain::EventStatus { Pending, Retrying, Delivered, Failed, Unmatched }
}
words! {
    /// How an execution went. `skipped`: the handler was not called, `error` says why.
    ExecutionStatus of baton_domain::CallStatus { Success, Fail, Skipped }
}
words! {
    /// Where id and secret of a client are sent to the authorization server: as basic authentication, or as fields of the form.
    CredentialsIn of baton_domain::connection::CredentialsIn { Header, Body }
}
words! {
    /// How far a run has come.
    RunStatus of baton_storage::RunState { Queued, Running, Done, Failed }
}
words! {
    /// How far a job has come.
    JobStatus of baton_storage::JobState { Queued, Running, Done, Failed, Cancelled }
}
words! {
    /// What becomes of events whose data is not as the schema of their type wants it. `off`: nothing is checked. `warn`: they are counted and
    /// told of in the log, and accepted. `enforce`: they are refused.
    SchemaUse of baton_storage::SchemaUse { Off, Warn, Enforce }
}
words! {
    /// Why a generation was built.
    GenerationCause of baton_storage::GenerationCause { Start, Restart, Rollback }
}

/// How what is saved compares with the live generation. `live`: the same. `changed`: live with other content. `new`: enabled, not yet
/// live. `removed`: no longer enabled, still live. `off`: not enabled, not live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Liveness {
    Live,
    Changed,
    New,
    Removed,
    Off,
}

/// What a handler calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TaskType {
    Http,
    Script,
}

impl TaskType {
    /// The type with this word.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        [(Self::Http, "http"), (Self::Script, "script")].into_iter().find(|(_, w)| *w == word).map(|(kind, _)| kind)
    }

    /// The word of the tables.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Script => "script",
        }
    }
}

/// What can be shown beside a handler. `last_execution`: its newest execution, in short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum HandlerWith {
    LastExecution,
}

impl HandlerWith {
    /// What this word asks for.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        (word == "last_execution").then_some(Self::LastExecution)
    }
}

/// An order of handlers by what was counted of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum HandlerStatsOrder {
    Failures,
    Duration,
    Executions,
}

impl HandlerStatsOrder {
    /// The order with this word.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        match word {
            "failures" => Some(Self::Failures),
            "duration" => Some(Self::Duration),
            "executions" => Some(Self::Executions),
            _ => None,
        }
    }
}

impl From<HandlerStatsOrder> for HandlerRank {
    fn from(order: HandlerStatsOrder) -> Self {
        match order {
            HandlerStatsOrder::Failures => Self::Failures,
            HandlerStatsOrder::Duration => Self::Duration,
            HandlerStatsOrder::Executions => Self::Attempts,
        }
    }
}

/// The words of an enum of the domain, for messages.
pub(crate) mod list {
    pub(crate) const HANDLER_STATUS: &[&str] = &["enabled", "disabled", "archived"];
    pub(crate) const EVENT_STATUS: &[&str] = &["pending", "retrying", "delivered", "failed", "unmatched"];
    pub(crate) const EXECUTION_STATUS: &[&str] = &["success", "fail", "skipped"];
    pub(crate) const HANDLER_STATS_ORDER: &[&str] = &["failures", "duration", "executions"];
    pub(crate) const TASK_TYPE: &[&str] = &["http", "script"];
    pub(crate) const HANDLER_WITH: &[&str] = &["last_execution"];
}
