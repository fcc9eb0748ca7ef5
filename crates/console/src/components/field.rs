//! Fields of forms: label, input, what is wrong with it, what it is for.

use maud::{Markup, html};

use crate::client::FieldError;

/// What the API has refused, field by field.
#[derive(Debug, Clone, Default)]
pub(crate) struct Errors(Vec<FieldError>);

impl Errors {
    /// These.
    pub(crate) fn new(errors: Vec<FieldError>) -> Self {
        Self(errors)
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is wrong with a field; of `retry.max_attempts` it is said with `retry` too, where that is what there is.
    pub(crate) fn of(&self, field: &str) -> Option<String> {
        let of: Vec<_> = self.0.iter().filter(|error| error.field == field).map(|error| error.message.as_str()).collect();
        (!of.is_empty()).then(|| of.join("; "))
    }

    /// What is wrong with anything below a field: `headers.x-key` for `headers`.
    pub(crate) fn below(&self, field: &str) -> Vec<&FieldError> {
        self.0.iter().filter(|error| error.field.strip_prefix(field).is_some_and(|rest| rest.starts_with('.'))).collect()
    }

    /// What belongs to none of the fields that a form shows.
    pub(crate) fn beside(&self, shown: &[&str]) -> Vec<&FieldError> {
        let is_shown = |error: &FieldError| {
            shown
                .iter()
                .any(|field| error.field == *field || error.field.strip_prefix(field).is_some_and(|rest| rest.starts_with('.')))
        };
        self.0.iter().filter(|error| !is_shown(error)).collect()
    }

    /// All of them.
    pub(crate) fn all(&self) -> &[FieldError] {
        &self.0
    }
}

/// A field: its label, `input`, and what is said about it. The input has to have `id`, and `described` of the same id.
pub(crate) fn field(id: &str, label: &str, input: &Markup, hint: Option<&Markup>, error: Option<&str>) -> Markup {
    html! {
        div.field.wrong[error.is_some()] {
            label for=(id) { (label) }
            (input)
            @if let Some(error) = error { p.error id={ (id) "-error" } { (error) } }
            @if let Some(hint) = hint { p.hint id={ (id) "-hint" } { (hint) } }
        }
    }
}

/// The ids of what is said about an input, for `aria-describedby`.
pub(crate) fn described(id: &str, hint: bool, error: bool) -> Option<String> {
    let said = [(error, "error"), (hint, "hint")];
    let ids: Vec<_> = said.iter().filter(|(is, _)| *is).map(|(_, part)| format!("{id}-{part}")).collect();
    (!ids.is_empty()).then(|| ids.join(" "))
}

/// A line of text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Text<'a> {
    /// Its id; also the name it is sent by.
    pub(crate) name: &'a str,
    pub(crate) label: &'a str,
    pub(crate) value: &'a str,
    pub(crate) placeholder: &'a str,
    /// `text`, `search`, `password`; for numbers see `mode`.
    pub(crate) kind: &'a str,
    /// `numeric` where a number is typed. Not the type `number`, which keeps what is no number to itself.
    pub(crate) mode: Option<&'a str>,
    pub(crate) hint: Option<&'a str>,
    pub(crate) required: bool,
}

impl<'a> Text<'a> {
    /// A line of text without anything special.
    pub(crate) fn new(name: &'a str, label: &'a str, value: &'a str) -> Self {
        Self { name, label, value, placeholder: "", kind: "text", mode: None, hint: None, required: false }
    }

    /// With what may be typed.
    pub(crate) fn placeholder(self, placeholder: &'a str) -> Self {
        Self { placeholder, ..self }
    }

    /// With what it is for.
    pub(crate) fn hint(self, hint: &'a str) -> Self {
        Self { hint: Some(hint), ..self }
    }

    /// For a number.
    pub(crate) fn numeric(self) -> Self {
        Self { mode: Some("numeric"), ..self }
    }

    /// That has to be filled in.
    pub(crate) fn required(self) -> Self {
        Self { required: true, ..self }
    }

    /// The markup, with what is wrong with it.
    pub(crate) fn shown(&self, error: Option<&str>) -> Markup {
        let input = html! {
            input id=(self.name) name=(self.name) type=(self.kind) value=(self.value) inputmode=[self.mode] autocomplete="off"
                placeholder=[(!self.placeholder.is_empty()).then_some(self.placeholder)] aria-required=[self.required.then_some("true")]
                aria-invalid=[error.map(|_| "true")] aria-describedby=[described(self.name, self.hint.is_some(), error.is_some())];
        };
        field(self.name, self.label, &input, self.hint.map(|hint| html! { (hint) }).as_ref(), error)
    }
}

/// A choice among words: `options` are what is sent and what is shown.
pub(crate) fn select(name: &str, label: &str, value: &str, options: &[(&str, &str)], error: Option<&str>) -> Markup {
    let input = html! {
        select id=(name) name=(name) aria-invalid=[error.map(|_| "true")] aria-describedby=[described(name, false, error.is_some())] {
            @for (word, shown) in options { option value=(word) selected[*word == value] { (shown) } }
        }
    };
    field(name, label, &input, None, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_has_one_place() {
        let error = |field: &str| FieldError { field: field.into(), message: "is wrong".into() };
        let errors = Errors::new(vec![error("task.url"), error("headers.x-a"), error("body"), error("headersx")]);
        assert_eq!(errors.of("task.url").as_deref(), Some("is wrong"));
        assert_eq!(errors.below("headers").len(), 1);
        assert_eq!(
            errors.beside(&["task", "headers"]).iter().map(|e| e.field.as_str()).collect::<Vec<_>>(),
            ["body", "headersx"]
        );
        let shown = Text::new("name", "Name", "\"><script>").shown(Some("is <wrong>")).into_string();
        assert!(shown.contains("&quot;&gt;&lt;script&gt;") && shown.contains("is &lt;wrong&gt;"), "{shown}");
        assert!(shown.contains(r#"aria-describedby="name-error""#), "{shown}");
    }
}
