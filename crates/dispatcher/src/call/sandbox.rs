//! The sandbox of bubblewrap: the system read-only, the script root read-only, the working directory, and nothing else. No processes but
//! the script's own, no rights to gain, and no network unless that is set.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use baton_runtime::settings::ScriptSandbox;
use serde::{Deserialize, Serialize};

use super::CallError;
use super::confinement::{Confinement, ScriptUser};

/// What there is of the system. A link is made again as the link that it is.
const SYSTEM: [&str; 9] = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt"];
/// Where names are resolved by a service of the system, the file of name servers lies here.
const RESOLVER: &str = "/run/systemd/resolve";

/// How to put a script into a sandbox.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Sandbox {
    bwrap: PathBuf,
    /// What all sandboxes have in common.
    args: Vec<String>,
}

impl Sandbox {
    /// Finds bubblewrap and tries it out. `None` when no sandbox is set.
    ///
    /// # Errors
    /// When it is not there, or does not work here.
    pub(super) fn find(confinement: &Confinement, user: Option<&ScriptUser>) -> Result<Option<Self>, CallError> {
        let network = match confinement.sandbox {
            ScriptSandbox::Off => return Ok(None),
            ScriptSandbox::Bwrap => false,
            ScriptSandbox::BwrapNetwork => true,
        };
        let problem = |reason: String| CallError::Sandbox { reason };
        let bwrap = locate(&confinement.bwrap).ok_or_else(|| {
            problem(format!("{} is not installed; the package is called bubblewrap", confinement.bwrap.display()))
        })?;
        let sandbox = Self { bwrap, args: common(network) };
        let tried = sandbox.try_out(user).map_err(|error| problem(error.to_string()))?;
        if !tried.status.success() {
            let said = String::from_utf8_lossy(&tried.stderr);
            return Err(problem(format!("{} does not work here: {}", sandbox.bwrap.display(), said.trim())));
        }
        Ok(Some(sandbox))
    }

    fn try_out(&self, user: Option<&ScriptUser>) -> std::io::Result<Output> {
        let mut command = Command::new(&self.bwrap);
        command.args(&self.args).args(["--", "/bin/sh", "-c", "exit 0"]);
        command.env_clear().current_dir("/").stdin(Stdio::null());
        if let Some(user) = user {
            user.apply(&mut command);
        }
        command.output()
    }

    /// The program and arguments that run `program` with `args` in a sandbox, which sees `root` and may write to `directory`.
    pub(super) fn wrap(&self, program: &Path, args: &[String], root: &Path, directory: &Path) -> (OsString, Vec<OsString>) {
        let mut words: Vec<_> = self.args.iter().map(OsString::from).collect();
        let own = ["--ro-bind".as_ref(), root.as_os_str(), root.as_os_str(), "--bind".as_ref(), directory.as_os_str()];
        words.extend(own.map(OsString::from));
        words.extend([directory.as_os_str(), "--chdir".as_ref(), directory.as_os_str(), "--".as_ref()].map(OsString::from));
        words.push(program.into());
        words.extend(args.iter().map(OsString::from));
        (self.bwrap.clone().into(), words)
    }
}

fn common(network: bool) -> Vec<String> {
    let mut words: Vec<String> = ["--unshare-all", "--die-with-parent", "--cap-drop", "ALL"].map(String::from).into();
    if network {
        words.push("--share-net".into());
    }
    for path in SYSTEM {
        match std::fs::read_link(path) {
            Ok(target) => words.extend(["--symlink".into(), target.to_string_lossy().into_owned(), path.into()]),
            Err(_) => words.extend(["--ro-bind-try", path, path].map(String::from)),
        }
    }
    if network {
        words.extend(["--ro-bind-try", RESOLVER, RESOLVER].map(String::from));
    }
    words.extend(["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"].map(String::from));
    words
}

/// The program itself: a name without a slash is looked for in `PATH`.
fn locate(name: &Path) -> Option<PathBuf> {
    if name.as_os_str().as_bytes().contains(&b'/') {
        return name.is_file().then(|| name.to_owned());
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sandbox_without_bubblewrap_is_refused_by_the_name_of_the_setting() {
        let set = Confinement { sandbox: ScriptSandbox::Bwrap, bwrap: "no-such-bwrap".into(), ..Confinement::default() };
        let error = Sandbox::find(&set, None).unwrap_err().to_string();
        assert!(error.contains("BATON_SCRIPT_SANDBOX") && error.contains("no-such-bwrap is not installed"), "{error}");
        let set = Confinement { bwrap: "/bin/false".into(), ..set };
        let error = Sandbox::find(&set, None).unwrap_err().to_string();
        assert!(error.contains("BATON_SCRIPT_SANDBOX") && error.contains("/bin/false does not work here"), "{error}");
        assert!(Sandbox::find(&Confinement { sandbox: ScriptSandbox::Off, ..set }, None).unwrap().is_none());
    }

    #[test]
    fn the_network_is_shared_only_where_that_is_set() {
        let has = |network: bool| common(network).contains(&String::from("--share-net"));
        assert!(has(true) && !has(false));
    }
}
