//! `cargo xtask demo`: real events through real handlers in the order of their priorities, on a Baton that is thrown away afterwards.

mod api;
mod arrival;
mod baton;
mod check;
mod client;
mod event;
mod handler;
mod moving;
mod progress;
mod receiver;
mod report;
mod script;
mod story;

use std::io::{Write, stdout};
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Error, Result};
use tempfile::TempDir;

use self::arrival::Arrival;
use self::baton::Baton;
use self::check::Seen;
use self::client::Client;
use self::handler::{Kind, PLANS};
use self::progress::say;
use self::receiver::Receiver;
use self::report::Facts;
use self::story::Followed;
use crate::interrupt::Interrupt;

/// How many of the things that are wrong are named.
const PROBLEMS_MAX: usize = 10;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Leave everything running until Ctrl-C, to look around.
    #[arg(long)]
    keep: bool,
    /// Show every event instead of a few.
    #[arg(long)]
    all: bool,
}

/// All that runs, ended in this order: Baton, the handlers that it calls, the folder of both.
struct Stage {
    baton: Baton,
    receiver: Receiver,
    script_log: PathBuf,
    _folder: TempDir,
}

/// What came out of it.
struct Played {
    /// What there is to read, the verdict apart.
    report: String,
    /// The sentence that says that all is well, or those that say what is not.
    verdict: Result<String, String>,
    /// Where to look while it is running.
    around: String,
}

/// Builds Baton, then lets it run; an error when not everything went as it should.
pub(crate) fn run(args: &Args) -> Result<()> {
    let interrupt = Interrupt::listen()?;
    // Once it has been interrupted, nothing that goes wrong is worth a word.
    demo(&interrupt, args).map_err(|error| interrupt.check().err().unwrap_or(error))
}

fn demo(interrupt: &Interrupt, args: &Args) -> Result<()> {
    baton::build(interrupt)?;
    let mut stage = Stage::set(interrupt)?;
    let played = play(interrupt, &stage, args).map_err(|error| stage.baton.explain(error))?;
    // Apart from what was said on the way.
    eprintln!();
    print(&format!("{}\n", played.report))?;
    if !args.keep {
        let verdict = played.verdict.map_err(Error::msg)?;
        return print(&format!("{verdict}\n\n{NEXT}"));
    }
    match played.verdict {
        Ok(verdict) => print(&format!("{verdict}\n\n"))?,
        // All the more a reason to look around.
        Err(problems) => eprintln!("error: {problems}\n"),
    }
    let client = Client::new(&stage.baton.url(), &stage.baton.token()?, interrupt);
    moving::furnish(&client, stage.receiver.port())?;
    print(&played.around)?;
    keep(interrupt, &client, &mut stage.baton).map_err(|error| stage.baton.explain(error))
}

impl Stage {
    fn set(interrupt: &Interrupt) -> Result<Self> {
        say("starting Baton and a receiver");
        let folder = tempfile::Builder::new().prefix("baton-demo-").tempdir().context("no folder for temporary files")?;
        let receiver = Receiver::start()?;
        let baton = Baton::start(interrupt, folder.path())?;
        script::write(&baton.script_root())?;
        Ok(Self { baton, receiver, script_log: folder.path().join("script.log"), _folder: folder })
    }

    /// What has reached the handlers.
    fn arrivals(&self) -> Result<Vec<Arrival>> {
        let mut arrivals = self.receiver.arrivals()?;
        for plan in PLANS.iter().filter(|plan| matches!(plan.kind, Kind::Script(_))) {
            arrivals.extend(script::read(&self.script_log, plan.priority)?);
        }
        Ok(arrivals)
    }
}

fn play(interrupt: &Interrupt, stage: &Stage, args: &Args) -> Result<Played> {
    let (url, token) = (stage.baton.url(), stage.baton.token()?);
    let client = Client::new(&url, &token, interrupt);
    let samples = event::samples()?;
    let catalogue = story::catalogue(&client)?;
    let types = story::types(&samples, &catalogue)?;
    say("creating handlers and making them live");
    let handlers = story::create_handlers(&client, &types, stage.receiver.port(), &stage.script_log)?;
    let restart = story::restart_cache_manager(&client, &handlers)?;
    say("publishing the sample events");
    let began = Instant::now();
    let published = story::publish(&client, &samples, &catalogue)?;
    let events = story::follow(interrupt, &client, published)?;
    let ran = began.elapsed();
    let arrivals = stage.arrivals()?;
    let seen = Seen { events: &events, arrivals: &arrivals, handlers: &handlers, generation: restart.generation };
    let facts = Facts {
        url: &url,
        data: &stage.baton.data().display().to_string(),
        types: types.len(),
        generation: restart.generation,
        built_ms: restart.took_ms,
        ran,
        events: &events,
    };
    Ok(Played {
        report: report::text(&facts, args.all),
        verdict: verdict(&events, &check::problems(&seen)),
        around: around(&url, &token),
    })
}

fn verdict(events: &[Followed], problems: &[String]) -> Result<String, String> {
    let (succeeded, calls) = (report::succeeded(events), report::calls(events));
    if problems.is_empty() {
        return Ok(format!("{succeeded} of {calls} calls succeeded; every event reached its handlers in the order 1, 2, 3."));
    }
    let mut lines = vec![format!("{succeeded} of {calls} calls succeeded, but not everything went as it should:")];
    lines.extend(problems.iter().take(PROBLEMS_MAX).map(|problem| format!("  {problem}")));
    let more = problems.len().saturating_sub(PROBLEMS_MAX);
    lines.extend((more > 0).then(|| format!("  … and {more} more")));
    Err(lines.join("\n"))
}

const NEXT: &str = "\
Look next   cargo xtask demo --keep leaves it running, with the API's documentation and a curl line to try
";

/// Where to look while it is running.
fn around(url: &str, token: &str) -> String {
    format!(
        "\
Look next   {url}/ is the console; sign in with {token}
            {url}/docs describes the API
            curl -H 'Authorization: Bearer {token}' '{url}/v1/executions?limit=3'
            an event every two seconds, until Ctrl-C
"
    )
}

fn keep(interrupt: &Interrupt, client: &Client, baton: &mut Baton) -> Result<()> {
    let samples = event::samples()?;
    for number in 0.. {
        interrupt.poll(moving::EVERY, || baton.check().map(|()| None::<()>))?;
        moving::publish_next(client, &samples, number)?;
    }
    Ok(())
}

/// In one piece, and without a panic where nobody reads it any more.
fn print(text: &str) -> Result<()> {
    let mut out = stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("cannot print")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_names_what_is_wrong_but_not_without_end() {
        assert_eq!(verdict(&[], &[]).unwrap(), "0 of 0 calls succeeded; every event reached its handlers in the order 1, 2, 3.");
        let problems: Vec<_> = (0..12).map(|n| format!("problem {n}")).collect();
        let error = verdict(&[], &problems).unwrap_err();
        assert!(error.contains("\n  problem 9\n  … and 2 more") && !error.contains("problem 10"), "{error}");
    }
}
