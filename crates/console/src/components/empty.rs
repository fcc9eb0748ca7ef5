//! What stands where there is nothing yet: what to do first.

use maud::{Markup, html};

/// A title, a sentence, and what to do.
pub(crate) fn empty(title: &str, sentence: &str, act: &Markup) -> Markup {
    html! { div.empty { h2 { (title) } p { (sentence) } (act) } }
}
