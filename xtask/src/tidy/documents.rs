//! Documents that lead somewhere.

use super::Finding;

/// The map of the project, and how long it may be.
pub(super) const MAP: &str = "ARCHITECTURE.md";
const MAP_LINES: usize = 250;

pub(super) fn check_map(text: Option<&str>) -> Option<Finding> {
    let Some(text) = text else { return Some(Finding::new(MAP, 1, "is missing")) };
    let lines = text.lines().count();
    (lines > MAP_LINES).then(|| Finding::new(MAP, lines, format!("has {lines} lines; the map may have {MAP_LINES}")))
}

/// Links of a document at `path` to files that do not exist; `exists` is asked with paths from the workspace's folder.
pub(super) fn check(path: &str, text: &str, exists: impl Fn(&str) -> bool) -> Vec<Finding> {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut findings = Vec::new();
    let mut in_code = false;
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for target in targets(line) {
            match resolve(folder, target) {
                Some(file) if exists(&file) => {}
                _ => findings.push(Finding::new(path, number + 1, format!("leads to {target}, which does not exist"))),
            }
        }
    }
    findings
}

/// The files that a line's links lead to: `[text](target)` and `[text]: target`.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    let prose = line.split('`').step_by(2);
    let inline = prose.flat_map(|part| part.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next()));
    let reference = line.strip_prefix('[').and_then(|rest| rest.split_once("]: ")).map(|(_, target)| target.trim());
    let files = inline.chain(reference).filter(|target| !target.contains("://") && !target.starts_with("mailto:"));
    files.filter_map(|target| target.split('#').next()).filter(|target| !target.is_empty())
}

/// The path from the workspace's folder; `None` when it leads out of it.
fn resolve(folder: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    if target.starts_with('/') {
        parts.clear();
    }
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_links_are_found() {
        let text = "[a](there.md) and [b](gone.md#part)\n[c](../README.md), [d](https://example.org/x), [e](#here)\n```\n[f](gone.md)\n```\n\
                    `[g](gone.md)` [h](../../out.md)\n[i]: lost.md\n[j](sub/)";
        let exists = |path: &str| ["docs/there.md", "README.md", "docs/sub"].contains(&path);
        let found: Vec<_> = check("docs/a.md", text, exists).into_iter().map(|f| (f.line, f.message)).collect();
        let expected = [(1, "gone.md"), (6, "../../out.md"), (7, "lost.md")];
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for ((line, message), (expected_line, target)) in found.iter().zip(expected) {
            assert!(*line == expected_line && message.contains(target), "{line} {message}");
        }
    }

    #[test]
    fn the_map_is_there_and_short() {
        assert!(check_map(None).is_some());
        assert!(check_map(Some(&"x\n".repeat(250))).is_none());
        assert_eq!(check_map(Some(&"x\n".repeat(251))).unwrap().line, 251);
    }
}
