//! The check of a handler that is to be saved: everything that is wrong is said at once.

use std::collections::BTreeMap;

use baton_domain::draft::{HandlerDraft, HandlerForm, SecretChange};
use baton_domain::handler::HandlerSpec;
use baton_domain::{FieldErrors, Handler as Saved, HandlerId, HandlerStatus, Task};
use baton_storage::{NewHandler, Vault};
use chrono::{DateTime, Utc};
use serde_json::Value;

use super::connection;
use super::secrets::{changed_secrets, check_secret, sealed_headers};
use super::shape::{HandlerInput, RetryInput, TaskInput};
use crate::problem::Problem;
use crate::request::{collect, overlaps};
use crate::state::ApiState;

/// Checks what was sent, in the place of `stored` when there is such a handler: form, catalogue, script or address.
///
/// # Errors
/// Every field that is refused.
pub(super) async fn checked(state: &ApiState, sent: Value, stored: Option<&Saved>) -> Result<HandlerDraft, Problem> {
    let (input, mut errors) = collect::<HandlerInput>(sent);
    let Some(mut input) = input else { return Err(Problem::invalid(errors)) };
    let mut found = FieldErrors::default();
    check_id(&mut found, input.id, stored);
    let task = input.task.take().and_then(|task| complete(&mut found, task));
    check_kept_headers(&mut found, input.headers.as_ref(), stored);
    let auth = input.auth.take().and_then(|auth| auth.complete(&mut found));
    connection::check_kept_secret(&mut found, auth.as_ref(), stored);
    let tls = input.tls.take().map(|tls| tls.complete(stored));
    add(&mut errors, &found);
    keep_default_lane(&mut input, stored);
    let catalogue = state.catalogue.with(input.event.as_deref()).await?;
    let status = input.status.map_or(HandlerStatus::Enabled, Into::into);
    let form = HandlerForm { auth, tls, ..form(input, task.clone()) };
    let draft = form.check(&catalogue);
    match &draft {
        Ok(draft) => add(&mut errors, &check_secret(&draft.secret)),
        Err(found) => add(&mut errors, found),
    }
    let is_new_task = stored.map(|s| &s.spec.task) != task.as_ref();
    // What stays off may stay as it is, so that a handler whose script is gone can be switched off.
    if let Some(task) = task
        && (status == HandlerStatus::Enabled || is_new_task)
        && !errors.0.iter().any(|e| overlaps(&e.field, "task"))
    {
        add(&mut errors, &state.caller.inspect(&task).await);
    }
    if let Ok(draft) = &draft {
        add(&mut errors, &connection::inspect(state, draft, stored).await);
    }
    match draft {
        Ok(draft) if errors.0.is_empty() => Ok(draft),
        _ => Err(Problem::invalid(errors)),
    }
}

/// Adds errors of fields of which nothing is said yet: what was taken out because of its type is not missing as well.
fn add(errors: &mut FieldErrors, found: &FieldErrors) {
    let said: Vec<_> = errors.0.iter().map(|e| e.field.clone()).collect();
    errors.0.extend(found.0.iter().filter(|e| !said.iter().any(|s| overlaps(s, &e.field))).cloned());
}

fn check_id(errors: &mut FieldErrors, id: Option<i64>, stored: Option<&Saved>) {
    let wrong = match (id, stored) {
        (Some(_), None) => "is given by Baton; leave it out".to_owned(),
        (Some(id), Some(stored)) if id != stored.spec.id.0 => format!("must be {}, the id in the path", stored.spec.id),
        _ => return,
    };
    errors.push("id", wrong);
}

/// The task, when it has what its type needs and nothing else.
fn complete(errors: &mut FieldErrors, task: TaskInput) -> Option<Task> {
    let before = errors.0.len();
    let TaskInput { kind, url, path, args } = task;
    let is_http = match kind.as_deref() {
        Some("http") => true,
        Some("script") => false,
        Some(other) => {
            errors.push("task.type", format!("must be http or script, not '{}'", other.chars().take(40).collect::<String>()));
            return None;
        }
        None => {
            errors.push("task.type", "is required: http or script");
            return None;
        }
    };
    let foreign: &[(&str, bool)] =
        if is_http { &[("task.path", path.is_some()), ("task.args", args.is_some())] } else { &[("task.url", url.is_some())] };
    for (field, _) in foreign.iter().filter(|(_, given)| *given) {
        errors.push(*field, format!("does not belong to a task of the type {}", if is_http { "http" } else { "script" }));
    }
    let task = match (is_http, url, path) {
        (true, Some(url), _) => Some(Task::Http { url }),
        (false, _, Some(path)) => Some(Task::Script { path, args: args.unwrap_or_default() }),
        (true, None, _) => {
            errors.push("task.url", "is required: where to POST to");
            None
        }
        (false, _, None) => {
            errors.push("task.path", "is required: the script's path under the script root");
            None
        }
    };
    task.filter(|_| errors.0.len() == before)
}

/// Null keeps a header's value, so there must be one.
fn check_kept_headers(errors: &mut FieldErrors, headers: Option<&BTreeMap<String, Option<String>>>, stored: Option<&Saved>) {
    let kept = headers.into_iter().flatten().filter(|(_, value)| value.is_none());
    for (name, _) in kept {
        let is_stored = stored.is_some_and(|s| s.spec.headers.contains_key(&name.to_ascii_lowercase()));
        if !is_stored {
            errors.push(
                format!("headers.{name}"),
                "is null, which keeps a stored value, but none is stored; give a value or leave it out",
            );
        }
    }
}

/// A lane that is the stored default stays a default, also when the task changes in the same edit.
fn keep_default_lane(input: &mut HandlerInput, stored: Option<&Saved>) {
    if let Some(stored) = stored
        && stored.spec.lane.is_none()
        && input.lane.as_deref() == Some(&stored.spec.task.target())
    {
        input.lane = None;
    }
}

fn form(input: HandlerInput, task: Option<Task>) -> HandlerForm {
    let RetryInput { max_attempts, first_delay_ms, max_delay_ms } = input.retry.unwrap_or_default();
    HandlerForm {
        name: input.name,
        event: input.event,
        task,
        status: input.status.map(Into::into),
        priority: input.priority,
        on_failure: input.on_failure.map(Into::into),
        timeout_ms: input.timeout_ms,
        retry: (max_attempts, first_delay_ms, max_delay_ms),
        lane: input.lane,
        headers: input.headers.unwrap_or_default(),
        secret: match input.secret {
            None => SecretChange::Keep,
            Some(None) => SecretChange::Clear,
            Some(Some(word)) if word == "generate" => SecretChange::Generate,
            Some(Some(word)) if word == "generate_ed25519" => SecretChange::GeneratePair,
            Some(Some(secret)) => SecretChange::Set(secret),
        },
        notes: input.notes,
        filter: input.filter,
        limits: input.limits.map(|limits| (limits.concurrency, limits.per_second)).unwrap_or_default(),
        ..HandlerForm::default()
    }
}

/// A draft as it is created, and the secret to show.
pub(super) fn created(draft: HandlerDraft, vault: &Vault, now: DateTime<Utc>) -> (NewHandler, Option<String>) {
    let (auth, tls) = connection::sealed(&draft, None, vault);
    let (secrets, shown) = changed_secrets(draft.secret, &[], vault, now);
    let handler = NewHandler {
        name: draft.name,
        event: draft.event,
        task: draft.task,
        status: draft.status,
        priority: draft.priority,
        on_failure: draft.on_failure,
        timeout_ms: draft.timeout_ms,
        retry: draft.retry,
        lane: draft.lane,
        headers: sealed_headers(draft.headers, &BTreeMap::new(), vault),
        secrets,
        notes: draft.notes,
        filter: draft.filter,
        limits: draft.limits,
        auth,
        tls,
    };
    (handler, shown)
}

/// A draft in the place of what is stored, and the secret to show.
pub(super) fn replaced(draft: HandlerDraft, stored: &Saved, vault: &Vault, now: DateTime<Utc>) -> (Saved, Option<String>) {
    let (auth, tls) = connection::sealed(&draft, Some(&stored.spec), vault);
    let is_script = matches!(draft.task, Task::Script { .. });
    // A script has no request to sign: a secret left over from an HTTP task would only come back by surprise.
    let change = if is_script { SecretChange::Clear } else { draft.secret };
    let (secrets, shown) = changed_secrets(change, &stored.spec.secrets, vault, now);
    let spec = HandlerSpec {
        id: HandlerId(stored.spec.id.0),
        name: draft.name,
        event: draft.event,
        task: draft.task,
        priority: draft.priority,
        on_failure: draft.on_failure,
        timeout_ms: draft.timeout_ms,
        retry: draft.retry,
        lane: draft.lane,
        headers: sealed_headers(draft.headers, &stored.spec.headers, vault),
        secrets,
        filter: draft.filter,
        limits: draft.limits,
        auth,
        tls,
    };
    (Saved { spec, status: draft.status, notes: draft.notes, ..stored.clone() }, shown)
}
