//! From JSON text to typed values, with every error at its place.

use baton_domain::{FieldError, FieldErrors};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::error::Category;
use serde_json::value::RawValue;
use serde_path_to_error::{Path, Segment};

use super::object::Object;
use super::unique::Unique;
use super::words::{Said, plain};
use crate::problem::{Code, Problem};

/// What the body as a whole is called where a field's name is due.
const WHOLE: &str = "body";
/// How many errors are looked for in one value; each costs another pass over it.
const PASSES_MAX: usize = 32;
/// Above this many bytes one pass must do.
const PASSES_BYTES_MAX: usize = 256 * 1024;

/// Parses JSON at full speed; only a refusal costs more, since it names what is wrong and where.
///
/// # Errors
/// `bad_json` with line and column, or `validation_failed` with every field.
pub(crate) fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, Problem> {
    match serde_json::from_slice(text) {
        Ok(Object(value)) => Ok(value),
        Err(error) => Err(refusal::<T>(text, &error).into()),
    }
}

/// Parses a part of a body that is known to be JSON; `at` is its place.
///
/// # Errors
/// Every field, named from the body's top.
pub(crate) fn parse_item<T: DeserializeOwned>(text: &RawValue, at: &str) -> Result<T, FieldErrors> {
    let error = match serde_json::from_str(text.get()) {
        Ok(Object(value)) => return Ok(value),
        Err(error) => error,
    };
    Err(match refusal::<T>(text.get().as_bytes(), &error) {
        Refusal::NotJson(detail) => FieldErrors::one(at, detail),
        Refusal::Fields(found) => {
            let placed = |field: String| if field == WHOLE { at.to_owned() } else { format!("{at}.{field}") };
            FieldErrors(found.0.into_iter().map(|e| FieldError { field: placed(e.field), ..e }).collect())
        }
    })
}

/// Parses JSON in which no object names a key twice.
///
/// # Errors
/// `bad_json` with line and column, or `validation_failed` for a key that is named twice.
pub(crate) fn parse_unique(text: &[u8]) -> Result<Value, Problem> {
    unique(text).map_err(Into::into)
}

/// Why a text is refused.
enum Refusal {
    NotJson(String),
    Fields(FieldErrors),
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotJson(detail) => Self::new(Code::BadJson, detail),
            Refusal::Fields(errors) => Self::invalid(errors),
        }
    }
}

/// Looks closely at a text that the fast way refused with `error`.
fn refusal<T: DeserializeOwned>(text: &[u8], error: &serde_json::Error) -> Refusal {
    let value = match unique(text) {
        Ok(value) => value,
        Err(refusal) => return refusal,
    };
    let passes = if text.len() > PASSES_BYTES_MAX { 1 } else { PASSES_MAX };
    let (_, errors) = collect_in::<T>(value, passes);
    // Should only the fast way refuse it, then what it said has to do.
    Refusal::Fields(if errors.0.is_empty() { FieldErrors::one(WHOLE, message(&error.to_string())) } else { errors })
}

fn unique(text: &[u8]) -> Result<Value, Refusal> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    match serde_path_to_error::deserialize::<_, Unique>(&mut deserializer) {
        Ok(Unique(value)) => match deserializer.end() {
            Ok(()) => Ok(value),
            Err(error) => Err(not_json(text, &error)),
        },
        Err(error) if error.inner().classify() == Category::Data || out_of_range(error.inner()) => {
            Err(Refusal::Fields(FieldErrors::one(name(error.path()), message(&error.inner().to_string()))))
        }
        Err(error) => Err(not_json(text, error.inner())),
    }
}

/// A number that no float can hold is well-formed JSON, whatever serde_json calls it.
fn out_of_range(error: &serde_json::Error) -> bool {
    error.to_string().starts_with("number out of range")
}

fn not_json(text: &[u8], error: &serde_json::Error) -> Refusal {
    if text.iter().all(u8::is_ascii_whitespace) {
        return Refusal::NotJson("The body is empty; it must be JSON.".into());
    }
    if let Err(utf8) = std::str::from_utf8(text) {
        return Refusal::NotJson(format!("The body is not UTF-8: the byte at offset {} is wrong.", utf8.valid_up_to()));
    }
    Refusal::NotJson(format!("The body is not JSON: {error}."))
}

/// A value as `T`, and every error in it. What is refused is taken out and the rest looked at again, so that all is said at once;
/// `None` when the rest does not make a `T` either.
pub(crate) fn collect<T: DeserializeOwned>(value: Value) -> (Option<T>, FieldErrors) {
    collect_in(value, PASSES_MAX)
}

fn collect_in<T: DeserializeOwned>(mut value: Value, passes: usize) -> (Option<T>, FieldErrors) {
    let mut errors = FieldErrors::default();
    for _ in 0..passes {
        let error = match serde_path_to_error::deserialize::<_, Object<T>>(&value) {
            Ok(Object(typed)) => return (Some(typed), errors),
            Err(error) => error,
        };
        let at = name(error.path());
        match plain(&error.inner().to_string()) {
            Said::Missing(field) => {
                let field = if at == WHOLE { field } else { format!("{at}.{field}") };
                // It may be missing because it was taken out: then all is said already.
                if !errors.0.iter().any(|e| overlaps(&e.field, &field)) {
                    errors.push(field, "is required");
                }
            }
            Said::Wrong(message) => errors.push(at, message),
        }
        // Where a field is missing, what it is missing from goes.
        if !take_out(&mut value, error.path()) {
            return (None, errors);
        }
    }
    (None, errors)
}

/// Whether one of two fields is the other, or is in it.
pub(crate) fn overlaps(a: &str, b: &str) -> bool {
    let within = |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with(['.', '[']));
    a == b || within(a, b) || within(b, a)
}

fn message(error: &str) -> String {
    match plain(error) {
        Said::Missing(field) => format!("'{field}' is required"),
        Said::Wrong(message) => message,
    }
}

fn name(path: &Path) -> String {
    let name = path.to_string();
    if name == "." { WHOLE.into() } else { name }
}

/// Takes the innermost field on the path out of the value. False where there is none.
fn take_out(value: &mut Value, path: &Path) -> bool {
    let steps: Vec<_> = path.iter().collect();
    let Some(last) = steps.iter().rposition(|step| matches!(step, Segment::Map { .. })) else { return false };
    let mut place = value;
    for step in &steps[..last] {
        let inner = match step {
            Segment::Map { key } => place.get_mut(key),
            Segment::Seq { index } => place.get_mut(index),
            Segment::Enum { .. } | Segment::Unknown => None,
        };
        let Some(inner) = inner else { return false };
        place = inner;
    }
    match (place.as_object_mut(), steps[last]) {
        (Some(object), Segment::Map { key }) => object.remove(key).is_some(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only whether it parses matters")]
    struct Outer {
        name: String,
        size: Option<u16>,
        inner: Option<Inner>,
        list: Option<Vec<Inner>>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only whether it parses matters")]
    struct Inner {
        on: bool,
    }

    fn refused(text: &str) -> Vec<String> {
        let value = parse_unique(text.as_bytes()).unwrap();
        collect::<Outer>(value).1.0.into_iter().map(|e| e.field).collect()
    }

    #[test]
    fn every_error_is_found_at_its_place() {
        let text = r#"{"name":5,"size":"1","inner":{"on":1,"off":2},"list":[{"on":true},{"on":"x"}],"nmae":"x"}"#;
        let mut fields = refused(text);
        fields.sort();
        assert_eq!(fields, ["inner.off", "inner.on", "list[1].on", "name", "nmae", "size"]);
    }

    #[test]
    fn what_is_missing_is_required() {
        assert_eq!(refused("{}"), ["name"]);
        assert_eq!(refused(r#"{"name":"a","inner":{}}"#), ["inner.on"]);
        assert_eq!(refused("[]"), ["body"]);
        assert_eq!(refused("5"), ["body"]);
    }

    #[test]
    fn a_key_that_is_named_twice_is_refused() {
        let problem = parse_unique(br#"{"a":{"b":1,"b":2}}"#).unwrap_err();
        assert_eq!(problem.code(), Code::ValidationFailed);
        assert!(format!("{problem:?}").contains("a.b"), "{problem:?}");
        assert!(parse::<Outer>(br#"{"name":"a","name":"b"}"#).is_err());
    }

    #[test]
    fn what_is_not_json_is_told_from_what_is_wrong_json() {
        let code = |text: &[u8]| parse::<Outer>(text).unwrap_err().code();
        for bad in ["", " ", "{", "{]", "{\"name\":\"a\"} x", "nul", "{'name':1}", "{\"name\":\"a\",}"] {
            assert_eq!(code(bad.as_bytes()), Code::BadJson, "{bad}");
        }
        assert_eq!(code(b"{\"name\":\"\xff\"}"), Code::BadJson);
        assert_eq!(code("[".repeat(10_000).as_bytes()), Code::BadJson);
        assert_eq!(code(br#"{"name":"a","size":1e999}"#), Code::ValidationFailed);
        assert_eq!(code(br#"{"name":"a","size":70000}"#), Code::ValidationFailed);
    }

    #[test]
    fn overlapping_fields() {
        assert!(overlaps("task", "task.url") && overlaps("task.url", "task") && overlaps("a[1].b", "a"));
        assert!(!overlaps("task", "task_type") && !overlaps("task.url", "task.path"));
    }
}
