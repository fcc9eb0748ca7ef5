//! A handler as an operator typed it, and its check: everything that is wrong is said at once.

mod connection;

use std::collections::BTreeMap;

use url::Url;

use crate::catalogue::Catalogue;
use crate::connection::{Auth, CallLimits, Tls};
use crate::field_error::FieldErrors;
use crate::filter::Filter;
use crate::handler::{HandlerStatus, OnFailure, PRIORITY_DEFAULT, TIMEOUT_MS, TIMEOUT_MS_DEFAULT, Task};
use crate::limits::{ARGS_MAX, HEADER_VALUE_MAX, HEADERS_MAX, NAME_MAX, NOTES_MAX, TEXT_MAX};
use crate::retry::RetryPolicy;

/// Request headers that Baton sets itself, beside `baton-…` and `webhook-…`; an operator's cannot take their place.
const OWN_HEADERS: [&str; 6] = ["content-length", "content-type", "host", "transfer-encoding", "connection", "user-agent"];

/// A handler as it was typed. `None` means that the field was not given.
#[derive(Debug, Clone, Default)]
pub struct HandlerForm {
    /// Required.
    pub name: Option<String>,
    /// Required; an id or alias of the catalogue.
    pub event: Option<String>,
    /// Required.
    pub task: Option<Task>,
    /// `enabled` when not given.
    pub status: Option<HandlerStatus>,
    /// [`PRIORITY_DEFAULT`] when not given.
    pub priority: Option<i64>,
    /// `continue` when not given.
    pub on_failure: Option<OnFailure>,
    /// [`TIMEOUT_MS_DEFAULT`] when not given.
    pub timeout_ms: Option<i64>,
    /// Most attempts, first and longest delay; each with its default.
    pub retry: (Option<i64>, Option<i64>, Option<i64>),
    /// The task's target when not given.
    pub lane: Option<String>,
    /// By name; `None` keeps the value that is stored.
    pub headers: BTreeMap<String, Option<String>>,
    /// What to do with the signing secret.
    pub secret: SecretChange,
    /// Empty when not given.
    pub notes: Option<String>,
    /// All events of its type when not given.
    pub filter: Option<String>,
    /// Most calls at once and most calls a second; without a limit when not given.
    pub limits: (Option<i64>, Option<i64>),
    /// No secret keeps the one that is stored.
    pub auth: Option<Auth<Option<String>>>,
    /// No key keeps the one that is stored.
    pub tls: Option<Tls<Option<String>>>,
}

/// What a form does with the signing secret.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum SecretChange {
    /// Leaves it as it is.
    #[default]
    Keep,
    /// Signs no more.
    Clear,
    /// A new one made by Baton, shown once.
    Generate,
    /// A new key pair made by Baton, of which the public half is shown.
    GeneratePair,
    /// This one: `whsec_` and base64 of 24 to 64 bytes, or `whsk_` and that of an Ed25519 key.
    Set(String),
}

/// A form that has been checked.
#[derive(Debug, Clone)]
pub struct HandlerDraft {
    /// 1 to 200 characters of one line.
    pub name: String,
    /// The catalogue's id.
    pub event: String,
    /// With an address and path of the right form.
    pub task: Task,
    /// As typed.
    pub status: HandlerStatus,
    /// 1 to 65535.
    pub priority: u16,
    /// As typed.
    pub on_failure: OnFailure,
    /// Within [`TIMEOUT_MS`].
    pub timeout_ms: u32,
    /// Within its limits.
    pub retry: RetryPolicy,
    /// `None` for the task's target.
    pub lane: Option<String>,
    /// By lower-case name; `None` keeps the value that is stored.
    pub headers: BTreeMap<String, Option<String>>,
    /// As typed.
    pub secret: SecretChange,
    /// As typed.
    pub notes: String,
    /// One that [`Filter`] can read.
    pub filter: Option<String>,
    /// Within their ranges.
    pub limits: CallLimits,
    /// No secret keeps the one that is stored.
    pub auth: Option<Auth<Option<String>>>,
    /// No key keeps the one that is stored.
    pub tls: Option<Tls<Option<String>>>,
}

impl HandlerForm {
    /// Checks everything that can be checked without looking at files and names of the network.
    ///
    /// # Errors
    /// Every field that is refused.
    pub fn check(self, catalogue: &Catalogue) -> Result<HandlerDraft, FieldErrors> {
        let mut errors = FieldErrors::default();
        let name = self.name.map(|n| n.trim().to_owned());
        match &name {
            None => errors.push("name", "is required"),
            Some(name) => check_line(&mut errors, "name", name, NAME_MAX),
        }
        let event = match self.event.as_deref().map(|e| catalogue.resolve(e)) {
            None => Err("is required".into()),
            Some(found) => found.map(|t| t.id.clone()),
        };
        let event = event.map_err(|e| errors.push("event", e)).unwrap_or_default();
        match &self.task {
            None => errors.push("task", "is required: {\"type\":\"http\",\"url\":…} or {\"type\":\"script\",\"path\":…}"),
            Some(task) => check_task(&mut errors, task),
        }
        let priority = in_range(&mut errors, "priority", self.priority, i64::from(PRIORITY_DEFAULT), 1..=65_535);
        let timeout_ms = in_range(&mut errors, "timeout_ms", self.timeout_ms, i64::from(TIMEOUT_MS_DEFAULT), TIMEOUT_MS);
        let usual = RetryPolicy::default();
        let (attempts, first, max) = self.retry;
        let first = first.unwrap_or(usual.first_delay_ms as i64);
        // Who asks for a long first delay alone means a longest one that allows it.
        let max = max.unwrap_or((usual.max_delay_ms as i64).max(first));
        let retry = RetryPolicy::check(attempts.unwrap_or(i64::from(usual.max_attempts)), first, max)
            .map_err(|e| errors.0.extend(e.0))
            .unwrap_or_default();
        if let Some(lane) = &self.lane {
            check_line(&mut errors, "lane", lane, TEXT_MAX);
        }
        if let Some(Err(reason)) = self.filter.as_deref().map(Filter::compile) {
            errors.push("filter", reason);
        }
        let limits = connection::check_limits(&mut errors, self.limits);
        connection::check_auth(&mut errors, self.auth.as_ref(), self.task.as_ref(), &self.headers);
        connection::check_tls(&mut errors, self.tls.as_ref(), self.task.as_ref());
        let headers = check_headers(&mut errors, self.headers, self.task.as_ref());
        check_secret(&mut errors, &self.secret, self.task.as_ref());
        let notes = self.notes.unwrap_or_default();
        if notes.chars().count() > NOTES_MAX || notes.contains('\0') {
            errors.push("notes", format!("must be at most {NOTES_MAX} characters, none of them NUL"));
        }
        let (Some(name), Some(task)) = (name, self.task) else { return Err(errors) };
        let lane = self.lane.filter(|lane| *lane != task.target());
        errors.or(HandlerDraft {
            name,
            event,
            task,
            status: self.status.unwrap_or(HandlerStatus::Enabled),
            priority: priority as u16,
            on_failure: self.on_failure.unwrap_or(OnFailure::Continue),
            timeout_ms: timeout_ms as u32,
            retry,
            lane,
            headers,
            secret: self.secret,
            notes,
            filter: self.filter,
            limits,
            auth: self.auth,
            tls: self.tls,
        })
    }
}

fn check_line(errors: &mut FieldErrors, field: &str, text: &str, most: usize) {
    if text.is_empty() || text.chars().count() > most || text.chars().any(char::is_control) {
        errors.push(field, format!("must be 1 to {most} characters of one line"));
    }
}

fn in_range(errors: &mut FieldErrors, field: &str, value: Option<i64>, usual: i64, range: std::ops::RangeInclusive<i64>) -> i64 {
    let value = value.unwrap_or(usual);
    if !range.contains(&value) {
        errors.push(field, format!("must be {} to {}", range.start(), range.end()));
    }
    value.clamp(*range.start(), *range.end())
}

fn check_task(errors: &mut FieldErrors, task: &Task) {
    match task {
        Task::Http { url } => {
            if let Err(reason) = check_url(url) {
                errors.push("task.url", reason);
            }
        }
        Task::Script { path, args } => {
            let parts_ok = path.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
            if !parts_ok || path.chars().any(char::is_control) || path.chars().count() > TEXT_MAX {
                errors.push(
                    "task.path",
                    "must be a path under the script root, such as vcs/script.py, without '..' and without a leading '/'",
                );
            }
            if args.len() > ARGS_MAX || args.iter().any(|a| a.contains('\0') || a.chars().count() > TEXT_MAX) {
                errors.push(
                    "task.args",
                    format!("must be at most {ARGS_MAX} arguments of at most {TEXT_MAX} characters, without NUL"),
                );
            }
        }
    }
}

fn check_url(url: &str) -> Result<(), String> {
    if url.chars().count() > TEXT_MAX {
        return Err(format!("must be at most {TEXT_MAX} characters"));
    }
    let parsed = Url::parse(url).map_err(|e| format!("is not a URL ({e}); an example is http://host:8080/path"))?;
    if !matches!(parsed.scheme(), "http" | "https") {
        return Err(format!("must begin with http:// or https://, not {}:", parsed.scheme()));
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err("must not hold a user or password; send credentials as a header".into());
    }
    if parsed.port() == Some(0) {
        return Err("must not name port 0".into());
    }
    Ok(())
}

/// Lower-cases the names; says which names or values no HTTP request can carry.
fn check_headers(
    errors: &mut FieldErrors,
    headers: BTreeMap<String, Option<String>>,
    task: Option<&Task>,
) -> BTreeMap<String, Option<String>> {
    if !headers.is_empty() && matches!(task, Some(Task::Script { .. })) {
        errors.push("headers", "are for HTTP tasks; a script gets its data on standard input");
    }
    if headers.len() > HEADERS_MAX {
        errors.push("headers", format!("must be at most {HEADERS_MAX}"));
    }
    let mut checked = BTreeMap::new();
    for (name, value) in headers {
        let field = format!("headers.{name}");
        let lower = name.to_ascii_lowercase();
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if name.is_empty() || name.len() > 100 || !name.bytes().all(token) {
            errors.push(&field, "is not a header name");
        } else if OWN_HEADERS.contains(&lower.as_str()) || lower.starts_with("webhook-") || lower.starts_with("baton-") {
            errors.push(&field, "is set by Baton itself");
        }
        if let Some(value) = &value
            && (value.len() > HEADER_VALUE_MAX || value.bytes().any(|b| (b < 32 && b != b'\t') || b >= 127))
        {
            errors.push(&field, format!("must be at most {HEADER_VALUE_MAX} printable ASCII characters"));
        }
        if checked.insert(lower, value).is_some() {
            errors.push(&field, "is given twice");
        }
    }
    checked
}

fn check_secret(errors: &mut FieldErrors, secret: &SecretChange, task: Option<&Task>) {
    let signs = matches!(secret, SecretChange::Set(_) | SecretChange::Generate | SecretChange::GeneratePair);
    if signs && matches!(task, Some(Task::Script { .. })) {
        errors.push("secret", "signs HTTP requests; a script has none");
    }
    if let SecretChange::Set(secret) = secret {
        let base64 = |b: u8| b.is_ascii_alphanumeric() || b == b'+' || b == b'/';
        let key = |prefix| secret.strip_prefix(prefix).map(|key| key.trim_end_matches('=')).filter(|key| key.bytes().all(base64));
        // 24 to 64 bytes are 32 to 86 characters of base64 (Standard Webhooks, "Signature scheme").
        let symmetric = key("whsec_").is_some_and(|key| (32..=86).contains(&key.len()) && key.len() % 4 != 1);
        // A seed of 32 bytes, alone or with its public key.
        let pair = key("whsk_").is_some_and(|key| matches!(key.len(), 43 | 86));
        if !symmetric && !pair {
            let must = "must be 'whsec_' and the base64 of 24 to 64 random bytes, 'whsk_' and that of an Ed25519 key, \"generate\" or \
                        \"generate_ed25519\"";
            errors.push("secret", must);
        }
    }
}

#[cfg(test)]
mod tests;
