//! The Advanced Search: a drop-down at the top right, opened by the red arrow, open when something is searched for.

use maud::{Markup, html};

use super::icon;

/// The drop-down. `fields` are those of a form that is sent to `action` by `GET`; `clear` leads to the list without a search.
pub(crate) fn advanced_search(is_open: bool, action: &str, clear: &str, fields: &Markup) -> Markup {
    html! {
        details.advanced #search open[is_open] {
            summary { "Advanced Search " (icon::arrow()) }
            search {
                form.search method="get" action=(action) {
                    (fields)
                    div.acts {
                        button.btn.primary { "Search" }
                        @if is_open { a.btn.quiet href=(clear) { "Clear" } }
                    }
                }
            }
        }
    }
}
