//! Time, output, what is left running, how many run at once.

use std::time::Instant;

use baton_domain::Verdict;
use baton_domain::limits::OUTPUT_KEPT_BYTES;

use super::*;

const RETRY: Verdict = Verdict::Retry { after: None };
/// For scripts that are to run into it.
const BRIEF: Duration = Duration::from_millis(700);

#[tokio::test]
async fn the_timeout_kills_the_whole_group() {
    let lines = "trap '' TERM\n(trap '' TERM; while :; do sleep 1; done) &\necho $$\nwait";
    let outcome = Scripts::new().sh(lines, BRIEF).await;
    assert_eq!((outcome.verdict, outcome.error.as_deref()), (RETRY, Some("the script did not end within 700 ms and was killed")));
    let (code, signal, group, ..) = ran(&outcome);
    assert_eq!((code, signal), (None, Some("SIGKILL")));
    assert!((BRIEF..BRIEF * 5).contains(&outcome.duration), "{:?}", outcome.duration);
    none_alive(group).await;
}

#[tokio::test]
async fn ten_megabytes_on_both_streams_are_drained() {
    let lines = "head -c 10000000 /dev/zero | tr '\\0' o &\nhead -c 10000000 /dev/zero | tr '\\0' e >&2\nwait\nexit 3";
    let outcome = Scripts::new().sh(lines, AMPLE).await;
    let (kept_o, kept_e) = ("o".repeat(OUTPUT_KEPT_BYTES), "e".repeat(OUTPUT_KEPT_BYTES));
    assert_eq!(ran(&outcome), (Some(3), None, kept_o.as_str(), kept_e.as_str(), true));
}

#[tokio::test]
async fn endless_output_ends_at_the_timeout() {
    let outcome = Scripts::new().sh("exec yes", BRIEF).await;
    assert_eq!((outcome.verdict, outcome.duration < BRIEF * 5), (RETRY, true));
    assert_eq!(ran(&outcome), (None, Some("SIGKILL"), "y\n".repeat(OUTPUT_KEPT_BYTES / 2).as_str(), "", true));
}

#[tokio::test]
async fn a_child_that_keeps_the_pipes_open_does_not_hold_up_the_call() {
    let begin = Instant::now();
    let outcome = Scripts::new().sh("sleep 1000 &\necho $$", AMPLE).await;
    assert_eq!(outcome.verdict, Verdict::Succeeded);
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    none_alive(stdout(&outcome)).await;
}

#[tokio::test]
async fn a_child_that_has_closed_the_pipes_is_killed_at_the_end() {
    let outcome = Scripts::new().sh("sleep 1000 < /dev/null > /dev/null 2>&1 &\necho $$", AMPLE).await;
    assert_eq!(outcome.verdict, Verdict::Succeeded);
    none_alive(stdout(&outcome)).await;
}

#[tokio::test]
async fn what_a_child_still_writes_is_read() {
    // The child writes once the script has ended and been waited for.
    let outcome = Scripts::new().sh("(while kill -0 $$ 2> /dev/null; do :; done; echo later) &\necho now", AMPLE).await;
    assert_eq!(stdout(&outcome), "now\nlater\n");
}

#[tokio::test]
async fn a_child_with_a_session_of_its_own_ends_with_the_script() {
    let lines = "setsid sh -c 'echo $$; exec sleep 1000' &\n";
    for (wait, verdict) in [("wait", RETRY), ("sleep 0.2", Verdict::Succeeded)] {
        let outcome = Scripts::new().sh(&format!("{lines}{wait}"), BRIEF).await;
        assert_eq!(outcome.verdict, verdict);
        assert!(outcome.duration < BRIEF * 4, "{:?}", outcome.duration);
        assert_eq!(alive(ran(&outcome).2.trim()), [""; 0]);
    }
}

#[tokio::test]
async fn a_call_that_is_given_up_leaves_nothing() {
    let scripts = Scripts::new();
    let note = scripts.path("note");
    scripts.write("long.sh", 0o755, "#!/bin/sh\nsleep 1000 &\necho $$ $(pwd) > \"$1.new\"\nmv \"$1.new\" \"$1\"\nwait\n");
    let note_text = note.to_str().unwrap().to_owned();
    let written = {
        let args = [note_text.as_str()];
        let run = scripts.run("long.sh", &args, AMPLE);
        let probe = baton_testkit::eventually(AMPLE, "the script to run", async || fs::read_to_string(&note).ok());
        tokio::select! { outcome = run => panic!("{outcome:?}"), written = probe => written }
    };
    let (group, directory) = written.trim().split_once(' ').unwrap();
    none_alive(group).await;
    let gone = async || (!Path::new(directory).exists()).then_some(());
    baton_testkit::eventually(AMPLE, "the working directory to be removed", gone).await;
}

#[tokio::test]
async fn no_more_run_at_once_than_allowed_and_waiting_is_not_part_of_the_timeout() {
    let scripts = Scripts::at_once(2);
    let counted = "#!/bin/sh\nmkdir \"$1/$$\"; ls \"$1\" | wc -l; sleep 0.5; rmdir \"$1/$$\"\n";
    scripts.write("counted.sh", 0o755, counted);
    let folder = scripts.path("running");
    fs::create_dir(&folder).unwrap();
    let args = [folder.to_str().unwrap()];
    // The last of them waits for 2.5 s.
    let runs = (0..12).map(|_| scripts.run("counted.sh", &args, Duration::from_secs(2)));
    let outcomes = futures_util::future::join_all(runs).await;
    let side_by_side = outcomes.iter().map(|outcome| stdout(outcome).trim().parse().unwrap()).max();
    assert_eq!(side_by_side, Some(2));
    let last = outcomes.iter().map(|outcome| outcome.started_at).max().unwrap();
    assert!(last - outcomes[0].started_at > chrono::Duration::seconds(2));
}
