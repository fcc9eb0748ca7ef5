//! A source file as a row of tokens: comments and strings are out of the way, test code is marked.

use proc_macro2::{Delimiter, Group, Spacing, TokenStream, TokenTree};

use super::Finding;

/// A source file.
pub(super) struct Source {
    pub(super) path: String,
    pub(super) tokens: Vec<Token>,
}

#[derive(Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) line: usize,
    /// Whether it belongs to code that is compiled for tests only.
    pub(super) test: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Ident(String),
    Punct(char),
    Literal,
    Open(Delimiter),
    Close(Delimiter),
}

/// A path such as `std::fs::read`, in code or in a `use`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) segments: Vec<String>,
    pub(super) line: usize,
    pub(super) test: bool,
}

impl Source {
    /// Takes a file apart; `path` is relative to the workspace.
    pub(super) fn parse(path: &str, text: &str) -> Result<Self, Finding> {
        let stream: TokenStream = text
            .parse()
            .map_err(|e: proc_macro2::LexError| Finding::new(path, e.span().start().line, format!("does not parse: {e}")))?;
        let mut tokens = Vec::new();
        flatten(stream, is_test_file(path), &mut tokens);
        Ok(Self { path: path.to_owned(), tokens })
    }

    /// The folder under `crates/` that it is in.
    pub(super) fn crate_folder(&self) -> Option<&str> {
        self.path.strip_prefix("crates/")?.split('/').next()
    }

    /// Whether it is an integration test.
    pub(super) fn is_integration_test(&self) -> bool {
        self.path.strip_prefix("crates/").and_then(|rest| rest.split('/').nth(1)) == Some("tests")
    }

    pub(super) fn finding(&self, line: usize, message: impl Into<String>) -> Finding {
        Finding::new(&self.path, line, message)
    }

    /// The identifier at a place.
    pub(super) fn ident(&self, index: usize) -> Option<&str> {
        match &self.tokens.get(index)?.kind {
            Kind::Ident(name) => Some(name),
            _ => None,
        }
    }

    pub(super) fn is(&self, index: usize, kind: &Kind) -> bool {
        self.tokens.get(index).is_some_and(|token| token.kind == *kind)
    }

    /// The place of the bracket that closes the one at `open`.
    pub(super) fn close_of(&self, open: usize) -> usize {
        let mut depth = 0;
        for (index, token) in self.tokens.iter().enumerate().skip(open) {
            match token.kind {
                Kind::Open(_) => depth += 1,
                Kind::Close(_) => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return index;
            }
        }
        self.tokens.len()
    }

    /// Every path, those of a `use` spelled out.
    pub(super) fn names(&self) -> Vec<Name> {
        let mut names = Vec::new();
        let mut index = 0;
        while let Some(token) = self.tokens.get(index) {
            match &token.kind {
                Kind::Ident(word) if word == "use" => index = self.use_tree(index + 1, &[], &mut names),
                Kind::Ident(_) => index = self.path(index, &mut names),
                _ => index += 1,
            }
        }
        names
    }

    fn path(&self, start: usize, names: &mut Vec<Name>) -> usize {
        let mut segments = vec![self.ident(start).unwrap_or_default().to_owned()];
        let mut index = start + 1;
        while self.is(index, &Kind::Punct(':')) && self.is(index + 1, &Kind::Punct(':')) {
            let Some(segment) = self.ident(index + 2) else { break };
            segments.push(segment.to_owned());
            index += 3;
        }
        let Token { line, test, .. } = self.tokens[start];
        names.push(Name { segments, line, test });
        index
    }

    /// One branch of a `use`, up to what ends it.
    fn use_tree(&self, start: usize, prefix: &[String], names: &mut Vec<Name>) -> usize {
        let mut segments = prefix.to_vec();
        let mut index = start;
        let (mut line, mut test) = (0, false);
        while let Some(token) = self.tokens.get(index) {
            match &token.kind {
                Kind::Open(Delimiter::Brace) => {
                    let end = self.close_of(index);
                    index += 1;
                    while index < end {
                        // Past the branch and the comma after it.
                        index = self.use_tree(index, &segments, names) + 1;
                    }
                    return end;
                }
                Kind::Ident(word) if word == "as" => index += 1,
                Kind::Ident(word) => segments.push(word.clone()),
                Kind::Punct(':') => {}
                Kind::Punct('*') => segments.push("*".into()),
                _ => break,
            }
            (line, test) = (token.line, token.test);
            index += 1;
        }
        if segments.len() > prefix.len() {
            names.push(Name { segments, line, test });
        }
        index
    }
}

/// A module of tests in a file of its own, or an integration test.
fn is_test_file(path: &str) -> bool {
    path.split('/').any(|part| part == "tests" || part == "tests.rs")
}

fn flatten(stream: TokenStream, test: bool, tokens: &mut Vec<Token>) {
    let trees: Vec<_> = stream.into_iter().collect();
    let mut item_is_test = false;
    let mut rest_is_test = test;
    for (index, tree) in trees.iter().enumerate() {
        if let Some(attribute) = attribute(&trees, index) {
            rest_is_test |= attribute.inner && attribute.test;
            item_is_test |= attribute.test;
        }
        let test = rest_is_test || item_is_test;
        let line = tree.span().start().line;
        match tree {
            TokenTree::Group(group) => {
                let delimiter = group.delimiter();
                tokens.push(Token { kind: Kind::Open(delimiter), line, test });
                flatten(group.stream(), test, tokens);
                tokens.push(Token { kind: Kind::Close(delimiter), line: group.span_close().end().line, test });
                item_is_test &= delimiter != Delimiter::Brace;
            }
            TokenTree::Ident(ident) => tokens.push(Token { kind: Kind::Ident(ident.to_string()), line, test }),
            TokenTree::Punct(punct) => {
                tokens.push(Token { kind: Kind::Punct(punct.as_char()), line, test });
                item_is_test &= !(punct.as_char() == ';' && punct.spacing() == Spacing::Alone);
            }
            TokenTree::Literal(_) => tokens.push(Token { kind: Kind::Literal, line, test }),
        }
    }
}

struct Attribute {
    /// `#![…]` rather than `#[…]`.
    inner: bool,
    /// `cfg(test)`, `test`, `tokio::test`.
    test: bool,
}

/// The attribute that begins at a place, if one does.
fn attribute(trees: &[TokenTree], index: usize) -> Option<Attribute> {
    let punct =
        |offset: usize, wanted: char| matches!(trees.get(index + offset), Some(TokenTree::Punct(p)) if p.as_char() == wanted);
    let inner = punct(1, '!');
    match trees.get(index + 1 + usize::from(inner)) {
        Some(TokenTree::Group(group)) if punct(0, '#') && group.delimiter() == Delimiter::Bracket => {
            Some(Attribute { inner, test: is_for_tests(group) })
        }
        _ => None,
    }
}

fn is_for_tests(attribute: &Group) -> bool {
    let text: String = attribute.stream().to_string().split_whitespace().collect();
    text == "test"
        || text.starts_with("cfg(test")
        || text.starts_with("cfg(all(test")
        || text.ends_with("::test")
        || text.contains("::test(")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Source {
        Source::parse("crates/domain/src/lib.rs", text).unwrap()
    }

    fn names(text: &str) -> Vec<(String, usize, bool)> {
        parse(text).names().into_iter().map(|name| (name.segments.join("::"), name.line, name.test)).collect()
    }

    #[test]
    fn a_use_is_spelled_out() {
        let names: Vec<_> = names("use a::{b::{self, c as d}, e::*};\nuse f;\npub(crate) use ::g::h;")
            .into_iter()
            .map(|(name, line, _)| (name, line))
            .collect();
        let expected = [("a::b::self", 1), ("a::b::c", 1), ("a::e::*", 1), ("f", 2), ("pub", 3), ("crate", 3), ("g::h", 3)];
        let mut expected: Vec<_> = expected.map(|(name, line)| (name.to_owned(), line)).into();
        // `d` is a name of this file's own, not one that is used.
        expected.sort();
        let mut found = names;
        found.sort();
        assert_eq!(found, expected);
    }

    #[test]
    fn paths_are_found_in_code_and_macros_but_not_in_strings_and_comments() {
        let text = "// std::fs\n/// std::fs\nfn f() { x!(std::fs::read(\"std::env\")); }";
        let found = names(text);
        let paths: Vec<_> =
            found.iter().filter(|(name, ..)| name.contains("::")).map(|(name, line, _)| (name.as_str(), *line)).collect();
        assert_eq!(paths, [("std::fs::read", 3)]);
    }

    #[test]
    fn test_code_is_marked() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests { fn b() {} }\nfn c() {}\n#[tokio::test]\nasync fn d() {}\n#[cfg(test)]\nuse e;\nfn f() {}";
        let marked: Vec<_> = names(text).into_iter().filter(|(_, _, test)| *test).map(|(name, ..)| name).collect();
        for (name, test) in [("a", false), ("b", true), ("c", false), ("d", true), ("e", true), ("f", false)] {
            assert_eq!(marked.contains(&name.to_owned()), test, "{name}");
        }
        let whole = Source::parse("crates/domain/src/scheduler/tests.rs", "fn a() {}").unwrap();
        assert!(whole.tokens.iter().all(|token| token.test));
    }

    #[test]
    fn what_does_not_parse_is_a_finding() {
        let finding = Source::parse("crates/domain/src/lib.rs", "fn a() {\n").err().unwrap();
        assert_eq!(finding.file, "crates/domain/src/lib.rs");
    }
}
