//! Small words with a colour, which never is all that tells them apart.

use maud::{Markup, html};

/// What a colour stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// As it should be.
    Good,
    /// Worth a look.
    Warn,
    /// Wrong.
    Bad,
    /// Neither.
    Plain,
}

impl Tone {
    fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Plain => "plain",
        }
    }
}

/// A word in a box of its colour.
pub(crate) fn tag(tone: Tone, word: &str) -> Markup {
    html! { span class={ "tag " (tone.class()) } { (word) } }
}

/// A dot; full, unless it is for what is off.
pub(crate) fn dot(tone: Tone) -> Markup {
    html! { i class={ "dot " (tone.class()) } aria-hidden="true" {} }
}

/// How what is saved of a handler compares with what is live.
pub(crate) fn live(word: &str) -> Markup {
    match word {
        "live" => tag(Tone::Good, "live"),
        "changed" => tag(Tone::Warn, "changed"),
        "new" => tag(Tone::Warn, "new"),
        "removed" => tag(Tone::Bad, "will be removed"),
        _ => html! { span.muted { "off" } },
    }
}

/// How far an event has come.
pub(crate) fn event(word: &str) -> Markup {
    match word {
        "delivered" => tag(Tone::Good, "delivered"),
        "failed" => tag(Tone::Bad, "failed"),
        "retrying" => tag(Tone::Warn, "retrying"),
        other => tag(Tone::Plain, other),
    }
}

/// How an execution went.
pub(crate) fn execution(word: &str) -> Markup {
    match word {
        "success" => tag(Tone::Good, "success"),
        "fail" => tag(Tone::Bad, "fail"),
        other => tag(Tone::Plain, other),
    }
}
