//! The messages of serde in the words of someone who writes JSON, not Rust.

use super::unique::GIVEN_TWICE;

const SHOWN_MAX: usize = 80;

/// What a message says of a field.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// A field of this name is missing.
    Missing(String),
    /// Something else is wrong with the field itself.
    Wrong(String),
}

/// The message without the position in the text, in plain words.
pub(super) fn plain(message: &str) -> Said {
    let message = message.rfind(" at line ").map_or(message, |end| &message[..end]);
    if let Some(name) = quoted(message, "missing field ") {
        return Said::Missing(name.to_owned());
    }
    Said::Wrong(wrong(message))
}

fn wrong(message: &str) -> String {
    if quoted(message, "unknown field ").is_some() {
        let known = list_after(message, "expected ").map_or_else(|| "none is".into(), |list| format!("known are {list}"));
        return format!("is not known here; {known}");
    }
    if let Some(name) = quoted(message, "unknown variant ") {
        let known = list_after(message, "expected ").unwrap_or_default();
        return format!("must be one of {known}, not '{}'", cut(name));
    }
    if message.starts_with("duplicate field ") || message == GIVEN_TWICE {
        return GIVEN_TWICE.into();
    }
    if message.starts_with("number out of range") {
        return "is a number out of range".into();
    }
    let typed = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "));
    match typed.and_then(|rest| rest.rsplit_once(", expected ")) {
        Some((found, expected)) => format!("must be {}, not {}", wanted(expected), cut(&found.replace('`', ""))),
        None => cut(message),
    }
}

/// What stands between backticks after `start`.
fn quoted<'a>(message: &'a str, start: &str) -> Option<&'a str> {
    let rest = message.strip_prefix(start)?.strip_prefix('`')?;
    // Names that a sender made up may hold a backtick themselves.
    let end = rest.find("`, ").or_else(|| rest.rfind('`'))?;
    rest.get(..end)
}

/// The names that serde lists: "`a`", "`a` or `b`", "one of `a`, `b`".
fn list_after(message: &str, start: &str) -> Option<String> {
    let (_, list) = message.rsplit_once(start)?;
    let names: Vec<_> = list.split('`').skip(1).step_by(2).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

fn wanted(expected: &str) -> String {
    match expected {
        "i64" | "u64" | "i32" | "u32" | "u16" | "usize" => "an integer".into(),
        "f64" => "a number".into(),
        "a sequence" => "an array".into(),
        "a map" | "map" => "an object".into(),
        "a boolean" => "true or false".into(),
        other if other.starts_with("struct ") => "an object".into(),
        other if other.starts_with("enum ") => "a string".into(),
        other => other.into(),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(message: &str) -> String {
        match plain(message) {
            Said::Missing(name) => format!("missing {name}"),
            Said::Wrong(message) => message,
        }
    }

    #[test]
    fn messages_read_like_sentences_about_a_field() {
        for (serde, ours) in [
            ("missing field `name` at line 1 column 2", "missing name"),
            ("invalid type: string \"1\", expected i64 at line 3 column 9", "must be an integer, not string \"1\""),
            ("invalid type: floating point `1.5`, expected u16", "must be an integer, not floating point 1.5"),
            ("invalid type: null, expected struct HandlerInput", "must be an object, not null"),
            ("unknown field `nmae`, expected one of `name`, `event`", "is not known here; known are name, event"),
            ("unknown field `a`, expected `b` or `c`", "is not known here; known are b, c"),
            ("unknown field `a`, there are no fields", "is not known here; none is"),
            ("unknown variant `on`, expected `a` or `b`", "must be one of a, b, not 'on'"),
            ("duplicate field `limit`", "is given twice"),
            ("something else", "something else"),
        ] {
            assert_eq!(said(serde), ours, "{serde}");
        }
    }

    #[test]
    fn what_was_sent_is_cut_and_never_breaks_the_sentence() {
        let long = format!("invalid type: string \"{}\", expected i64", "é, expected `".repeat(100));
        assert!(said(&long).chars().count() < 150, "{}", said(&long));
        assert_eq!(said("unknown field `a`b`, expected `c`"), "is not known here; known are c");
    }
}
