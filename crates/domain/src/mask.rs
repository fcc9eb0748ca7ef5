//! Hides credentials in what logs and screens show.

use indexmap::IndexMap;
use serde_json::Value;
use serde_json::value::RawValue;

/// What stands in the place of a hidden value.
pub const MASK: &str = "••••";

const TELLING: [&str; 4] = ["password", "secret", "token", "authorization"];

/// Whether a key is named like a credential: it contains `password`, `secret`, `token` or `authorization`, in any case. The last is what a
/// receiver that sends back what it got would show.
#[must_use]
pub fn is_telling(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    TELLING.iter().any(|word| key.contains(word))
}

/// How deep objects and arrays may nest before what is below is masked whole.
const DEPTH_MAX: usize = 64;

/// The JSON text with the values of keys named like credentials masked, at any depth; everything else stays to the letter. An object or
/// array that names a credential but cannot be read (cut off, say) is masked whole; text that is neither comes back as it is.
#[must_use]
pub fn mask_json(text: &str) -> String {
    if !is_telling(text) && !text.contains("\\u") {
        return text.to_owned();
    }
    masked(text.trim_start_matches('\u{feff}').trim(), 0).unwrap_or_else(|| text.to_owned())
}

/// The masked text, or `None` where there is nothing to mask. `null` hides nothing and stays.
fn masked(text: &str, depth: usize) -> Option<String> {
    let quoted_mask = || format!("\"{MASK}\"");
    if text.starts_with('"') {
        // JSON within a string hides nothing from those who read it.
        let within: String = serde_json::from_str(text).ok()?;
        let within = within.trim();
        // Text that only begins like JSON is left alone.
        let harmless = within.starts_with('"') || !(is_telling(within) || within.contains("\\u"));
        return if harmless { None } else { masked(within, depth + 1).map(|new| Value::from(new).to_string()) };
    }
    if !text.starts_with(['{', '[']) {
        return None;
    }
    if depth == DEPTH_MAX {
        return Some(quoted_mask());
    }
    if text.starts_with('{') {
        let Ok(fields) = serde_json::from_str::<IndexMap<String, &RawValue>>(text) else { return Some(quoted_mask()) };
        let new = |key: &str, value: &RawValue| {
            if is_telling(key) && value.get() != "null" { Some(quoted_mask()) } else { masked(value.get(), depth + 1) }
        };
        let replaced: Vec<_> = fields.iter().map(|(key, value)| (key, *value, new(key, value))).collect();
        replaced.iter().any(|(_, _, new)| new.is_some()).then(|| {
            let field = |(key, old, new): &(&String, &RawValue, Option<String>)| {
                format!("{}:{}", Value::from(key.as_str()), new.as_deref().unwrap_or(old.get()))
            };
            format!("{{{}}}", replaced.iter().map(field).collect::<Vec<_>>().join(","))
        })
    } else {
        let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(text) else { return Some(quoted_mask()) };
        let replaced: Vec<_> = items.iter().map(|item| (item.get(), masked(item.get(), depth + 1))).collect();
        replaced.iter().any(|(_, new)| new.is_some()).then(|| {
            format!("[{}]", replaced.iter().map(|(old, new)| new.as_deref().unwrap_or(old)).collect::<Vec<_>>().join(","))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_masked_at_any_depth() {
        let text = r#"{"id":881,"password":"not-a-real-secret","list":[{"api_Token":{"a":1}}],"ani":null,"pass\u0077ord":"x"}"#;
        let masked: Value = serde_json::from_str(&mask_json(text)).unwrap();
        assert_eq!(masked["password"], MASK);
        assert_eq!(masked["list"][0]["api_Token"], MASK);
        assert_eq!(masked["id"], 881);
        assert_eq!(
            mask_json(r#"{"n": 12345678901234567890123,"token":"x","e":1E5}"#),
            format!(r#"{{"n":12345678901234567890123,"token":"{MASK}","e":1E5}}"#)
        );
    }

    #[test]
    fn what_cannot_be_read_is_masked_whole() {
        for text in
            [r#"{"\ud800":1,"password":"hunter2"}"#, r#" {"password":"hunter2","cut":"of"#, r#"[{"a":1,"token":"hunter2""#]
        {
            assert!(!mask_json(text).contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn json_behind_a_mark_or_within_a_string_is_masked_too() {
        for text in [
            "\u{feff}{\"token\":\"hunter2\"}",
            r#"{"body":"{\"a\":1,\"password\":\"hunter2\"}"}"#,
            r#"["[{\"secret\":\"hunter2\"}]"]"#,
        ] {
            let masked = mask_json(text);
            assert!(!masked.contains("hunter2") && masked.contains(MASK), "{masked}");
            assert!(serde_json::from_str::<Value>(&masked).is_ok(), "{masked}");
        }
        for harmless in [r#"{"body":"{\"a\":1}","token_free":null}"#, r#"{"":["\u000e"],"a":{"name":"{"}}"#] {
            assert_eq!(mask_json(harmless), harmless);
        }
    }

    #[test]
    fn deep_nesting_is_bounded() {
        let deep = format!(r#"{}{{"secret":1}}{}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert!(mask_json(&deep).len() < 1000);
    }

    #[test]
    fn what_hides_nothing_stays_to_the_letter() {
        for text in [r#"{"credit":250.0, "n":12345678901234567890123}"#, r#"{"password":null,"x":1.50}"#, "not json, no secret"] {
            assert_eq!(mask_json(text), text);
        }
    }
}
