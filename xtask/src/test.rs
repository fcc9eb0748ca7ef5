//! `cargo xtask test`: every test of the workspace against throw-away services.

use anyhow::Result;

use crate::children::step;
use crate::interrupt::Interrupt;
use crate::throwaway::Services;
use crate::workspace::cargo;

/// What is handed on to `cargo test`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Passed on to `cargo test`, such as `-p baton-storage` or `-- a_name`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// Builds the programs, then runs the tests.
pub(crate) fn run(args: &Args) -> Result<()> {
    let interrupt = Interrupt::listen()?;
    test(&interrupt, &args.rest)
}

/// The same, as a step of a longer run.
pub(crate) fn test(interrupt: &Interrupt, rest: &[String]) -> Result<()> {
    let services = Services::for_tests(interrupt)?;
    // Some tests run the programs as processes of their own, and cargo builds for a test only what its own package has.
    step(interrupt, "cargo build", &mut cargo(&["build", "--workspace", "--bins"]))?;
    step(interrupt, "cargo test", cargo(&["test"]).args(test_args(rest)).envs(services.variables()))
}

fn test_args(rest: &[String]) -> Vec<String> {
    let before_names = rest.iter().take_while(|arg| *arg != "--");
    let chosen = before_names.into_iter().any(|arg| arg.starts_with("-p") || arg.starts_with("--package"));
    let all = (!chosen).then(|| "--workspace".to_owned());
    all.into_iter().chain(rest.iter().cloned()).collect()
}

#[cfg(test)]
mod tests {
    use super::test_args;

    fn args(rest: &[&str]) -> Vec<String> {
        test_args(&rest.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn all_packages_unless_some_are_chosen() {
        assert_eq!(args(&[]), ["--workspace"]);
        assert_eq!(args(&["--", "-p"]), ["--workspace", "--", "-p"]);
        assert_eq!(args(&["-p", "xtask"]), ["-p", "xtask"]);
        assert_eq!(args(&["--package=xtask", "--lib"]), ["--package=xtask", "--lib"]);
    }
}
