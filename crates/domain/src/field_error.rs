//! What is wrong with a field of something that was sent.

use serde::{Deserialize, Serialize};

/// One field and the reason why it is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// The field's path in what was sent: `task.url`, `events[3].event.dt`.
    pub field: String,
    /// A sentence that says what is wrong and what would be right.
    pub message: String,
}

/// All that is wrong with something; never empty when returned as an error.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{}", self.summary())]
#[serde(transparent)]
pub struct FieldErrors(pub Vec<FieldError>);

impl FieldErrors {
    /// An error of one field.
    #[must_use]
    pub fn one(field: impl Into<String>, message: impl Into<String>) -> Self {
        let mut errors = Self::default();
        errors.push(field, message);
        errors
    }

    /// Adds what is wrong with a field.
    pub fn push(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.0.push(FieldError { field: field.into(), message: message.into() });
    }

    /// Adds all of another's errors, their fields placed under `prefix`.
    pub fn extend_under(&mut self, prefix: &str, other: Self) {
        self.0.extend(other.0.into_iter().map(|e| FieldError { field: format!("{prefix}.{}", e.field), message: e.message }));
    }

    /// `Ok(value)` when nothing is wrong.
    ///
    /// # Errors
    /// These errors, when there are any.
    pub fn or<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }

    fn summary(&self) -> String {
        self.0.iter().map(|e| format!("{}: {}", e.field, e.message)).collect::<Vec<_>>().join("; ")
    }
}
