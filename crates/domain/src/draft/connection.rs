//! The check of how a handler is connected to.

use std::collections::BTreeMap;

use super::{check_line, check_url};
use crate::connection::{Auth, CallLimits, Tls};
use crate::field_error::FieldErrors;
use crate::handler::Task;
use crate::limits::{CONCURRENCY_MAX, CREDENTIAL_MAX, PEM_MAX, PER_SECOND_MAX};

pub(super) fn check_limits(errors: &mut FieldErrors, (concurrency, per_second): (Option<i64>, Option<i64>)) -> CallLimits {
    let mut within = |field: &str, value: Option<i64>, most: i64| {
        let value = value?;
        if !(1..=most).contains(&value) {
            errors.push(field, format!("must be 1 to {most}, or null for no limit"));
        }
        u16::try_from(value).ok()
    };
    CallLimits {
        concurrency: within("limits.concurrency", concurrency, CONCURRENCY_MAX),
        per_second: within("limits.per_second", per_second, PER_SECOND_MAX),
    }
}

pub(super) fn check_auth(
    errors: &mut FieldErrors,
    auth: Option<&Auth<Option<String>>>,
    task: Option<&Task>,
    headers: &BTreeMap<String, Option<String>>,
) {
    let Some(auth) = auth else { return };
    if matches!(task, Some(Task::Script { .. })) {
        errors.push("auth", "is for HTTP tasks");
    }
    if let Some(name) = headers.keys().find(|name| name.eq_ignore_ascii_case("authorization")) {
        errors.push(format!("headers.{name}"), "is set by auth; leave one of them out");
    }
    match auth {
        Auth::Basic { username, .. } => {
            check_line(errors, "auth.username", username, CREDENTIAL_MAX);
            if username.contains(':') {
                errors.push("auth.username", "must not hold a colon, which ends it");
            }
        }
        Auth::Oauth2 { token_url, client_id, scope, audience, .. } => {
            if let Err(reason) = check_url(token_url) {
                errors.push("auth.token_url", reason);
            }
            check_line(errors, "auth.client_id", client_id, CREDENTIAL_MAX);
            // RFC 6749, section 3.3.
            let scope_char = |b: u8| (0x21..=0x7e).contains(&b) && b != b'"' && b != b'\\';
            if scope.as_ref().is_some_and(|scope| {
                scope.len() > CREDENTIAL_MAX || scope.split(' ').any(|one| one.is_empty() || !one.bytes().all(scope_char))
            }) {
                errors.push("auth.scope", "must be scopes of printable ASCII with one space between them");
            }
            if let Some(audience) = audience {
                check_line(errors, "auth.audience", audience, CREDENTIAL_MAX);
            }
        }
    }
    if let Some(secret) = auth.secret() {
        check_line(errors, auth.secret_field(), secret, CREDENTIAL_MAX);
    }
}

pub(super) fn check_tls(errors: &mut FieldErrors, tls: Option<&Tls<Option<String>>>, task: Option<&Task>) {
    let Some(tls) = tls else { return };
    match task {
        Some(Task::Script { .. }) => errors.push("tls", "is for HTTP tasks"),
        Some(Task::Http { url }) if url.trim_start().to_ascii_lowercase().starts_with("http:") => {
            errors.push("tls", "is for URLs that begin with https://");
        }
        _ => {}
    }
    let mut pem = |field: &str, text: Option<&String>, label: &str| {
        let Some(text) = text else { return };
        if text.len() > PEM_MAX || !is_pem(text, label) {
            let most = PEM_MAX / 1024;
            errors.push(
                field,
                format!("must be PEM of at most {most} KiB with nothing but blocks of -----BEGIN {label}-----, no comments"),
            );
        }
    };
    pem("tls.ca", tls.ca.as_ref(), "CERTIFICATE");
    pem("tls.client_certificate", tls.client_certificate.as_ref(), "CERTIFICATE");
    pem("tls.client_key", tls.client_key.as_ref().and_then(Option::as_ref), "PRIVATE KEY");
    match (&tls.client_certificate, &tls.client_key) {
        (Some(_), None) => errors.push("tls.client_key", "is required beside a client certificate"),
        (None, Some(_)) => errors.push("tls.client_certificate", "is required beside a client key"),
        _ => {}
    }
}

/// Whether a text is blocks of this label and nothing else. Only the client's key is sealed: whatever stood beside a certificate, a key as a
/// comment say, would be shown.
fn is_pem(text: &str, label: &str) -> bool {
    let is_label = |found: &str| found == label || (label == "PRIVATE KEY" && found.ends_with(" PRIVATE KEY"));
    let is_base64 = |line: &str| line.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte));
    let (mut within, mut any) = (None, false);
    for line in text.lines().map(str::trim) {
        let edge = |word: &str| line.strip_prefix(word).and_then(|rest| rest.strip_suffix("-----"));
        within = match (within, edge("-----BEGIN ")) {
            (None, None) if line.is_empty() => None,
            (None, Some(found)) if is_label(found) => Some(found),
            (Some(open), None) if edge("-----END ") == Some(open) => None,
            (Some(open), None) if is_base64(line) => Some(open),
            _ => return false,
        };
        any |= within.is_some();
    }
    any && within.is_none()
}
