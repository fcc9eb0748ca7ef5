//! The short form of the suite, on the programs that were built for the tests.

use std::process::Command;

#[test]
fn the_short_form_passes() {
    let output = Command::new(env!("CARGO_BIN_EXE_baton-faults")).arg("--short").output().unwrap();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}\n{}", said(&output.stdout), said(&output.stderr));
    assert!(said(&output.stdout).contains("4 of 4 passed"), "{}", said(&output.stdout));
}

#[test]
fn a_scenario_that_does_not_exist_is_refused() {
    let output = Command::new(env!("CARGO_BIN_EXE_baton-faults")).args(["--only", "earthquake"]).output().unwrap();
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("there is no scenario earthquake"));
}
