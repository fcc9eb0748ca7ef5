//! The folder in which scripts get their working directories: one for each process of Baton, removed with it, or by the next that
//! starts after it was killed. In it each supervisor has a folder of its own, so that they do not wait for each other.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use nix::libc::{O_DIRECTORY, O_NOFOLLOW};
use nix::unistd::geteuid;

const PREFIX: &str = "baton-scripts-";
const SUPERVISOR: &str = "supervisor-";
/// How often to try for a folder of which another process believes that it is a dead one's.
const TRIES: usize = 16;
/// How often and how long a supervisor whose process is gone waits for its lock to go too.
const ABANDONED: (usize, Duration) = (20, Duration::from_millis(5));

/// A folder that this process alone uses. Whoever can lock it knows that its process is dead.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    mode: u32,
    lock: Mutex<File>,
}

impl Folder {
    /// Removes what dead processes have left in the system's folder for temporary files, and makes a new one there. `shared` is whether
    /// another user's scripts have to get through it.
    pub(super) fn make(shared: bool) -> io::Result<Self> {
        let parent = std::path::absolute(std::env::temp_dir())?;
        sweep(&parent)?;
        let mode = mode(shared);
        for _ in 0..TRIES {
            let path = tempfile::Builder::new().prefix(PREFIX).tempdir_in(&parent)?.keep();
            if let Some(lock) = lock(&path)? {
                fs::set_permissions(&path, Permissions::from_mode(mode))?;
                return Ok(Self { path, mode, lock: Mutex::new(lock) });
            }
        }
        Err(io::Error::other("folders vanish as soon as they are made"))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the folder anew where somebody has tidied it away; whether it was gone.
    pub(super) fn restore(&self) -> io::Result<bool> {
        match fs::symlink_metadata(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => self.make_anew().map(|()| true),
            there => there.map(|_| false),
        }
    }

    fn make_anew(&self) -> io::Result<()> {
        let mut held = self.lock.lock().map_err(|_| io::Error::other("the lock of the folder is lost"))?;
        match DirBuilder::new().mode(0o700).create(&self.path) {
            // Another run was faster.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(()),
            made => made?,
        }
        *held = lock(&self.path)?.ok_or_else(|| io::Error::other("the folder vanished as soon as it was made"))?;
        fs::set_permissions(&self.path, Permissions::from_mode(self.mode))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = remove(&self.path);
    }
}

/// The mode of a folder through which scripts get to their working directories. `shared` is whether they are another user's.
pub(super) fn mode(shared: bool) -> u32 {
    if shared { 0o711 } else { 0o700 }
}

/// The folder of a supervisor, by its process id.
pub(super) fn of_supervisor(folder: &Path, process: u32) -> PathBuf {
    folder.join(format!("{SUPERVISOR}{process}"))
}

/// Whether nothing is in a folder but those of supervisors: somebody else's may have a name that begins alike.
fn holds_supervisors_alone(folder: &Path) -> bool {
    let is_supervisors = |name: &str| name.strip_prefix(SUPERVISOR).is_some_and(|process| process.parse::<u32>().is_ok());
    let all = |mut entries: fs::ReadDir| {
        entries.all(|entry| entry.is_ok_and(|entry| entry.file_name().to_str().is_some_and(is_supervisors)))
    };
    fs::read_dir(folder).is_ok_and(all)
}

/// Locks a folder; `None` when another process has it, or it is gone by now.
fn lock(path: &Path) -> io::Result<Option<File>> {
    let folder = match OpenOptions::new().read(true).custom_flags(O_DIRECTORY | O_NOFOLLOW).open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    if folder.try_lock().is_err() {
        return Ok(None);
    }
    let is_there = fs::symlink_metadata(path).is_ok_and(|there| folder.metadata().is_ok_and(|own| own.ino() == there.ino()));
    Ok(is_there.then_some(folder))
}

/// Removes the folders of dead processes of the same user.
fn sweep(parent: &Path) -> io::Result<()> {
    for entry in fs::read_dir(parent)? {
        let Ok(entry) = entry else { continue };
        let own = entry.metadata().is_ok_and(|metadata| metadata.is_dir() && metadata.uid() == geteuid().as_raw());
        if !own || !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        if let Ok(Some(_lock)) = lock(&entry.path())
            && holds_supervisors_alone(&entry.path())
            && let Err(error) = remove(&entry.path())
        {
            tracing::warn!(path = %entry.path().display(), %error, "what a killed process left of its scripts could not be removed");
        }
    }
    Ok(())
}

/// Removes the empty folder of a process that is gone. Does nothing where the process lives or the folder is in use.
pub(super) fn remove_abandoned(path: &Path) {
    for _ in 0..ABANDONED.0 {
        if let Ok(Some(_lock)) = lock(path) {
            let _ = fs::remove_dir(path);
            return;
        }
        std::thread::sleep(ABANDONED.1);
    }
}

/// Removes a directory and what is in it, however deep, and also where the script has taken away its own rights. Never follows a link.
pub(super) fn remove(directory: &Path) -> io::Result<()> {
    match fs::remove_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Ok(()) => return Ok(()),
        Err(_) => {}
    }
    if !is_directory(directory)? {
        // A link that a script has put in its place, for example.
        return fs::remove_file(directory);
    }
    open_up(directory)?;
    // What is deep is moved up instead of being walked into: paths stay short, and no descriptor is held per level.
    let mut moved = 0_u64;
    loop {
        let mut found = false;
        for entry in fs::read_dir(directory)? {
            found = true;
            let path = entry?.path();
            if is_directory(&path)? {
                flatten(&path, directory, &mut moved)?;
            } else {
                fs::remove_file(&path)?;
            }
        }
        if !found {
            return fs::remove_dir(directory);
        }
    }
}

/// Removes a directory after moving the directories in it to `top`.
fn flatten(directory: &Path, top: &Path, moved: &mut u64) -> io::Result<()> {
    open_up(directory)?;
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if !is_directory(&path)? {
            fs::remove_file(&path)?;
            continue;
        }
        // To move a directory one must be allowed to write to it.
        open_up(&path)?;
        loop {
            *moved += 1;
            let target = top.join(format!("~{moved}"));
            if fs::symlink_metadata(&target).is_err() {
                fs::rename(&path, target)?;
                break;
            }
        }
    }
    fs::remove_dir(directory)
}

fn is_directory(path: &Path) -> io::Result<bool> {
    Ok(fs::symlink_metadata(path)?.is_dir())
}

fn open_up(directory: &Path) -> io::Result<()> {
    let metadata = fs::symlink_metadata(directory)?;
    if metadata.permissions().mode() & 0o700 == 0o700 {
        return Ok(());
    }
    fs::set_permissions(directory, Permissions::from_mode(0o700))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_deep_and_barred_tree_is_removed_and_nothing_outside_of_it() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("kept"), "").unwrap();
        let tree = tempfile::tempdir().unwrap().keep();
        fs::write(tree.join("~1"), "taken").unwrap();
        fs::create_dir(tree.join("~2")).unwrap();
        symlink(outside.path(), tree.join("link")).unwrap();
        // Deeper than a path may be long, as `mkdir d; cd d` makes it: each level is made beside and moved into the last.
        let mut inner = tree.join("level");
        fs::create_dir(&inner).unwrap();
        for _ in 0..3000 {
            let outer = tree.join("next");
            fs::create_dir(&outer).unwrap();
            fs::write(outer.join("file"), "").unwrap();
            symlink(outside.path(), outer.join("link")).unwrap();
            fs::rename(&inner, outer.join("level")).unwrap();
            fs::rename(&outer, &inner).unwrap();
            inner = tree.join("level");
        }
        fs::set_permissions(&inner, Permissions::from_mode(0o000)).unwrap();
        remove(&tree).unwrap();
        assert!(!tree.exists() && outside.path().join("kept").exists());
        remove(&tree).unwrap();
        symlink(outside.path(), &tree).unwrap();
        remove(&tree).unwrap();
        assert!(fs::symlink_metadata(&tree).is_err() && outside.path().join("kept").exists());
    }

    #[test]
    fn the_folder_of_a_dead_process_is_removed_and_that_of_a_live_one_is_not() {
        let parent = tempfile::tempdir().unwrap();
        let (dead, alive, other) =
            (parent.path().join("baton-scripts-a"), parent.path().join("baton-scripts-b"), parent.path().join("mine"));
        for folder in [&dead, &alive, &other] {
            fs::create_dir_all(of_supervisor(folder, 7).join("run-0/deep")).unwrap();
        }
        // An operator's, which happens to be called alike.
        let root = parent.path().join("baton-scripts-of-ours/root");
        fs::create_dir_all(&root).unwrap();
        let held = lock(&alive).unwrap().unwrap();
        sweep(parent.path()).unwrap();
        assert!(!dead.exists() && alive.exists() && other.exists());
        assert!(lock(&alive).unwrap().is_none());
        drop(held);
        sweep(parent.path()).unwrap();
        assert!(!alive.exists() && other.exists() && root.exists());
    }

    #[test]
    fn a_folder_that_was_tidied_away_is_made_anew() {
        let folder = Folder::make(false).unwrap();
        assert!(!folder.restore().unwrap());
        fs::remove_dir(folder.path()).unwrap();
        assert!(folder.restore().unwrap());
        assert_eq!(fs::metadata(folder.path()).unwrap().mode() & 0o777, 0o700);
        assert!(lock(folder.path()).unwrap().is_none());
        let path = folder.path().to_owned();
        fs::create_dir_all(of_supervisor(&path, 1).join("run-1")).unwrap();
        drop(folder);
        assert!(!path.exists());
    }
}
