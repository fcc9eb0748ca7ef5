//! What Baton and a supervisor of scripts say to each other, over a socket: frames of a JSON head and a body of bytes.

use std::io;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::confinement::{ScriptLimits, ScriptUser};
use super::sandbox::Sandbox;
use super::script_file::FileProblem;

/// The most that either part of a frame can be: more than the largest event and the largest output.
const PART_MAX: u32 = 16 * 1024 * 1024;

/// To a supervisor, once: what holds for all scripts that it runs.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Rules {
    pub(super) limits: ScriptLimits,
    /// Where scripts run as another user.
    pub(super) user: Option<ScriptUser>,
    pub(super) gain_rights: bool,
    /// The script root, as it is set.
    pub(super) root: String,
    /// How to put scripts into a sandbox.
    pub(super) sandbox: Option<Sandbox>,
    /// The folder in which each supervisor has one of its own, in which it makes working directories.
    pub(super) folder: String,
}

/// To a supervisor: run this. The body is the script's standard input.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Run {
    /// The script, under the script root.
    pub(super) path: String,
    pub(super) args: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    /// How long it may take.
    pub(super) limit: Duration,
}

/// From a supervisor, about its run.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Told {
    /// It runs, as the leader of the group of this number. Only said when it has run for a while.
    Started(i32),
    /// It does not run.
    NotStarted(Obstacle),
    /// It has ended, and no process of it is left.
    Ended(Report),
    /// Its working directory is gone as well, where the report did not say so.
    Cleared,
}

/// Why a script was not started.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Obstacle {
    /// Its time was over before.
    Late,
    /// There is no working directory for it.
    Directory(String),
    /// It may not or cannot be run.
    File {
        /// Why.
        problem: String,
        /// Whether trying again is of no use.
        is_unsafe: bool,
    },
}

impl From<&FileProblem> for Obstacle {
    fn from(problem: &FileProblem) -> Self {
        Self::File { problem: problem.to_string(), is_unsafe: problem.is_unsafe() }
    }
}

/// How a script ended, and what it wrote.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Report {
    pub(super) how: How,
    pub(super) stdout: String,
    pub(super) stderr: String,
    pub(super) truncated: bool,
    /// Whether there are processes that could not be ended.
    pub(super) left: bool,
    /// Whether its working directory is gone already.
    pub(super) cleared: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum How {
    /// By itself or by a signal, with this wait status.
    ByItself(i32),
    /// Its time was over.
    Killed,
    /// The system does not say.
    Unknown(String),
}

pub(super) async fn send(to: &mut (impl AsyncWrite + Unpin), head: &impl Serialize, body: &[u8]) -> io::Result<()> {
    let head = serde_json::to_vec(head)?;
    let mut frame = Vec::with_capacity(8 + head.len() + body.len());
    frame.extend(length(&head)?.to_be_bytes());
    frame.extend(length(body)?.to_be_bytes());
    frame.extend(head);
    frame.extend(body);
    to.write_all(&frame).await
}

/// The next frame; an error of the kind `UnexpectedEof` when the other side is gone.
pub(super) async fn receive<T: DeserializeOwned>(from: &mut (impl AsyncRead + Unpin)) -> io::Result<(T, Vec<u8>)> {
    let (head, body) = (from.read_u32().await?, from.read_u32().await?);
    if head.max(body) > PART_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a frame that is too large"));
    }
    let mut frame = vec![0; (head + body) as usize];
    from.read_exact(&mut frame).await?;
    let body = frame.split_off(head as usize);
    Ok((serde_json::from_slice(&frame)?, body))
}

fn length(part: &[u8]) -> io::Result<u32> {
    let length = u32::try_from(part.len()).ok().filter(|length| *length <= PART_MAX);
    length.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a frame that is too large"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_frame_arrives_as_it_was_sent() {
        let (mut here, mut there) = tokio::io::duplex(7);
        let sending = async {
            send(&mut here, &Told::Started(7), &vec![b'x'; 1000]).await.unwrap();
            send(&mut here, &Told::Cleared, &[]).await.unwrap();
            drop(here);
        };
        let receiving = async {
            let (first, body) = receive::<Told>(&mut there).await.unwrap();
            assert!(matches!(first, Told::Started(7)) && body == vec![b'x'; 1000]);
            assert!(matches!(receive::<Told>(&mut there).await.unwrap().0, Told::Cleared));
            assert_eq!(receive::<Told>(&mut there).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        };
        tokio::join!(sending, receiving);
    }

    #[tokio::test]
    async fn a_length_that_cannot_be_is_refused() {
        let error = receive::<Told>(&mut &[0xff; 64][..]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
