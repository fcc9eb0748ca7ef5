//! The sandbox of bubblewrap. Where it is installed (`bwrap` in `PATH`, or the path in `BATON_TEST_BWRAP`) scripts are run in it; where it
//! is not, the setting has to be refused.

use baton_dispatcher::call::ScriptLimits;
use baton_domain::Verdict;
use baton_runtime::settings::ScriptSandbox;
use nix::unistd::geteuid;

use super::*;

const RETRY: Verdict = Verdict::Retry { after: None };

fn sandboxed(sandbox: ScriptSandbox, user: Option<&str>) -> Option<Scripts> {
    let bwrap = std::env::var_os("BATON_TEST_BWRAP").unwrap_or_else(|| "bwrap".into());
    let path = std::env::var_os("PATH").unwrap();
    let is_there = Path::new(&bwrap).is_file() || std::env::split_paths(&path).any(|folder| folder.join(&bwrap).is_file());
    let limits = ScriptLimits { cpu: Some(Duration::from_secs(1)), ..ScriptLimits::default() };
    let user = user.map(str::to_owned);
    let confinement = Confinement { sandbox, bwrap: bwrap.into(), limits, user, ..confinement() };
    if !is_there {
        let error = Caller::new(settings(None, 1, confinement)).unwrap_err().to_string();
        assert!(error.contains("BATON_SCRIPT_SANDBOX") && error.contains("is not installed"), "{error}");
        return None;
    }
    Some(Scripts::confined(2, confinement))
}

#[tokio::test]
async fn a_script_in_a_sandbox_gets_what_others_get() {
    let Some(scripts) = sandboxed(ScriptSandbox::Bwrap, None) else { return };
    scripts.write("lib/part.sh", 0o644, "echo part\n");
    let lines = ". \"${0%/*}/lib/part.sh\"; read -r body; echo \"$body\"; echo $BATON_HANDLER $LANG; pwd -P; echo $TMPDIR; \
                 mktemp > /dev/null; ls -A | wc -l";
    let outcome = scripts.sh(lines, AMPLE).await;
    let lines: Vec<_> = stdout(&outcome).lines().collect();
    let [part, body, environment, directory, temporary, files] = lines[..] else { panic!("{outcome:?}") };
    assert_eq!((part, body, environment, files), ("part", BODY, "5 C.UTF-8", "1"));
    assert_eq!(directory, temporary);
    assert!(!Path::new(directory).exists());
    for (code, verdict) in [(65, Verdict::Failed), (3, RETRY)] {
        let outcome = scripts.sh(&format!("exit {code}"), AMPLE).await;
        assert_eq!((outcome.verdict, ran(&outcome).0), (verdict, Some(code)));
    }
}

#[tokio::test]
async fn a_sandbox_has_no_network_no_other_processes_and_nothing_to_write_to() {
    let users = if geteuid().is_root() { &[None, Some("nobody")][..] } else { &[None] };
    for user in users {
        let Some(scripts) = sandboxed(ScriptSandbox::Bwrap, *user) else { return };
        let secret = TempDir::new().unwrap();
        fs::write(secret.path().join("secret"), "hunter2").unwrap();
        scripts.write(
            "look.sh",
            0o755,
            "#!/bin/sh\nls $1; grep -c : /proc/net/dev; ls -d /proc/[0-9]* | wc -l; touch /usr/x \"${0%/*}/x\"; exit 0\n",
        );
        let outcome = scripts.run("look.sh", &[secret.path().to_str().unwrap()], AMPLE).await;
        let (code, _, out, err, _) = ran(&outcome);
        assert_eq!(code, Some(0), "{outcome:?}");
        let counts: Vec<u32> = out.split_whitespace().map(|count| count.parse().unwrap()).collect();
        // The loopback of its own; its few processes.
        assert!(counts[0] == 1 && counts[1] < 8, "{out}");
        assert!(err.contains("No such file") && err.matches("Read-only file system").count() == 2, "{err}");
    }
}

#[tokio::test]
async fn a_sandbox_with_the_network_has_batons() {
    let Some(scripts) = sandboxed(ScriptSandbox::BwrapNetwork, None) else { return };
    let outcome = scripts.sh("exec cat /proc/self/net/dev", AMPLE).await;
    let names = |text: &str| text.lines().filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned())).collect::<Vec<_>>();
    assert_eq!(names(stdout(&outcome)), names(&fs::read_to_string("/proc/self/net/dev").unwrap()));
}

#[tokio::test]
async fn nothing_of_a_sandbox_is_left() {
    let Some(scripts) = sandboxed(ScriptSandbox::Bwrap, None) else { return };
    let token = format!("{}77", std::process::id());
    scripts.write("hang.sh", 0o755, "#!/bin/sh\nsetsid sleep 1000.$1 &\ntrap '' TERM\nsleep 1000.$1\n");
    let outcome = scripts.run("hang.sh", &[&token], Duration::from_millis(1500)).await;
    assert_eq!((outcome.verdict, ran(&outcome).1), (RETRY, Some("SIGKILL")));
    assert_eq!(misbehaviour::carrying(&token), [""; 0]);
    scripts.write("leave.sh", 0o755, "#!/bin/sh\nsetsid sleep 1000.$1 > /dev/null 2>&1 &\nsleep 0.1\n");
    assert_eq!(scripts.run("leave.sh", &[&token], AMPLE).await.verdict, Verdict::Succeeded);
    assert_eq!(misbehaviour::carrying(&token), [""; 0]);
}

#[tokio::test]
async fn what_only_the_sandbox_finds_out_is_explained() {
    let Some(scripts) = sandboxed(ScriptSandbox::Bwrap, None) else { return };
    // An interpreter that is there, but not in the sandbox.
    let elsewhere = TempDir::new().unwrap();
    let interpreter = elsewhere.path().join("interpreter");
    std::os::unix::fs::symlink("/bin/sh", &interpreter).unwrap();
    scripts.write("elsewhere.sh", 0o755, format!("#!{}\nexit 0\n", interpreter.display()));
    let outcome = scripts.run("elsewhere.sh", &[], AMPLE).await;
    let error = outcome.error.unwrap();
    assert!(error.starts_with("the sandbox could not run the script") && error.contains("No such file"), "{error}");
    let outcome = scripts.sh("while :; do :; done", AMPLE).await;
    assert!(outcome.error.as_deref().unwrap().contains("BATON_SCRIPT_CPU"), "{outcome:?}");
}
