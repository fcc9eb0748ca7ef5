//! A handler that is searched by: its id, or its name, or a part of it that no other has.

use serde::Deserialize;

use super::cut::short;
use crate::client::{ApiClient, FieldError, Paged, Result};
use crate::components::query;

/// How many handlers an error names.
const NAMED_MAX: usize = 5;

#[derive(Deserialize)]
struct Named {
    id: i64,
    name: String,
}

/// The id of the handler that was typed, as the API takes it; empty for none. What is neither id nor name is refused, in `field`.
///
/// # Errors
/// What the API refuses with.
pub(crate) async fn id_of(api: &ApiClient, field: &str, typed: &str) -> Result<std::result::Result<String, FieldError>> {
    let typed = typed.trim();
    if typed.is_empty() || typed.parse::<i64>().is_ok() {
        return Ok(Ok(typed.to_owned()));
    }
    let status = ["enabled", "disabled", "archived"].map(|status| ("status", status));
    let path = query::address("/v1/handlers", [("q", typed), ("limit", "200")].into_iter().chain(status));
    let found: Paged<Named> = api.get(&path).await?;
    let (all, more) = (found.items, found.next_cursor.is_some());
    let exact: Vec<_> = all.iter().filter(|handler| handler.name.to_lowercase() == typed.to_lowercase()).collect();
    Ok(match (exact.as_slice(), all.as_slice()) {
        ([one], _) => Ok(one.id.to_string()),
        (_, [one]) if !more => Ok(one.id.to_string()),
        (_, []) => Err(refused(field, "no saved handler has this name; one that is deleted is found by its id".into())),
        (_, several) => {
            let named = several.iter().take(NAMED_MAX).map(|handler| format!("{} {}", handler.id, short(&handler.name, 60)));
            let dots = if several.len() > NAMED_MAX || more { ", …" } else { "" };
            Err(refused(field, format!("several match, name one by its id: {}{dots}", named.collect::<Vec<_>>().join(", "))))
        }
    })
}

fn refused(field: &str, message: String) -> FieldError {
    FieldError { field: field.into(), message }
}
