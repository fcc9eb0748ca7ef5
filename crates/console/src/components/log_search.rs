//! What executions and dead letters are searched by.

use maud::{Markup, html};
use serde::Deserialize;

use super::event_types::EventTypes;
use super::field::{Errors, Text};
use super::{handler_name, instant, query};
use crate::client::{ApiClient, FieldError, Result};

/// What is searched for, as it was typed; the names are those of the API's parameters.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
pub(crate) struct LogSearch {
    pub(crate) status: String,
    pub(crate) events_id: String,
    pub(crate) object_id: String,
    /// An id or a name.
    pub(crate) handler_id: String,
    pub(crate) event_id: String,
    pub(crate) data: String,
    pub(crate) error: String,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) cursor: String,
}

impl LogSearch {
    /// What is searched for by its name, without what is empty.
    pub(crate) fn pairs(&self) -> Vec<(&'static str, &str)> {
        let all = [
            ("status", &self.status),
            ("events_id", &self.events_id),
            ("object_id", &self.object_id),
            ("handler_id", &self.handler_id),
            ("event_id", &self.event_id),
            ("data", &self.data),
            ("error", &self.error),
            ("from", &self.from),
            ("to", &self.to),
        ];
        all.into_iter().map(|(name, value)| (name, value.trim())).filter(|(_, value)| !value.is_empty()).collect()
    }

    /// Whether anything is searched for.
    pub(crate) fn is_any(&self) -> bool {
        !self.pairs().is_empty()
    }

    /// Whether what is found changes at its top only: nothing is looked for in texts or in the past.
    pub(crate) fn is_filter(&self) -> bool {
        [&self.data, &self.error, &self.from, &self.to, &self.cursor].iter().all(|value| value.trim().is_empty())
    }

    /// The address of a page with this search.
    pub(crate) fn at(&self, path: &str, cursor: &str) -> String {
        query::address(path, self.pairs().into_iter().chain([("cursor", cursor)]))
    }

    /// What is searched for as the API takes it; or what no handler is found by.
    ///
    /// # Errors
    /// What the API refuses with.
    pub(crate) async fn asked(&self, api: &ApiClient) -> Result<std::result::Result<Vec<(&'static str, String)>, FieldError>> {
        let handler = match handler_name::id_of(api, "handler_id", &self.handler_id).await? {
            Ok(id) => id,
            Err(error) => return Ok(Err(error)),
        };
        let value = |name: &str, value: &str| match name {
            "handler_id" => handler.clone(),
            "from" | "to" => instant::for_api(value),
            _ => value.to_owned(),
        };
        Ok(Ok(self.pairs().into_iter().map(|(name, typed)| (name, value(name, typed))).collect()))
    }

    /// The fields that both have.
    pub(crate) fn fields(&self, event_types: &EventTypes, errors: &Errors) -> Markup {
        let of = |name: &str| errors.of(name);
        html! {
            (event_types.select("events_id", "Event", self.events_id.trim(), "any event", of("events_id").as_deref()))
            (Text::new("object_id", "Object", &self.object_id).placeholder("any").shown(of("object_id").as_deref()))
            (Text::new("handler_id", "Handler", &self.handler_id).placeholder("ID or name").shown(of("handler_id").as_deref()))
            (Text { kind: "search", ..Text::new("data", "Data", &self.data).placeholder("any part") }.shown(of("data").as_deref()))
            (Text { kind: "search", ..Text::new("error", "Error", &self.error).placeholder("any part") }.shown(of("error").as_deref()))
            (instant::shown("from", "From", &self.from, of("from").as_deref()))
            (instant::shown("to", "To", &self.to, of("to").as_deref()))
        }
    }

    /// What is wrong with no field that is shown.
    pub(crate) fn other_errors(errors: &Errors) -> Markup {
        let shown = ["status", "events_id", "object_id", "handler_id", "event_id", "data", "error", "from", "to"];
        html! { @for error in errors.beside(&shown) { p.error role="alert" { (error.field) " " (error.message) } } }
    }
}
