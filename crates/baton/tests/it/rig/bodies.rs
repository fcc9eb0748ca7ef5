//! Bodies of requests.

use serde_json::{Map, Value, json};

/// An event of an object. `data` is an object.
pub(crate) fn event(events_id: &str, object_id: impl Into<Value>, data: Value) -> Value {
    let mut event = json!({"event": {"events_id": events_id, "object_id": object_id.into()}});
    event["data"] = data;
    event
}

/// A handler that is called by HTTP.
pub(crate) fn http(name: &str, event: &str, url: impl Into<String>) -> Value {
    json!({"name": name, "event": event, "task": {"type": "http", "url": url.into()}})
}

/// A handler that is a script.
pub(crate) fn script(name: &str, event: &str, path: &str, args: &[&str]) -> Value {
    json!({"name": name, "event": event, "task": {"type": "script", "path": path, "args": args}})
}

/// A policy that tries often and soon.
pub(crate) fn quick_retry(max_attempts: u32) -> Value {
    json!({"max_attempts": max_attempts, "first_delay_ms": 50, "max_delay_ms": 200})
}

/// The first object with the fields of the second in it.
pub(crate) fn with(mut object: Value, fields: Value) -> Value {
    let Value::Object(fields) = fields else { panic!("{fields} is no object") };
    object.as_object_mut().unwrap().extend::<Map<String, Value>>(fields);
    object
}
