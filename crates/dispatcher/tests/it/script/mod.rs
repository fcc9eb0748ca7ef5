//! Script handlers against real scripts in a folder of their own.

mod cases;
mod confine;
mod death;
mod files;
mod limits;
mod misbehaviour;
mod runs;
mod sandbox;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use baton_dispatcher::call::{Call, Caller, CallerSettings, Confinement, Opened, SupervisorProgram, Target, supervise_if_asked};
use baton_domain::address::AddressPolicy;
use baton_domain::handler::HandlerSpec;
use baton_domain::{EventId, GenerationNumber, HandlerId, ObjectId, OnFailure, Outcome, Response, RetryPolicy, Task};
use bytes::Bytes;
use tempfile::TempDir;

const BODY: &str = r#"{"event":{"dt":"2026-03-04T09:15:27+00:00","events_id":"clients.create","object_id":"41 07"},"data":{}}"#;
/// Longer than any script of these tests takes.
const AMPLE: Duration = Duration::from_secs(60);

/// A script root, and a caller that runs what is in it.
struct Scripts {
    folder: TempDir,
    caller: Caller,
}

impl Scripts {
    fn new() -> Self {
        Self::at_once(8)
    }

    fn at_once(scripts_max: usize) -> Self {
        Self::confined(scripts_max, confinement())
    }

    fn confined(scripts_max: usize, confinement: Confinement) -> Self {
        let folder = TempDir::new().unwrap();
        // Whatever the umask is.
        chmod(folder.path(), 0o755);
        let settings = settings(Some(folder.path().to_owned()), scripts_max, confinement);
        Self { folder, caller: Caller::new(settings).unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file with a mode, and the folders on the way to it.
    fn write(&self, name: &str, mode: u32, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        for folder in path.parent().unwrap().ancestors().take_while(|folder| *folder != self.folder.path()) {
            fs::create_dir_all(folder).unwrap();
            chmod(folder, 0o755);
        }
        fs::write(&path, content).unwrap();
        chmod(&path, mode);
    }

    /// Runs a shell script with these lines once.
    async fn sh(&self, lines: &str, timeout: Duration) -> Outcome {
        self.write("test.sh", 0o755, format!("#!/bin/sh\n{lines}\n"));
        self.run("test.sh", &[], timeout).await
    }

    async fn run(&self, name: &str, args: &[&str], timeout: Duration) -> Outcome {
        self.run_with(name, args, timeout, BODY.into()).await
    }

    async fn run_with(&self, name: &str, args: &[&str], timeout: Duration, body: Bytes) -> Outcome {
        let object_id = ObjectId::from_json(r#""41 07""#).unwrap();
        let call = Call {
            event_id: EventId("0192f0c1-5d3e-7c41-9a55-0123456789ab".parse().unwrap()),
            events_id: "clients.create",
            object_id: &object_id,
            handler_id: HandlerId(5),
            generation: GenerationNumber(7),
            attempt: 3,
            body,
        };
        self.caller.call(&target(name, args, timeout), &call).await
    }
}

/// The supervisors of these tests: this program once more, which is told to run this one test, and becomes a supervisor there.
#[test]
fn supervisor() {
    supervise_if_asked();
}

/// As it is by default, with this program as the supervisor.
fn confinement() -> Confinement {
    let args = ["script::supervisor", "--exact", "--nocapture"].map(String::from).into();
    Confinement { supervisor: SupervisorProgram { path: "/proc/self/exe".into(), args }, ..Confinement::default() }
}

fn settings(script_root: Option<PathBuf>, scripts_max: usize, confinement: Confinement) -> CallerSettings {
    let policy = AddressPolicy::new([], false);
    CallerSettings { policy, script_root, scripts_max, confinement, user_agent: "Baton/test".into() }
}

fn caller(script_root: Option<PathBuf>, scripts_max: usize) -> Caller {
    Caller::new(settings(script_root, scripts_max, confinement())).unwrap()
}

fn task(path: &str, args: &[&str]) -> Task {
    Task::Script { path: path.into(), args: args.iter().map(|arg| (*arg).into()).collect() }
}

fn target(path: &str, args: &[&str], timeout: Duration) -> Target {
    let spec = HandlerSpec {
        id: HandlerId(5),
        name: "Script".into(),
        event: "clients.create".into(),
        task: task(path, args),
        priority: 100,
        on_failure: OnFailure::Continue,
        timeout_ms: timeout.as_millis() as u32,
        retry: RetryPolicy::default(),
        lane: None,
        headers: [].into(),
        secrets: Vec::new(),
        filter: None,
        limits: Default::default(),
        auth: None,
        tls: None,
    };
    Target::new(&spec, Opened::default()).unwrap()
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Exit code, signal, standard output, standard error, whether truncated.
type Ran<'a> = (Option<i32>, Option<&'a str>, &'a str, &'a str, bool);

fn ran(outcome: &Outcome) -> Ran<'_> {
    match &outcome.response {
        Some(Response::Script { exit_code, signal, stdout, stderr, truncated }) => {
            (*exit_code, signal.as_deref(), stdout, stderr, *truncated)
        }
        other => panic!("the script did not run: {other:?}, {:?}", outcome.error),
    }
}

fn stdout(outcome: &Outcome) -> &str {
    let (code, _, stdout, stderr, _) = ran(outcome);
    assert_eq!((code, stderr), (Some(0), ""));
    stdout
}

/// The processes of a group that are alive, zombies left out.
fn alive(group: &str) -> Vec<String> {
    let stats = fs::read_dir("/proc").unwrap().filter_map(|entry| fs::read_to_string(entry.ok()?.path().join("stat")).ok());
    let member = |stat: &String| {
        // After the name in parentheses: state, parent, group.
        let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        fields[2] == group && fields[0] != "Z"
    };
    stats.filter(member).collect()
}

/// Waits until no process of a group is left: what has been killed needs a moment to end.
async fn none_alive(group: &str) {
    let group = group.trim();
    assert!(group.parse::<u32>().is_ok(), "{group:?} is not a process group");
    let probe = async || alive(group).is_empty().then_some(());
    baton_testkit::eventually(Duration::from_secs(10), "the end of the script's process group", probe).await;
}
