//! Python packages for tests, installed from the package index into folders that later runs find again.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A virtual environment with these requirements, such as `flask==3.1.3`, made when it is not there yet.
///
/// # Panics
/// When Python or pip fail, with what they wrote.
pub(crate) async fn environment(name: &'static str, requirements: &'static [&'static str]) -> Environment {
    tokio::task::spawn_blocking(move || Environment::make(name, requirements)).await.unwrap()
}

/// A virtual environment.
pub(crate) struct Environment {
    dir: PathBuf,
}

impl Environment {
    fn make(name: &str, requirements: &[&str]) -> Self {
        let test = std::env::current_exe().unwrap();
        let target = test.ancestors().nth(3).expect("target/<profile>/deps/<test>");
        let shared = target.join("python");
        fs::create_dir_all(&shared).unwrap();
        // Other tests, and other runs, may be about to make the same one.
        let lock = File::create(shared.join(format!("{name}.lock"))).unwrap();
        lock.lock().unwrap();
        let dir = shared.join(name);
        let wanted = format!("{}{}", python_version(), requirements.join("\n"));
        let marker = dir.join("complete");
        // Written last: a folder that was made half does not count.
        if fs::read_to_string(&marker).is_ok_and(|made| made == wanted) {
            return Self { dir };
        }
        let _ = fs::remove_dir_all(&dir);
        run(Command::new("python3").args(["-m", "venv"]).arg(&dir), "make a virtual environment");
        let mut pip = Command::new(dir.join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]).args(requirements);
        run(&mut pip, "install packages");
        fs::write(&marker, wanted).unwrap();
        Self { dir }
    }

    /// A program of the environment, such as `python`.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.dir.join("bin").join(program));
        let path = std::env::var_os("PATH").unwrap_or_default();
        let paths = std::iter::once(self.dir.join("bin")).chain(std::env::split_paths(&path));
        command
            .env("PATH", std::env::join_paths(paths).unwrap())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("NO_PROXY", "127.0.0.1");
        command
    }
}

/// A script of the tests.
pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python").join(name)
}

/// Runs a command to its end without holding up the test's other tasks; its standard output.
///
/// # Panics
/// When it fails, with what it wrote.
pub(crate) async fn finish(mut command: Command, what: &'static str) -> String {
    let output = tokio::task::spawn_blocking(move || run(&mut command, what)).await.unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn python_version() -> String {
    let output = run(Command::new("python3").arg("--version"), "say its version");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn run(command: &mut Command, what: &str) -> Output {
    let output = command.output().unwrap_or_else(|e| panic!("Python 3 with venv is needed to {what}: {e}"));
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{command:?} could not {what}: {}\n{}", said(&output.stdout), said(&output.stderr));
    output
}
