//! Filters: a condition on the envelope that says which events a handler is called for, in the Common Expression Language
//! (<https://cel.dev>).
//!
//! A filter sees two variables, which are the two parts of the body that handlers get: `event` (`dt`, `events_id`, `object_id`) and `data`.
//! Numbers of `data` are integers where they are written without fraction and exponent and fit into 64 bits, else doubles. It knows no clock, does no I/O, and looks
//! at each list or map a bounded number of times, so that no event can keep it busy.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use cel::common::ast::{ComprehensionExpr, EntryExpr, Expr, IdedExpr};
use cel::objects::{Key, Map};
use cel::{Context, Env, ExecutionError, Program, Value};
use serde::Deserialize;

use crate::limits::FILTER_MAX;

/// The variables of a filter.
const VARIABLES: [&str; 2] = ["event", "data"];
/// The functions of a filter, beside the operators and the macros `has`, `all`, `exists`, `exists_one`, `map` and `filter`.
const FUNCTIONS: [&str; 12] =
    ["size", "contains", "startsWith", "endsWith", "matches", "int", "uint", "double", "string", "bool", "type", "dyn"];
/// The fields of `event`.
const EVENT_FIELDS: [&str; 3] = ["dt", "events_id", "object_id"];
/// How deep macros may stand within each other: each level multiplies the work by the length of a list.
const NESTED_MAX: usize = 1;
/// How deep an expression may be nested, so that asking it needs little stack.
const DEPTH_MAX: usize = 64;
/// The stack that reading an expression gets, in bytes: the parser goes deeper than what comes of it.
const STACK_BYTES: usize = 32 * 1024 * 1024;
/// How much of a value or a message an error shows, in characters.
const SHOWN_MAX: usize = 300;

/// A filter that is ready to be asked.
pub struct Filter {
    text: String,
    program: Program,
    env: Arc<Env>,
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Filter").field(&self.text).finish()
    }
}

impl Filter {
    /// Parses an expression and checks its names.
    ///
    /// # Errors
    /// A sentence: where it cannot be read, or which name it does not know.
    pub fn compile(text: &str) -> Result<Self, String> {
        let length = text.chars().count();
        if text.trim().is_empty() || length > FILTER_MAX {
            return Err(format!("must be an expression of at most {FILTER_MAX} characters, such as data.balance < 0"));
        }
        stacker::grow(STACK_BYTES, || Self::read(text))
    }

    fn read(text: &str) -> Result<Self, String> {
        let env = Arc::new(Env::stdlib());
        let program = env.compile(text).map_err(|errors| {
            let first = errors.errors.first();
            let place = first.map(|e| format!(" at line {}, column {}", e.pos.0.max(1), e.pos.1.max(1))).unwrap_or_default();
            let why = first.map_or_else(String::new, |e| shown(e.msg.trim_start_matches("Syntax error: ")));
            format!("cannot be read{place}: {why}")
        })?;
        Names::default().expression(program.expression())?;
        Ok(Self { text: text.to_owned(), program, env })
    }

    /// The expression as it was typed.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it wants an event, whose body is the JSON that handlers get ([`crate::event::body`]).
    ///
    /// # Errors
    /// A sentence, when it cannot be said of this event: a field is missing, or types do not go together.
    pub fn wants(&self, body: &[u8]) -> Result<bool, String> {
        let Envelope { event, data } = serde_json::from_slice(body).map_err(|e| format!("the event cannot be read: {e}"))?;
        let mut context = Context::with_env(Arc::clone(&self.env));
        context.add_variable_from_value("event", value(event));
        context.add_variable_from_value("data", value(data));
        match self.program.execute(&context) {
            Ok(Value::Bool(wanted)) => Ok(wanted),
            Ok(other) => Err(format!("it gives {}, not true or false", shown(&format!("{other:?}")))),
            Err(error) => Err(reason(&error)),
        }
    }
}

#[derive(Deserialize)]
struct Envelope {
    event: serde_json::Value,
    data: serde_json::Value,
}

fn reason(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(key) => format!("the event has no '{key}'; has(…) asks whether a field is there"),
        other => shown(&other.to_string()),
    }
}

fn shown(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.chars().take(SHOWN_MAX).collect()
}

fn value(json: serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(truth) => Value::Bool(truth),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(int), _) => Value::Int(int),
            (None, Some(uint)) => Value::UInt(uint),
            (None, None) => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        serde_json::Value::String(text) => Value::String(text.into()),
        serde_json::Value::Array(items) => Value::List(Arc::new(items.into_iter().map(value).collect())),
        serde_json::Value::Object(fields) => {
            let map: HashMap<Key, Value> = fields.into_iter().map(|(name, field)| (name.into(), value(field))).collect();
            Value::Map(Map { map: Arc::new(map) })
        }
    }
}

/// Looks through an expression for names that it cannot know, which would otherwise be found out only when an event comes.
#[derive(Default)]
struct Names {
    /// Variables of the macros around.
    local: Vec<String>,
    nested: usize,
    depth: usize,
}

impl Names {
    fn expression(&mut self, expression: &IdedExpr) -> Result<(), String> {
        if self.depth == DEPTH_MAX {
            return Err(format!("is nested more than {DEPTH_MAX} levels deep"));
        }
        self.depth += 1;
        self.parts(expression)?;
        self.depth -= 1;
        Ok(())
    }

    fn parts(&mut self, expression: &IdedExpr) -> Result<(), String> {
        match &expression.expr {
            Expr::Unspecified | Expr::Literal(_) => Ok(()),
            Expr::Ident(name) if VARIABLES.contains(&name.as_str()) || self.local.contains(name) => Ok(()),
            Expr::Ident(name) => Err(format!("does not know '{name}'; there are event and data")),
            Expr::Select(select) => {
                let of_event = matches!(&select.operand.expr, Expr::Ident(name) if name == "event" && !self.local.contains(name));
                if of_event && !EVENT_FIELDS.contains(&select.field.as_str()) {
                    return Err(format!(
                        "does not know 'event.{}'; there are event.{}",
                        select.field,
                        EVENT_FIELDS.join(", event.")
                    ));
                }
                self.expression(&select.operand)
            }
            Expr::Call(call) => {
                self.function(&call.func_name)?;
                call.target.iter().map(AsRef::as_ref).chain(&call.args).try_for_each(|part| self.expression(part))
            }
            Expr::List(list) => list.elements.iter().try_for_each(|element| self.expression(element)),
            Expr::Map(map) => map.entries.iter().try_for_each(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => self.expression(&entry.key).and_then(|()| self.expression(&entry.value)),
                EntryExpr::StructField(field) => self.expression(&field.value),
            }),
            Expr::Struct(made) => Err(format!("cannot make a '{}'", shown(&made.type_name))),
            Expr::Comprehension(all) => self.comprehension(all),
        }
    }

    fn function(&self, name: &str) -> Result<(), String> {
        // Operators have names that no identifier can have: `_&&_`, `@in`, `!_`.
        let is_operator = !name.starts_with(|c: char| c.is_ascii_alphabetic());
        if is_operator || FUNCTIONS.contains(&name) {
            return Ok(());
        }
        Err(format!(
            "does not know the function '{}'; there are has, all, exists, exists_one, map, filter, {}",
            shown(name),
            FUNCTIONS.join(", ")
        ))
    }

    fn comprehension(&mut self, all: &ComprehensionExpr) -> Result<(), String> {
        self.expression(&all.iter_range)?;
        if self.nested == NESTED_MAX {
            return Err("must not have one of all, exists, exists_one, map and filter within another".into());
        }
        self.nested += 1;
        let before = self.local.len();
        self.local.extend([all.iter_var.clone(), all.accu_var.clone()].into_iter().chain(all.iter_var2.clone()));
        [&all.accu_init, &all.loop_cond, &all.loop_step, &all.result].into_iter().try_for_each(|part| self.expression(part))?;
        self.local.truncate(before);
        self.nested -= 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BODY: &str = r#"{"event":{"dt":"2026-03-04T09:15:27+00:00","events_id":"clients.balance_zero","object_id":4107},
        "data":{"balance":-0.5,"credit":250,"tags":["wholesale","vip"],"manager":null,"owner":{"name":"Northwind"},"id":18446744073709551615}}"#;

    fn wants(text: &str) -> Result<bool, String> {
        Filter::compile(text)?.wants(BODY.as_bytes())
    }

    #[test]
    fn conditions_are_asked_of_the_envelope() {
        let yes = [
            "data.balance < 0",
            "data.credit == 250 && data.credit + 50 > 299",
            "data.credit > 249.5",
            "event.object_id == 4107",
            "event.events_id.startsWith('clients.')",
            "'vip' in data.tags",
            "data.tags.exists(t, t == 'vip')",
            "size(data.tags) == 2",
            "data.manager == null",
            "has(data.owner) && data.owner.name.matches('^North')",
            "!has(data.missing)",
            "!has(data.missing) || data.missing > 1",
            "data['credit'] in [250, 300]",
            "data.id > 0",
            "{'a': 1}['a'] == 1",
            "has(data.credit) && data.credit > 100 && !(event.object_id in [1, 2])",
            "double('-0.5') < 0.0",
            "data.tags.filter(t, t.startsWith('v')).size() == 1",
        ];
        for text in yes {
            assert_eq!(wants(text), Ok(true), "{text}");
        }
        for text in ["data.balance > 0", "event.object_id == '4107'", "has(data.missing) && data.missing == 1", "false"] {
            assert_eq!(wants(text), Ok(false), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_said_of_an_event_is_an_error_with_a_reason() {
        let reasons = [
            ("data.missing == 1", "the event has no 'missing'; has(…) asks whether a field is there"),
            ("data.credit", "it gives Int(250), not true or false"),
            ("data.tags < 1", "no matching overload"),
            ("data.owner.name.matches('(')", "not a valid regex"),
        ];
        for (text, reason) in reasons {
            let error = wants(text).unwrap_err();
            assert!(error.contains(reason) && !error.contains('\n'), "{text}: {error}");
        }
    }

    #[test]
    fn what_no_event_could_satisfy_is_refused_when_it_is_saved() {
        let refused = [
            ("", "must be an expression"),
            ("  ", "must be an expression"),
            ("data.balance <", "cannot be read at line 1, column 15"),
            ("datum.balance < 0", "does not know 'datum'; there are event and data"),
            ("event.id == 1", "does not know 'event.id'"),
            ("now() > 1", "does not know the function 'now'"),
            ("timestamp(event.dt) > 1", "does not know the function 'timestamp'"),
            ("data.tags.all(t, data.tags.all(u, u == t))", "within another"),
            ("data.tags.map(t, t).exists(t, x == t)", "does not know 'x'"),
            ("Thing{a: 1} == 1", "cannot make"),
        ];
        for (text, reason) in refused {
            let error = Filter::compile(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
        let long = format!("data.a == '{}'", "x".repeat(FILTER_MAX));
        assert!(Filter::compile(&long).is_err());
        for deep in [format!("{}1{} == 1", "(".repeat(900), ")".repeat(900)), format!("data{} == 1", ".a".repeat(900))] {
            assert!(Filter::compile(&deep).is_err());
        }
        assert!(Filter::compile(&["data.a == 1"; 100].join(" || ")).is_ok());
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_asked_without_a_panic(text in "[ -~]{0,60}", tokens in proptest::collection::vec(
            proptest::sample::select(vec!["data", "event", ".", "a", "(", ")", "[", "]", "==", "<", "&&", "!", "1", "'x'", "has", ",", "?", ":", "-", "{", "}"]), 0..20)) {
            for text in [text, tokens.join(" ")] {
                if let Ok(filter) = Filter::compile(&text) {
                    let _ = filter.wants(BODY.as_bytes());
                }
            }
        }
    }
}
