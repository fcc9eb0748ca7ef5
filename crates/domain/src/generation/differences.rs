//! What differs between two versions of one handler.

use serde::Serialize;
use serde_json::{Value, json};

use super::FieldChange;
use crate::connection::{Auth, Tls};
use crate::handler::{HandlerSpec, Sealed, SigningSecret, Task};

/// The fields that differ, in the order of the handler's form.
pub(super) fn fields(old: &HandlerSpec, new: &HandlerSpec) -> Vec<FieldChange> {
    let mut fields = Vec::new();
    // As nearly all are.
    if old == new {
        return fields;
    }
    let mut compare = |field: &str, live: Value, saved: Value| {
        if live != saved {
            fields.push(FieldChange { field: field.into(), live, saved });
        }
    };
    compare("name", json!(old.name), json!(new.name));
    compare("event", json!(old.event), json!(new.event));
    match (&old.task, &new.task) {
        (Task::Http { url: live }, Task::Http { url: saved }) => compare("task.url", json!(live), json!(saved)),
        (Task::Script { path: live, args: live_args }, Task::Script { path: saved, args: saved_args }) => {
            compare("task.path", json!(live), json!(saved));
            compare("task.args", json!(live_args), json!(saved_args));
        }
        (live, saved) => compare("task", json!(live), json!(saved)),
    }
    compare("priority", json!(old.priority), json!(new.priority));
    compare("on_failure", json!(old.on_failure), json!(new.on_failure));
    compare("timeout_ms", json!(old.timeout_ms), json!(new.timeout_ms));
    compare("retry.max_attempts", json!(old.retry.max_attempts), json!(new.retry.max_attempts));
    compare("retry.first_delay_ms", json!(old.retry.first_delay_ms), json!(new.retry.first_delay_ms));
    compare("retry.max_delay_ms", json!(old.retry.max_delay_ms), json!(new.retry.max_delay_ms));
    // A lane that follows the target has changed with it, which is said above.
    compare("lane", json!(old.lane), json!(new.lane));
    compare("filter", json!(old.filter), json!(new.filter));
    compare("limits.concurrency", json!(old.limits.concurrency), json!(new.limits.concurrency));
    compare("limits.per_second", json!(old.limits.per_second), json!(new.limits.per_second));
    fields.extend(header_changes(old, new));
    fields.extend(secret_change(&old.secrets, &new.secrets));
    fields.extend(auth_changes(old.auth.as_ref(), new.auth.as_ref()));
    fields.extend(tls_changes(old.tls.as_ref(), new.tls.as_ref()));
    fields
}

/// Headers are compared by their sealed values, which are never shown.
fn header_changes(old: &HandlerSpec, new: &HandlerSpec) -> Vec<FieldChange> {
    let names: std::collections::BTreeSet<_> = old.headers.keys().chain(new.headers.keys()).collect();
    names
        .into_iter()
        .filter_map(|name| write_only(&format!("headers.{name}"), old.headers.get(name), new.headers.get(name)))
        .collect()
}

fn secret_change(old: &[SigningSecret], new: &[SigningSecret]) -> Option<FieldChange> {
    let is_set = |secrets: &[SigningSecret]| (!secrets.is_empty()).then(|| secrets.to_vec());
    write_only("secret", is_set(old).as_ref(), is_set(new).as_ref())
}

fn auth_changes(old: Option<&Auth<Sealed>>, new: Option<&Auth<Sealed>>) -> Vec<FieldChange> {
    let secret = |auth: Option<&Auth<Sealed>>| auth.map(|auth| auth.secret().clone());
    let field = new.or(old).map_or("auth", Auth::secret_field);
    let mut changes = differing("auth", hidden(old, Auth::convert), hidden(new, Auth::convert));
    changes.extend(write_only(field, secret(old).as_ref(), secret(new).as_ref()));
    changes
}

fn tls_changes(old: Option<&Tls<Sealed>>, new: Option<&Tls<Sealed>>) -> Vec<FieldChange> {
    let key = |tls: Option<&Tls<Sealed>>| tls.and_then(|tls| tls.client_key.clone());
    let mut changes = differing("tls", hidden(old, Tls::convert), hidden(new, Tls::convert));
    changes.extend(write_only("tls.client_key", key(old).as_ref(), key(new).as_ref()));
    changes
}

/// What stands around a secret, with null in its place.
fn hidden<A: Clone, B: Serialize>(
    of: Option<&A>,
    convert: impl FnOnce(A, fn(Sealed) -> Result<Option<()>, std::convert::Infallible>) -> Result<B, std::convert::Infallible>,
) -> Value {
    let without = of.cloned().map(|whole| convert(whole, |_| Ok(None)));
    without.map_or(Value::Null, |converted| match converted {
        Ok(without) => json!(without),
        Err(never) => match never {},
    })
}

/// The fields of two objects that differ, or the whole where one of them is none or of another type.
fn differing(name: &str, live: Value, saved: Value) -> Vec<FieldChange> {
    match (&live, &saved) {
        _ if live == saved => Vec::new(),
        (Value::Object(old), Value::Object(new)) if old.get("type") == new.get("type") => {
            let names: std::collections::BTreeSet<_> = old.keys().chain(new.keys()).collect();
            let value = |of: &serde_json::Map<String, Value>, field: &String| of.get(field).cloned().unwrap_or_default();
            let changed = names.into_iter().filter(|field| old.get(*field) != new.get(*field));
            changed
                .map(|field| FieldChange { field: format!("{name}.{field}"), live: value(old, field), saved: value(new, field) })
                .collect()
        }
        _ => vec![FieldChange { field: name.into(), live, saved }],
    }
}

/// A secret is never shown: only that it is there, and that it is another.
fn write_only<S: PartialEq>(field: &str, live: Option<&S>, saved: Option<&S>) -> Option<FieldChange> {
    let (live, saved) = match (live, saved) {
        (None, None) => return None,
        (None, Some(_)) => (Value::Null, json!("set")),
        (Some(_), None) => (json!("set"), Value::Null),
        (Some(live), Some(saved)) if live == saved => return None,
        _ => (json!("set"), json!("set to another value")),
    };
    Some(FieldChange { field: field.into(), live, saved })
}
