//! An edit of some fields: JSON Merge Patch (RFC 7396).

use baton_domain::Handler as Saved;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::connection::{Auth, LimitsInput, Tls};
use super::shape::RetryInput;
use crate::problem::Problem;
use crate::words::{HandlerStatus, OnFailure, TaskType};

/// An edit of some fields (JSON Merge Patch). What is left out stays, null gives the default back. Fields within `task`, `retry`,
/// `headers`, `limits`, `auth` and `tls` can be edited one by one; a task or auth of another type takes the place of the whole.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "what a patch looks like; it is merged into the form before it is read")]
pub(crate) struct HandlerPatch {
    #[schema(nullable = false, min_length = 1, max_length = 200)]
    name: Option<String>,
    #[schema(nullable = false, example = "clients.create")]
    event: Option<String>,
    #[schema(nullable = false)]
    task: Option<TaskPatch>,
    status: Option<HandlerStatus>,
    #[schema(minimum = 1, maximum = 65535, example = 5)]
    priority: Option<i64>,
    on_failure: Option<OnFailure>,
    #[schema(minimum = 100, maximum = 300_000)]
    timeout_ms: Option<i64>,
    retry: Option<RetryInput>,
    #[schema(max_length = 2000)]
    lane: Option<String>,
    /// Null removes a header.
    headers: Option<std::collections::BTreeMap<String, Option<String>>>,
    /// `whsec_…`, `whsk_…`, `generate` or `generate_ed25519`; null removes it.
    #[schema(write_only)]
    secret: Option<String>,
    /// Null removes it.
    #[schema(max_length = 2000)]
    filter: Option<String>,
    limits: Option<LimitsInput>,
    /// Null removes it; another type takes the place of the whole.
    auth: Option<Auth>,
    /// Null removes it.
    tls: Option<Tls>,
    #[schema(max_length = 10_000)]
    notes: Option<String>,
}

/// An edit of a task's fields.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "what a patch looks like; it is merged into the form before it is read")]
pub(crate) struct TaskPatch {
    #[schema(nullable = false)]
    r#type: Option<TaskType>,
    #[schema(nullable = false)]
    url: Option<String>,
    #[schema(nullable = false)]
    path: Option<String>,
    args: Option<Vec<String>>,
}

/// The handler's form with the patch merged into it.
///
/// # Errors
/// When the patch is not an object.
pub(super) fn merged(stored: &Saved, patch: &Value) -> Result<Value, Problem> {
    let Value::Object(patch) = patch else { return Err(Problem::field("body", "must be an object with the fields to change")) };
    let mut form = form(stored);
    for (field, value) in patch {
        let value = match (field.as_str(), form.get(field), value) {
            ("task" | "auth", Some(typed), Value::Object(edit)) => merged_typed(typed, edit),
            ("headers", Some(Value::Object(headers)), Value::Object(edit)) => merged_headers(headers, edit),
            ("retry" | "limits" | "tls", Some(Value::Object(fields)), Value::Object(edit)) => {
                let mut fields = fields.clone();
                fields.extend(edit.clone());
                fields.into()
            }
            _ => value.clone(),
        };
        // Null stays in its place: the form's default follows from it, and a field that is not known is refused with null too.
        form.insert(field.clone(), value);
    }
    Ok(form.into())
}

/// What is saved, as a client would send it.
fn form(stored: &Saved) -> Map<String, Value> {
    let spec = &stored.spec;
    let headers: Map<_, _> = spec.headers.keys().map(|name| (name.clone(), Value::Null)).collect();
    let form = json!({
        "name": spec.name, "event": spec.event, "task": spec.task, "status": stored.status, "priority": spec.priority,
        "on_failure": spec.on_failure, "timeout_ms": spec.timeout_ms, "retry": spec.retry, "lane": spec.lane, "headers": headers,
        "filter": spec.filter, "limits": spec.limits, "auth": spec.auth.as_ref().map(Auth::of), "tls": spec.tls.as_ref().map(Tls::of),
        "notes": stored.notes,
    });
    match form {
        Value::Object(form) => form,
        _ => Map::new(),
    }
}

/// The fields of what has a `type`: of another type, nothing of it stays.
fn merged_typed(task: &Value, edit: &Map<String, Value>) -> Value {
    let other_type = edit.get("type").is_some_and(|kind| Some(kind) != task.get("type"));
    let mut merged = match task {
        Value::Object(task) if !other_type => task.clone(),
        _ => Map::new(),
    };
    merged.extend(edit.clone());
    merged.into()
}

/// Here null removes, while in the form it keeps the value that is stored.
fn merged_headers(headers: &Map<String, Value>, edit: &Map<String, Value>) -> Value {
    let mut merged = headers.clone();
    for (name, value) in edit {
        let name = name.to_ascii_lowercase();
        if value.is_null() {
            merged.remove(&name);
        } else {
            merged.insert(name, value.clone());
        }
    }
    merged.into()
}
