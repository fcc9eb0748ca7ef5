//! Programs as the documentation prints them.

const HANDLERS: &str = include_str!("../../../../../docs/handlers.md");

/// The program of `docs/handlers.md` in which this line comes first, or second behind a `#!` line.
pub(crate) fn printed(first: &str) -> String {
    let lines: Vec<_> = HANDLERS.lines().collect();
    let found = lines.iter().position(|line| line.trim_start().starts_with(first));
    let found = found.unwrap_or_else(|| panic!("docs/handlers.md has no program with the line {first}"));
    let begin = if found > 0 && lines[found - 1].starts_with("    #!") { found - 1 } else { found };
    let indented = |line: &&&str| line.is_empty() || line.starts_with("    ");
    let text = lines[begin..].iter().take_while(indented).map(|line| line.strip_prefix("    ").unwrap_or_default());
    // Two programs may stand one behind the other.
    let text: Vec<_> =
        text.enumerate().take_while(|(at, line)| *at == 0 || !line.starts_with("#!")).map(|(_, line)| line).collect();
    text.join("\n")
}
