//! What the API refuses, in one text for the next page.

use crate::client::ApiError;

/// The fields and what is wrong with them, or the sentence where there are none.
pub(crate) fn said(error: &ApiError) -> String {
    match error.fields() {
        [] => error.to_string(),
        fields => fields.iter().map(|error| format!("{}: {}", error.field, error.message)).collect::<Vec<_>>().join("\n"),
    }
}
