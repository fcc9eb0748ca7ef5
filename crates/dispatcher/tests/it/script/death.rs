//! Baton dies while a script runs: killed, ended by a second signal, killed with its supervisors.

use std::process::{Child, Command, Stdio};

use baton_runtime::shutdown;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use super::misbehaviour::carrying;
use super::*;

/// The folder of what a little Baton needs, and the sign that this program is to be one.
const LITTLE: &str = "BATON_TEST_LITTLE";

/// This program once more, as a Baton that does nothing but run one script.
#[test]
fn little_baton() {
    let Some(home) = std::env::var_os(LITTLE).map(PathBuf::from) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let _stop = shutdown::on_signals().unwrap();
        let scripts = Scripts { caller: caller(Some(home.join("scripts")), 1), folder: TempDir::new().unwrap() };
        let token = fs::read_to_string(home.join("token")).unwrap();
        scripts.run("long.sh", &[&token, home.join("note").to_str().unwrap()], AMPLE).await;
    });
}

struct Little {
    home: TempDir,
    token: String,
    process: Child,
    supervisor: String,
    directory: PathBuf,
}

impl Little {
    /// Starts one and waits until its script runs, with a child in a session of its own and files.
    async fn start(number: u32) -> Self {
        let home = TempDir::new().unwrap();
        let token = format!("{}88{number}", std::process::id());
        fs::create_dir_all(home.path().join("scripts")).unwrap();
        fs::create_dir(home.path().join("tmp")).unwrap();
        chmod(&home.path().join("scripts"), 0o755);
        fs::write(home.path().join("token"), &token).unwrap();
        let script = home.path().join("scripts/long.sh");
        let lines = "env -i setsid sleep 1000.$1 &\nmkdir -p a/b; : > a/b/c\necho $PPID $(pwd -P) > \"$2.new\"\nmv \"$2.new\" \"$2\"\nsleep 1000.$1\n";
        fs::write(&script, format!("#!/bin/sh\n{lines}")).unwrap();
        chmod(&script, 0o755);
        let process = Self::spawn(home.path());
        let note = home.path().join("note");
        let written = baton_testkit::eventually(AMPLE, "the script to run", async || fs::read_to_string(&note).ok()).await;
        let (supervisor, directory) = written.trim().split_once(' ').unwrap();
        let both = async || (carrying(&format!("1000.{token}")).len() == 2).then_some(());
        baton_testkit::eventually(AMPLE, "both of its processes to run", both).await;
        Self { supervisor: supervisor.into(), directory: directory.into(), home, token, process }
    }

    fn spawn(home: &Path) -> Child {
        Command::new(std::env::current_exe().unwrap())
            .args(["script::death::little_baton", "--exact", "--nocapture"])
            .env(LITTLE, home)
            .env("TMPDIR", home.join("tmp"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.process.id().try_into().unwrap())
    }

    fn folders(&self) -> usize {
        let entries = fs::read_dir(self.home.path().join("tmp")).unwrap().map(|entry| entry.unwrap().file_name());
        entries.filter(|name| name.to_string_lossy().starts_with("baton-scripts-")).count()
    }

    /// Waits until there is no process, no supervisor and no file of it any more.
    async fn leaves_nothing(&self) {
        assert!(self.directory.starts_with(self.home.path().join("tmp")));
        let supervisor = format!("/proc/{}/stat", self.supervisor);
        let gone = async || {
            let no_supervisor = fs::read_to_string(&supervisor).map_or(true, |stat| stat.contains(") Z"));
            (no_supervisor && carrying(&self.token).is_empty() && self.folders() == 0).then_some(())
        };
        baton_testkit::eventually(AMPLE, "the end of all that the script was", gone).await;
    }
}

impl Drop for Little {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn nothing_is_left_of_a_script_when_baton_is_killed() {
    let mut little = Little::start(1).await;
    little.process.kill().unwrap();
    little.process.wait().unwrap();
    little.leaves_nothing().await;
}

#[tokio::test]
async fn nothing_is_left_of_a_script_after_a_second_signal() {
    let mut little = Little::start(2).await;
    kill(little.pid(), Signal::SIGTERM).unwrap();
    let ended = async || {
        let _ = kill(little.pid(), Signal::SIGTERM);
        little.process.try_wait().unwrap()
    };
    let status = baton_testkit::eventually(AMPLE, "the end by a second signal", ended).await;
    assert_eq!(status.code(), Some(143));
    little.leaves_nothing().await;
}

#[tokio::test]
async fn what_is_left_of_a_process_that_was_killed_with_all_its_own_is_removed_by_the_next() {
    let mut little = Little::start(3).await;
    // As when the whole container is: not even the supervisor can do its work.
    let supervisor = Pid::from_raw(little.supervisor.parse().unwrap());
    kill(supervisor, Signal::SIGSTOP).unwrap();
    little.process.kill().unwrap();
    little.process.wait().unwrap();
    kill(supervisor, Signal::SIGKILL).unwrap();
    let left = carrying_pids(&little.token);
    assert!(left.len() >= 2 && little.directory.join("a/b/c").exists());
    for pid in left {
        let _ = kill(pid, Signal::SIGKILL);
        let _ = killpg(pid, Signal::SIGKILL);
    }
    let next = {
        fs::remove_file(little.home.path().join("note")).unwrap();
        Little::spawn(little.home.path())
    };
    let mut next = Little {
        process: next,
        home: TempDir::new().unwrap(),
        token: String::new(),
        supervisor: String::new(),
        directory: PathBuf::new(),
    };
    let note = little.home.path().join("note");
    baton_testkit::eventually(AMPLE, "the next to run", async || note.exists().then_some(())).await;
    assert!(!little.directory.exists() || fs::read_to_string(&note).unwrap().contains(little.directory.to_str().unwrap()));
    assert_eq!(little.folders(), 1);
    next.process.kill().unwrap();
    little.leaves_nothing().await;
}

fn carrying_pids(token: &str) -> Vec<Pid> {
    let entries = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok());
    let pids = entries.filter_map(|entry| {
        let words = fs::read_to_string(entry.path().join("cmdline")).ok()?;
        words.contains(token).then(|| entry.file_name().to_str()?.parse().ok().map(Pid::from_raw)).flatten()
    });
    pids.collect()
}
