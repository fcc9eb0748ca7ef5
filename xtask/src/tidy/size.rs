//! Files and functions that a reader can hold in mind.

use super::Finding;
use super::source::{Kind, Source};
use proc_macro2::Delimiter;

const FILE_LINES: usize = 400;
const FUNCTION_LINES: usize = 70;

pub(super) fn check_file(path: &str, text: &str) -> Option<Finding> {
    let lines = text.lines().count();
    (lines > FILE_LINES)
        .then(|| Finding::new(path, lines, format!("has {lines} lines; a file may have {FILE_LINES}: take it apart")))
}

/// A function is counted from its `fn` to its closing brace.
pub(super) fn check_functions(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for index in 0..source.tokens.len() {
        let (Some("fn"), Some(name)) = (source.ident(index), source.ident(index + 1)) else { continue };
        let Some(body) = body(source, index) else { continue };
        let first = source.tokens[index].line;
        let last = source.tokens.get(source.close_of(body)).map_or(first, |close| close.line);
        let lines = last + 1 - first;
        if lines > FUNCTION_LINES {
            let message = format!("{name} has {lines} lines; a function may have {FUNCTION_LINES}: take it apart");
            findings.push(source.finding(first, message));
        }
    }
    findings
}

/// Where a function's body opens; `None` for one that is only declared.
fn body(source: &Source, start: usize) -> Option<usize> {
    let mut index = start;
    loop {
        match source.tokens.get(index)?.kind {
            Kind::Open(Delimiter::Brace) => return Some(index),
            Kind::Open(_) => index = source.close_of(index),
            Kind::Punct(';') => return None,
            _ => {}
        }
        index += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_may_have_400_lines_and_no_more() {
        assert_eq!(check_file("a.rs", &"//\n".repeat(400)), None);
        let finding = check_file("a.rs", &"//\n".repeat(401)).unwrap();
        assert_eq!((finding.line, finding.message.contains("401 lines")), (401, true));
    }

    #[test]
    fn a_function_may_have_70_lines_and_no_more() {
        let function = |lines: usize| {
            format!("/// Doc.\nfn long<T>(a: [u8; 3]) -> T\nwhere\n    T: Copy,\n{{\n{}}}\n", "    a();\n".repeat(lines - 5))
        };
        let text = format!("trait T {{ fn only(); }}\n{}{}", function(70), function(71));
        let findings = check_functions(&Source::parse("crates/api/src/a.rs", &text).unwrap());
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!((findings[0].line, findings[0].message.contains("long has 71 lines")), (74, true), "{findings:?}");
    }

    #[test]
    fn a_closure_inside_counts_with_its_function_and_a_nested_function_also_by_itself() {
        let inner = format!("fn inner() {{\n{}}}\n", "a();\n".repeat(80));
        let findings = check_functions(&Source::parse("xtask/src/a.rs", &format!("fn outer() {{\n{inner}}}\n")).unwrap());
        assert_eq!(findings.len(), 2);
    }
}
