//! Reading the project from the disk.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Folders with nothing of the project's own in them.
const SKIPPED: [&str; 3] = ["target", "node_modules", "baton-data"];

/// Path and text of every file below these folders that ends so, in the order of their paths.
pub(super) fn texts(root: &Path, folders: &[&str], ending: &str) -> Result<Vec<(String, String)>> {
    let mut paths = BTreeSet::new();
    for folder in folders {
        walk(&root.join(folder), &mut |path| {
            if path.extension().is_some_and(|extension| extension == ending) {
                paths.insert(path.to_path_buf());
            }
        })?;
    }
    paths.into_iter().map(|path| Ok((relative(root, &path), read(&path)?))).collect()
}

/// The text of one file; `None` when there is no such file.
pub(super) fn text(root: &Path, path: &str) -> Option<String> {
    fs::read_to_string(root.join(path)).ok()
}

/// The names of the files in one folder; empty when there is no such folder.
pub(super) fn names(folder: &Path) -> Result<BTreeSet<String>> {
    if !folder.is_dir() {
        return Ok(BTreeSet::new());
    }
    fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

/// A path as findings show it.
pub(super) fn relative(root: &Path, path: &Path) -> String {
    let path = path.strip_prefix(root).unwrap_or(path);
    path.to_string_lossy().trim_start_matches("./").to_owned()
}

pub(super) fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn walk(folder: &Path, found: &mut dyn FnMut(&Path)) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() {
            if !name.starts_with('.') && !SKIPPED.contains(&name.as_str()) {
                walk(&entry.path(), found)?;
            }
        } else {
            found(&entry.path());
        }
    }
    Ok(())
}
