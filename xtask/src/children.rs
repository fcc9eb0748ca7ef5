//! Processes that end with this one.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::interrupt::Interrupt;

/// How long a process may take to end by itself.
const GRACE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(10);

/// A process and whatever it starts, ended when dropped.
///
/// It leads a process group of its own: Ctrl-C on the terminal reaches only the command that started it, which then ends its
/// processes in the right order.
pub(crate) struct Running {
    name: String,
    child: Child,
    ends_by: Signal,
    over: bool,
}

impl Running {
    /// Starts a process that `ends_by` asks to end.
    pub(crate) fn start(name: &str, command: &mut Command, ends_by: Signal) -> Result<Self> {
        let program = command.get_program().to_owned();
        let child = command.stdin(Stdio::null()).process_group(0).spawn();
        let child = child.with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Self { name: name.to_owned(), child, ends_by, over: false })
    }

    /// What it is called.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// How it ended, when it has. What it has left behind in its group is killed then.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        let status = self.child.try_wait()?;
        if status.is_some() && !self.over {
            self.over = true;
            self.signal(Signal::SIGKILL);
        }
        Ok(status)
    }

    /// Waits for its end, or for an interrupt, which is an error.
    pub(crate) fn wait(&mut self, interrupt: &Interrupt) -> Result<ExitStatus> {
        loop {
            if let Some(status) = interrupt.poll(Duration::from_secs(3600), || self.ended())? {
                return Ok(status);
            }
        }
    }

    fn signal(&self, signal: Signal) {
        if let Ok(group) = i32::try_from(self.child.id()) {
            let _ = killpg(Pid::from_raw(group), signal);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.ended(), Ok(Some(_))) {
            return;
        }
        self.signal(self.ends_by);
        let end = Instant::now() + GRACE;
        while !matches!(self.ended(), Ok(Some(_))) {
            if Instant::now() >= end {
                eprintln!("{} does not end, killing it", self.name);
                self.signal(Signal::SIGKILL);
                let _ = self.child.wait();
                return;
            }
            sleep(LOOK);
        }
    }
}

/// Runs a command to its end; anything but success is an error that names the step.
pub(crate) fn step(interrupt: &Interrupt, name: &str, command: &mut Command) -> Result<()> {
    let status = Running::start(name, command, Signal::SIGINT)?.wait(interrupt)?;
    if !status.success() {
        bail!("{name} failed ({status})");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};

    use nix::sys::signal::kill;

    use super::*;

    /// A shell with a child, and that child's id.
    fn family() -> (Running, Pid) {
        let mut command = Command::new("sh");
        command.args(["-c", "sh -c 'echo $$; exec sleep 1000'; true"]).stdout(Stdio::piped());
        let mut family = Running::start("family", &mut command, Signal::SIGTERM).unwrap();
        let mut line = String::new();
        BufReader::new(family.child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        (family, Pid::from_raw(line.trim().parse().unwrap()))
    }

    fn there(pid: Pid) -> bool {
        kill(pid, None).is_ok() && !zombie(pid)
    }

    /// A child whose parent is gone may wait for init to take note of its end.
    fn zombie(pid: Pid) -> bool {
        std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "))
    }

    fn goes(pid: Pid) -> bool {
        let end = Instant::now() + GRACE;
        while there(pid) && Instant::now() < end {
            sleep(LOOK);
        }
        !there(pid)
    }

    #[test]
    fn dropping_ends_the_whole_family() {
        let (family, child) = family();
        assert!(there(child));
        drop(family);
        assert!(goes(child));
    }

    #[test]
    fn a_panic_ends_it_too() {
        let (family, child) = family();
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _family = family;
            panic!("a step panics");
        }));
        assert!(caught.is_err() && goes(child));
    }

    #[test]
    fn what_an_ended_process_leaves_behind_ends_with_it() {
        let (mut family, child) = family();
        family.child.kill().unwrap();
        let status = family.wait(&Interrupt::listen().unwrap()).unwrap();
        assert!(!status.success());
        assert!(goes(child));
    }

    #[test]
    fn a_failed_step_is_named() {
        let interrupt = Interrupt::listen().unwrap();
        assert!(step(&interrupt, "nothing", &mut Command::new("true")).is_ok());
        let error = step(&interrupt, "the impossible", Command::new("sh").args(["-c", "exit 4"])).unwrap_err().to_string();
        assert_eq!(error, "the impossible failed (exit status: 4)");
        let error = step(&interrupt, "the unknown", &mut Command::new("no-such-program")).unwrap_err();
        assert!(format!("{error:#}").starts_with("cannot start no-such-program"));
    }
}
