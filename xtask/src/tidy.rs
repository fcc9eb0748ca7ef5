//! `cargo xtask tidy`: what ARCHITECTURE.md says must hold, checked on the text of the project.
//!
//! Each check is a function from text to findings. What it needs from the disk is read once, here.

mod crates;
mod documents;
mod files;
mod migrations;
mod names;
mod size;
mod source;
mod words;

use std::fmt;
use std::path::Path;

use anyhow::{Result, bail};

use self::source::Source;
use crate::workspace;

/// Something that must not be, and where.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    /// The path from the workspace's folder.
    file: String,
    /// From 1.
    line: usize,
    /// What is wrong and what would be right.
    message: String,
}

impl Finding {
    fn new(file: &str, line: usize, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.message)
    }
}

/// Prints every finding; an error when there is one.
pub(crate) fn run() -> Result<()> {
    let findings = check(&workspace::root())?;
    for finding in &findings {
        eprintln!("{finding}");
    }
    match findings.len() {
        0 => Ok(()),
        1 => bail!("tidy found 1 thing"),
        count => bail!("tidy found {count} things"),
    }
}

fn check(root: &Path) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for (path, text) in files::texts(root, &["crates", "xtask"], "rs")? {
        findings.extend(size::check_file(&path, &text));
        match Source::parse(&path, &text) {
            Err(finding) => findings.push(finding),
            Ok(source) => {
                findings.extend(size::check_functions(&source));
                findings.extend(names::check(&source));
                findings.extend(words::check(&source));
            }
        }
    }
    for package in crates::packages(root)? {
        findings.extend(crates::check(&package));
    }
    let names = |side: &str| files::names(&root.join("migrations").join(side));
    findings.extend(migrations::check(&names("postgres")?, &names("sqlite")?));
    for (path, text) in files::texts(root, &["."], "md")? {
        findings.extend(documents::check(&path, &text, |target| root.join(target).exists()));
    }
    findings.extend(documents::check_map(files::text(root, documents::MAP).as_deref()));
    findings.sort();
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_is_tidy() {
        let findings: Vec<_> = check(&workspace::root()).unwrap().iter().map(Finding::to_string).collect();
        assert!(findings.is_empty(), "\n{}", findings.join("\n"));
    }
}
