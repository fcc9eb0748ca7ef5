//! JSON that passes through to the letter.

use baton_domain::mask::{is_telling, mask_json};
use baton_domain::{ObjectId, mask};
use serde_json::value::RawValue;

/// The JSON text as a value; `null` for what is not JSON, which nothing that was stored is.
pub(crate) fn raw(text: String) -> Box<RawValue> {
    RawValue::from_string(text).unwrap_or_else(|error| {
        tracing::error!(%error, "stored text is not JSON");
        RawValue::NULL.to_owned()
    })
}

/// An object's id as it was published.
pub(crate) fn object_id(id: &ObjectId) -> Box<RawValue> {
    raw(id.as_json().to_owned())
}

/// An event's data with credentials masked.
pub(crate) fn masked(data: &str) -> Box<RawValue> {
    raw(mask_json(data))
}

/// Headers that carry a credential without being named like one.
const CREDENTIAL_HEADERS: [&str; 5] = ["authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key"];

/// A header's value, masked when its name tells of a credential.
pub(crate) fn masked_header(name: &str, value: String) -> String {
    let is_known = CREDENTIAL_HEADERS.iter().any(|known| name.eq_ignore_ascii_case(known));
    if is_telling(name) || is_known { mask::MASK.to_owned() } else { value }
}

/// Whether objects and arrays of a JSON text nest at most so deep.
pub(crate) fn nests_within(json: &str, most: usize) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => {
                depth += 1;
                if depth > most {
                    return false;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_brackets_outside_of_strings() {
        assert!(nests_within(r#"{"a":[1,{"b":2}],"c":[[]]}"#, 3));
        assert!(!nests_within(r#"{"a":[1,{"b":2}]}"#, 2));
        assert!(nests_within(r#"{"a":"[[[[\"[[\\","b":"{{{"}"#, 1));
        assert!(nests_within("5", 0));
    }
}
