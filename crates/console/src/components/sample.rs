//! The sample of an event type, as forms are filled in with it, and what is typed in its place.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::json;
use crate::client::{ApiClient, Result};

#[derive(Deserialize)]
struct Sample {
    event: Head,
    data: Box<RawValue>,
}

#[derive(Deserialize)]
struct Head {
    object_id: Box<RawValue>,
}

/// The object's id and the data of the type's sample, indented; `None` where there is no such type.
///
/// # Errors
/// What the API refuses with.
pub(crate) async fn read(api: &ApiClient, events_id: &str) -> Result<Option<(String, String)>> {
    match api.get::<Sample>(&format!("/v1/event-types/{events_id}/sample")).await {
        Ok(Sample { event, data }) => Ok(Some((event.object_id.get().to_owned(), json::indented(data.get())))),
        Err(error) if error.is("not_found") => Ok(None),
        Err(error) => Err(error),
    }
}

/// An object's id as it was typed. What is no JSON is taken as a text.
///
/// # Errors
/// What cannot be written as JSON.
pub(crate) fn object_id(typed: &str) -> serde_json::Result<Box<RawValue>> {
    let typed = typed.trim();
    RawValue::from_string(typed.to_owned()).or_else(|_| serde_json::value::to_raw_value(typed))
}

/// Data as it was typed; nothing is an object without fields.
///
/// # Errors
/// What is no JSON.
pub(crate) fn data(typed: &str) -> serde_json::Result<Box<RawValue>> {
    let typed = typed.trim();
    RawValue::from_string(if typed.is_empty() { "{}".to_owned() } else { typed.to_owned() })
}
