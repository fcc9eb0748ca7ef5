//! The process that runs scripts and watches over them, one at a time.
//!
//! It is this program once more, started beside Baton and told by a socket what to run. Why not Baton itself: limits, the rights to be
//! given up and the adoption of orphans are properties of a whole process, which a script has to inherit from a process that has them.
//! To set them between `fork` and `exec` would take unsafe code, and `fork` copies the memory map of a large program each time; to
//! start a process that sets them and becomes the script would double the cost of every run. A process that stays costs neither.
//!
//! Since orphans come to it, what it runs cannot get away from it: it ends all of its descendants when the script has ended or its time
//! is over, and also when its socket says that Baton is gone, however that ended.

mod confine;
mod places;
mod run;
pub(super) mod tree;

use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::path::Path;

use nix::libc::{SIGXCPU, SIGXFSZ};
use tokio::io::BufReader;
use tokio::net::UnixStream;
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::places::Places;
use super::script_folder;
use super::wire::{self, Rules, Run};

/// The variable that says to a program that it is to be a supervisor.
pub(super) const ASKED: &str = "BATON_SCRIPT_SUPERVISOR";
/// The environment variable that names a script's working directory, and thereby marks its processes.
pub(super) const MARK: &str = "TMPDIR";

/// Becomes the supervisor of scripts and never returns, where this process was started by Baton to be that; does nothing otherwise. Must
/// be the first thing that a program does which calls scripts, before it starts threads or opens files.
pub fn supervise_if_asked() {
    if std::env::var_os(ASKED).is_none() {
        return;
    }
    let code = match supervise() {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("a supervisor of scripts ended: {error}");
            1
        }
    };
    std::process::exit(code);
}

fn supervise() -> io::Result<()> {
    // Signals from a terminal are not for it, and scripts have no terminal, nor Baton's process group within reach.
    nix::unistd::setsid()?;
    confine::close_inherited()?;
    let socket = std::os::unix::net::UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    socket.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { serve(BufReader::new(UnixStream::from_std(socket)?)).await })
}

async fn serve(mut socket: BufReader<UnixStream>) -> io::Result<()> {
    let _deaf = Deaf::new()?;
    let Some((rules, _)) = unless_gone(wire::receive::<Rules>(&mut socket).await)? else { return Ok(()) };
    confine::apply(&rules)?;
    let folder = script_folder::of_supervisor(Path::new(&rules.folder), std::process::id());
    let mut places = Places::new(folder, rules.user.as_ref());
    while let Some((run, input)) = unless_gone(wire::receive::<Run>(&mut socket).await)? {
        if run::run(&mut socket, &rules, &mut places, &run, &input).await.is_err() {
            break;
        }
    }
    drop(socket);
    script_folder::remove(places.folder())?;
    script_folder::remove_abandoned(Path::new(&rules.folder));
    Ok(())
}

/// That Baton is gone is how the work of a supervisor ends, and no error.
fn unless_gone<T>(received: io::Result<T>) -> io::Result<Option<T>> {
    match received {
        Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => Ok(None),
        other => other.map(Some),
    }
}

/// Signals that are meant for Baton or its scripts and reach the supervisor too, such as those to a whole service. It ends when Baton does.
struct Deaf {
    _signals: Vec<Signal>,
}

impl Deaf {
    fn new() -> io::Result<Self> {
        let kinds = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup(), SignalKind::quit()];
        let limits = [SIGXCPU, SIGXFSZ].map(SignalKind::from_raw);
        let signals = kinds.into_iter().chain(limits).map(signal).collect::<io::Result<_>>()?;
        Ok(Self { _signals: signals })
    }
}
