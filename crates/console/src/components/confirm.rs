//! What cannot be undone is asked about first: a drop-down with the question and the button.

use maud::{Markup, html};

/// A drop-down that asks before a form is sent.
pub(crate) struct Confirm<'a> {
    /// What opens it.
    pub(crate) opener: Markup,
    /// What opens it, in words, where `opener` is an icon.
    pub(crate) label: &'a str,
    /// The id of the element that says what it is about, where that is not the whole page.
    pub(crate) about: Option<&'a str>,
    /// What is asked, and what will happen.
    pub(crate) question: Markup,
    /// Where the form is sent.
    pub(crate) action: &'a str,
    /// What the form carries, its token among it.
    pub(crate) fields: Markup,
    /// What the button says.
    pub(crate) button: &'a str,
}

impl Confirm<'_> {
    /// The drop-down with a quiet opener, such as an icon.
    pub(crate) fn shown(&self) -> Markup {
        self.shown_as("")
    }

    /// The drop-down with an opener of this class, such as `btn`.
    pub(crate) fn shown_as(&self, class: &str) -> Markup {
        html! {
            details.confirm data-closes {
                summary class=[(!class.is_empty()).then_some(class)] aria-label=(self.label) aria-describedby=[self.about] title=(self.label) { (self.opener) }
                form.pop method="post" action=(self.action) {
                    (self.fields)
                    p { (self.question) }
                    div.acts {
                        button.btn.danger { (self.button) }
                        // Without the script, what opened the drop-down closes it.
                        button.btn type="button" data-cancel hidden { "Cancel" }
                    }
                }
            }
        }
    }
}
