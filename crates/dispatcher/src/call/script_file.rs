//! Whether a script may and can be run: looked at when a handler is saved, and again before each run.
//!
//! What is checked cannot be changed by anyone but the script's owner afterwards, since neither the file nor a folder on the way to it
//! may be writable by others.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};

use super::SCRIPT_ROOT_SETTING;

/// As much of a file as the system reads to find out how to run it.
const HEAD_BYTES: u64 = 256;
const WRITABLE_BY_OTHERS: u32 = 0o022;
const SET_ID: u32 = 0o6000;

/// Why a script is not run. `path` is what the handler names, `root` the script root.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileProblem {
    #[error("no script can be run, because no script root is set; name its folder in {SCRIPT_ROOT_SETTING}")]
    NoRoot,
    #[error("the script root {} ({SCRIPT_ROOT_SETTING}) cannot be used: {source}", root.display())]
    Root { root: PathBuf, source: io::Error },
    #[error("{path} does not exist under the script root {} ({SCRIPT_ROOT_SETTING})", root.display())]
    Missing { path: String, root: PathBuf },
    #[error("{path} cannot be looked at: {source}")]
    Unreadable { path: String, source: io::Error },
    #[error("{path} leads to {}, which is outside of the script root {} ({SCRIPT_ROOT_SETTING})", real.display(), root.display())]
    Outside { path: String, real: PathBuf, root: PathBuf },
    #[error("{path} is {what}, not a file")]
    NotAFile { path: String, what: &'static str },
    #[error("{path} is set-uid or set-gid (mode {mode:04o}), which Baton does not run; remove that with chmod ug-s")]
    SetId { path: String, mode: u32 },
    #[error("{path} may be written by its group or by others (mode {mode:04o}); remove that with chmod go-w")]
    Writable { path: String, mode: u32 },
    #[error("the folder {} of {path} may be written by its group or by others (mode {mode:04o}); remove that with chmod go-w", folder.display())]
    FolderWritable { path: String, folder: PathBuf, mode: u32 },
    #[error("{path} may not be executed by the user that Baton runs as (mode {mode:04o}); permit it with chmod +x")]
    NotExecutable { path: String, mode: u32 },
    #[error("{path} does not begin with a line such as #!/usr/bin/python3, so the system does not know how to run it")]
    NoInterpreter { path: String },
    #[error(
        "the first line of {path} ends with a carriage return, as on Windows, so its interpreter is not found; convert its line ends"
    )]
    CarriageReturn { path: String },
    #[error("the interpreter {interpreter}, which the first line of {path} names, cannot be executed: {source}")]
    Interpreter { path: String, interpreter: String, source: io::Error },
    #[error("the interpreter of {path} does not exist; look at its first line")]
    InterpreterMissing { path: String },
    #[error("{path} could not be started: {source}")]
    Spawn { path: String, source: io::Error },
}

impl FileProblem {
    /// Whether running it would be unsafe. Such a call fails for good; others may succeed once the file is put right.
    pub(super) fn is_unsafe(&self) -> bool {
        matches!(self, Self::Outside { .. } | Self::SetId { .. } | Self::Writable { .. } | Self::FolderWritable { .. })
    }

    /// What an error of starting a script means that has passed [`inspect`].
    pub(super) fn of_start(path: &str, error: io::Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            ErrorKind::NotFound => Self::InterpreterMissing { path },
            _ if error.raw_os_error() == Some(nix::errno::Errno::ENOEXEC as i32) => Self::NoInterpreter { path },
            _ => Self::Spawn { path, source: error },
        }
    }
}

/// Looks at the script `path` under `root`: the file to run, links resolved. Touches the file system and may block.
///
/// # Errors
/// The first problem; what is unsafe comes before what merely does not work.
pub(super) fn inspect(root: Option<&Path>, path: &str) -> Result<PathBuf, FileProblem> {
    let configured = root.ok_or(FileProblem::NoRoot)?;
    let root = configured.canonicalize().map_err(|source| FileProblem::Root { root: configured.into(), source })?;
    let real = root.join(path).canonicalize().map_err(|source| match source.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => FileProblem::Missing { path: path.into(), root: configured.into() },
        _ => FileProblem::Unreadable { path: path.into(), source },
    })?;
    if !real.starts_with(&root) {
        return Err(FileProblem::Outside { path: path.into(), real, root: configured.into() });
    }
    let metadata = look(path, &real)?;
    check_file(path, &metadata)?;
    for folder in real.ancestors().skip(1).take_while(|folder| folder.starts_with(&root)) {
        let mode = mode(&look(path, folder)?);
        if mode & WRITABLE_BY_OTHERS != 0 {
            return Err(FileProblem::FolderWritable { path: path.into(), folder: folder.into(), mode });
        }
    }
    if access(&real, AccessFlags::X_OK).is_err() {
        return Err(FileProblem::NotExecutable { path: path.into(), mode: mode(&metadata) });
    }
    check_head(path, &real)?;
    Ok(real)
}

fn look(path: &str, file: &Path) -> Result<Metadata, FileProblem> {
    file.metadata().map_err(|source| FileProblem::Unreadable { path: path.into(), source })
}

fn mode(metadata: &Metadata) -> u32 {
    metadata.permissions().mode() & 0o7777
}

fn check_file(path: &str, metadata: &Metadata) -> Result<(), FileProblem> {
    let (path, mode) = (path.to_owned(), mode(metadata));
    if metadata.is_dir() {
        Err(FileProblem::NotAFile { path, what: "a folder" })
    } else if !metadata.is_file() {
        Err(FileProblem::NotAFile { path, what: "a device, pipe or socket" })
    } else if mode & SET_ID != 0 {
        Err(FileProblem::SetId { path, mode })
    } else if mode & WRITABLE_BY_OTHERS != 0 {
        Err(FileProblem::Writable { path, mode })
    } else {
        Ok(())
    }
}

/// What an interpreter line or its absence would make the system refuse, said better than it would.
fn check_head(path: &str, file: &Path) -> Result<(), FileProblem> {
    let mut head = Vec::new();
    match File::open(file).and_then(|file| file.take(HEAD_BYTES).read_to_end(&mut head)) {
        Ok(_) => {}
        // A program can be executed by those who may not read it.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => return Ok(()),
        Err(source) => return Err(FileProblem::Unreadable { path: path.into(), source }),
    }
    match read_head(&head) {
        Head::Program => Ok(()),
        Head::Text => Err(FileProblem::NoInterpreter { path: path.into() }),
        Head::CarriageReturn => Err(FileProblem::CarriageReturn { path: path.into() }),
        Head::Interpreter(interpreter) => access(interpreter, AccessFlags::X_OK).map_err(|error| FileProblem::Interpreter {
            path: path.into(),
            interpreter: interpreter.display().to_string(),
            source: error.into(),
        }),
    }
}

/// How the system would run a file that begins like this.
#[derive(Debug, PartialEq)]
enum Head<'a> {
    /// Not a text: up to the system.
    Program,
    /// A text without an interpreter line.
    Text,
    /// An interpreter line that ends with a carriage return, which counts as part of it.
    CarriageReturn,
    /// With this program.
    Interpreter(&'a Path),
}

fn read_head(head: &[u8]) -> Head<'_> {
    let Some(line) = head.strip_prefix(b"#!") else {
        return if head.contains(&0) { Head::Program } else { Head::Text };
    };
    let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
    if line.ends_with(b"\r") {
        return Head::CarriageReturn;
    }
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    match line.split(blank).find(|word| !word.is_empty()) {
        Some(word) => Head::Interpreter(Path::new(std::ffi::OsStr::from_bytes(word))),
        None => Head::Text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_as_the_system_does() {
        let interpreter = |path: &'static str| Head::Interpreter(Path::new(path));
        assert_eq!(read_head(b"#!/bin/sh\necho"), interpreter("/bin/sh"));
        assert_eq!(read_head(b"#! \t/usr/bin/env python3 -u\n"), interpreter("/usr/bin/env"));
        assert_eq!(read_head(b"#!/bin/sh"), interpreter("/bin/sh"));
        assert_eq!(read_head(b"#!/bin/sh\r\necho\r\n"), Head::CarriageReturn);
        assert_eq!(read_head(b"#!/usr/bin/env python3\r\n"), Head::CarriageReturn);
        assert_eq!(read_head(b"\x7fELF\x02\x01\x01\0\0"), Head::Program);
        for text in [&b""[..], b"echo hi\n", b"#!\n/bin/sh\n", b"#! \n", b"\xef\xbb\xbf#!/bin/sh\n"] {
            assert_eq!(read_head(text), Head::Text, "{text:?}");
        }
    }

    #[test]
    fn errors_of_starting_are_told_apart() {
        let said = |code: i32| FileProblem::of_start("a.sh", io::Error::from_raw_os_error(code)).to_string();
        assert!(said(nix::libc::ENOENT).contains("interpreter of a.sh does not exist"));
        assert!(said(nix::libc::ENOEXEC).contains("#!/usr/bin/python3"));
        assert!(said(nix::libc::EAGAIN).contains("a.sh could not be started: Resource temporarily unavailable"));
    }
}
