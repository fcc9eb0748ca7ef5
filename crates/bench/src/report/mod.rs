//! The table, as a person reads it and as a program does.

mod table;

use anyhow::Result;
use baton_testkit::Machine;
use serde::Serialize;

pub(crate) use self::table::{count, number, table};
use crate::figures::Row;
use crate::plan::Plan;

/// A scenario that could not be carried through, or that lost something.
#[derive(Debug, Serialize)]
pub(crate) struct Failure {
    pub scenario: &'static str,
    pub why: String,
}

#[derive(Serialize)]
struct Report<'a> {
    machine: &'a Machine,
    plan: Plan,
    took_s: f64,
    rows: &'a [Row],
    failures: &'a [Failure],
}

/// Everything as JSON.
pub(crate) fn json(machine: &Machine, plan: Plan, took_s: f64, rows: &[Row], failures: &[Failure]) -> Result<String> {
    Ok(serde_json::to_string_pretty(&Report { machine, plan, took_s, rows, failures })?)
}
