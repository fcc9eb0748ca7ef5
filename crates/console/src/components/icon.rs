//! Icons: lines in the colour of the text around them, 16 pixels. Hidden from screen readers; what they stand for is said beside them.

use maud::{Markup, html};

/// Name and line of each.
const ICONS: &[(&str, &str)] = &[
    ("logs", "M3 2.5h10v11H3zM5.5 5.5h5M5.5 8h5M5.5 10.5h3"),
    ("bin", "M2.5 4.5h11M6 4.5v-2h4v2M4 4.5l.7 9h6.6l.7-9M6.7 7v4M9.3 7v4"),
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

/// An arrow that points down, or up where its drop-down is open.
pub(crate) fn arrow() -> Markup {
    html! { svg.arrow width="12" height="12" viewBox="0 0 12 12" aria-hidden="true" { path d="M1.5 3.5h9L6 9.5z" {} } }
}
