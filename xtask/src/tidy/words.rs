//! Words that mean "not done": they are for the way there, not for what goes in.

use super::Finding;
use super::source::{Kind, Source};
use proc_macro2::Delimiter;

const MACROS: [&str; 3] = ["todo", "unimplemented", "dbg"];
const SLEEPS: [&str; 2] = ["sleep", "sleep_until"];

pub(super) fn check(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, token) in source.tokens.iter().enumerate() {
        let Some(word) = source.ident(index) else { continue };
        if MACROS.contains(&word) && source.is(index + 1, &Kind::Punct('!')) {
            findings.push(source.finding(token.line, format!("{word}! is for unfinished work")));
        }
        if word == "ignore" && is_attribute(source, index) {
            findings.push(source.finding(token.line, "a test that is ignored says nothing: mend it or remove it"));
        }
        if source.is_integration_test() && SLEEPS.contains(&word) {
            let message = "a test does not sleep: wait for a signal, or for a condition with a deadline (testkit's `eventually`)";
            findings.push(source.finding(token.line, message));
        }
    }
    findings
}

/// Whether the word is the first of a `#[…]`.
fn is_attribute(source: &Source, index: usize) -> bool {
    index >= 2 && source.is(index - 1, &Kind::Open(Delimiter::Bracket)) && source.is(index - 2, &Kind::Punct('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(path: &str, text: &str) -> Vec<(usize, String)> {
        check(&Source::parse(path, text).unwrap()).into_iter().map(|finding| (finding.line, finding.message)).collect()
    }

    #[test]
    fn unfinished_work_is_found() {
        let text = "fn a() { todo!() }\nfn b() { unimplemented!(\"later\") }\nfn c() { dbg!(1); }\n#[test]\n#[ignore = \"slow\"]\nfn d() {}\n\
                    // todo!()\nfn todo(ignore: bool) -> bool { ignore != true }";
        assert_eq!(messages("crates/api/src/a.rs", text).iter().map(|(line, _)| *line).collect::<Vec<_>>(), [1, 2, 3, 5]);
    }

    #[test]
    fn sleeping_is_found_in_integration_tests() {
        let text = "async fn a() {\n    tokio::time::sleep(SECOND).await;\n}\nfn b() {\n    std::thread::sleep(SECOND);\n}\nuse tokio::time::{sleep_until};";
        assert_eq!(messages("crates/api/tests/it/a.rs", text).iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 5, 7]);
        assert_eq!(messages("crates/api/src/a.rs", text), []);
    }
}
