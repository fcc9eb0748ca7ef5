//! What a script gets, and what its end means.

use baton_domain::Verdict;

use super::*;

const RETRY: Verdict = Verdict::Retry { after: None };

#[tokio::test]
async fn each_exit_code_has_its_verdict() {
    let scripts = Scripts::new();
    for (code, verdict, error) in [
        (0, Verdict::Succeeded, None),
        (1, RETRY, Some("the script ended with exit code 1")),
        (65, Verdict::Failed, Some("the script ended with exit code 65, which means: do not try again")),
        (127, RETRY, Some("the script ended with exit code 127: for a shell, a command that is not there")),
    ] {
        let outcome = scripts.sh(&format!("echo out; echo err >&2; exit {code}"), AMPLE).await;
        assert_eq!((outcome.verdict, outcome.error.as_deref()), (verdict, error), "{code}");
        assert_eq!(ran(&outcome), (Some(code), None, "out\n", "err\n", false));
    }
}

#[tokio::test]
async fn a_signal_is_retried_and_named() {
    let outcome = Scripts::new().sh("echo before; kill -SEGV $$", AMPLE).await;
    assert_eq!((outcome.verdict, outcome.error.as_deref()), (RETRY, Some("the script was ended by SIGSEGV")));
    assert_eq!(ran(&outcome), (None, Some("SIGSEGV"), "before\n", "", false));
}

#[tokio::test]
async fn the_body_comes_on_standard_input() {
    let outcome = Scripts::new().sh("cat", AMPLE).await;
    assert_eq!(stdout(&outcome), BODY);
}

#[tokio::test]
async fn arguments_arrive_as_configured() {
    let scripts = Scripts::new();
    scripts.write("vcs/args.sh", 0o755, "#!/bin/sh\nfor a in \"$@\"; do echo \"[$a]\"; done\n");
    let args = ["two words", "it's \"quoted\"", "$HOME `id` ; exit 1", "*", "", "--x=é"];
    let outcome = scripts.run("vcs/args.sh", &args, AMPLE).await;
    assert_eq!(stdout(&outcome), args.map(|arg| format!("[{arg}]\n")).concat());
}

#[tokio::test]
async fn the_environment_holds_batons_variables_only() {
    let lines = "[ \"$TMPDIR\" = \"$(pwd -P)\" ] && TMPDIR='its working directory'; exec /usr/bin/env";
    let outcome = Scripts::new().sh(lines, AMPLE).await;
    let mut lines: Vec<_> =
        stdout(&outcome).lines().filter(|line| !line.starts_with("PWD=") && !line.starts_with("_=")).collect();
    lines.sort_unstable();
    let expected = [
        "BATON_ATTEMPT=3",
        "BATON_EVENTS_ID=clients.create",
        "BATON_EVENT_ID=0192f0c1-5d3e-7c41-9a55-0123456789ab",
        "BATON_GENERATION=7",
        "BATON_HANDLER=5",
        "BATON_OBJECT_ID=41 07",
        "LANG=C.UTF-8",
        "PATH=/usr/local/bin:/usr/bin:/bin",
        "TMPDIR=its working directory",
    ];
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn the_working_directory_is_new_empty_and_removed() {
    let scripts = Scripts::new();
    let lines = "pwd; ls -A; stat -c %a .; mkdir -p a/b; echo x > a/b/c; chmod 0 a/b/c";
    let (one, two) = (scripts.sh(lines, AMPLE).await, scripts.sh(lines, AMPLE).await);
    let [first, "700"] = stdout(&one).lines().collect::<Vec<_>>()[..] else { panic!("{one:?}") };
    let [second, "700"] = stdout(&two).lines().collect::<Vec<_>>()[..] else { panic!("{two:?}") };
    assert_ne!(first, second);
    assert!(!Path::new(first).exists() && !Path::new(second).exists());
    assert!(!Path::new(first).starts_with(scripts.folder.path()));
}

#[tokio::test]
async fn it_leads_a_process_group_of_its_own() {
    let outcome = Scripts::new().sh("read -r _ _ _ _ group _ < /proc/$$/stat; echo $$ $group", AMPLE).await;
    let ids: Vec<_> = stdout(&outcome).split_whitespace().collect();
    assert_eq!(ids[0], ids[1]);
}

#[tokio::test]
async fn a_large_body_that_is_not_read_is_no_failure() {
    let scripts = Scripts::new();
    scripts.write("deaf.sh", 0o755, "#!/bin/sh\nexec 0<&-\necho done\n");
    scripts.write("quick.sh", 0o755, "#!/bin/sh\necho done\n");
    for name in ["deaf.sh", "quick.sh"] {
        let outcome = scripts.run_with(name, &[], AMPLE, vec![b' '; 1024 * 1024].into()).await;
        assert_eq!((outcome.verdict, stdout(&outcome)), (Verdict::Succeeded, "done\n"));
    }
}

#[tokio::test]
async fn a_large_body_that_is_echoed_does_not_get_stuck() {
    let scripts = Scripts::new();
    scripts.write("echo.sh", 0o755, "#!/bin/sh\nexec cat\n");
    let outcome = scripts.run_with("echo.sh", &[], AMPLE, vec![b'x'; 1024 * 1024].into()).await;
    assert_eq!(outcome.verdict, Verdict::Succeeded);
    assert!(ran(&outcome).4);
}

#[tokio::test]
async fn a_program_that_is_no_text_is_run() {
    let scripts = Scripts::new();
    scripts.write("program", 0o755, fs::read("/bin/true").unwrap());
    assert_eq!(scripts.run("program", &[], AMPLE).await.verdict, Verdict::Succeeded);
}

#[tokio::test]
async fn a_link_within_the_root_is_followed() {
    let scripts = Scripts::new();
    scripts.write("v2/real.sh", 0o755, "#!/bin/sh\necho real\n");
    std::os::unix::fs::symlink("v2/real.sh", scripts.path("link.sh")).unwrap();
    assert_eq!(stdout(&scripts.run("link.sh", &[], AMPLE).await), "real\n");
}

#[tokio::test]
async fn a_root_that_is_a_link_is_looked_at_anew_for_each_run() {
    let scripts = Scripts::new();
    scripts.write("v1/a.sh", 0o755, "#!/bin/sh\necho one\n");
    scripts.write("v2/a.sh", 0o755, "#!/bin/sh\necho two\n");
    let link = scripts.path("current");
    std::os::unix::fs::symlink("v1", &link).unwrap();
    let moved = Scripts { caller: caller(Some(link.clone()), 1), folder: TempDir::new().unwrap() };
    assert_eq!(stdout(&moved.run("a.sh", &[], AMPLE).await), "one\n");
    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink("v2", &link).unwrap();
    assert_eq!(stdout(&moved.run("a.sh", &[], AMPLE).await), "two\n");
}
