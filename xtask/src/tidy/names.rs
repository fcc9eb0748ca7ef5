//! Who may name what in its source: libraries that only one crate knows, and what `domain` must not know.

use super::Finding;
use super::crates::{ALONE, FREE};
use super::source::{Name, Source};

/// What would make the rules impure: I/O, processes, threads, an asynchronous runtime.
const NOT_IN_DOMAIN: [&[&str]; 11] = [
    &["std", "fs"],
    &["std", "net", "TcpStream"],
    &["std", "net", "TcpListener"],
    &["std", "net", "UdpSocket"],
    &["std", "net", "ToSocketAddrs"],
    &["std", "process"],
    &["std", "env"],
    &["std", "thread"],
    &["tokio"],
    &["async_std"],
    &["futures_util"],
];

const CLOCKS: [&str; 4] = ["Utc", "Local", "SystemTime", "Instant"];

pub(super) fn check(source: &Source) -> Vec<Finding> {
    let Some(folder) = source.crate_folder() else { return Vec::new() };
    if FREE.contains(&folder) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for name in source.names().iter().filter(|name| !name.test) {
        findings.extend(alone(source, folder, name));
        if folder == "domain" {
            findings.extend(pure(source, name));
        }
    }
    if folder == "domain" {
        findings.extend(no_async(source));
    }
    findings
}

fn alone(source: &Source, folder: &str, name: &Name) -> Option<Finding> {
    // A name of one segment may be a variable's.
    let rule = ALONE.iter().find(|rule| name.segments.len() > 1 && begins_with(name, rule.path))?;
    (!rule.crates.contains(&folder)).then(|| {
        let message = format!("{} alone may name {}", rule.crates.join(", "), rule.path.join("::"));
        source.finding(name.line, message)
    })
}

fn pure(source: &Source, name: &Name) -> Option<Finding> {
    if let [.., clock, now] = name.segments.as_slice()
        && now == "now"
        && CLOCKS.contains(&clock.as_str())
    {
        return Some(
            source.finding(name.line, format!("domain does not know the time: take it as a parameter instead of {clock}::now")),
        );
    }
    let path = NOT_IN_DOMAIN.iter().find(|path| name.segments.len() > 1 && begins_with(name, path))?;
    Some(source.finding(name.line, format!("domain does no I/O: {} has no place in it", path.join("::"))))
}

fn no_async(source: &Source) -> Vec<Finding> {
    let tokens = source.tokens.iter().enumerate().filter(|(index, token)| !token.test && source.ident(*index) == Some("async"));
    tokens.map(|(_, token)| source.finding(token.line, "domain does not wait: no async in it")).collect()
}

fn begins_with(name: &Name, path: &[&str]) -> bool {
    name.segments.len() >= path.len() && name.segments.iter().zip(path).all(|(segment, wanted)| segment == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        check(&Source::parse(path, text).unwrap()).iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn each_library_has_its_crate() {
        let text = "use sqlx::PgPool;\nuse redis::Client;\nuse hyper_util::rt::TokioIo;\nuse nix::unistd::Pid;\nuse tokio::{net, process::Command};\n\
                    use axum::Router;\nfn f() { std::process::Command::new(\"x\"); }\nuse std::process::ExitCode;";
        assert_eq!(lines("crates/baton/src/main.rs", text), [1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(lines("crates/storage/src/lib.rs", text), [2, 3, 4, 5, 6, 7]);
        assert_eq!(lines("crates/handler-cache/src/lib.rs", text), [1, 3, 4, 5, 6, 7]);
        assert_eq!(lines("crates/dispatcher/src/lib.rs", text), [1, 2, 6]);
        assert_eq!(lines("crates/api/src/lib.rs", text), [1, 2, 3, 4, 5, 7]);
        assert_eq!(lines("crates/testkit/src/lib.rs", text), [0; 0]);
    }

    #[test]
    fn tests_and_variables_may_be_called_so() {
        let text = "fn f(redis: Redis) { redis.get(); }\n#[cfg(test)]\nmod tests { use sqlx::PgPool; }";
        assert_eq!(lines("crates/api/src/lib.rs", text), [0; 0]);
        assert_eq!(lines("crates/api/tests/it/main.rs", "use hyper_util::rt::TokioIo;"), [0; 0]);
    }

    #[test]
    fn domain_is_pure() {
        let text = "use std::{collections::HashMap, fs};\nfn a() -> T { Utc::now() }\nfn b() { std::time::Instant::now(); }\nasync fn c() {}\n\
                    use std::net::{IpAddr, TcpStream};\nfn d(now: DateTime<Utc>) { later(now) }\n#[test]\nfn e() { SystemTime::now(); }\n";
        let mut found = lines("crates/domain/src/lib.rs", text);
        found.sort_unstable();
        assert_eq!(found, [1, 2, 3, 4, 5]);
        assert_eq!(lines("crates/storage/src/lib.rs", text), [0; 0]);
    }
}
