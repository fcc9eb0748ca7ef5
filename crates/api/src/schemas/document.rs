//! What a schema may look like, so that nothing it says can hurt: it is measured before it is compiled.
//!
//! A schema that leads back to itself could go on for ever, one whose parts refer to each other twice and twice again could take longer than
//! anybody lives. So references lead to parts of the same document and never in a circle, and all that they lead to, written out, has a
//! limit. What is written out is counted generously: also what is not a schema.

use std::collections::HashMap;

use serde_json::Value;

/// The largest schema, in bytes.
pub(crate) const SCHEMA_BYTES_MAX: usize = 64 * 1024;
/// How deep a schema may nest, its references followed.
const DEPTH_MAX: u32 = 100;
/// How many values a schema may have, its references written out.
const VALUES_MAX: u64 = 20_000;
/// How many patterns a schema may have, its references written out: each is a program of its own.
const PATTERNS_MAX: u64 = 200;
/// The dialects, by what `$schema` says.
const DIALECTS: [&str; 4] = [
    "https://json-schema.org/draft/2020-12/schema",
    "https://json-schema.org/draft/2019-09/schema",
    "http://json-schema.org/draft-07/schema",
    "http://json-schema.org/draft-06/schema",
];
/// Words that make a reference depend on where it is followed from.
const NOT_TAKEN: [&str; 5] = ["$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor", "$vocabulary"];

/// How much there is in a part of a schema, its references written out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    pub values: u64,
    patterns: u64,
    depth: u32,
}

/// Measures a schema.
///
/// # Errors
/// A sentence that says what of it is not taken.
pub(super) fn measure(schema: &Value) -> Result<Extent, String> {
    if !schema.is_object() {
        return Err("must be an object".into());
    }
    match schema.get("$schema") {
        None => {}
        Some(Value::String(named)) if DIALECTS.contains(&named.trim_end_matches('#')) => {}
        Some(_) => return Err(format!("$schema must be one of {}", DIALECTS.join(", "))),
    }
    let mut anchors = HashMap::new();
    look_over(schema, true, &mut anchors)?;
    Measure { schema, anchors, known: HashMap::new(), under_way: Vec::new() }.of(schema, 0)
}

/// Finds the anchors, and what is not taken anywhere. The parser has seen to it that a schema does not nest too deep for this.
fn look_over<'a>(value: &'a Value, is_root: bool, anchors: &mut HashMap<&'a str, &'a Value>) -> Result<(), String> {
    match value {
        Value::Array(items) => items.iter().try_for_each(|item| look_over(item, false, anchors)),
        Value::Object(fields) => {
            if let Some(word) = NOT_TAKEN.iter().find(|word| fields.get(**word).is_some_and(|value| !value.is_object())) {
                return Err(format!("{word} is not taken here; use $ref and $defs"));
            }
            if !is_root && let Some(Value::String(id)) = fields.get("$id") {
                return Err(format!(
                    "$id '{}' is within the schema: a schema is one document, so only its root may have one",
                    cut(id)
                ));
            }
            if let Some(Value::String(anchor)) = fields.get("$anchor")
                && anchors.insert(anchor, value).is_some()
            {
                return Err(format!("$anchor '{}' is given twice", cut(anchor)));
            }
            fields.values().try_for_each(|field| look_over(field, false, anchors))
        }
        _ => Ok(()),
    }
}

struct Measure<'a> {
    schema: &'a Value,
    anchors: HashMap<&'a str, &'a Value>,
    /// By address: parts of the one document, which does not change meanwhile.
    known: HashMap<*const Value, Extent>,
    under_way: Vec<*const Value>,
}

impl<'a> Measure<'a> {
    fn of(&mut self, value: &'a Value, depth: u32) -> Result<Extent, String> {
        if depth > DEPTH_MAX {
            return Err(format!("nests deeper than {DEPTH_MAX} levels, its references followed"));
        }
        let address = std::ptr::from_ref(value);
        if let Some(known) = self.known.get(&address) {
            return if depth + known.depth > DEPTH_MAX {
                Err(format!("nests deeper than {DEPTH_MAX} levels, its references followed"))
            } else {
                Ok(*known)
            };
        }
        if self.under_way.contains(&address) {
            return Err("a $ref leads back to where it stands: a schema that holds itself is not taken".into());
        }
        self.under_way.push(address);
        let extent = self.within(value, depth)?;
        self.under_way.pop();
        if extent.values > VALUES_MAX {
            return Err(format!("has more than {VALUES_MAX} values, its references written out"));
        }
        if extent.patterns > PATTERNS_MAX {
            return Err(format!("has more than {PATTERNS_MAX} patterns, its references written out"));
        }
        self.known.insert(address, extent);
        Ok(extent)
    }

    fn within(&mut self, value: &'a Value, depth: u32) -> Result<Extent, String> {
        let mut extent = Extent { values: 1, patterns: own_patterns(value), depth: 0 };
        let mut add = |part: Extent| {
            extent.values = extent.values.saturating_add(part.values);
            extent.patterns = extent.patterns.saturating_add(part.patterns);
            extent.depth = extent.depth.max(part.depth + 1);
        };
        match value {
            Value::Array(items) => {
                for item in items {
                    add(self.of(item, depth + 1)?);
                }
            }
            Value::Object(fields) => {
                for field in fields.values() {
                    add(self.of(field, depth + 1)?);
                }
                if let Some(Value::String(reference)) = fields.get("$ref") {
                    let target = self.target(reference)?;
                    add(self.of(target, depth + 1)?);
                }
            }
            _ => {}
        }
        Ok(extent)
    }

    fn target(&self, reference: &str) -> Result<&'a Value, String> {
        let Some(fragment) = reference.strip_prefix('#') else {
            return Err(format!("$ref '{}' leads out of the schema: nothing is fetched; put it into $defs", cut(reference)));
        };
        let found = match fragment {
            "" => Some(self.schema),
            pointer if pointer.starts_with('/') => self.schema.pointer(&unescaped(pointer)),
            anchor => self.anchors.get(anchor).copied(),
        };
        found.ok_or_else(|| format!("$ref '{}' leads nowhere", cut(reference)))
    }
}

/// The patterns that a value itself has.
fn own_patterns(value: &Value) -> u64 {
    let is_pattern = value.get("pattern").is_some_and(Value::is_string);
    let by_pattern = value.get("patternProperties").and_then(Value::as_object).map_or(0, serde_json::Map::len);
    u64::from(is_pattern) + by_pattern as u64
}

/// A pointer in a reference has its special characters as percent codes.
fn unescaped(pointer: &str) -> String {
    let bytes = pointer.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = (bytes[at] == b'%').then(|| pointer.get(at + 1..at + 3)).flatten();
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Two parts, each of which leads to the next twice.
    fn doubling(parts: usize) -> Value {
        let mut defs = serde_json::Map::new();
        for part in 0..parts {
            let next = json!({"$ref": format!("#/$defs/d{}", part + 1)});
            defs.insert(format!("d{part}"), json!({"allOf": [next, next]}));
        }
        defs.insert(format!("d{parts}"), json!({"type": "string"}));
        json!({"$defs": defs, "$ref": "#/$defs/d0"})
    }

    #[test]
    fn what_is_written_out_is_counted() {
        let measured = |schema: Value| measure(&schema).unwrap().values;
        assert_eq!(measured(json!({"type": "object"})), 2);
        assert_eq!(measured(json!({"$defs": {"a": {"type": "string"}}, "properties": {"x": {"$ref": "#/$defs/a"}}})), 9);
        assert_eq!(measured(json!({"$defs": {"a": {"$anchor": "here"}}, "$ref": "#here"})), 7);
        assert_eq!(measured(json!({"$defs": {"a/b c": {}}, "$ref": "#/$defs/a~1b%20c"})), 5);
    }

    #[test]
    fn what_could_hurt_is_not_taken() {
        let deep = (0..90).fold(json!({}), |within, _| json!({"not": within}));
        for (schema, said) in [
            (json!([]), "must be an object"),
            (json!({"$schema": "http://json-schema.org/draft-04/schema#"}), "$schema must be one of"),
            (json!({"$schema": 7}), "$schema must be one of"),
            (json!({"$ref": "#"}), "leads back"),
            (
                json!({"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/b"}]}, "b": {"items": {"$ref": "#/$defs/a"}}}}),
                "leads back",
            ),
            (json!({"properties": {"parent": {"$ref": "#"}}}), "leads back"),
            (json!({"$ref": "http://127.0.0.1:1/schema"}), "nothing is fetched"),
            (json!({"$ref": "file:///etc/passwd"}), "nothing is fetched"),
            (json!({"$ref": "other.json"}), "nothing is fetched"),
            (json!({"$ref": "#/$defs/none"}), "leads nowhere"),
            (json!({"$ref": "#none"}), "leads nowhere"),
            (json!({"items": {"$id": "http://elsewhere/", "$ref": "#"}}), "only its root"),
            (json!({"$dynamicRef": "#a"}), "$dynamicRef is not taken"),
            (json!({"allOf": [{"$anchor": "a"}, {"$anchor": "a"}]}), "given twice"),
            (doubling(20), "written out"),
            (doubling(60), "nests deeper"),
            (json!({"allOf": vec![json!({"pattern": "a"}); 201]}), "patterns"),
            (
                json!({"$defs": {"deep": deep}, "allOf": [{"allOf": [{"allOf": [{"allOf": [{"allOf": [{"$ref": "#/$defs/deep"}]}]}]}]}]}),
                "nests deeper",
            ),
        ] {
            let error = measure(&schema).unwrap_err();
            assert!(error.contains(said), "{error} for {}", cut(&schema.to_string()));
        }
        assert!(measure(&doubling(8)).is_ok());
    }

    #[test]
    fn fields_that_are_named_like_words_are_fields() {
        let schema =
            json!({"properties": {"$ref": {"type": "string"}, "$id": {"type": "string"}, "$anchor": {}, "$dynamicRef": {}}});
        assert!(measure(&schema).is_ok());
    }
}
