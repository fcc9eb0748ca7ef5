//! What scripts have and what they do not: limits, descriptors, rights, users, signals.

use std::os::unix::fs::MetadataExt;

use baton_dispatcher::call::{CallError, ScriptLimits};
use baton_domain::Verdict;
use nix::unistd::{Uid, User, geteuid};

use super::*;

const RETRY: Verdict = Verdict::Retry { after: None };
const NOBODY: &str = "nobody";

fn refusal(confinement: Confinement) -> String {
    match Caller::new(settings(None, 1, confinement)) {
        Err(error @ (CallError::ScriptUser { .. } | CallError::Sandbox { .. })) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn no_descriptor_but_the_first_three_is_inherited() {
    // A descriptor that, unlike those that this program opens itself, is passed on to what is started.
    let inherited = nix::unistd::dup(fs::File::open("/dev/null").unwrap()).unwrap();
    let outcome = Scripts::new().sh("exec ls /proc/self/fd", AMPLE).await;
    // The last is that of the list itself.
    assert_eq!(stdout(&outcome), "0\n1\n2\n3\n");
    drop(inherited);
}

#[tokio::test]
async fn limits_are_those_that_are_set() {
    let limits = ScriptLimits {
        cpu: Some(Duration::from_secs(77)),
        memory: Some(16 * 1024 * 1024),
        file_size: Some(8192),
        files: 99,
        processes: 3333,
    };
    let scripts = Scripts::confined(1, Confinement { limits, ..confinement() });
    for _ in 0..2 {
        let outcome = scripts.sh("exec cat /proc/self/limits", AMPLE).await;
        for (name, limit) in [
            ("Max cpu time", "77"),
            ("Max file size", "8192"),
            ("Max data size", "16777216"),
            ("Max core file size", "0"),
            ("Max processes", "3333"),
            ("Max open files", "99"),
        ] {
            let line = stdout(&outcome).lines().find(|line| line.starts_with(name)).unwrap();
            assert_eq!(line[name.len()..].split_whitespace().next(), Some(limit), "{line}");
        }
    }
    let outcome = scripts.sh("exec tail /dev/zero", AMPLE).await;
    assert!(ran(&outcome).3.contains("memory exhausted"), "{outcome:?}");
}

#[tokio::test]
async fn what_is_not_limited_stays_as_baton_has_it() {
    let limits = ScriptLimits { cpu: None, memory: None, file_size: None, ..ScriptLimits::default() };
    let scripts = Scripts::confined(1, Confinement { limits, ..confinement() });
    let outcome = scripts.sh("exec cat /proc/self/limits", AMPLE).await;
    let own = fs::read_to_string("/proc/self/limits").unwrap();
    for name in ["Max cpu time", "Max file size", "Max data size"] {
        let line = |text: &str| text.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
        assert_eq!(line(stdout(&outcome)), line(&own));
    }
}

#[tokio::test]
async fn rights_are_not_gained_unless_that_is_permitted() {
    for (gain_rights, flag) in [(false, "1"), (true, "0")] {
        let scripts = Scripts::confined(1, Confinement { gain_rights, ..confinement() });
        let outcome = scripts.sh("exec grep NoNewPrivs /proc/self/status", AMPLE).await;
        assert_eq!(stdout(&outcome).split_whitespace().last(), Some(flag));
    }
}

#[tokio::test]
async fn memory_that_runs_out_is_taken_from_scripts_first() {
    let outcome = Scripts::new().sh("exec cat /proc/self/oom_score_adj", AMPLE).await;
    assert!(stdout(&outcome).trim().parse::<i32>().unwrap() >= 500);
}

#[tokio::test]
async fn scripts_have_no_terminal_and_a_session_apart_from_batons() {
    let outcome = Scripts::new().sh("read -r _ _ _ _ _ session tty _ < /proc/$$/stat; echo $session $tty", AMPLE).await;
    let own = nix::unistd::getsid(None).unwrap().to_string();
    let (session, terminal) = stdout(&outcome).trim().split_once(' ').unwrap();
    assert!(session != own && terminal == "0", "{session} {terminal}");
}

#[tokio::test]
async fn a_supervisor_is_used_again_and_a_killed_one_is_replaced() {
    let scripts = Scripts::at_once(1);
    let supervisor = async || stdout(&scripts.sh("echo $PPID", AMPLE).await).trim().to_owned();
    let first = supervisor().await;
    assert_eq!(first, supervisor().await);
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(first.parse().unwrap()), nix::sys::signal::Signal::SIGKILL).unwrap();
    // Its first thread may be gone before the others: it has not ended before they have.
    let threads = || fs::read_dir(format!("/proc/{first}/task")).map_or(0, Iterator::count);
    let is_zombie = || fs::read_to_string(format!("/proc/{first}/stat")).map_or(true, |stat| stat.contains(") Z"));
    let dead = async || (is_zombie() && threads() <= 1).then_some(());
    baton_testkit::eventually(AMPLE, "the end of the supervisor", dead).await;
    assert_ne!(first, supervisor().await);
}

#[tokio::test]
async fn a_folder_that_was_tidied_away_is_no_end_of_all_scripts() {
    let scripts = Scripts::at_once(1);
    let directory = PathBuf::from(stdout(&scripts.sh("pwd -P", AMPLE).await).trim());
    let of_supervisor = directory.parent().unwrap();
    for gone in [of_supervisor, of_supervisor.parent().unwrap()] {
        fs::remove_dir_all(gone).unwrap();
        assert_eq!(scripts.sh("exit 0", AMPLE).await.verdict, Verdict::Succeeded);
    }
}

#[tokio::test]
async fn a_program_that_is_no_supervisor_is_an_error_that_is_retried() {
    for (path, says) in [("/no/such/program", "could be started to watch over test.sh: No such file"), ("/bin/false", "watch")] {
        let supervisor = SupervisorProgram { path: path.into(), args: Vec::new() };
        let scripts = Scripts::confined(1, Confinement { supervisor, ..confinement() });
        let outcome = scripts.sh("exit 0", AMPLE).await;
        assert!(outcome.verdict == RETRY && outcome.error.as_deref().unwrap().contains(says), "{outcome:?}");
    }
}

#[test]
fn a_user_that_cannot_be_is_refused_by_the_name_of_the_setting() {
    let set = |user: &str| refusal(Confinement { user: Some(user.into()), ..confinement() });
    assert_eq!(set("no-such-user"), "BATON_SCRIPT_USER: no-such-user is not a user of this system");
    if !geteuid().is_root() {
        assert!(set("root").contains("only root can run scripts as another"));
    }
}

#[test]
fn the_user_that_baton_runs_as_is_none_to_change_to() {
    let own = geteuid().to_string();
    assert!(Caller::new(settings(None, 1, Confinement { user: Some(own), ..confinement() })).is_ok());
}

/// Scripts that run as nobody, where these tests may do that.
fn of_nobody(confinement: Confinement) -> Option<(Scripts, User)> {
    if !geteuid().is_root() {
        let told = refusal(Confinement { user: Some("root".into()), ..confinement });
        assert!(told.contains("BATON_SCRIPT_USER"), "{told}");
        return None;
    }
    let user = User::from_name(NOBODY).unwrap().unwrap();
    Some((Scripts::confined(2, Confinement { user: Some(NOBODY.into()), ..confinement }), user))
}

#[tokio::test]
async fn scripts_run_as_the_user_that_is_set() {
    let Some((scripts, nobody)) = of_nobody(confinement()) else { return };
    let lines = "id -u; id -ru; id -G; stat -c '%u %a' .; : > file; kill -KILL $PPID 2> /dev/null || echo unharmed";
    for _ in 0..2 {
        let outcome = scripts.sh(lines, AMPLE).await;
        let (uid, gid) = (nobody.uid, nobody.gid);
        assert_eq!(stdout(&outcome), format!("{uid}\n{uid}\n{gid}\n{uid} 700\nunharmed\n"));
    }
    // Nor does it see what Baton was told, or its files.
    let note = scripts.path("secret");
    fs::write(&note, "").unwrap();
    chmod(&note, 0o600);
    scripts.write("look.sh", 0o755, "#!/bin/sh\ncat /proc/$2/environ; cat $1\n");
    let args = [note.to_str().unwrap(), &std::process::id().to_string()];
    let outcome = scripts.run("look.sh", &args, AMPLE).await;
    assert_eq!(ran(&outcome).3.matches("Permission denied").count(), 2, "{outcome:?}");
}

#[tokio::test]
async fn what_the_user_may_not_reach_is_said_when_it_is_saved_and_run() {
    let Some((scripts, _)) = of_nobody(confinement()) else { return };
    scripts.write("a/run.sh", 0o755, "#!/bin/sh\nexit 0\n");
    let (folder, file) = (scripts.path("a"), scripts.path("a/run.sh"));
    assert_eq!(fs::metadata(&folder).unwrap().uid(), 0);
    for (folder_mode, mode, what) in [(0o750, 0o755, "entered"), (0o755, 0o750, "executed"), (0o755, 0o711, "read")] {
        chmod(&folder, folder_mode);
        chmod(&file, mode);
        let errors = scripts.caller.inspect(&task("a/run.sh", &[])).await.0;
        let outcome = scripts.run("a/run.sh", &[], AMPLE).await;
        assert_eq!((outcome.verdict, outcome.error.as_ref()), (RETRY, Some(&errors[0].message)));
        let message = &errors[0].message;
        assert!(message.contains(&format!("may not be {what} by nobody")) && message.contains("BATON_SCRIPT_USER"), "{message}");
    }
    chmod(&file, 0o755);
    assert_eq!(scripts.run("a/run.sh", &[], AMPLE).await.verdict, Verdict::Succeeded);
}

#[tokio::test]
async fn processes_without_end_end_with_the_script() {
    let limits = ScriptLimits { processes: 200, ..ScriptLimits::default() };
    let Some((scripts, nobody)) = of_nobody(Confinement { limits, ..confinement() }) else { return };
    scripts.write("bomb.sh", 0o755, "#!/bin/sh\nf() { f & f & }\nf 2> /dev/null\nsleep 1000\n");
    let outcome = scripts.run("bomb.sh", &[], Duration::from_millis(800)).await;
    assert_eq!(outcome.verdict, RETRY);
    let root = scripts.folder.path().to_str().unwrap();
    let left = || processes_of(nobody.uid).into_iter().filter(|words| words.contains(root)).collect::<Vec<_>>();
    assert_eq!(left(), [""; 0]);
    assert_eq!(scripts.sh("exit 0", AMPLE).await.verdict, Verdict::Succeeded);
}

/// The arguments of a user's processes.
fn processes_of(user: Uid) -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| Some(entry.ok()?.path()));
    let own = processes.filter(|process| fs::metadata(process).is_ok_and(|metadata| metadata.uid() == user.as_raw()));
    own.filter_map(|process| fs::read_to_string(process.join("cmdline")).ok()).collect()
}
