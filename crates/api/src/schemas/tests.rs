use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::CompiledSchema;

fn compiled(schema: &Value) -> CompiledSchema {
    CompiledSchema::new(&schema.to_string()).unwrap()
}

/// The fields that are refused, in the order of their names.
fn refused(schema: &Value, data: &Value) -> Vec<String> {
    let errors = compiled(schema).check(&data.to_string()).err().unwrap_or_default();
    let mut fields: Vec<_> = errors.0.into_iter().map(|error| error.field).collect();
    fields.sort();
    fields
}

#[test]
fn fields_are_named_by_their_path() {
    let schema = json!({
        "type": "object",
        "required": ["id", "balance"],
        "additionalProperties": false,
        "properties": {
            "id": {"type": "integer", "minimum": 1},
            "balance": {"type": "string", "pattern": "^-?\\d+\\.\\d{2}$"},
            "mail": {"format": "email"},
            "lines": {"type": "array", "items": {"required": ["price"], "properties": {"price": {"type": "number"}}}},
        }
    });
    assert_eq!(
        refused(&schema, &json!({"id": 1, "balance": "-0.10", "mail": "a@example.org", "lines": [{"price": 1}]})),
        [""; 0]
    );
    let wrong = json!({"id": 0, "mail": "none", "lines": [{"price": 1}, {"price": "much"}, {}], "more": 1});
    let fields = ["data.balance", "data.id", "data.lines[1].price", "data.lines[2].price", "data.mail", "data.more"];
    assert_eq!(refused(&schema, &wrong), fields);
}

#[test]
fn messages_hold_no_values() {
    let schema = json!({"properties": {"password": {"type": "integer"}, "pin": {"pattern": "^\\d+$"}, "token": {"enum": [1]}}});
    let data = json!({"password": "hunter2", "pin": "hunter2", "token": {"deep": "hunter2"}});
    let errors = compiled(&schema).check(&data.to_string()).unwrap_err();
    assert_eq!(errors.0.len(), 3);
    assert!(!errors.to_string().contains("hunter2"), "{errors}");
}

#[test]
fn each_dialect_is_what_it_says() {
    let tuple = |dialect: Option<&str>| {
        let mut schema = json!({"properties": {"pair": {"items": [{"type": "integer"}]}}});
        if let Some(dialect) = dialect {
            schema["$schema"] = json!(dialect);
        }
        CompiledSchema::new(&schema.to_string())
    };
    // A list of items was replaced by prefixItems.
    assert!(tuple(None).is_err());
    assert!(tuple(Some("https://json-schema.org/draft/2020-12/schema")).is_err());
    for dialect in ["https://json-schema.org/draft/2019-09/schema", "http://json-schema.org/draft-07/schema#"] {
        assert!(tuple(Some(dialect)).unwrap().check(r#"{"pair":["x"]}"#).is_err(), "{dialect}");
    }
}

#[test]
fn what_is_not_a_schema_is_refused_with_its_place() {
    for (schema, said) in [
        (json!({"type": "objekt"}), "schema.type"),
        (json!({"properties": {"id": {"minimum": "1"}}}), "schema.properties.id.minimum"),
        (json!({"properties": {"id": {"pattern": "("}}}), "pattern"),
        (json!({"pattern": "(?=ahead)"}), "pattern"),
        (json!({"pattern": "(a)\\1"}), "pattern"),
        (json!({"pattern": "((a{1,500}){1,500}){1,500}"}), "pattern"),
    ] {
        let error = CompiledSchema::new(&schema.to_string()).unwrap_err();
        assert!(error.contains(said), "{error}");
    }
    let large = format!(r#"{{"title":"{}"}}"#, "x".repeat(70_000));
    assert!(CompiledSchema::new(&large).unwrap_err().contains("65536"));
}

/// Far more than it takes, far less than what would hurt.
fn soon(what: &str, work: impl FnOnce()) {
    let began = Instant::now();
    work();
    assert!(began.elapsed() < Duration::from_secs(20), "{what} took {:?}", began.elapsed());
}

#[test]
fn what_is_hostile_costs_little() {
    // Where backtracking would never end.
    let catastrophic = compiled(&json!({"properties": {"x": {"pattern": "^(a+)+$"}}}));
    let data = format!(r#"{{"x":"{}!"}}"#, "a".repeat(100_000));
    soon("a pattern", || assert!(catastrophic.check(&data).is_err()));
    // As many errors as there are items, in more data than all of them are looked for in.
    let strings = compiled(&json!({"properties": {"x": {"items": {"type": "string"}}}}));
    let many = format!(r#"{{"x":[{}1]}}"#, "1,".repeat(400_000));
    soon("many errors", || assert_eq!(strings.check(&many).unwrap_err().0.len(), 1));
    let few = format!(r#"{{"x":[{}1]}}"#, "1,".repeat(1000));
    assert_eq!(strings.check(&few).unwrap_err().0.len(), 20);
    // A large schema is not held against large data.
    let wide = compiled(&json!({"properties": {"x": {"items": {"allOf": vec![json!({"minimum": 0}); 2000]}}}}));
    soon("much work", || assert!(wide.check(&many).unwrap_err().0[0].message.contains("at most")));
    let unique = compiled(&json!({"properties": {"x": {"uniqueItems": true}}}));
    let objects: Vec<_> = (0..20_000).map(|n| json!({"n": n})).collect();
    soon("unique items", || assert!(unique.check(&json!({"x": objects}).to_string()).is_ok()));
    // A publisher's text is not compiled as a pattern.
    let regex = compiled(&json!({"properties": {"x": {"format": "regex"}}}));
    assert!(regex.check(r#"{"x":"((("}"#).is_ok());
}

#[test]
fn data_may_nest_as_deep_as_it_is_taken() {
    let deep = (0..126).fold(json!(1), |within, _| json!([within]));
    let all = (0..40).fold(json!({"type": "object"}), |within, _| json!({"allOf": [within]}));
    assert_eq!(refused(&all, &json!({"x": deep})), [""; 0]);
}
