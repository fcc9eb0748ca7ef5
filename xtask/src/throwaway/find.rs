//! Where the programs of the services are.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// Where packages put PostgreSQL beside the PATH: a folder, and what the name of a version's folder in it begins with.
const VERSIONED: [(&str, &str); 5] = [
    ("/usr/lib/postgresql", ""),
    ("/usr", "pgsql-"),
    ("/usr/libexec", "postgresql"),
    ("/opt/homebrew/opt", "postgresql@"),
    ("/usr/local/opt", "postgresql@"),
];

/// The folder with `postgres` and `initdb`: one of the PATH, or else the one of the highest version.
pub(super) fn postgres() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(by_version(&VERSIONED))
        .find(|dir| is_program(&dir.join("postgres")) && is_program(&dir.join("initdb")))
}

/// The program `redis-server`.
pub(super) fn redis() -> Option<PathBuf> {
    program("redis-server").or_else(|| program("valkey-server"))
}

/// Whether Chromium and its driver are here, under the names that the tests start them by.
pub(super) fn browser() -> bool {
    ["chromium", "chromedriver"].iter().all(|name| program(name).is_some())
}

/// A program of the PATH.
pub(super) fn program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/usr/bin".into()])
        .map(|dir| dir.join(name))
        .find(|program| is_program(program))
}

fn is_program(path: &Path) -> bool {
    path.is_file()
}

/// The programs' folders of all versions, the highest first.
fn by_version(places: &[(&str, &str)]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for (folder, prefix) in places {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if let Some(version) = name.strip_prefix(prefix).and_then(version) {
                found.push((version, programs_of(&entry.path())));
            }
        }
    }
    found.sort();
    found.into_iter().rev().map(|(_, dir)| dir).collect()
}

fn programs_of(version: &Path) -> PathBuf {
    let bin = version.join("bin");
    if bin.is_dir() { bin } else { version.to_path_buf() }
}

/// `9.6` is before `15`.
fn version(text: &str) -> Option<Vec<u32>> {
    text.split('.').map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_version_comes_first() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["9.6", "15", "17", "pgsql-16", "lib", "pgsql-none"] {
            fs::create_dir_all(dir.path().join(name).join("bin")).unwrap();
        }
        let place = dir.path().to_str().unwrap();
        let found = by_version(&[(place, ""), (place, "pgsql-"), ("/no/such/place", "")]);
        let names: Vec<_> = found.iter().map(|bin| bin.parent().unwrap().file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["17", "pgsql-16", "15", "9.6"]);
    }
}
