//! The pages of the console when there is much to show.

mod sample;
mod screens;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use baton_testkit::Servers;
use serde_json::json;

use self::sample::Sample;
use self::screens::{SCREENS, Screen};
use super::handlers::save_others;
use super::search;
use crate::figures::{Figure, Figures, Goal};
use crate::load::{Browser, post_all};
use crate::plan::Plan;
use crate::statistics::percentile;
use crate::system::{Baton, SetUp};

const P50: Figure = Figure { name: "answer, p50", unit: "ms" };
const P99: Figure = Figure { name: "answer, p99", unit: "ms" };
const LARGEST: Figure = Figure { name: "largest page", unit: "KB" };
/// How often each screen is asked for, and for how long at the most.
const CALLS: usize = 200;
const TIME: Duration = Duration::from_secs(15);
/// A slow screen is asked for so often all the same.
const CALLS_MIN: usize = 5;
/// How many of the handlers are edited and not live.
const EDITED: usize = 10;
/// How many objects have unfinished events, and how many each.
const WAITING: (usize, usize) = (10, 10);
const MORE: &str = include_str!("pages.sql");
const CONNECTIONS: usize = 4;

pub(crate) async fn of_the_console(plan: Plan) -> Result<Figures> {
    let (rows, handlers) = plan.either((1_000_000, 1_000), (50_000, 200));
    let (servers, mut figures) = (Servers::start().await, Figures::default());
    let baton = Baton::start(&servers, SetUp::OneProcess, &[]).await?;
    fill(&baton, rows, handlers).await?;
    let mut browser = Browser::sign_in(&baton.api.target).await?;
    let sample = Sample::of(&baton, &mut browser, handlers).await?;
    for screen in SCREENS {
        let (times, largest) = visits(&mut browser, screen, &sample).await?;
        figures.add(screen.name, P50, percentile(&times, 0.5));
        figures.add(screen.name, P99, percentile(&times, 0.99));
        figures.add(screen.name, LARGEST, largest as f64 / 1024.0);
        figures.goal(screen.name, P99, Goal::to(50.0, 25.0));
        figures.goal(screen.name, LARGEST, Goal::to(150.0, 100.0));
    }
    Ok(figures)
}

/// Handlers that are live, all that happened in a week under the generation before the live one, edits that are not live, and events that
/// wait.
async fn fill(baton: &Baton, rows: usize, handlers: usize) -> Result<()> {
    save_others(baton, handlers).await?;
    let restarted = baton.api.restart().await?;
    let generation = restarted["generation"].as_i64().with_context(|| format!("no generation in {restarted}"))?;
    let began = Instant::now();
    let mut database = baton.database().await?;
    database.execute(&search::filling(rows, handlers, generation)).await?;
    database.execute(MORE).await?;
    eprintln!("    {rows} events and executions of {handlers} handlers made in {:.0} s", began.elapsed().as_secs_f64());
    baton.api.post("/v1/handlers/1/toggle", None).await?;
    baton.api.restart().await?;
    for id in (2..).take(EDITED) {
        baton.api.post(&format!("/v1/handlers/{id}/toggle"), None).await?;
    }
    baton.api.post("/v1/pause", None).await?;
    let publication =
        |object: usize| json!({"event": {"events_id": "clients.create", "object_id": 9_000_000 + object}, "data": {}});
    let waiting = (0..WAITING.0 * WAITING.1).map(|n| publication(n % WAITING.0).to_string()).collect();
    post_all(&baton.api.target, "/v1/events", waiting, CONNECTIONS).await?;
    for id in (20..).take(EDITED) {
        baton.api.post(&format!("/v1/handlers/{id}/pause"), None).await?;
    }
    Ok(())
}

/// How long each visit of a screen took, and how large the largest page was.
async fn visits(browser: &mut Browser, screen: &Screen, sample: &Sample) -> Result<(Vec<f64>, usize)> {
    let (mut times, mut largest, began) = (Vec::new(), 0, Instant::now());
    for n in 0..CALLS {
        if began.elapsed() > TIME && n >= CALLS_MIN {
            eprintln!("    {}: only {n} calls", screen.name);
            break;
        }
        let asked = (screen.asked)(sample, n);
        let visit = match &asked.form {
            None => browser.visit(&asked.path).await?,
            Some(fields) => browser.send(&asked.path, fields).await?,
        };
        ensure!(visit.page.contains(screen.shows), "{}: {} does not show {}", screen.name, asked.path, screen.shows);
        times.push(visit.time);
        largest = largest.max(visit.page.len());
    }
    Ok((times, largest))
}
