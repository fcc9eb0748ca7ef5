//! Receivers that are programs of their own.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use baton_testkit::eventually;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::net::TcpStream;

use super::SOON;

/// A receiver that is running; ended when it is dropped, with what it has started.
pub(crate) struct ReceivingProgram(Child);

impl ReceivingProgram {
    /// Starts it and waits until it listens at this port of 127.0.0.1.
    pub(crate) async fn start(mut command: Command, port: u16) -> Self {
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let receiver = Self(command.spawn().unwrap());
        eventually(SOON, "the receiver to listen", async || TcpStream::connect(("127.0.0.1", port)).await.ok()).await;
        receiver
    }
}

impl Drop for ReceivingProgram {
    fn drop(&mut self) {
        let _ = killpg(Pid::from_raw(self.0.id().cast_signed()), Signal::SIGKILL);
        let _ = self.0.wait();
    }
}
