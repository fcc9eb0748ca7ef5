//! Programs that end at once, since something is wrong.

use baton_testkit::Program;

use super::SOON;

/// What a program that cannot do its work says, after a look at its exit code.
///
/// # Panics
/// When it succeeds, does not end, or says nothing.
pub(crate) async fn refusal(program: Program) -> String {
    // Whoever runs the tests may have asked for backtraces.
    let ended = program.env("RUST_BACKTRACE", "0").run(SOON).await;
    assert!(ended.status.code().is_some_and(|code| code != 0), "{}: {}{}", ended.status, ended.stdout, ended.stderr);
    assert!(!ended.stderr.trim().is_empty());
    ended.stderr
}
