//! Icons: lines in the colour of the text around them, 16 pixels. Hidden from screen readers; what they stand for is said beside them.

use maud::{Markup, html};

/// Name and line of each.
const ICONS: &[(&str, &str)] = &[
    ("logs", "M3 2.5h10v11H3zM5.5 5.5h5M5.5 8h5M5.5 10.5h3"),
    ("bin", "M2.5 4.5h11M6 4.5v-2h4v2M4 4.5l.7 9h6.6l.7-9M6.7 7v4M9.3 7v4"),
    ("restart", "M13 8a5 5 0 1 1-1.6-3.7M13 2.2v2.9h-2.9"),
    ("run", "M5 3l8 5-8 5z"),
];

/// What the icons are drawn from, once in every page, so that a long table stays small.
pub(crate) fn sheet() -> Markup {
    html! {
        svg.unseen aria-hidden="true" {
            @for (name, path) in ICONS { symbol id={ "icon-" (name) } viewBox="0 0 16 16" { path d=(path) {} } }
        }
    }
}

fn icon(name: &str) -> Markup {
    html! { svg.icon aria-hidden="true" { use href={ "#icon-" (name) } {} } }
}

/// Logs of executions.
pub(crate) fn logs() -> Markup {
    icon("logs")
}

/// Deletion.
pub(crate) fn bin() -> Markup {
    icon("bin")
}

/// A restart.
pub(crate) fn restart() -> Markup {
    icon("restart")
}

/// A run by hand.
pub(crate) fn run() -> Markup {
    icon("run")
}

/// An arrow that points down, or up where its drop-down is open.
pub(crate) fn arrow() -> Markup {
    html! { svg.arrow width="12" height="12" viewBox="0 0 12 12" aria-hidden="true" { path d="M1.5 3.5h9L6 9.5z" {} } }
}
