//! Every spelling of an address that is not to be called: when it is saved and when it is called. The table that this test prints stands in
//! `docs/security.md`.

use baton_domain::Verdict;

use super::*;
use crate::document::assert_stands_in_security;

const HEAD: &str = "| spelling | URL | what Baton says |";

/// What it is, and the URL.
const CASES: &[(&str, &str)] = &[
    ("loopback", "http://127.0.0.1/"),
    ("its other end", "http://127.255.255.254/"),
    ("two parts", "http://127.1/"),
    ("three parts", "http://127.0.1/"),
    ("decimal", "http://2130706433/"),
    ("hexadecimal", "http://0x7f000001/"),
    ("hexadecimal parts", "http://0x7f.0x0.0x0.0x1/"),
    ("upper-case hexadecimal", "http://0X7F.1/"),
    ("octal", "http://017700000001/"),
    ("octal parts", "http://0177.0.0.01/"),
    ("many zeros", "http://000000177.0.0.1/"),
    ("mixed parts", "http://0x7f.0.0.01/"),
    ("trailing dot", "http://127.0.0.1./"),
    ("another port", "https://127.0.0.1:8443/"),
    ("userinfo", "http://crm.example:80@127.0.0.1/"),
    ("userinfo that looks like a host", "http://1.1.1.1@127.0.0.1/"),
    ("userinfo with an escaped slash", "http://1.1.1.1%2f@127.0.0.1/"),
    ("two userinfos", "http://1.1.1.1@1.1.1.1@127.0.0.1/"),
    ("fragment for a host", "http://127.0.0.1#@1.1.1.1/"),
    ("query for a host", "http://127.0.0.1?@1.1.1.1/"),
    ("backslash for a slash", r"http://127.0.0.1\@1.1.1.1/"),
    ("backslashes", r"http:\\127.0.0.1\"),
    ("no slashes", "http:127.0.0.1/"),
    ("three slashes", "http:///127.0.0.1/"),
    ("spaces around", "  http://127.0.0.1/  "),
    ("percent-encoded", "http://%31%32%37.0.0.1/"),
    ("percent-encoded dots", "http://127%2e0%2e0%2e1/"),
    ("full-width digits", "http://１２７.０.０.１/"),
    ("circled digits", "http://①②⑦.⓪.⓪.①/"),
    ("ideographic full stops", "http://127。0。0。1/"),
    ("soft hyphen within", "http://12\u{ad}7.0.0.1/"),
    ("zero-width space within", "http://127.0.0\u{200b}.1/"),
    ("name", "http://localhost/"),
    ("name in capitals", "http://LOCALHOST/"),
    ("name in circled letters", "http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/"),
    ("name in full-width letters", "http://ｌｏｃａｌｈｏｓｔ/"),
    ("this network", "http://0.0.0.0/"),
    ("this network as a number", "http://0/"),
    ("this network, another", "http://0.1.2.3/"),
    ("private, 10", "http://10.0.0.1/"),
    ("private, 10, two parts", "http://10.1/"),
    ("private, 172", "http://172.16.0.1/"),
    ("private, 172, its end", "http://172.31.255.254/"),
    ("private, 192", "http://192.168.0.1/"),
    ("cloud metadata", "http://169.254.169.254/latest/meta-data/"),
    ("cloud metadata, decimal", "http://2852039166/"),
    ("cloud metadata, hexadecimal", "http://0xa9fea9fe/"),
    ("cloud metadata, octal", "http://0251.0376.0251.0376/"),
    ("cloud metadata, IPv6", "http://[fd00:ec2::254]/"),
    ("cloud metadata, mapped", "http://[::ffff:169.254.169.254]/"),
    ("cloud metadata, shared range", "http://100.100.100.200/"),
    ("cloud metadata, protocol range", "http://192.0.0.192/"),
    ("documentation, 1", "http://192.0.2.1/"),
    ("documentation, 2", "http://198.51.100.1/"),
    ("documentation, 3", "http://203.0.113.1/"),
    ("AS112", "http://192.31.196.1/"),
    ("AS112, direct", "http://192.175.48.1/"),
    ("AMT", "http://192.52.193.1/"),
    ("6to4 relay", "http://192.88.99.1/"),
    ("benchmarking", "http://198.19.255.254/"),
    ("multicast", "http://224.0.0.1/"),
    ("reserved", "http://240.0.0.1/"),
    ("broadcast", "http://255.255.255.255/"),
    ("IPv6 loopback", "http://[::1]/"),
    ("IPv6 loopback in full", "http://[0000:0000:0000:0000:0000:0000:0000:0001]/"),
    ("IPv6 loopback, dotted", "http://[::0.0.0.1]/"),
    ("IPv6 unspecified", "http://[::]/"),
    ("mapped", "http://[::ffff:127.0.0.1]/"),
    ("mapped, hexadecimal", "http://[::ffff:7f00:1]/"),
    ("mapped, in capitals", "http://[::FFFF:7F00:0001]/"),
    ("mapped, private", "http://[::ffff:10.0.0.1]/"),
    ("IPv4-compatible", "http://[::127.0.0.1]/"),
    ("IPv4-translated", "http://[::ffff:0:127.0.0.1]/"),
    ("NAT64", "http://[64:ff9b::127.0.0.1]/"),
    ("NAT64, local", "http://[64:ff9b:1::7f00:1]/"),
    ("6to4", "http://[2002:7f00:1::]/"),
    ("Teredo", "http://[2001:0:7f00:1::]/"),
    ("unique local", "http://[fc00::1]/"),
    ("IPv6 link-local", "http://[fe80::1]/"),
    ("site-local", "http://[fec0::1]/"),
    ("IPv6 multicast", "http://[ff02::1]/"),
    ("discard", "http://[100::1]/"),
    ("dummy", "http://[100:0:0:1::1]/"),
    ("IPv6 documentation", "http://[2001:db8::1]/"),
    ("IPv6 documentation, new", "http://[3fff::1]/"),
    ("segment routing", "http://[5f00::1]/"),
    ("IPv6 AS112", "http://[2620:4f:8000::1]/"),
    ("zone id", "http://[fe80::1%25eth0]/"),
    ("zone id, bare", "http://[fe80::1%eth0]/"),
    ("five parts", "http://127.0.0.1.1/"),
    ("part that is too large", "http://127.0.0.256/"),
    ("number that is too large", "http://4294967296/"),
    ("no octal digit", "http://127.0.0.08/"),
    ("no host", "http:///"),
    ("line break", "http://127.0.0.1\n.example/"),
    ("tab", "http://127.0.0\t.1/"),
    ("NUL", "http://127.0.0.1\0.example/"),
    ("no scheme", "127.0.0.1/"),
    ("scheme of the page", "//127.0.0.1/"),
    ("file", "file:///etc/passwd"),
    ("gopher", "gopher://127.0.0.1:6379/_FLUSHALL"),
    ("ftp", "ftp://127.0.0.1/"),
    ("unix socket", "unix:///run/docker.sock"),
];

#[tokio::test(flavor = "multi_thread")]
async fn no_spelling_gets_past_the_policy() {
    let strict = caller(&[], false);
    let (mut lines, mut problems) = (Vec::new(), Vec::new());
    for (kind, url) in CASES {
        match said(&strict, url).await {
            Ok(said) => lines.push(format!("| {kind} | `{}` | {said} |", url.escape_debug().to_string().replace(r"\\", r"\"))),
            Err(problem) => problems.push(format!("{kind}: {url:?}: {problem}")),
        }
    }
    lines.iter().for_each(|line| println!("{line}"));
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert_stands_in_security(HEAD, &lines.iter().map(String::as_str).collect::<Vec<_>>());
}

/// What Baton says to a URL: the same when it is saved and when it is called.
async fn said(caller: &Caller, url: &str) -> Result<String, String> {
    let errors = caller.inspect(&Task::Http { url: url.into() }).await.0;
    let [error] = &errors[..] else { return Err(format!("saved with {errors:?}")) };
    let called = match Target::new(&spec(url, AMPLE), Opened::default()) {
        Err(reason) => reason,
        Ok(target) => {
            let outcome = call(caller, &target, 1).await;
            if outcome.verdict != Verdict::Failed || outcome.response.is_some() {
                return Err(format!("called: {outcome:?}"));
            }
            outcome.error.unwrap_or_default()
        }
    };
    if error.field != "task.url" || essence(&error.message) != essence(&called) {
        return Err(format!("saved: {error:?}, called: {called}"));
    }
    Ok(essence(&called))
}

/// The sentence without advice, and without the address that a name happens to have on this machine.
fn essence(sentence: &str) -> String {
    let sentence = sentence.split([';', '\n']).next().unwrap_or_default().replace(", which the address policy forbids", "");
    match sentence.split_once(" has no address that may be connected to: ") {
        None => sentence,
        Some((name, reason)) => {
            let what = reason.split_once(" is ").and_then(|(_, what)| what.split_once(" (")).map_or("", |(what, _)| what);
            format!("{name} has {what}")
        }
    }
}
