//! From page to page of a list.

use maud::{Markup, html};

/// Links to the first page and to the next one; nothing where all is on one page.
pub(crate) fn pager(is_first: bool, first: &str, next: Option<&str>) -> Markup {
    html! {
        @if !is_first || next.is_some() {
            nav.pager aria-label="Pages" {
                @if !is_first { a.btn href=(first) { "First page" } }
                @if let Some(next) = next { a.btn rel="next" href=(next) { "Next page" } }
            }
        }
    }
}
