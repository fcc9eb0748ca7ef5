//! Handlers to compare, and edits of which it is known what they change.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use crate::connection::{Auth, CallLimits, Tls};
use crate::handler::{HandlerSpec, OnFailure, Sealed, SigningSecret, Task};
use crate::ids::HandlerId;
use crate::retry::RetryPolicy;

pub(super) fn instant(second: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(second)
}

/// A sealed text that can be told from everything else that a handler holds.
pub(super) fn sealed(value: &str) -> Sealed {
    Sealed(format!("sealed<{value}>"))
}

/// A handler with nothing but what is required.
pub(super) fn plain(id: i64) -> HandlerSpec {
    HandlerSpec {
        id: HandlerId(id),
        name: format!("Handler {id}"),
        event: "clients.create".into(),
        task: Task::Http { url: format!("http://crm.lan/{id}") },
        priority: 100,
        on_failure: OnFailure::Continue,
        timeout_ms: 10_000,
        retry: RetryPolicy::default(),
        lane: None,
        headers: BTreeMap::new(),
        secrets: Vec::new(),
        filter: None,
        limits: Default::default(),
        auth: None,
        tls: None,
    }
}

/// A script handler with everything set.
pub(super) fn full(id: i64) -> HandlerSpec {
    HandlerSpec {
        task: Task::Script { path: "vcs/script.py".into(), args: vec!["--fast".into(), String::new()] },
        priority: 10,
        on_failure: OnFailure::Wait,
        lane: Some("crm".into()),
        headers: BTreeMap::from([("x-api-key".into(), sealed("key")), ("x.dotted".into(), sealed("dotted"))]),
        secrets: vec![
            SigningSecret { sealed: sealed("new"), public_key: None, valid_until: None },
            SigningSecret { sealed: sealed("old"), public_key: None, valid_until: Some(instant(3600)) },
        ],
        filter: Some("data.balance < 0".into()),
        limits: CallLimits { concurrency: Some(4), per_second: Some(20) },
        auth: Some(Auth::Basic { username: "baton".into(), password: sealed("password") }),
        tls: Some(Tls { ca: Some("ca".into()), client_certificate: None, client_key: None, verify: true }),
        ..plain(id)
    }
}

/// An edit of one field or of two that belong together, to a value that it did not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Edit {
    Name,
    Event,
    /// The URL, or the path of a script.
    Location,
    Args,
    Priority,
    OnFailure,
    Timeout,
    MaxAttempts,
    FirstDelay,
    MaxDelay,
    Lane,
    Filter,
    Concurrency,
    PerSecond,
    HeaderAdded,
    HeaderChanged,
    HeaderRemoved,
    Secret,
    Password,
    Verify,
}

impl Edit {
    /// Every edit, in the order of the form.
    pub(super) const ALL: [Self; 20] = [
        Self::Name,
        Self::Event,
        Self::Location,
        Self::Args,
        Self::Priority,
        Self::OnFailure,
        Self::Timeout,
        Self::MaxAttempts,
        Self::FirstDelay,
        Self::MaxDelay,
        Self::Lane,
        Self::Filter,
        Self::Concurrency,
        Self::PerSecond,
        Self::HeaderAdded,
        Self::HeaderChanged,
        Self::HeaderRemoved,
        Self::Secret,
        Self::Password,
        Self::Verify,
    ];

    /// Makes the edit and says which field it changed, `None` where there was nothing to edit. `how` chooses among the ways to do
    /// it.
    pub(super) fn make(self, spec: &mut HandlerSpec, how: usize) -> Option<String> {
        let more = 1 + how % 50;
        let field = match self {
            Self::Name => push(&mut spec.name, more, "name"),
            Self::Event => push(&mut spec.event, more, "event"),
            Self::Location => match &mut spec.task {
                Task::Http { url } => push(url, more, "task.url"),
                Task::Script { path, .. } => push(path, more, "task.path"),
            },
            Self::Args => {
                let Task::Script { args, .. } = &mut spec.task else { return None };
                if how.is_multiple_of(2) || args.pop().is_none() {
                    args.push(format!("{more}"));
                }
                "task.args"
            }
            Self::Priority => {
                spec.priority = spec.priority.wrapping_add(more as u16);
                "priority"
            }
            Self::OnFailure => {
                let others =
                    [OnFailure::Continue, OnFailure::Wait, OnFailure::Stop].into_iter().filter(|p| *p != spec.on_failure);
                spec.on_failure = others.cycle().nth(how % 2).unwrap();
                "on_failure"
            }
            Self::Timeout => {
                spec.timeout_ms = spec.timeout_ms.wrapping_add(more as u32);
                "timeout_ms"
            }
            Self::MaxAttempts | Self::FirstDelay | Self::MaxDelay => self.edit_retry(&mut spec.retry, more),
            Self::Lane => {
                spec.lane = if spec.lane.is_some() && how % 2 == 1 { None } else { Some(format!("{:?} {more}", spec.lane)) };
                "lane"
            }
            Self::Filter => {
                spec.filter =
                    if spec.filter.is_some() && how % 2 == 1 { None } else { Some(format!("{:?} {more}", spec.filter)) };
                "filter"
            }
            Self::Concurrency => edit_limit(&mut spec.limits.concurrency, more, "limits.concurrency"),
            Self::PerSecond => edit_limit(&mut spec.limits.per_second, more, "limits.per_second"),
            Self::HeaderAdded => {
                // Sorts before every other.
                spec.headers.insert("a-new".into(), sealed("new header"));
                "headers.a-new"
            }
            Self::HeaderChanged => return change_header(spec, "x-api-key", |value| Some(Sealed(value.0 + "!"))),
            Self::HeaderRemoved => return change_header(spec, "x.dotted", |_| None),
            Self::Secret => edit_secrets(&mut spec.secrets, how),
            Self::Password => {
                let Some(Auth::Basic { password, .. }) = &mut spec.auth else { return None };
                password.0.push('!');
                "auth.password"
            }
            Self::Verify => {
                let tls = spec.tls.as_mut()?;
                tls.verify = !tls.verify;
                "tls.verify"
            }
        };
        Some(field.into())
    }

    fn edit_retry(self, retry: &mut RetryPolicy, more: usize) -> &'static str {
        match self {
            Self::MaxAttempts => {
                retry.max_attempts = retry.max_attempts.wrapping_add(more as u32);
                "retry.max_attempts"
            }
            Self::FirstDelay => {
                retry.first_delay_ms = retry.first_delay_ms.wrapping_add(more as u64);
                "retry.first_delay_ms"
            }
            _ => {
                retry.max_delay_ms = retry.max_delay_ms.wrapping_add(more as u64);
                "retry.max_delay_ms"
            }
        }
    }
}

fn push(text: &mut String, more: usize, field: &'static str) -> &'static str {
    text.push_str(&".".repeat(more));
    field
}

fn edit_limit(limit: &mut Option<u16>, more: usize, field: &'static str) -> &'static str {
    *limit = Some(limit.unwrap_or_default().wrapping_add(more as u16));
    field
}

fn change_header(spec: &mut HandlerSpec, name: &str, new: impl Fn(Sealed) -> Option<Sealed>) -> Option<String> {
    let old = spec.headers.remove(name)?;
    if let Some(new) = new(old) {
        spec.headers.insert(name.into(), new);
    }
    Some(format!("headers.{name}"))
}

fn edit_secrets(secrets: &mut Vec<SigningSecret>, how: usize) -> &'static str {
    match (how % 4, secrets.last_mut()) {
        (0, Some(last)) => last.valid_until = Some(last.valid_until.unwrap_or_default() + TimeDelta::nanoseconds(1)),
        (1, Some(last)) => last.sealed.0.push('!'),
        (2, Some(_)) => drop(secrets.pop()),
        _ => secrets.insert(0, SigningSecret { sealed: sealed("newest"), public_key: None, valid_until: None }),
    }
    "secret"
}
