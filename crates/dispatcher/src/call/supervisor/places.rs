//! Working directories: each run has a new one that is empty.

use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Uid, chown, getegid, geteuid};

use super::super::confinement::ScriptUser;
use super::super::script_folder;

const MODE: u32 = 0o700;

/// Makes and clears away the working directories of one supervisor.
pub(super) struct Places {
    folder: PathBuf,
    spare: PathBuf,
    shared: bool,
    owner: (u32, u32),
    number: u64,
    has_spare: bool,
}

impl Places {
    /// In a folder of their own, which is made when it is needed.
    pub(super) fn new(folder: PathBuf, user: Option<&ScriptUser>) -> Self {
        let owner = user.map_or_else(|| (geteuid().as_raw(), getegid().as_raw()), |user| (user.uid, user.gid));
        Self { spare: folder.join("spare"), folder, shared: user.is_some(), owner, number: 0, has_spare: false }
    }

    /// The folder of them all.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// An empty directory with a name that none has had before.
    pub(super) fn make(&mut self) -> io::Result<PathBuf> {
        self.number += 1;
        let directory = self.folder.join(format!("run-{}", self.number));
        // Looked at once more: a script of the same user may have got at it.
        let has_spare = std::mem::take(&mut self.has_spare) && self.is_as_made(&self.spare);
        if !has_spare || fs::rename(&self.spare, &directory).is_err() {
            self.create(&directory)?;
        }
        Ok(directory)
    }

    fn create(&self, directory: &Path) -> io::Result<()> {
        let make = |path: &Path, mode| DirBuilder::new().mode(mode).create(path);
        match make(directory, MODE) {
            // The first, or somebody has tidied away what belongs to this supervisor.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                make(&self.folder, script_folder::mode(self.shared))?;
                make(directory, MODE)?;
            }
            made => made?,
        }
        if self.shared {
            chown(directory, Some(Uid::from_raw(self.owner.0)), Some(Gid::from_raw(self.owner.1)))?;
        }
        Ok(())
    }

    /// Clears away a directory in which nothing has been left, which takes no time; whether it was one. It is taken for the next run, under
    /// another name: to delete and make directories all the time costs file systems more than all the rest of a run.
    pub(super) fn clear_empty(&mut self, directory: &Path) -> bool {
        self.has_spare = self.is_as_made(directory) && fs::rename(directory, &self.spare).is_ok();
        self.has_spare
    }

    fn is_as_made(&self, directory: &Path) -> bool {
        let own = |metadata: fs::Metadata| {
            metadata.is_dir() && metadata.permissions().mode() & 0o7777 == MODE && (metadata.uid(), metadata.gid()) == self.owner
        };
        fs::symlink_metadata(directory).is_ok_and(own)
            && fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_directory_is_empty_private_and_has_a_new_name() {
        let parent = tempfile::tempdir().unwrap();
        let mut places = Places::new(parent.path().join("own"), None);
        let mut seen = Vec::new();
        for leave in [None, Some("file"), None, Some("mode"), None, None] {
            let directory = places.make().unwrap();
            assert!(places.is_as_made(&directory) && !seen.contains(&directory), "{directory:?}");
            match leave {
                Some("file") => fs::write(directory.join("left"), "").unwrap(),
                Some(_) => fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap(),
                None => {}
            }
            assert_eq!(places.clear_empty(&directory), leave.is_none());
            script_folder::remove(&directory).unwrap();
            assert!(!directory.exists());
            seen.push(directory);
        }
    }
}
