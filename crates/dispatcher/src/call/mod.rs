//! Calls: one attempt to reach one handler for one event, by HTTP or by running a script, and what came of it.
//!
//! A call never fails as a Rust error: whatever goes wrong is data, an [`Outcome`] with a verdict and a sentence.

mod answer;
mod client;
mod confinement;
mod crew;
mod echo;
mod failure;
mod http;
mod kept;
mod oauth;
mod opened;
mod process;
mod resolver;
mod sandbox;
mod script;
mod script_end;
mod script_file;
mod script_folder;
mod shown;
mod signing;
mod supervisor;
mod target;
mod tls;
mod unverified;
mod wire;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use baton_domain::address::AddressPolicy;
use baton_domain::connection::{Auth, Tls};
use baton_domain::{EventId, FieldErrors, GenerationNumber, HandlerId, ObjectId, Outcome, Response, Task, Verdict};
use baton_runtime::settings::TargetArgs;
use bytes::Bytes;
use chrono::{DateTime, SubsecRound, Utc};
use tokio::time::Instant;

pub use self::confinement::{Confinement, ScriptLimits, SupervisorProgram};
use self::http::HttpCaller;
pub use self::opened::Opened;
use self::script::ScriptRunner;
pub use self::shown::shown;
pub use self::signing::SigningKey;
pub use self::supervisor::supervise_if_asked;
pub use self::target::Target;
use self::target::Way;

/// The setting that names the folder of scripts.
pub const SCRIPT_ROOT_SETTING: &str = "BATON_SCRIPT_ROOT";

/// What a [`Caller`] is built from.
#[derive(Debug, Clone)]
pub struct CallerSettings {
    /// Which addresses may be connected to.
    pub policy: AddressPolicy,
    /// The folder that scripts are run from; without it no script is.
    pub script_root: Option<PathBuf>,
    /// How many scripts run at once; others wait. At least 1.
    pub scripts_max: usize,
    /// How they are confined.
    pub confinement: Confinement,
    /// The header `user-agent` of every request.
    pub user_agent: String,
}

impl CallerSettings {
    /// Those of a program: where it listens on loopback only, handlers may be on loopback too.
    #[must_use]
    pub fn of(targets: TargetArgs, listen: SocketAddr) -> Self {
        let TargetArgs { script_root, allow_targets, scripts_max, scripts } = targets;
        Self {
            policy: AddressPolicy::new(allow_targets.0, listen.ip().is_loopback()),
            script_root,
            scripts_max: scripts_max as usize,
            confinement: scripts.into(),
            user_agent: concat!("Baton/", env!("CARGO_PKG_VERSION")).into(),
        }
    }
}

/// Everything a call needs; built once per process, cheap to clone.
#[derive(Clone)]
pub struct Caller(Arc<Parts>);

struct Parts {
    http: HttpCaller,
    scripts: ScriptRunner,
}

/// Why a [`Caller`] cannot be built. A bad setting: trying again does not help.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The user agent is no header value.
    #[error("the user agent cannot be sent")]
    UserAgent(#[from] ::http::header::InvalidHeaderValue),
    /// The script root is not a folder that can be read.
    #[error("the script root {} ({SCRIPT_ROOT_SETTING}) is not a folder that Baton can read", root.display())]
    ScriptRoot {
        /// As it is set.
        root: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Scripts cannot be run as the user that is set.
    #[error("BATON_SCRIPT_USER: {user} {reason}")]
    ScriptUser {
        /// As it is set.
        user: String,
        /// Why not.
        reason: String,
    },
    /// There is no sandbox for scripts.
    #[error("BATON_SCRIPT_SANDBOX cannot be had: {reason}")]
    Sandbox {
        /// Why not.
        reason: String,
    },
    /// There is no place for the working directories of scripts.
    #[error("no folder can be made for the working directories of scripts where temporary files are (TMPDIR)")]
    ScriptFolder(#[source] std::io::Error),
    /// The path of the script root, or of the folder for temporary files, is not UTF-8.
    #[error("{} is not UTF-8, as the paths of scripts have to be", .0.display())]
    NoText(PathBuf),
}

/// What is sent: the parts of an event, a handler and an attempt that a receiver gets to see.
#[derive(Debug, Clone)]
pub struct Call<'a> {
    /// The event.
    pub event_id: EventId,
    /// Its type.
    pub events_id: &'a str,
    /// Its object.
    pub object_id: &'a ObjectId,
    /// The handler.
    pub handler_id: HandlerId,
    /// The generation that the handler was taken from.
    pub generation: GenerationNumber,
    /// 1 for the first.
    pub attempt: u32,
    /// The exact JSON, as [`baton_domain::event::body`] makes it.
    pub body: Bytes,
}

impl Caller {
    /// Sets up the HTTP client and looks at the script root.
    ///
    /// # Errors
    /// What is wrong with the settings.
    pub fn new(settings: CallerSettings) -> Result<Self, CallError> {
        let CallerSettings { policy, script_root, scripts_max, confinement, user_agent } = settings;
        let http = HttpCaller::new(policy, &user_agent)?;
        if let Some(root) = &script_root {
            std::fs::read_dir(root).map_err(|source| CallError::ScriptRoot { root: root.clone(), source })?;
        }
        let scripts = ScriptRunner::new(script_root, scripts_max, confinement)?;
        Ok(Self(Arc::new(Parts { http, scripts })))
    }

    /// Calls a handler once. Never fails: whatever goes wrong is in the outcome. Takes no longer than the handler's timeout, apart from
    /// the time that a script waits for its turn. When it is dropped half-way, the connection is closed and the script killed.
    pub async fn call(&self, target: &Target, call: &Call<'_>) -> Outcome {
        match &target.way {
            Way::Http(http) => self.0.http.call(http, target.timeout, call).await,
            Way::Script(script) => Box::pin(self.0.scripts.call(script, target.timeout, call)).await,
        }
    }

    /// What is wrong with how an HTTP handler is to be connected to: certificates and keys that cannot be used (`tls.ca`,
    /// `tls.client_certificate`, `tls`), a token server whose address is refused (`auth.token_url`).
    pub async fn inspect_connection(&self, auth: Option<&Auth<String>>, tls: Option<&Tls<String>>) -> FieldErrors {
        self.0.http.inspect_connection(auth, tls).await
    }

    /// What is wrong with a task as an operator typed it: a URL or address that is refused (`task.url`), a script that cannot or must
    /// not be run (`task.path`, `task.args`). Resolves a host name once. A name that cannot be resolved at the moment is no reason to
    /// refuse it, since the address is checked again on every connection.
    pub async fn inspect(&self, task: &Task) -> FieldErrors {
        match task {
            Task::Http { url } => match self.0.http.inspect(url).await {
                Ok(()) => FieldErrors::default(),
                Err(reason) => FieldErrors::one("task.url", reason),
            },
            Task::Script { path, args } => {
                let mut errors = FieldErrors::default();
                if let Err(reason) = self.0.scripts.inspect(path).await {
                    errors.push("task.path", reason);
                }
                if args.iter().any(|arg| arg.contains('\0')) {
                    errors.push("task.args", "must not hold NUL, which no argument can carry");
                }
                errors
            }
        }
    }
}

impl std::fmt::Debug for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Caller").finish_non_exhaustive()
    }
}

/// Runs what may block where it does not hold up others.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> std::io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other)
}

/// When a call began, by both clocks.
struct Started {
    at: DateTime<Utc>,
    clock: Instant,
}

impl Started {
    fn now() -> Self {
        Self { at: Utc::now().trunc_subsecs(6), clock: Instant::now() }
    }

    fn outcome(&self, end: End) -> Outcome {
        let End { verdict, error, response } = end;
        Outcome { verdict, error, response, started_at: self.at, duration: self.clock.elapsed() }
    }
}

/// An [`Outcome`] without its times.
#[derive(Debug)]
struct End {
    verdict: Verdict,
    error: Option<String>,
    response: Option<Response>,
}

impl End {
    /// Nothing came back, another try may help.
    fn retry(error: impl Into<String>) -> Self {
        Self { verdict: Verdict::Retry { after: None }, error: Some(error.into()), response: None }
    }

    /// Nothing came back, and nothing would next time.
    fn failed(error: impl Into<String>) -> Self {
        Self { verdict: Verdict::Failed, error: Some(error.into()), response: None }
    }
}
