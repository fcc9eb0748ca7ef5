//! How scripts are confined, as it is set and as it is carried out.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use baton_runtime::settings::{ScriptArgs, ScriptSandbox, Switch};
use nix::unistd::{Uid, User, geteuid};
use serde::{Deserialize, Serialize};

use super::CallError;

const MIB: u64 = 1024 * 1024;

/// How scripts are confined.
#[derive(Debug, Clone)]
pub struct Confinement {
    /// The user that scripts run as, by name or number; only root can have another than itself.
    pub user: Option<String>,
    /// What a script may use.
    pub limits: ScriptLimits,
    /// What a script can see and reach.
    pub sandbox: ScriptSandbox,
    /// Bubblewrap: a path, or a name that is looked for in `PATH`.
    pub bwrap: PathBuf,
    /// Whether set-uid programs that a script starts get their rights.
    pub gain_rights: bool,
    /// What runs and watches scripts.
    pub supervisor: SupervisorProgram,
}

impl Default for Confinement {
    fn default() -> Self {
        Self {
            user: None,
            limits: ScriptLimits::default(),
            sandbox: ScriptSandbox::Off,
            bwrap: "bwrap".into(),
            gain_rights: false,
            supervisor: SupervisorProgram::default(),
        }
    }
}

impl From<ScriptArgs> for Confinement {
    fn from(args: ScriptArgs) -> Self {
        let limits = ScriptLimits {
            cpu: args.script_cpu.get(),
            memory: args.script_memory.bytes(),
            file_size: args.script_file_size.bytes(),
            files: u64::from(args.script_files),
            processes: u64::from(args.script_processes),
        };
        let gain_rights = args.script_sudo == Switch::On;
        Self { user: args.script_user, limits, sandbox: args.script_sandbox, gain_rights, ..Self::default() }
    }
}

/// What a script may use. Each is a limit of the system, and never more than what Baton itself may use.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ScriptLimits {
    /// Processor time of each process, in whole seconds.
    pub cpu: Option<Duration>,
    /// Memory that each process may allocate, in bytes.
    pub memory: Option<u64>,
    /// Size of each file that is written, in bytes.
    pub file_size: Option<u64>,
    /// Open files of each process.
    pub files: u64,
    /// Processes and threads of the user; the system does not limit those of root.
    pub processes: u64,
}

impl Default for ScriptLimits {
    fn default() -> Self {
        Self {
            cpu: Some(Duration::from_secs(300)),
            memory: Some(1024 * MIB),
            file_size: Some(1024 * MIB),
            files: 1024,
            processes: 4096,
        }
    }
}

/// A program that calls [`super::supervise_if_asked`] first.
#[derive(Debug, Clone)]
pub struct SupervisorProgram {
    /// Where it is.
    pub path: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
}

impl Default for SupervisorProgram {
    /// The program that runs.
    fn default() -> Self {
        // Not its name: a file that an upgrade has put in its place would be another program.
        Self { path: "/proc/self/exe".into(), args: vec!["script-supervisor".into()] }
    }
}

/// Whom scripts run as.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ScriptUser {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl ScriptUser {
    /// Looks up the user that is set. `None` when scripts run as whom Baton runs as.
    ///
    /// # Errors
    /// When there is no such user, or Baton is not root and cannot become it.
    pub(super) fn find(set: Option<&str>) -> Result<Option<Self>, CallError> {
        let Some(name) = set.map(str::trim) else { return Ok(None) };
        let problem = |reason: String| CallError::ScriptUser { user: name.to_owned(), reason };
        let found = match name.parse() {
            Ok(uid) => User::from_uid(Uid::from_raw(uid)),
            Err(_) => User::from_name(name),
        };
        let found = found.map_err(|error| problem(format!("cannot be looked up: {error}")))?;
        let found = found.ok_or_else(|| problem("is not a user of this system".into()))?;
        let own = geteuid();
        if found.uid == own {
            return Ok(None);
        }
        if !own.is_root() {
            return Err(problem("is not the user that Baton runs as, and only root can run scripts as another".into()));
        }
        let user = Self { name: found.name, uid: found.uid.as_raw(), gid: found.gid.as_raw() };
        // In a container, root may lack the right to.
        let mut probe = Command::new("/bin/sh");
        probe.args(["-c", "exit 0"]).env_clear().current_dir("/").stdin(Stdio::null());
        user.apply(&mut probe);
        probe.status().map_err(|error| problem(format!("cannot be changed to: {error}")))?;
        Ok(Some(user))
    }

    /// Lets a command run as this user, with no group but its own.
    pub(super) fn apply(&self, command: &mut Command) {
        // The standard library gives up supplementary groups where root becomes another.
        command.uid(self.uid).gid(self.gid);
    }
}
