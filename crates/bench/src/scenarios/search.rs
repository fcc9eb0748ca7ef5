//! What an operator looks for when there is much.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use chrono::{TimeDelta, Utc};
use http::Uri;
use serde_json::Value;

use super::handlers::save_others;
use baton_testkit::Servers;

use crate::figures::{Figure, Figures, Goal};
use crate::load::Connection;
use crate::measure::Chain;
use crate::plan::Plan;
use crate::sink::Sink;
use crate::statistics::percentile;
use crate::system::{Baton, SetUp};

const P50: Figure = Figure { name: "answer, p50", unit: "ms" };
const P99: Figure = Figure { name: "answer, p99", unit: "ms" };
const ALL: Figure = Figure { name: "answers, all together", unit: "ms" };
/// How often each search is made, and for how long at the most.
const CALLS: usize = 100;
const TIME: Duration = Duration::from_secs(6);
/// A slow search is made so often all the same.
const CALLS_MIN: usize = 5;
const PAGES: usize = 100;
const HANDLERS: usize = 10_000;
/// How many of them have executions.
const CALLED: usize = 20;
const FILL: &str = include_str!("search.sql");

/// A search: its name, and its path for the n-th time.
struct Search {
    name: &'static str,
    path: fn(usize) -> String,
}

macro_rules! searches {
    ($($name:literal, $path:expr;)*) => {
        const SEARCHES: &[Search] = &[$(Search { name: $name, path: $path }),*];
    };
}

searches! {
    "handlers: first page", |_| "/v1/handlers".into();
    "handlers: part of the name", |n| format!("/v1/handlers?q=crm%20{n}");
    "handlers: event and status", |_| "/v1/handlers?event=clients.create&status=disabled".into();
    "handlers: task type and priority", |n| format!("/v1/handlers?task_type=http&priority={}", 1 + n * 7919 % 65_535);
    "handlers: last edited first", |_| "/v1/handlers?order=-updated_at".into();
    "events: first page", |_| "/v1/events".into();
    "events: of an object", |n| format!("/v1/events?object_id={}", 1 + n * 397);
    "events: of a type", |n| format!("/v1/events?events_id={}", TYPES[n % TYPES.len()]);
    "events: failed", |_| "/v1/events?status=failed".into();
    "events: failed, of an object", |n| format!("/v1/events?status=failed&object_id={}", 1 + n * 397);
    "events: delivered, of a type", |n| format!("/v1/events?status=delivered&events_id={}", TYPES[n % TYPES.len()]);
    "events: unfinished", |_| "/v1/events?status=pending&status=retrying".into();
    "events: an hour", |n| format!("/v1/events?{}", hour(n));
    "events: an hour of a type", |n| format!("/v1/events?events_id={}&{}", TYPES[n % TYPES.len()], hour(n));
    "executions: first page", |_| "/v1/executions".into();
    "executions: of a handler", |n| format!("/v1/executions?handler_id={}", 1 + n % 20);
    "executions: failed, of a handler", |n| format!("/v1/executions?status=fail&handler_id={}", 1 + n % 20);
    "executions: of an object", |n| format!("/v1/executions?object_id={}", 1 + n * 397);
    "executions: of a type", |n| format!("/v1/executions?events_id={}", TYPES[n % TYPES.len()]);
    "executions: failed", |_| "/v1/executions?status=fail".into();
    "executions: part of the error", |n| format!("/v1/executions?status=fail&error=answered%2050{}", n % 4);
    "executions: an hour", |n| format!("/v1/executions?{}", hour(n));
    "executions: an hour of a type", |n| format!("/v1/executions?events_id={}&{}", TYPES[n % TYPES.len()], hour(n));
    "executions: part of the data, an hour", |n| format!("/v1/executions?data=northwind%20{}&{}", 1 + n * 397, hour(n));
    "executions: part of the data, rare", |n| format!("/v1/executions?data=northwind%20{}%20", 1 + n * 397);
}

/// As in `search.sql`.
pub(super) const TYPES: [&str; 5] =
    ["clients.update", "clients.create", "clients.balance_zero", "clients.accounts.update", "clients.subscriptions.renew"];

/// The statements that make so many events and executions, at the handlers from 1 to `handlers`, under this generation.
pub(super) fn filling(rows: usize, handlers: usize, generation: i64) -> String {
    let numbers = [(":rows", rows.to_string()), (":handlers", handlers.to_string()), (":generation", generation.to_string())];
    numbers.into_iter().fold(FILL.to_owned(), |sql, (name, number)| sql.replace(name, &number))
}

/// An hour of the last days.
pub(super) fn hour(n: usize) -> String {
    let hours = i64::try_from(n % 160).unwrap_or_default();
    let to = Utc::now() - TimeDelta::hours(hours);
    let text = |at: chrono::DateTime<Utc>| at.format("%Y-%m-%dT%H:%M:%SZ").to_string();
    format!("from={}&to={}", text(to - TimeDelta::hours(1)), text(to))
}

pub(crate) async fn a_million_rows(plan: Plan) -> Result<Figures> {
    let (rows, handlers) = plan.either((1_000_000, HANDLERS), (100_000, HANDLERS / 10));
    let (servers, mut figures) = (Servers::start().await, Figures::default());
    let sink = Sink::well(1, 1).await?;
    let baton = Baton::start(&servers, SetUp::OneProcess, &[]).await?;
    save_others(&baton, handlers).await?;
    baton.configure(&Chain::OneStage(1).saved(&sink)).await?;
    let began = Instant::now();
    baton.database().await?.execute(&filling(rows, CALLED, 1)).await?;
    eprintln!("    {rows} events and executions made in {:.0} s", began.elapsed().as_secs_f64());
    let mut connection = baton.api.target.connect().await?;
    for search in SEARCHES {
        add(&mut figures, search.name, &times(&mut connection, search).await?);
    }
    let (time, pages) = whole(&mut connection, "/v1/executions?data=northwind%20398%20&limit=200").await?;
    figures.add(&format!("executions: part of the data, rare, all {pages} pages"), ALL, time);
    for list in ["events", "executions"] {
        let (pages, ids) = walk(&mut connection, list).await?;
        add(&mut figures, &format!("{list}: page after page"), &pages);
        add(&mut figures, &format!("{list}: one of them"), &each(&mut connection, list, &ids).await?);
    }
    Ok(figures)
}

fn add(figures: &mut Figures, name: &str, times: &[f64]) {
    figures.add(name, P50, percentile(times, 0.5));
    figures.add(name, P99, percentile(times, 0.99));
    figures.goal(name, P99, Goal::to(50.0, 10.0));
}

async fn times(connection: &mut Connection, search: &Search) -> Result<Vec<f64>> {
    let (mut times, began) = (Vec::new(), Instant::now());
    for n in 0..CALLS {
        if began.elapsed() > TIME && n >= CALLS_MIN {
            eprintln!("    {}: only {n} calls", search.name);
            break;
        }
        times.push(get(connection, &(search.path)(n)).await?.0);
    }
    Ok(times)
}

/// Page after page of a list: how long each takes, and the ids on them.
async fn walk(connection: &mut Connection, list: &str) -> Result<(Vec<f64>, Vec<String>)> {
    let (mut times, mut ids, mut cursor) = (Vec::new(), Vec::new(), String::new());
    for _ in 0..PAGES {
        let (time, page) = get(connection, &format!("/v1/{list}?limit=200{cursor}")).await?;
        times.push(time);
        let items = page["items"].as_array().context("a page without items")?;
        ids.extend(items.iter().filter_map(|item| item["id"].as_str()).map(str::to_owned));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    Ok((times, ids))
}

/// How long it takes to search all there is, in milliseconds, and in how many pages.
async fn whole(connection: &mut Connection, path: &str) -> Result<(f64, usize)> {
    let (mut time, mut pages, mut cursor) = (0.0, 0, String::new());
    loop {
        let (took, page) = get(connection, &format!("{path}{cursor}")).await?;
        (time, pages) = (time + took, pages + 1);
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok((time, pages)),
        }
    }
}

async fn each(connection: &mut Connection, list: &str, ids: &[String]) -> Result<Vec<f64>> {
    let mut times = Vec::new();
    for id in ids.iter().step_by((ids.len() / CALLS).max(1)) {
        times.push(get(connection, &format!("/v1/{list}/{id}")).await?.0);
    }
    Ok(times)
}

/// The time of one call in milliseconds, and its answer.
async fn get(connection: &mut Connection, path: &str) -> Result<(f64, Value)> {
    let uri: Uri = path.parse().with_context(|| path.to_owned())?;
    let began = Instant::now();
    let answer = connection.get(&uri).await?;
    let time = began.elapsed().as_secs_f64() * 1000.0;
    Ok((time, serde_json::from_slice(&answer)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_is_one() {
        for search in SEARCHES {
            for n in [0, 1, CALLS - 1] {
                assert!((search.path)(n).parse::<Uri>().is_ok(), "{}", search.name);
            }
        }
    }
}
