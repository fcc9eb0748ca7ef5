//! What differs between two generations, or between what is live and what is saved.

use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

/// The most handlers that are listed.
const LISTED_MAX: usize = 25;
/// The longest value that is shown, in characters.
const VALUE_MAX: usize = 160;

/// What differs, as the API says it.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Changes {
    pub(crate) added: Vec<Named>,
    pub(crate) removed: Vec<Named>,
    pub(crate) changed: Vec<Changed>,
}

/// A handler by its id and name.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Named {
    pub(crate) id: i64,
    pub(crate) name: String,
}

/// A handler that differs.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Changed {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) fields: Vec<Field>,
}

/// A field that differs.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Field {
    pub(crate) field: String,
    pub(crate) live: Value,
    pub(crate) saved: Value,
}

impl Changes {
    /// How many handlers differ.
    pub(crate) fn len(&self) -> usize {
        self.added.len() + self.removed.len() + self.changed.len()
    }

    /// In a sentence: `1 added, 2 changed`.
    pub(crate) fn summary(&self) -> String {
        let counts = [(self.added.len(), "added"), (self.removed.len(), "removed"), (self.changed.len(), "changed")];
        let said: Vec<_> = counts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
        if said.is_empty() { "nothing changed".into() } else { said.join(", ") }
    }

    /// The list, field by field.
    pub(crate) fn listed(&self) -> Markup {
        let changed = self.changed.iter().map(|of| (of.id, of.name.as_str(), fields(&of.fields)));
        let added = self.added.iter().map(|of| (of.id, of.name.as_str(), html! { "new" }));
        let removed = self.removed.iter().map(|of| (of.id, of.name.as_str(), html! { "will no longer run" }));
        html! {
            ul.changes {
                @for (id, name, what) in changed.chain(added).chain(removed).take(LISTED_MAX) {
                    li { span.muted { "#" (id) } " " b { (name) } ": " (what) }
                }
                @if self.len() > LISTED_MAX { li.muted { "and " (self.len() - LISTED_MAX) " more" } }
            }
        }
    }
}

fn fields(fields: &[Field]) -> Markup {
    html! {
        @for (index, field) in fields.iter().enumerate() {
            @if index > 0 { "; " }
            (label(&field.field)) " " del { (value(&field.live)) } " → " ins { (value(&field.saved)) }
        }
    }
}

/// A field's name as the form has it.
pub(crate) fn label(field: &str) -> String {
    let known = match field {
        "task.url" => "URL",
        "task.path" => "script",
        "task.args" => "arguments",
        "on_failure" => "on failure",
        "timeout_ms" => "timeout, ms",
        "retry.max_attempts" => "attempts",
        "retry.first_delay_ms" => "first delay, ms",
        "retry.max_delay_ms" => "longest delay, ms",
        _ => return field.strip_prefix("headers.").map_or_else(|| field.to_owned(), |name| format!("header {name}")),
    };
    known.to_owned()
}

/// A value as people read it: text without quotes, nothing as a dash.
fn value(value: &Value) -> String {
    let text = match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            if items.is_empty() {
                "none".to_owned()
            } else {
                items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
            }
        }
        other => other.to_string(),
    };
    match text.char_indices().nth(VALUE_MAX) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn changes_are_said_field_by_field() {
        let changes: Changes = serde_json::from_value(json!({
            "added": [{"id": 24, "name": "SMS <welcome>"}], "removed": [{"id": 12, "name": "Old"}],
            "changed": [{"id": 7, "name": "CRM", "fields": [{"field": "task.url", "live": "http://a/", "saved": "http://b/"}]}],
        }))
        .unwrap();
        assert_eq!(changes.summary(), "1 added, 1 removed, 1 changed");
        let listed = changes.listed().into_string();
        assert!(listed.contains("URL <del>http://a/</del> → <ins>http://b/</ins>"), "{listed}");
        assert!(listed.contains("SMS &lt;welcome&gt;</b>: new"), "{listed}");
        assert_eq!(value(&json!("ä".repeat(200))).chars().count(), VALUE_MAX + 1);
    }
}
