//! A handler as an operator typed it, and its check: everything that is wrong is said at once.

use std::collections::BTreeMap;

use url::Url;

use crate::catalogue::Catalogue;
use crate::field_error::FieldErrors;
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn form() -> HandlerForm {
        HandlerForm {
            name: Some("CRM".into()),
            event: Some("clients.create".into()),
            task: Some(Task::Http { url: "http://crm.lan:8080/api".into() }),
            ..HandlerForm::default()
        }
    }

    fn refused(form: HandlerForm) -> Vec<String> {
        form.check(&Catalogue::default()).map_or_else(|e| e.0.into_iter().map(|e| e.field).collect(), |_| Vec::new())
    }

    #[test]
    fn the_defaults_are_those_of_the_contract() {
        let draft = form().check(&Catalogue::default()).unwrap();
        assert_eq!((draft.priority, draft.timeout_ms, draft.on_failure), (100, 10_000, OnFailure::Continue));
        assert_eq!((draft.status, draft.retry, draft.lane), (HandlerStatus::Enabled, RetryPolicy::default(), None));
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        assert_eq!(refused(HandlerForm::default()), ["name", "event", "task"]);
        let wrong = HandlerForm {
            name: Some(" ".into()),
            event: Some("no.such".into()),
            task: Some(Task::Http { url: "ftp://x".into() }),
            priority: Some(0),
            timeout_ms: Some(99),
            retry: (Some(0), Some(5000), Some(1000)),
            lane: Some(String::new()),
            headers: BTreeMap::from([("Host".into(), None), ("a b".into(), None), ("x".into(), Some("é".into()))]),
            secret: SecretChange::Set("whsec_short".into()),
            notes: Some("\0".into()),
            status: None,
            on_failure: None,
        };
        let fields = ["name", "event", "task.url", "priority", "timeout_ms", "retry.max_attempts", "lane"];
        let rest = ["headers.Host", "headers.a b", "headers.x", "secret", "notes"];
        assert_eq!(refused(wrong), [&fields[..], &rest[..]].concat());
    }

    #[test]
    fn tasks_are_checked_by_form() {
        let url = |url: &str| refused(HandlerForm { task: Some(Task::Http { url: url.into() }), ..form() });
        for bad in ["", "crm.lan/api", "http://", "http://u:p@crm.lan/", "http://crm.lan:0/", "file:///etc/passwd", "http://a b/"]
        {
            assert_eq!(url(bad), ["task.url"], "{bad}");
        }
        for good in ["http://crm.lan", "https://[2001:db8::1]:8443/x?y=z", "http://127.0.0.1:5000/api"] {
            assert!(url(good).is_empty(), "{good}");
        }
        let path = |path: &str| refused(HandlerForm { task: Some(Task::Script { path: path.into(), args: vec![] }), ..form() });
        for bad in ["", "/etc/passwd", "../x", "a/../b", "a//b", "./a", "a/", "a\0b"] {
            assert_eq!(path(bad), ["task.path"], "{bad:?}");
        }
        assert!(path("vcs/script.py").is_empty());
    }

    #[test]
    fn a_lane_that_is_the_target_is_the_default() {
        let draft = HandlerForm { lane: Some("http://crm.lan:8080/api".into()), ..form() }.check(&Catalogue::default()).unwrap();
        assert_eq!(draft.lane, None);
    }

    #[test]
    fn secrets_are_for_http_and_long_enough() {
        let secret = |s: &str| refused(HandlerForm { secret: SecretChange::Set(s.into()), ..form() });
        assert!(secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").is_empty());
        for bad in ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS!"] {
            assert_eq!(secret(bad), ["secret"], "{bad}");
        }
        assert!(secret("whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=").is_empty());
        assert_eq!(secret("whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), ["secret"]);
        let script = HandlerForm { task: Some(Task::Script { path: "a.sh".into(), args: vec![] }), ..form() };
        assert_eq!(refused(HandlerForm { secret: SecretChange::Generate, ..script }), ["secret"]);
    }

    proptest! {
        #[test]
        fn any_form_is_checked_without_a_panic(
            name in ".{0,300}", event in ".{0,40}", url in ".{0,80}", priority: i64, timeout: i64,
            retry: (Option<i64>, Option<i64>, Option<i64>), lane in proptest::option::of(".{0,20}"),
            headers in proptest::collection::btree_map(".{0,20}", proptest::option::of(".{0,20}"), 0..4), secret in ".{0,60}",
        ) {
            let form = HandlerForm {
                name: Some(name), event: Some(event), task: Some(Task::Http { url }), priority: Some(priority),
                timeout_ms: Some(timeout), retry, lane, headers, secret: SecretChange::Set(secret), ..HandlerForm::default()
            };
            if let Err(errors) = form.check(&Catalogue::default()) {
                prop_assert!(!errors.0.is_empty());
            }
        }
    }
}
