//! Which crate may depend on which, and on what from outside.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{Finding, files};
use crate::workspace::cargo;

/// A package of the workspace.
pub(super) struct Package {
    /// Path of its manifest from the workspace's folder.
    manifest: String,
    /// The manifest itself.
    text: String,
    dependencies: Vec<Dependency>,
}

struct Dependency {
    name: String,
    dev: bool,
}

/// What a crate of ours may use of the others. Only what stands to its left: everything else would make a circle sooner or later.
struct Place {
    folder: &'static str,
    may_use: &'static [&'static str],
}

const MAP: [Place; 14] = [
    Place { folder: "domain", may_use: &[] },
    Place { folder: "runtime", may_use: &["domain"] },
    Place { folder: "storage", may_use: &["domain", "runtime"] },
    Place { folder: "handler-cache", may_use: &["domain", "storage", "runtime"] },
    Place { folder: "cleaner", may_use: &["domain", "storage", "handler-cache", "runtime"] },
    Place { folder: "cache-manager", may_use: &["domain", "storage", "handler-cache", "cleaner", "runtime"] },
    Place { folder: "dispatcher", may_use: &["domain", "storage", "handler-cache", "runtime"] },
    Place {
        folder: "api",
        may_use: &["domain", "storage", "handler-cache", "cleaner", "cache-manager", "dispatcher", "runtime"],
    },
    Place {
        folder: "console",
        may_use: &["domain", "storage", "handler-cache", "cleaner", "cache-manager", "dispatcher", "api", "runtime"],
    },
    Place {
        folder: "baton",
        may_use: &["domain", "storage", "handler-cache", "cleaner", "cache-manager", "dispatcher", "api", "console", "runtime"],
    },
    Place { folder: "testkit", may_use: &[] },
    Place { folder: "bench", may_use: &["testkit"] },
    Place { folder: "faults", may_use: &["testkit"] },
    Place { folder: "xtask", may_use: &[] },
];

/// What stands beside the product: it serves tests and developers, and may use any library.
pub(super) const FREE: [&str; 4] = ["testkit", "bench", "faults", "xtask"];

/// A library, or a part of one, that only these crates know.
pub(super) struct Alone {
    pub(super) path: &'static [&'static str],
    pub(super) crates: &'static [&'static str],
}

pub(super) const ALONE: [Alone; 9] = [
    Alone { path: &["sqlx"], crates: &["storage"] },
    Alone { path: &["rusqlite"], crates: &["storage"] },
    Alone { path: &["tokio_postgres"], crates: &["storage"] },
    Alone { path: &["redis"], crates: &["handler-cache"] },
    Alone { path: &["hyper_util"], crates: &["dispatcher", "runtime"] },
    Alone { path: &["nix"], crates: &["dispatcher"] },
    Alone { path: &["tokio", "process"], crates: &["dispatcher"] },
    Alone { path: &["std", "process", "Command"], crates: &["dispatcher"] },
    Alone { path: &["axum"], crates: &["api", "console", "runtime"] },
];

/// What `domain` must not even be linked to.
const NOT_IN_DOMAIN: [&str; 9] = ["tokio", "tokio-util", "futures-util", "sqlx", "redis", "reqwest", "axum", "hyper", "nix"];

/// The workspace's packages, as cargo sees them.
pub(super) fn packages(root: &Path) -> Result<Vec<Package>> {
    let output =
        cargo(&["metadata", "--no-deps", "--format-version", "1"]).current_dir(root).output().context("cannot run cargo")?;
    if !output.status.success() {
        bail!("cargo metadata failed:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata printed something else than JSON")?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    packages.iter().map(|package| read(root, package)).collect()
}

fn read(root: &Path, package: &Value) -> Result<Package> {
    let path = Path::new(package["manifest_path"].as_str().context("a package without a manifest")?);
    let dependencies = package["dependencies"].as_array().context("a package without a list of dependencies")?;
    let dependency =
        |value: &Value| Some(Dependency { name: value["name"].as_str()?.to_owned(), dev: value["kind"].as_str() == Some("dev") });
    Ok(Package {
        manifest: files::relative(root, path),
        text: files::read(path)?,
        dependencies: dependencies.iter().filter_map(dependency).collect(),
    })
}

pub(super) fn check(package: &Package) -> Vec<Finding> {
    let mut findings = Vec::new();
    let folder = package.folder();
    let Some(place) = MAP.iter().find(|place| place.folder == folder) else {
        return vec![package.finding("", format!("{folder} has no place in the map: give it one in xtask/src/tidy/crates.rs"))];
    };
    if !has_lints(&package.text) {
        findings.push(package.finding("", "must have `[lints]` with `workspace = true`"));
    }
    for dependency in &package.dependencies {
        let message = match ours(&dependency.name) {
            Some(other) => inside(place, other, dependency.dev),
            None => outside(folder, dependency),
        };
        findings.extend(message.map(|message| package.finding(&dependency.name, message)));
    }
    findings
}

/// The folder of one of our own crates.
fn ours(name: &str) -> Option<&str> {
    let folder = name.strip_prefix("baton-").unwrap_or(name);
    MAP.iter().map(|place| place.folder).find(|known| *known == folder && (name.starts_with("baton") || name == "xtask"))
}

fn inside(place: &Place, other: &str, dev: bool) -> Option<String> {
    match (other, dev) {
        ("testkit", true) => None,
        // All that the fault suite does is to test.
        ("testkit", false) if place.may_use.contains(&"testkit") => None,
        ("testkit", false) => Some("testkit is for tests: a dev-dependency".into()),
        _ if place.may_use.contains(&other) => None,
        _ => Some(format!("{} must not depend on {other}: dependencies point left only", place.folder)),
    }
}

fn outside(folder: &str, dependency: &Dependency) -> Option<String> {
    if dependency.dev || FREE.contains(&folder) {
        return None;
    }
    if folder == "domain" && NOT_IN_DOMAIN.contains(&dependency.name.as_str()) {
        return Some(format!("domain cannot do I/O: {} has no place in it", dependency.name));
    }
    let crate_name = dependency.name.replace('-', "_");
    let rule = ALONE.iter().find(|rule| *rule.path == [crate_name.as_str()])?;
    (!rule.crates.contains(&folder)).then(|| format!("{} alone may depend on {}", rule.crates.join(", "), dependency.name))
}

fn has_lints(manifest: &str) -> bool {
    let mut lines = manifest.lines().map(str::trim).skip_while(|line| *line != "[lints]").skip(1);
    lines.by_ref().take_while(|line| !line.starts_with('[')).any(|line| line == "workspace = true")
}

impl Package {
    fn folder(&self) -> &str {
        let folder = self.manifest.strip_suffix("/Cargo.toml").unwrap_or(&self.manifest);
        folder.rsplit('/').next().unwrap_or(folder)
    }

    /// A finding at the line that begins with `word`, or at the first.
    fn finding(&self, word: &str, message: impl Into<String>) -> Finding {
        let names = |line: &str| line.strip_prefix(word).is_some_and(|rest| rest.starts_with(['.', ' ', '=']));
        let line = self.text.lines().position(names).map_or(1, |index| index + 1);
        Finding::new(&self.manifest, line, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A package with these dependencies; those after a `/` are for tests.
    fn package(folder: &str, dependencies: &str) -> Package {
        let (normal, dev) = dependencies.split_once('/').unwrap_or((dependencies, ""));
        let list = |names: &str, dev| names.split_whitespace().map(|n| Dependency { name: n.into(), dev }).collect::<Vec<_>>();
        let lines: String =
            dependencies.replace('/', " ").split_whitespace().map(|name| format!("{name}.workspace = true\n")).collect();
        Package {
            manifest: format!("crates/{folder}/Cargo.toml"),
            text: format!("[lints]\nworkspace = true\n\n[dependencies]\n{lines}"),
            dependencies: [list(normal, false), list(dev, true)].concat(),
        }
    }

    fn found(folder: &str, dependencies: &str) -> Vec<(usize, String)> {
        check(&package(folder, dependencies)).into_iter().map(|finding| (finding.line, finding.message)).collect()
    }

    impl Clone for Dependency {
        fn clone(&self) -> Self {
            Self { name: self.name.clone(), dev: self.dev }
        }
    }

    #[test]
    fn dependencies_point_left() {
        assert_eq!(found("storage", "baton-domain baton-runtime"), []);
        assert_eq!(found("baton", "baton-api baton-console baton-domain"), []);
        for (folder, dependency) in [
            ("domain", "baton-runtime"),
            ("runtime", "baton-storage"),
            ("storage", "baton-handler-cache"),
            ("dispatcher", "baton-cache-manager"),
            ("cache-manager", "baton-dispatcher"),
            ("api", "baton-console"),
            ("api", "baton"),
            ("testkit", "baton-domain"),
            ("bench", "baton-domain"),
            ("xtask", "baton-testkit"),
        ] {
            let found = found(folder, dependency);
            assert!(found.len() == 1 && found[0].0 == 5, "{folder} on {dependency}: {found:?}");
        }
    }

    #[test]
    fn a_circle_through_tests_is_found_too() {
        assert_eq!(found("storage", "/ baton-api").len(), 1);
    }

    #[test]
    fn testkit_is_for_tests() {
        assert_eq!(found("api", "/ baton-testkit"), []);
        assert!(found("api", "baton-testkit")[0].1.contains("dev-dependency"));
        assert_eq!(found("faults", "baton-testkit reqwest"), []);
        assert_eq!(found("faults", "baton-domain").len(), 1);
    }

    #[test]
    fn each_library_has_its_crate() {
        assert_eq!(found("storage", "sqlx tokio"), []);
        assert_eq!(found("dispatcher", "hyper-util nix / axum"), []);
        assert_eq!(found("runtime", "axum"), []);
        assert_eq!(found("testkit", "sqlx redis axum nix"), []);
        let found = found("api", "axum sqlx redis hyper-util nix");
        assert_eq!(found.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [6, 7, 8, 9]);
        assert!(found[0].1.contains("storage alone"));
    }

    #[test]
    fn domain_is_linked_to_nothing_that_does_io() {
        assert_eq!(found("domain", "serde chrono / tokio"), []);
        assert_eq!(found("domain", "tokio hyper").len(), 2);
    }

    #[test]
    fn lints_are_the_workspaces_and_every_crate_is_on_the_map() {
        let mut bare = package("api", "");
        bare.text = "[dependencies]\nx.workspace = true\n[lints]\n[dev-dependencies]\nworkspace = true\n".into();
        assert!(check(&bare)[0].message.contains("[lints]"));
        assert!(found("helpers", "")[0].1.contains("no place in the map"));
    }
}
