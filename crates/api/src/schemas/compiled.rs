//! A schema, ready to be held against data. Nothing here fetches, waits or runs for long.

use baton_domain::FieldErrors;
use jsonschema::error::ValidationErrorKind;
use jsonschema::paths::{Location, LocationSegment};
use jsonschema::{Draft, PatternOptions, ValidationError, Validator};
use serde_json::Value;

use super::document::{SCHEMA_BYTES_MAX, measure};

/// How much a compiled pattern may take, and its cache, in bytes.
const PATTERN_BYTES_MAX: usize = 128 * 1024;
const PATTERN_CACHE_BYTES_MAX: usize = 256 * 1024;
/// How much work one event may be: values of the schema, its references written out, times bytes of data. About a second at most.
const WORK_MAX: u64 = 64 * 1024 * 1024;
/// The most errors that are found of one event.
const ERRORS_MAX: usize = 20;
/// Of larger data the first error alone is found: to find them all, all have to be in memory at once.
const ALL_ERRORS_BYTES_MAX: usize = 16 * 1024;
/// The longest message, in characters.
const MESSAGE_MAX: usize = 300;

/// A schema that stands all checks.
#[derive(Debug)]
pub(crate) struct CompiledSchema {
    validator: Validator,
    values: u64,
}

impl CompiledSchema {
    /// Compiles the JSON text of a schema.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        if text.len() > SCHEMA_BYTES_MAX {
            return Err(format!("has {} bytes; a schema may have {SCHEMA_BYTES_MAX}", text.len()));
        }
        let schema: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let extent = measure(&schema)?;
        let patterns = PatternOptions::regex().size_limit(PATTERN_BYTES_MAX).dfa_size_limit(PATTERN_CACHE_BYTES_MAX);
        let mut options = jsonschema::options()
            .offline()
            .with_pattern_options(patterns)
            .should_validate_formats(true)
            // What a publisher sends is not compiled.
            .with_format("regex", |_| true);
        if schema.get("$schema").is_none() {
            options = options.with_draft(Draft::Draft202012);
        }
        let validator = options.build(&schema).map_err(|error| {
            let at = path("schema", error.instance_path(), None);
            cut(&format!("is not a JSON Schema that can be used: {at}: {}", error.masked_with("it")))
        })?;
        Ok(Self { validator, values: extent.values })
    }

    /// How much work it is to check this data.
    pub(crate) fn work(&self, data: &str) -> u64 {
        self.values.saturating_mul(data.len() as u64)
    }

    /// Holds the JSON text of an event's data against it.
    ///
    /// # Errors
    /// The fields that are not as they should be, such as `data.balance`, the first [`ERRORS_MAX`]. Messages hold no values of the data.
    pub(crate) fn check(&self, data: &str) -> Result<(), FieldErrors> {
        if self.work(data) > WORK_MAX {
            let most = WORK_MAX / self.values.max(1);
            let message =
                format!("has {} bytes; by the size of the schema of its type, at most {most} can be checked", data.len());
            return Err(FieldErrors::one("data", message));
        }
        let data_value: Value = serde_json::from_str(data).map_err(|error| FieldErrors::one("data", error.to_string()))?;
        let mut errors = FieldErrors::default();
        if data.len() > ALL_ERRORS_BYTES_MAX {
            if let Err(error) = self.validator.validate(&data_value) {
                push(&mut errors, &error);
            }
        } else {
            self.validator.iter_errors(&data_value).take(ERRORS_MAX).for_each(|error| push(&mut errors, &error));
        }
        errors.or(())
    }
}

fn push(errors: &mut FieldErrors, error: &ValidationError<'_>) {
    let at = error.instance_path();
    match error.kind() {
        ValidationErrorKind::Required { property } => {
            errors.push(path("data", at, property.as_str()), "is required by the schema of its event type");
        }
        ValidationErrorKind::AdditionalProperties { unexpected } | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            for property in unexpected.iter().take(ERRORS_MAX) {
                errors.push(path("data", at, Some(property)), "is not known to the schema of its event type");
            }
        }
        _ => errors.push(path("data", at, None), cut(&format!("is refused by the schema of its event type: {}", error.masked()))),
    }
}

/// The name of a field as other refusals have it: `data.lines[3].price`.
fn path(root: &str, location: &Location, more: Option<&str>) -> String {
    let mut path = String::from(root);
    for segment in location {
        match segment {
            LocationSegment::Property(name) => path = format!("{path}.{name}"),
            LocationSegment::Index(index) => path = format!("{path}[{index}]"),
        }
    }
    if let Some(name) = more {
        path = format!("{path}.{name}");
    }
    cut(&path)
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MESSAGE_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
