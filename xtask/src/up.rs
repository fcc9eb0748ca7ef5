//! `cargo xtask up`: Baton as it runs in production, four programs on PostgreSQL and Redis, all of it thrown away at the end.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use nix::sys::signal::Signal;

use crate::children::{Running, step};
use crate::interrupt::Interrupt;
use crate::port;
use crate::throwaway::{Services, ready, tail};
use crate::workspace::{built, cargo};

const READY: Duration = Duration::from_secs(60);
const AN_HOUR: Duration = Duration::from_secs(3600);

/// Name of the process and of the program.
const PROGRAMS: [(&str, &str); 4] = [
    ("cache-manager", "baton-cache-manager"),
    ("dispatcher-1", "baton-dispatcher"),
    ("dispatcher-2", "baton-dispatcher"),
    ("api", "baton-api"),
];

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The port of the API on 127.0.0.1.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// The folder of script handlers.
    #[arg(long)]
    script_root: Option<PathBuf>,
}

/// A program of Baton under way.
struct Program {
    running: Running,
    port: u16,
    log: PathBuf,
}

/// Starts everything, prints where it is, runs until Ctrl-C.
pub(crate) fn run(args: &Args) -> Result<()> {
    let interrupt = Interrupt::listen()?;
    if !port::is_free(args.port) {
        bail!("port {} of 127.0.0.1 is taken; choose another with --port", args.port);
    }
    step(&interrupt, "cargo build", &mut cargo(&["build", "--workspace", "--bins"]))?;
    let mut services = Services::start(&interrupt)?;
    let token = URL_SAFE_NO_PAD.encode(random::<24>()?);
    let settings = settings(&services, &token, args)?;
    let logs = built().with_file_name("up");
    fs::create_dir_all(&logs)?;

    let mut migrate = Command::new(built().join("baton"));
    step(&interrupt, "baton migrate", migrate.arg("migrate").envs(settings.clone()))?;
    // The last to start is the first to end.
    let mut programs = Stack(Vec::new());
    for (name, program) in PROGRAMS {
        let port = if name == "api" { args.port } else { port::free()? };
        programs.0.push(start(name, program, port, &settings, &logs)?);
    }
    for program in &mut programs.0 {
        wait_ready(&interrupt, program)?;
    }
    print(&programs.0, &token, &logs);
    loop {
        interrupt.poll(AN_HOUR, || {
            services.check()?;
            programs.0.iter_mut().try_for_each(check)?;
            Ok(None::<()>)
        })?;
    }
}

/// Programs that end in the reverse order of their start.
struct Stack(Vec<Program>);

impl Drop for Stack {
    fn drop(&mut self) {
        while self.0.pop().is_some() {}
    }
}

fn settings(services: &Services, token: &str, args: &Args) -> Result<Vec<(&'static str, String)>> {
    let mut settings = vec![
        ("BATON_DATABASE_URL", services.postgres_url()),
        ("BATON_REDIS_URL", services.redis_url()),
        ("BATON_ADMIN_TOKEN", token.to_owned()),
        ("BATON_SECRET_KEY", STANDARD.encode(random::<32>()?)),
    ];
    if let Some(scripts) = &args.script_root {
        let scripts = scripts.canonicalize().with_context(|| format!("no folder {}", scripts.display()))?;
        settings.push(("BATON_SCRIPT_ROOT", scripts.display().to_string()));
    }
    Ok(settings)
}

fn start(name: &str, program: &str, port: u16, settings: &[(&str, String)], logs: &Path) -> Result<Program> {
    let log = logs.join(format!("{name}.log"));
    let mut command = Command::new(built().join(program));
    command
        .envs(settings.iter().map(|(name, value)| (*name, value)))
        .env("BATON_NAME", name)
        .env("BATON_LISTEN", format!("127.0.0.1:{port}"));
    command.stdout(File::create(&log)?).stderr(File::options().append(true).open(&log)?);
    Ok(Program { running: Running::start(name, &mut command, Signal::SIGTERM)?, port, log })
}

fn wait_ready(interrupt: &Interrupt, program: &mut Program) -> Result<()> {
    let ready = interrupt.poll(READY, || {
        check(program)?;
        Ok(ready::program(program.port).then_some(()))
    })?;
    match ready {
        Some(()) => Ok(()),
        None => bail!("{} was not ready within {READY:?}:\n{}", program.running.name(), tail(&program.log)),
    }
}

fn check(program: &mut Program) -> Result<()> {
    match program.running.ended()? {
        None => Ok(()),
        Some(status) => bail!("{} ended ({status}):\n{}", program.running.name(), tail(&program.log)),
    }
}

fn print(programs: &[Program], token: &str, logs: &Path) {
    for program in programs {
        println!("{:<14} http://127.0.0.1:{}", program.running.name(), program.port);
    }
    println!("{:<14} {token}", "admin token");
    println!("{:<14} {}", "logs", logs.display());
    println!("running until Ctrl-C; the console is at / of the API, which is described at /docs");
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut bytes)).context("cannot read /dev/urandom")?;
    Ok(bytes)
}
