//! Whether a script may and can be run: looked at when a handler is saved, and again before each run.
//!
//! What is checked cannot be changed by anyone but the script's owner afterwards, since neither the file nor a folder on the way to it
//! may be writable by others.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};

use super::SCRIPT_ROOT_SETTING;
use super::confinement::ScriptUser;

/// As much of a file as the system reads to find out how to run it.
const HEAD_BYTES: u64 = 256;
const WRITABLE_BY_OTHERS: u32 = 0o022;
const SET_ID: u32 = 0o6000;
/// Of UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

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
    #[error("{what} {} may not be {done} by {user}, as whom scripts run (BATON_SCRIPT_USER); its mode is {mode:04o}", file.display())]
    NotForUser { what: &'static str, file: PathBuf, done: &'static str, user: String, mode: u32 },
    #[error("{path} does not begin with a line such as #!/usr/bin/python3, so the system does not know how to run it")]
    NoInterpreter { path: String },
    #[error(
        "{path} begins with a byte order mark, as some editors write it, so that the system does not see its first line; save it without"
    )]
    ByteOrderMark { path: String },
    #[error(
        "the first line of {path} names the interpreter {interpreter}, which has to be a whole path, such as /usr/bin/{interpreter}"
    )]
    RelativeInterpreter { path: String, interpreter: String },
    #[error("the first line of {path} names {interpreter} as its interpreter, which is no file")]
    InterpreterNotAFile { path: String, interpreter: String },
    #[error(
        "the first line of {path} ends with a carriage return, as on Windows, so its interpreter is not found; convert its line ends"
    )]
    CarriageReturn { path: String },
    #[error("the interpreter {interpreter}, which the first line of {path} names, cannot be executed: {source}")]
    Interpreter { path: String, interpreter: String, source: io::Error },
    #[error("the interpreter of {path} does not exist; look at its first line")]
    InterpreterMissing { path: String },
    #[error(
        "{path} could not be started, because its user has as many processes as it may, or the system has: {source}; \
         the limit is BATON_SCRIPT_PROCESSES"
    )]
    TooManyProcesses { path: String, source: io::Error },
    #[error("{path} or its interpreter may not be executed by {user}, as whom scripts run (BATON_SCRIPT_USER): {source}")]
    StartForUser { path: String, user: String, source: io::Error },
    #[error("{path} could not be started: {source}")]
    Spawn { path: String, source: io::Error },
}

impl FileProblem {
    /// Whether running it would be unsafe. Such a call fails for good; others may succeed once the file is put right.
    pub(super) fn is_unsafe(&self) -> bool {
        matches!(self, Self::Outside { .. } | Self::SetId { .. } | Self::Writable { .. } | Self::FolderWritable { .. })
    }

    /// What an error of starting a script means that has passed [`inspect`].
    pub(super) fn of_start(path: &str, source: io::Error, user: Option<&ScriptUser>) -> Self {
        let path = path.to_owned();
        match (source.kind(), source.raw_os_error().map(Errno::from_raw), user) {
            (ErrorKind::NotFound, ..) => Self::InterpreterMissing { path },
            (_, Some(Errno::ENOEXEC), _) => Self::NoInterpreter { path },
            (_, Some(Errno::EAGAIN), _) => Self::TooManyProcesses { path, source },
            (ErrorKind::PermissionDenied, _, Some(user)) => Self::StartForUser { path, user: user.name.clone(), source },
            _ => Self::Spawn { path, source },
        }
    }
}

/// A script that may and can be run, as far as can be seen.
#[derive(Debug)]
pub(super) struct Inspected {
    /// The file, links resolved.
    pub(super) file: PathBuf,
    /// The script root, likewise.
    pub(super) root: PathBuf,
}

/// Looks at the script `path` under `root`. `user` is whom it is to run as, where that is another than Baton's. Touches the file system and
/// may block.
///
/// # Errors
/// The first problem; what is unsafe comes before what merely does not work.
pub(super) fn inspect(configured: &Path, path: &str, user: Option<&ScriptUser>) -> Result<Inspected, FileProblem> {
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
    let is_text = check_head(path, &real)?;
    if let Some(user) = user {
        check_for(user, path, &real, is_text)?;
    }
    Ok(Inspected { file: real, root })
}

/// Whether another user than Baton's can get at a script: by the owner's, group's and others' rights, which is all that Baton looks at.
fn check_for(user: &ScriptUser, path: &str, real: &Path, is_text: bool) -> Result<(), FileProblem> {
    let may_not =
        |what, file: &Path, done, mode| FileProblem::NotForUser { what, file: file.into(), done, user: user.name.clone(), mode };
    for folder in real.ancestors().skip(1) {
        let metadata = look(path, folder)?;
        if rights(&metadata, user) & 0o1 == 0 {
            return Err(may_not("the folder", folder, "entered", mode(&metadata)));
        }
    }
    let metadata = look(path, real)?;
    let rights = rights(&metadata, user);
    if rights & 0o1 == 0 {
        return Err(may_not("the script", real, "executed", mode(&metadata)));
    }
    // It is the interpreter that reads it, and it runs as that user too.
    if is_text && rights & 0o4 == 0 {
        return Err(may_not("the script", real, "read", mode(&metadata)));
    }
    Ok(())
}

/// The three bits of a mode that count for a user.
fn rights(metadata: &Metadata, user: &ScriptUser) -> u32 {
    let mode = mode(metadata);
    if metadata.uid() == user.uid {
        mode >> 6 & 0o7
    } else if metadata.gid() == user.gid {
        mode >> 3 & 0o7
    } else {
        mode & 0o7
    }
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

/// What an interpreter line or its absence would make the system refuse, said better than it would. Whether it is run by an interpreter.
fn check_head(path: &str, file: &Path) -> Result<bool, FileProblem> {
    let mut head = Vec::new();
    match File::open(file).and_then(|file| file.take(HEAD_BYTES).read_to_end(&mut head)) {
        Ok(_) => {}
        // A program can be executed by those who may not read it.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => return Ok(false),
        Err(source) => return Err(FileProblem::Unreadable { path: path.into(), source }),
    }
    let path = path.to_owned();
    match read_head(&head) {
        Head::Program => Ok(false),
        Head::Text => Err(FileProblem::NoInterpreter { path }),
        Head::Marked => Err(FileProblem::ByteOrderMark { path }),
        Head::CarriageReturn => Err(FileProblem::CarriageReturn { path }),
        Head::Interpreter(interpreter) => check_interpreter(path, interpreter).map(|()| true),
    }
}

fn check_interpreter(path: String, file: &Path) -> Result<(), FileProblem> {
    let interpreter = file.display().to_string();
    if file.is_relative() {
        return Err(FileProblem::RelativeInterpreter { path, interpreter });
    }
    if file.is_dir() {
        return Err(FileProblem::InterpreterNotAFile { path, interpreter });
    }
    access(file, AccessFlags::X_OK).map_err(|error| FileProblem::Interpreter { path, interpreter, source: error.into() })
}

/// How the system would run a file that begins like this.
#[derive(Debug, PartialEq)]
enum Head<'a> {
    /// Not a text: up to the system.
    Program,
    /// A text without an interpreter line.
    Text,
    /// A text with a mark before the line that may be there.
    Marked,
    /// An interpreter line that ends with a carriage return, which counts as part of it.
    CarriageReturn,
    /// With this program.
    Interpreter(&'a Path),
}

fn read_head(head: &[u8]) -> Head<'_> {
    let Some(line) = head.strip_prefix(b"#!") else {
        if head.starts_with(BYTE_ORDER_MARK) {
            return Head::Marked;
        }
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
        assert_eq!(read_head(b"\xef\xbb\xbf#!/bin/sh\n"), Head::Marked);
        assert_eq!(read_head(b"\x7fELF\x02\x01\x01\0\0"), Head::Program);
        for text in [&b""[..], b"echo hi\n", b"#!\n/bin/sh\n", b"#! \n"] {
            assert_eq!(read_head(text), Head::Text, "{text:?}");
        }
    }

    #[test]
    fn errors_of_starting_are_told_apart() {
        let nobody = ScriptUser { name: "nobody".into(), uid: 65534, gid: 65534 };
        let told = |code: i32, user| FileProblem::of_start("a.sh", io::Error::from_raw_os_error(code), user).to_string();
        let said = |code: i32| told(code, None);
        assert!(said(nix::libc::ENOENT).contains("interpreter of a.sh does not exist"));
        assert!(said(nix::libc::ENOEXEC).contains("#!/usr/bin/python3"));
        assert!(
            said(nix::libc::EAGAIN)
                .contains("Resource temporarily unavailable (os error 11); the limit is BATON_SCRIPT_PROCESSES")
        );
        assert!(said(nix::libc::E2BIG).contains("a.sh could not be started: Argument list too long"));
        assert!(said(nix::libc::EACCES).contains("a.sh could not be started: Permission denied"));
        assert!(told(nix::libc::EACCES, Some(&nobody)).contains("executed by nobody, as whom scripts run (BATON_SCRIPT_USER)"));
    }
}
