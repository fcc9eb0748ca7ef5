//! What the end of a script means, in a verdict and a sentence.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use baton_domain::{Response, Verdict};
use nix::sys::signal::Signal;

use super::End;
use super::confinement::ScriptLimits;
use super::wire::{How, Report};

/// The exit code that says "do not try again" (`EX_DATAERR` of sysexits.h).
const EXIT_FOR_GOOD: i32 = 65;
/// What shells add to the number of the signal that ended a command.
const SHELL_SIGNAL: i32 = 128;
/// How bubblewrap begins what it says itself.
const SANDBOX_SAYS: &str = "bwrap: ";

/// What was asked of a script.
pub(super) struct Terms<'a> {
    pub(super) timeout: Duration,
    pub(super) limits: &'a ScriptLimits,
    pub(super) sandbox: bool,
}

/// What a report means.
pub(super) fn end(report: Report, terms: &Terms<'_>) -> End {
    let Report { how, stdout, stderr, truncated, .. } = report;
    let (verdict, error, exit_code, signal) = match how {
        How::ByItself(status) => {
            let status = ExitStatus::from_raw(status);
            let (verdict, error) = judge(status, &stderr, terms);
            (verdict, error, status.code(), status.signal().map(signal_name))
        }
        How::Killed => {
            let error = format!("the script did not end within {} ms and was killed", terms.timeout.as_millis());
            (Verdict::Retry { after: None }, Some(error), None, Some(Signal::SIGKILL.as_str().to_owned()))
        }
        How::Unknown(error) => {
            (Verdict::Retry { after: None }, Some(format!("how the script ended is not known: {error}")), None, None)
        }
    };
    End { verdict, error, response: Some(Response::Script { exit_code, signal, stdout, stderr, truncated }) }
}

fn judge(status: ExitStatus, stderr: &str, terms: &Terms<'_>) -> (Verdict, Option<String>) {
    let retry = |sentence: String| (Verdict::Retry { after: None }, Some(sentence));
    match (status.code(), status.signal()) {
        (Some(0), _) => (Verdict::Succeeded, None),
        (Some(EXIT_FOR_GOOD), _) => {
            (Verdict::Failed, Some(format!("the script ended with exit code {EXIT_FOR_GOOD}, which means: do not try again")))
        }
        (Some(1), _) if terms.sandbox && stderr.starts_with(SANDBOX_SAYS) => {
            let said = stderr.lines().next().unwrap_or_default();
            retry(format!("the sandbox could not run the script: {}", said.trim_start_matches(SANDBOX_SAYS)))
        }
        (Some(code), _) => {
            let sentence = format!("the script ended with exit code {code}");
            retry(with_hint(sentence, code_hint(code, terms.limits)))
        }
        (None, Some(signal)) => {
            retry(with_hint(format!("the script was ended by {}", signal_name(signal)), signal_hint(signal, terms.limits)))
        }
        (None, None) => retry("the script was ended by a signal".into()),
    }
}

fn with_hint(sentence: String, hint: Option<String>) -> String {
    match hint {
        Some(hint) => format!("{sentence}: {hint}"),
        None => sentence,
    }
}

/// What shells mean by their exit codes.
fn code_hint(code: i32, limits: &ScriptLimits) -> Option<String> {
    match code {
        126 => Some("for a shell, a command that may not be executed".into()),
        127 => Some("for a shell, a command that is not there".into()),
        _ => {
            let signal = Signal::try_from(code - SHELL_SIGNAL).ok()?;
            let command = format!("for a shell, a command that was ended by {}", signal.as_str());
            Some(limit_hint(signal, limits).map_or(command.clone(), |limit| format!("{command}; {limit}")))
        }
    }
}

fn signal_hint(signal: i32, limits: &ScriptLimits) -> Option<String> {
    match Signal::try_from(signal).ok()? {
        Signal::SIGKILL => Some("not by Baton; by the system when memory ran out, by itself, or by another process".into()),
        signal => limit_hint(signal, limits),
    }
}

/// The limit behind a signal that the system sends where one is exceeded.
fn limit_hint(signal: Signal, limits: &ScriptLimits) -> Option<String> {
    match signal {
        Signal::SIGXCPU => {
            let limit = limits.cpu?.as_secs();
            Some(format!("it may use {limit} s of processor time (BATON_SCRIPT_CPU)"))
        }
        Signal::SIGXFSZ => {
            let limit = limits.file_size?;
            Some(format!("a file that it writes may have {limit} bytes (BATON_SCRIPT_FILE_SIZE)"))
        }
        _ => None,
    }
}

fn signal_name(number: i32) -> String {
    Signal::try_from(number).map_or_else(|_| format!("signal {number}"), |signal| signal.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(raw: i32, stderr: &str, sandbox: bool) -> (Verdict, Option<String>) {
        let limits = ScriptLimits { cpu: Some(Duration::from_secs(9)), file_size: Some(4096), ..ScriptLimits::default() };
        judge(ExitStatus::from_raw(raw), stderr, &Terms { timeout: Duration::from_secs(1), limits: &limits, sandbox })
    }

    fn sentence(raw: i32) -> String {
        judged(raw, "", false).1.unwrap()
    }

    #[test]
    fn each_end_has_its_verdict() {
        let retry = Verdict::Retry { after: None };
        assert_eq!(judged(0, "", false), (Verdict::Succeeded, None));
        assert_eq!(judged(65 << 8, "", false).0, Verdict::Failed);
        for code in (1..256).filter(|code| *code != 65) {
            let (verdict, error) = judged(code << 8, "", false);
            let plain = format!("the script ended with exit code {code}");
            assert_eq!(verdict, retry);
            assert!(error.as_deref().is_some_and(|error| error.starts_with(&plain)), "{error:?}");
            assert_eq!(error == Some(plain), !(126..=128 + 31).contains(&code) || code == 128, "{code}: {error:?}");
        }
        assert_eq!(judged(11, "", false), (retry, Some("the script was ended by SIGSEGV".into())));
        assert_eq!(judged(40, "", false), (retry, Some("the script was ended by signal 40".into())));
    }

    #[test]
    fn the_limit_behind_a_signal_is_named() {
        assert_eq!(sentence(24), "the script was ended by SIGXCPU: it may use 9 s of processor time (BATON_SCRIPT_CPU)");
        let of_shell = "the script ended with exit code 153: for a shell, a command that was ended by SIGXFSZ; \
                        a file that it writes may have 4096 bytes (BATON_SCRIPT_FILE_SIZE)";
        assert_eq!(sentence(153 << 8), of_shell);
        assert!(sentence(9).contains("SIGKILL: not by Baton"));
        assert!(sentence(127 << 8).contains("not there") && sentence(126 << 8).contains("may not be executed"));
    }

    #[test]
    fn what_the_sandbox_says_is_told_apart_from_what_a_script_says() {
        let said = "bwrap: execvp /opt/x: No such file or directory\n";
        let told = "the sandbox could not run the script: execvp /opt/x: No such file or directory";
        assert_eq!(judged(1 << 8, said, true).1.as_deref(), Some(told));
        assert_eq!(judged(1 << 8, said, false).1.as_deref(), Some("the script ended with exit code 1"));
        assert_eq!(judged(1 << 8, "no", true).1.as_deref(), Some("the script ended with exit code 1"));
    }
}
