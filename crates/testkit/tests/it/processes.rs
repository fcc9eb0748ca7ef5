use std::os::unix::process::ExitStatusExt;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use baton_testkit::{Process, Program, within};
use futures_util::FutureExt;
use tokio::net::TcpStream;

use crate::client::{post, status};

const SOON: Duration = Duration::from_secs(10);

fn ready() -> Program {
    Program::named("testkit-ready").env("BATON_GREETING", "hello")
}

async fn panic_of(future: impl Future) -> String {
    let panic = AssertUnwindSafe(future).catch_unwind().await.map(|_| ()).unwrap_err();
    panic.downcast_ref::<String>().unwrap().clone()
}

async fn answers(process: &Process) -> bool {
    matches!(post(process.address(), "/", &[], "").await, Ok(answer) if status(&answer) == 200)
}

#[tokio::test]
async fn a_program_runs_in_its_own_directory_with_its_settings() {
    let process = ready().start().await;
    assert!(answers(&process).await);
    let dir = process.dir().canonicalize().unwrap();
    assert_eq!(process.output(), format!("greeting hello, in {}\n", dir.display()));
    let address = process.address();
    drop(process);
    assert!(TcpStream::connect(address).await.is_err(), "dropped means ended");
    assert!(!dir.exists());
}

#[tokio::test]
async fn a_process_is_killed_terminated_and_started_again() {
    let mut process = ready().start().await;
    let first = process.pid();
    process.kill9();
    assert_eq!(process.exited().unwrap().signal(), Some(9));
    process.restart().await;
    assert_ne!(process.pid(), first);
    assert!(answers(&process).await);
    assert_eq!(process.terminate(SOON).await.signal(), Some(15));
    assert!(!answers(&process).await);
}

#[tokio::test]
async fn a_stopped_process_answers_when_it_goes_on() {
    let process = ready().start().await;
    process.stop();
    // A second connection is accepted by the kernel, but nobody answers it.
    let mut answer = Box::pin(answers(&process));
    assert!(tokio::time::timeout(Duration::from_millis(200), &mut answer).await.is_err());
    process.cont();
    assert!(within(SOON, "an answer", answer).await);
}

#[tokio::test]
async fn a_program_is_started_through_another_that_becomes_it() {
    let mut process = ready().through(["sh", "-c", r#"BATON_GREETING=$0 exec "$@""#, "good day"]).start().await;
    assert!(process.output().starts_with("greeting good day"));
    process.kill9();
    assert!(!answers(&process).await);
}

#[tokio::test]
async fn a_program_that_ends_early_says_why() {
    let message = panic_of(ready().args(["--broken"]).start()).await;
    assert!(message.contains("exit status: 3") && message.contains("out of order"), "{message}");
}

#[tokio::test]
async fn a_program_can_be_run_to_its_end() {
    let finished = ready().args(["--once"]).run(SOON).await;
    assert!(finished.status.success());
    assert!(finished.stdout.starts_with("greeting hello"));
    assert_eq!(finished.stderr, "");
    let finished = ready().args(["--broken"]).run(SOON).await;
    assert_eq!((finished.status.code(), finished.stderr.as_str()), (Some(3), "out of order\n"));
}

#[test]
fn a_program_that_was_not_built_says_how_to_build_it() {
    let message = std::panic::catch_unwind(|| Program::named("no-such-program")).unwrap_err();
    assert!(message.downcast_ref::<String>().unwrap().contains("cargo build --workspace --bins"));
}
