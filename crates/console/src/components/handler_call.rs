//! What a handler was sent and what it answered.

use std::collections::BTreeMap;

use maud::{Markup, html};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::cut::{self, beginning, short};

/// How much of headers, of a place or of arguments a page shows, in bytes of markup.
const LINES_MAX: usize = 8 * 1024;

/// What a handler answered.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Answer {
    Http { status: u16, headers: BTreeMap<String, String>, body: String, truncated: bool },
    Script { exit_code: Option<i32>, signal: Option<String>, stdout: String, stderr: String, truncated: bool },
}

/// What was sent.
#[derive(Debug, Deserialize)]
pub(crate) struct Sent {
    pub(crate) task: Called,
    /// Headers, or the environment of a script.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Box<RawValue>,
}

/// What was called.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Called {
    Http {
        url: String,
    },
    Script {
        path: String,
        #[serde(default)]
        args: Vec<String>,
    },
}

/// Where the whole texts of an execution are.
pub(crate) trait Whole {
    /// The address of a part: `sent`, `body`, `stdout`, `stderr`; `None` where it is not kept.
    fn of(&self, part: &str) -> Option<String>;
}

impl Called {
    /// In one line: `POST http://crm.lan/api`, `vcs/open.sh --fast`.
    pub(crate) fn line(&self) -> String {
        match self {
            Self::Http { url } => format!("POST {url}"),
            Self::Script { path, args } => std::iter::once(path).chain(args).map(String::as_str).collect::<Vec<_>>().join(" "),
        }
    }
}

impl Answer {
    /// In a few words: `503 Service Unavailable`, `exit code 65`.
    pub(crate) fn summary(&self) -> String {
        match self {
            Self::Http { status, .. } => {
                match axum::http::StatusCode::from_u16(*status).ok().and_then(|known| known.canonical_reason()) {
                    Some(reason) => format!("{status} {reason}"),
                    None => status.to_string(),
                }
            }
            Self::Script { exit_code: Some(code), .. } => format!("exit code {code}"),
            Self::Script { signal: Some(signal), .. } => format!("ended by {}", short(signal, 40)),
            Self::Script { .. } => "did not run to its end".into(),
        }
    }

    /// Headers and body, or what was written.
    pub(crate) fn shown(&self, whole: &impl Whole) -> Markup {
        let cut = |truncated: bool| html! { @if truncated { p.cut { "There was more than is kept: the first 64 KiB." } } };
        match self {
            Self::Http { headers, body, truncated, .. } => html! {
                @if !headers.is_empty() { h3 { "Headers" } (lines(headers)) }
                h3 { "Body" }
                @if body.is_empty() { p.cut { "It is empty." } } @else { (cut::boxed(body, whole.of("body").as_deref())) }
                (cut(*truncated))
            },
            Self::Script { stdout, stderr, truncated, .. } => html! {
                @for (part, title, text) in [("stdout", "Standard output", stdout), ("stderr", "Standard error", stderr)] {
                    h3 { (title) }
                    @if text.is_empty() { p.cut { "It is empty." } } @else { (cut::boxed(text, whole.of(part).as_deref())) }
                }
                (cut(*truncated))
            },
        }
    }
}

impl Sent {
    /// Headers or environment, and the body.
    pub(crate) fn shown(&self, whole: &impl Whole) -> Markup {
        let (of, body) = match self.task {
            Called::Http { .. } => ("Headers", "Body"),
            Called::Script { .. } => ("Environment", "Standard input"),
        };
        html! {
            h3 { (of) }
            (lines(&self.headers))
            h3 { (body) }
            (cut::boxed(self.body.get(), whole.of("sent").as_deref()))
        }
    }

    /// A command that sends the same once more; `None` for scripts and what is too long for a page. What is masked stays masked.
    pub(crate) fn curl(&self) -> Option<String> {
        let Called::Http { url } = &self.task else { return None };
        let quoted = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
        let mut command = format!("curl -X POST {}", quoted(url));
        for (name, value) in &self.headers {
            command.push_str(&format!(" \\\n  -H {}", quoted(&format!("{name}: {value}"))));
        }
        command.push_str(&format!(" \\\n  --data-binary {}", quoted(self.body.get())));
        (beginning(&command, LINES_MAX).len() == command.len()).then_some(command)
    }
}

/// Names and values, one a line.
fn lines(of: &BTreeMap<String, String>) -> Markup {
    let text = of.iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join("\n");
    let shown = beginning(&text, LINES_MAX);
    html! { pre.wire tabindex="0" { (shown) @if shown.len() < text.len() { "…" } } }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nowhere;

    impl Whole for Nowhere {
        fn of(&self, part: &str) -> Option<String> {
            Some(format!("/{part}"))
        }
    }

    #[test]
    fn hostile_answers_are_text() {
        let answer: Answer = serde_json::from_str(
            r#"{"status":503,"headers":{"x-<i>":"</pre><script>"},"body":"<script>alert(1)</script>","truncated":true}"#,
        )
        .unwrap();
        let shown = answer.shown(&Nowhere).into_string();
        assert!(!shown.contains("<script") && !shown.contains("<i>"), "{shown}");
        assert!(shown.contains("&lt;script&gt;alert(1)") && shown.contains("the first 64 KiB"), "{shown}");
        assert_eq!(answer.summary(), "503 Service Unavailable");
        let script: Answer =
            serde_json::from_str(r#"{"exit_code":null,"signal":"SIGKILL","stdout":"<b>","stderr":"","truncated":false}"#)
                .unwrap();
        assert_eq!(script.summary(), "ended by SIGKILL");
        assert!(script.shown(&Nowhere).into_string().contains("&lt;b&gt;"));
    }

    #[test]
    fn the_command_is_quoted_for_a_shell() {
        let sent: Sent = serde_json::from_str(
            r#"{"task":{"type":"http","url":"http://a/?x='$(id)'"},"headers":{"x-a":"it's"},"body":{"a":"'; rm -rf /"}}"#,
        )
        .unwrap();
        let command = sent.curl().unwrap();
        assert!(command.contains(r"'http://a/?x='\''$(id)'\'''"), "{command}");
        assert!(command.contains(r#"--data-binary '{"a":"'\''; rm -rf /"}'"#), "{command}");
    }
}
