//! Script handlers: one run, confined.
//!
//! A script is executed directly, without a shell, with the arguments as configured and the event's JSON on standard input. Its
//! environment holds `BATON_EVENT_ID`, `BATON_EVENTS_ID`, `BATON_OBJECT_ID`, `BATON_ATTEMPT`, `BATON_HANDLER` and `BATON_GENERATION`,
//! beside a plain `PATH` and `LANG`, without which `#!/usr/bin/env python3` would not find its interpreter or read UTF-8, and `TMPDIR`,
//! so that temporary files go with the working directory; nothing else. That directory is new, empty and its own, and is removed
//! afterwards. It runs in a process group of its own, under a supervisor, and nothing is left of it when the call ends.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use baton_domain::Outcome;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::confinement::{Confinement, ScriptLimits, ScriptUser};
use super::crew::{Crew, NoReport};
use super::sandbox::Sandbox;
use super::script_end::{self, Terms};
use super::script_file::{self, FileProblem};
use super::script_folder::Folder;
use super::target::ScriptTarget;
use super::wire::{Obstacle, Report, Rules, Run};
use super::{Call, CallError, End, Started, blocking};

const PATH: &str = "/usr/local/bin:/usr/bin:/bin";
const LANG: &str = "C.UTF-8";

/// Runs the scripts of all script handlers.
pub(super) struct ScriptRunner {
    slots: Semaphore,
    shop: Option<Shop>,
}

/// What there is where scripts are run at all.
struct Shop {
    root: PathBuf,
    user: Option<Arc<ScriptUser>>,
    limits: ScriptLimits,
    sandbox: bool,
    folder: Arc<Folder>,
    crew: Arc<Crew>,
}

/// Why a script did not run, or what became of it is not known.
enum NotRun {
    Late,
    File { problem: String, is_unsafe: bool },
    Directory(String),
    Supervisor(std::io::Error),
    Lost,
}

impl ScriptRunner {
    pub(super) fn new(root: Option<PathBuf>, at_once: usize, confinement: Confinement) -> Result<Self, CallError> {
        // Bad settings are found out also where no script is run.
        let user = ScriptUser::find(confinement.user.as_deref())?;
        let sandbox = Sandbox::find(&confinement, user.as_ref())?;
        let shop = root.map(|root| Shop::open(root, confinement, user, sandbox)).transpose()?;
        Ok(Self { slots: Semaphore::new(at_once.clamp(1, Semaphore::MAX_PERMITS)), shop })
    }

    /// Waits for a free place, which is not part of the timeout, then runs the script.
    pub(super) async fn call(&self, target: &ScriptTarget, limit: Duration, call: &Call<'_>) -> Outcome {
        // Never closed, so there is always a slot in the end.
        let _slot = self.slots.acquire().await;
        let started = Started::now();
        let end = match &self.shop {
            None => End::retry(FileProblem::NoRoot.to_string()),
            Some(shop) => match shop.run(target, call, started.clock + limit).await {
                Ok(report) => {
                    let terms = Terms { timeout: limit, limits: &shop.limits, sandbox: shop.sandbox };
                    script_end::end(report, &terms)
                }
                Err(problem) => problem.end(&target.path, limit),
            },
        };
        started.outcome(end)
    }

    /// What is wrong with a script as an operator names it.
    pub(super) async fn inspect(&self, path: &str) -> Result<(), String> {
        let Some(shop) = &self.shop else { return Err(FileProblem::NoRoot.to_string()) };
        let (root, user, path) = (shop.root.clone(), shop.user.clone(), path.to_owned());
        let looked = blocking(move || script_file::inspect(&root, &path, user.as_deref())).await;
        looked.map_err(|e| e.to_string())?.map(drop).map_err(|problem| problem.to_string())
    }
}

impl NotRun {
    fn end(self, path: &str, limit: Duration) -> End {
        match self {
            Self::Late => End::retry(format!("{path} could not be started within {} ms", limit.as_millis())),
            Self::File { problem, is_unsafe: true } => End::failed(problem),
            Self::File { problem, is_unsafe: false } => End::retry(problem),
            Self::Directory(problem) => End::retry(format!("no working directory could be made for {path}: {problem}")),
            Self::Supervisor(error) => End::retry(format!("no process could be started to watch over {path}: {error}")),
            Self::Lost => End::retry(format!(
                "the process that watched over {path} was killed or stopped; the script was ended with it, and what it had done by then is \
                 not known"
            )),
        }
    }
}

impl Shop {
    fn open(
        root: PathBuf,
        confinement: Confinement,
        user: Option<ScriptUser>,
        sandbox: Option<Sandbox>,
    ) -> Result<Self, CallError> {
        if confinement.user.is_none() && nix::unistd::geteuid().is_root() {
            tracing::warn!("scripts run as root, as Baton does; BATON_SCRIPT_USER names another user for them");
        }
        let folder = Folder::make(user.is_some()).map_err(CallError::ScriptFolder)?;
        let limits = confinement.limits;
        let is_sandboxed = sandbox.is_some();
        let rules = Rules {
            limits: limits.clone(),
            user: user.clone(),
            gain_rights: confinement.gain_rights,
            root: text(&root)?,
            sandbox,
            folder: text(folder.path())?,
        };
        let crew = Arc::new(Crew::new(confinement.supervisor, rules));
        Ok(Self { root, user: user.map(Arc::new), limits, sandbox: is_sandboxed, folder: Arc::new(folder), crew })
    }

    async fn run(&self, target: &ScriptTarget, call: &Call<'_>, deadline: Instant) -> Result<Report, NotRun> {
        match self.try_run(target, call, deadline).await {
            Err(NotRun::Directory(problem)) => {
                let folder = Arc::clone(&self.folder);
                let restored = timeout_at(deadline, blocking(move || folder.restore())).await;
                match restored {
                    Ok(Ok(Ok(true))) => self.try_run(target, call, deadline).await,
                    _ => Err(NotRun::Directory(problem)),
                }
            }
            other => other,
        }
    }

    async fn try_run(&self, target: &ScriptTarget, call: &Call<'_>, deadline: Instant) -> Result<Report, NotRun> {
        let run = Run {
            path: target.path.clone(),
            args: target.args.clone(),
            env: environment(call),
            limit: deadline.saturating_duration_since(Instant::now()),
        };
        self.crew.run(&run, &call.body).await.map_err(|reason| match reason {
            NoReport::Lost => NotRun::Lost,
            NoReport::NoSupervisor(error) => NotRun::Supervisor(error),
            NoReport::NotStarted(Obstacle::Late) => NotRun::Late,
            NoReport::NotStarted(Obstacle::Directory(problem)) => NotRun::Directory(problem),
            NoReport::NotStarted(Obstacle::File { problem, is_unsafe }) => NotRun::File { problem, is_unsafe },
        })
    }
}

/// A path as it is sent. One that is no text would have to be sent as something else, for nobody's sake.
fn text(path: &Path) -> Result<String, CallError> {
    path.to_str().map(str::to_owned).ok_or_else(|| CallError::NoText(path.to_owned()))
}

pub(super) fn environment(call: &Call<'_>) -> Vec<(String, String)> {
    let variables = [
        ("PATH", PATH.to_owned()),
        ("LANG", LANG.to_owned()),
        ("BATON_EVENT_ID", call.event_id.to_string()),
        ("BATON_EVENTS_ID", call.events_id.to_owned()),
        ("BATON_OBJECT_ID", call.object_id.text()),
        ("BATON_ATTEMPT", call.attempt.to_string()),
        ("BATON_HANDLER", call.handler_id.to_string()),
        ("BATON_GENERATION", call.generation.to_string()),
    ];
    variables.map(|(name, value)| (name.to_owned(), value)).into()
}
