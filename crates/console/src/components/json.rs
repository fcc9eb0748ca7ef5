//! JSON, indented.

use serde_json::ser;
use serde_json::value::RawValue;

/// How deep JSON is indented.
const DEPTH_MAX: usize = 64;

/// JSON with spaces between its tokens, which stay as they were written: nothing is shown that was not said. What is no JSON stays as it is.
pub(crate) fn indented(text: &str) -> String {
    let mut out = Vec::new();
    let mut pretty = ser::PrettyFormatter::new();
    let json = serde_json::from_str::<&RawValue>(text).ok();
    let shown = json.and_then(|json| walk(json.get(), 0, &mut pretty, &mut out)).and_then(|()| String::from_utf8(out).ok());
    shown.unwrap_or_else(|| text.to_owned())
}

fn walk(text: &str, depth: usize, pretty: &mut ser::PrettyFormatter<'_>, out: &mut Vec<u8>) -> Option<()> {
    use serde_json::ser::Formatter;
    // What nests deeper is shown as it is: an answer of nothing but brackets must not cost more than its length, nor the stack.
    if depth == DEPTH_MAX {
        out.extend(text.as_bytes());
        return Some(());
    }
    if text.starts_with('{') {
        let fields: Fields<'_> = serde_json::from_str(text).ok()?;
        pretty.begin_object(out).ok()?;
        for (index, (name, value)) in fields.0.iter().enumerate() {
            pretty.begin_object_key(out, index == 0).ok()?;
            out.extend(serde_json::to_vec(name).ok()?);
            pretty.begin_object_value(out).ok()?;
            walk(value.get(), depth + 1, pretty, out)?;
            pretty.end_object_value(out).ok()?;
        }
        return pretty.end_object(out).ok();
    }
    if text.starts_with('[') {
        let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
        pretty.begin_array(out).ok()?;
        for (index, value) in items.iter().enumerate() {
            pretty.begin_array_value(out, index == 0).ok()?;
            walk(value.get(), depth + 1, pretty, out)?;
            pretty.end_array_value(out).ok()?;
        }
        return pretty.end_array(out).ok();
    }
    out.extend(text.as_bytes());
    Some(())
}

/// The fields of an object in their order, each value as it was written.
struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'de> serde::Deserialize<'de> for Fields<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_order_stay_as_they_were_written() {
        let shown = indented(r#"{"b":1.50,"a":[1e3,{}],"b":"\u00e9<"}"#);
        assert_eq!(shown, "{\n  \"b\": 1.50,\n  \"a\": [\n    1e3,\n    {}\n  ],\n  \"b\": \"\\u00e9<\"\n}");
        let deep = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
        assert_eq!(indented(&deep).matches('[').count(), 30_000);
        assert_eq!(indented("no <json>"), "no <json>");
    }
}
