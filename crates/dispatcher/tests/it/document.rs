//! Tables that tests print and that stand in the documentation, line by line.

use std::fs;

const SECURITY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/security.md");

/// That the table under this head in `docs/security.md` is this one.
pub(crate) fn assert_stands_in_security(head: &str, lines: &[&str]) {
    let document = fs::read_to_string(SECURITY).unwrap_or_default();
    let after = document.lines().skip_while(|line| *line != head).skip(2);
    let documented: Vec<_> = after.take_while(|line| line.starts_with('|')).collect();
    let lacking: Vec<_> = lines.iter().filter(|line| !documented.contains(line)).copied().collect();
    assert!(
        documented == lines,
        "docs/security.md has another table under {head}; of what is printed above it lacks:\n{}",
        lacking.join("\n")
    );
}
