//! Query strings: every parameter is known, well-formed, and named when it is not.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use baton_domain::FieldErrors;
use baton_storage::Page;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::words::{Said, plain};
use crate::problem::Problem;

/// The items of a page when the caller does not say.
const LIMIT_DEFAULT: u16 = 50;
/// The most items of a page.
const LIMIT_MAX: u16 = 200;
/// The longest text of a parameter, in characters.
const TEXT_MAX: usize = 500;

/// The parameters of a query string, as text; a struct that denies unknown fields.
#[derive(Debug)]
pub(crate) struct QueryString<T>(pub(crate) T);

/// For paths that take no parameters.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoParams {}

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for QueryString<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let deserializer = serde_html_form::Deserializer::from_bytes(parts.uri.query().unwrap_or_default().as_bytes());
        serde_path_to_error::deserialize(deserializer).map(Self).map_err(|error| match plain(&error.inner().to_string()) {
            Said::Missing(name) => Problem::field(name, "is required"),
            Said::Wrong(message) => Problem::field(error.path().to_string(), message),
        })
    }
}

/// Parses parameters one by one and keeps what is wrong with each.
#[derive(Debug, Default)]
pub(crate) struct Params {
    under: &'static str,
    errors: FieldErrors,
}

impl Params {
    /// For fields of a body that are searched by in the same way; `under` goes before their names.
    pub(crate) fn under(under: &'static str) -> Self {
        Self { under, errors: FieldErrors::default() }
    }

    /// A text; empty is as good as not given.
    pub(crate) fn text(&mut self, name: &str, value: Option<String>) -> Option<String> {
        let value = value.filter(|text| !text.is_empty())?;
        if value.chars().count() > TEXT_MAX || value.contains('\0') {
            self.refuse(name, format!("must be at most {TEXT_MAX} characters, none of them NUL"));
        }
        Some(value)
    }

    /// A number within a range.
    pub(crate) fn number(&mut self, name: &str, value: Option<&str>, range: std::ops::RangeInclusive<i64>) -> Option<i64> {
        let value = value?;
        let number = value.parse().ok().filter(|number| range.contains(number));
        if number.is_none() {
            let most = if *range.end() == i64::MAX {
                "an integer from 1 on".into()
            } else {
                format!("{} to {}", range.start(), range.end())
            };
            self.refuse(name, format!("must be {most}"));
        }
        number
    }

    /// A UUID.
    pub(crate) fn uuid(&mut self, name: &str, value: Option<&str>) -> Option<uuid::Uuid> {
        let id = value?.parse().ok();
        if id.is_none() {
            self.refuse(name, "must be a UUID, such as 0192f0c1-0000-7000-8000-000000000001");
        }
        id
    }

    /// A word of a list.
    pub(crate) fn word<T>(&mut self, name: &str, value: &str, words: &[&str], parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let parsed = parse(value);
        if parsed.is_none() {
            self.refuse(name, format!("must be one of {}", words.join(", ")));
        }
        parsed
    }

    /// An instant (RFC 3339).
    pub(crate) fn instant(&mut self, name: &str, value: Option<String>) -> Option<DateTime<Utc>> {
        // A plus sign that was not escaped arrives as a space.
        let text = value?.replace(' ', "+");
        match DateTime::parse_from_rfc3339(&text) {
            Ok(instant) => Some(instant.to_utc()),
            Err(_) => {
                self.refuse(name, "must be an instant with an offset, such as 2026-03-04T09:15:27Z");
                None
            }
        }
    }

    /// A parameter or a value that is refused.
    pub(crate) fn refuse(&mut self, name: &str, message: impl Into<String>) {
        self.errors.push(format!("{}{name}", self.under), message);
    }

    /// Which page.
    pub(crate) fn page(&mut self, limit: Option<&str>, cursor: Option<String>) -> Page {
        let limit = self.number("limit", limit, 1..=i64::from(LIMIT_MAX));
        let limit = limit.and_then(|limit| u16::try_from(limit).ok()).unwrap_or(LIMIT_DEFAULT);
        Page { limit, cursor: cursor.filter(|cursor| !cursor.is_empty()) }
    }

    /// `Ok(value)` when nothing is wrong.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub(crate) fn or<T>(self, value: T) -> Result<T, Problem> {
        self.errors.or(value).map_err(Problem::invalid)
    }
}

/// Which page, where there are no other parameters.
///
/// # Errors
/// What is wrong with `limit`.
pub(crate) fn paging(limit: Option<&str>, cursor: Option<String>) -> Result<Page, Problem> {
    let mut params = Params::default();
    let page = params.page(limit, cursor);
    params.or(page)
}
