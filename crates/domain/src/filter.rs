//! Filters: a condition on the envelope that says which events a handler is called for, in the Common Expression Language
//! (<https://cel.dev>).
//!
//! A filter sees two variables, which are the two parts of the body that handlers get: `event` (`dt`, `events_id`, `object_id`) and `data`.
//! Numbers of `data` are integers where they are written without fraction and exponent and fit into 64 bits, else doubles. It knows no clock
//! and does no I/O. What it does takes time and memory in proportion to the event, so that no event can keep it busy: macros stand neither
//! within each other nor many in a row, what a macro does for each element builds nothing new, and where it looks at more than the
//! element, the event has to be small.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue};
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
/// How many macros and how many additions a filter may have.
const MACROS_MAX: usize = 4;
const ADDITIONS_MAX: usize = 8;
/// The largest event, in bytes of its body, for a filter whose macros look at more than the element for each element: its work grows
/// with the square of that.
pub const SQUARE_BYTES_MAX: usize = 8 * 1024;
/// How deep an expression may be nested, so that asking it needs little stack.
const DEPTH_MAX: usize = 64;
/// The stack that reading an expression gets, in bytes: the parser goes deeper than what comes of it.
const STACK_BYTES: usize = 32 * 1024 * 1024;
/// How much of a value or a message an error shows, in characters.
const SHOWN_MAX: usize = 300;

/// A filter that is ready to be asked.
pub struct Filter {
    text: String,
    cost: Cost,
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
        let mut names = Names::default();
        names.expression(program.expression())?;
        Ok(Self { text: text.to_owned(), cost: names.cost, program, env })
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
        if self.cost == Cost::Square && body.len() > SQUARE_BYTES_MAX {
            return Err(format!(
                "for each element of a list it looks at other parts of the event, which it may for events of at most {} KiB; this one has {} bytes",
                SQUARE_BYTES_MAX / 1024,
                body.len()
            ));
        }
        let Envelope { event, data } = serde_json::from_slice(body).map_err(|e| format!("the event cannot be read: {e}"))?;
        let mut context = Context::with_env(Arc::clone(&self.env));
        context.add_variable_from_value("event", value(event));
        context.add_variable_from_value("data", value(data));
        match self.program.execute(&context) {
            Ok(Value::Bool(wanted)) => Ok(wanted),
            Ok(other) => Err(format!("it gives {}, not true or false", other.type_of())),
            Err(error) => Err(reason(&error)),
        }
    }
}

/// How the work of a filter grows with the event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Cost {
    /// In proportion.
    #[default]
    Linear,
    /// With its square.
    Square,
}

#[derive(Deserialize)]
struct Envelope {
    event: serde_json::Value,
    data: serde_json::Value,
}

fn reason(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(key) => format!("the event has no '{key}'; has(…) asks whether a field is there"),
        // The values themselves may be what the log is not to show.
        ExecutionError::ValuesNotComparable(one, other) | ExecutionError::UnsupportedIndex(one, other) => {
            format!("{} and {} do not go together", one.type_of(), other.type_of())
        }
        ExecutionError::UnsupportedBinaryOperator(operator, one, other) | ExecutionError::Overflow(operator, one, other) => {
            format!("{operator} cannot be done with {} and {}", one.type_of(), other.type_of())
        }
        ExecutionError::NotSupportedAsMethod { method, target } => format!("{} has no {method}", target.type_of()),
        ExecutionError::UnsupportedTargetType { target: value } | ExecutionError::UnsupportedKeyType(value) => {
            format!("{} cannot be used there", value.type_of())
        }
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => "it divides by zero".into(),
        ExecutionError::IndexOutOfBounds(_) => "a list has fewer elements than it is asked for".into(),
        ExecutionError::DuplicateKey(_) => "a map has the same key twice".into(),
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
    in_macro: bool,
    macros: usize,
    additions: usize,
    depth: usize,
    cost: Cost,
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
            Expr::Ident(name) if self.local.contains(name) => Ok(()),
            Expr::Ident(name) if VARIABLES.contains(&name.as_str()) => {
                if self.in_macro {
                    self.cost = Cost::Square;
                }
                Ok(())
            }
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
                self.function(call)?;
                call.target.iter().map(AsRef::as_ref).chain(&call.args).try_for_each(|part| self.expression(part))
            }
            Expr::List(_) | Expr::Map(_) if self.in_macro && self.builds(expression) => {
                Err("must not build lists or maps of the event's parts within a macro".into())
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

    /// Whether a list or map holds anything but literals.
    fn builds(&self, expression: &IdedExpr) -> bool {
        match &expression.expr {
            Expr::Literal(_) => false,
            Expr::List(list) => list.elements.iter().any(|element| self.builds(element)),
            _ => true,
        }
    }

    fn function(&mut self, call: &CallExpr) -> Result<(), String> {
        let name = call.func_name.as_str();
        if name == "_+_" {
            self.additions += 1;
            if self.in_macro || self.additions > ADDITIONS_MAX {
                return Err(format!("must not add within a macro, nor more than {ADDITIONS_MAX} times"));
            }
        }
        if name == "matches" {
            // A pattern of the event would be compiled anew each time, and could be of any size.
            let Some(Expr::Literal(LiteralValue::String(pattern))) = call.args.last().map(|pattern| &pattern.expr) else {
                return Err("must have a pattern in quotes for matches".into());
            };
            regex::Regex::new(pattern.inner())
                .map_err(|error| format!("cannot use the pattern of matches: {}", last_line(&error.to_string())))?;
        }
        // Operators have names that no identifier can have: `_&&_`, `@in`, `!_`.
        let is_operator = !name.starts_with(|c: char| c.is_ascii_alphabetic());
        if is_operator || FUNCTIONS.contains(&name) {
            return Ok(());
        }
        let known = FUNCTIONS.join(", ");
        Err(format!("does not know the function '{}'; there are has, all, exists, exists_one, map, filter, {known}", shown(name)))
    }

    fn comprehension(&mut self, all: &ComprehensionExpr) -> Result<(), String> {
        self.expression(&all.iter_range)?;
        if self.in_macro {
            return Err("must not have one of all, exists, exists_one, map and filter within another".into());
        }
        self.macros += 1;
        if self.macros > MACROS_MAX {
            return Err(format!("must not have more than {MACROS_MAX} of all, exists, exists_one, map and filter"));
        }
        self.in_macro = true;
        let before = self.local.len();
        self.local.extend([all.iter_var.clone(), all.accu_var.clone()].into_iter().chain(all.iter_var2.clone()));
        self.expression(&all.loop_cond)?;
        self.step(&all.loop_step, &all.accu_var)?;
        self.expression(&all.result)?;
        self.local.truncate(before);
        self.in_macro = false;
        Ok(())
    }

    /// What is done for each element: of `map` and `filter`, what they collect (`result + [x]`) apart from the collecting.
    fn step(&mut self, step: &IdedExpr, collected: &str) -> Result<(), String> {
        let is_collected = |expression: &IdedExpr| matches!(&expression.expr, Expr::Ident(name) if name == collected);
        match &step.expr {
            Expr::Call(call) if call.func_name == "_+_" && call.args.first().is_some_and(is_collected) => match &call.args[1..] {
                [one] => match &one.expr {
                    Expr::List(list) => list.elements.iter().try_for_each(|element| self.expression(element)),
                    // What exists_one counts with.
                    Expr::Literal(_) => Ok(()),
                    _ => self.expression(step),
                },
                _ => self.expression(step),
            },
            Expr::Call(call) if call.func_name == "_?_:_" && call.args.len() == 3 => {
                self.expression(&call.args[0])?;
                call.args[1..].iter().try_for_each(|branch| self.step(branch, collected))
            }
            _ => self.expression(step),
        }
    }
}

fn last_line(text: &str) -> String {
    shown(text.lines().last().unwrap_or_default().trim_start_matches("error: "))
}

#[cfg(test)]
mod tests;
