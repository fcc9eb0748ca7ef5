//! Long texts: a page shows their beginning, and links to the whole.

use maud::{Markup, html};

use super::json;

/// How much markup one text may take on a page, in bytes: four of them stay within what a page may have.
pub(crate) const MARKUP_MAX: usize = 24 * 1024;
/// The longest text whose JSON is indented, in bytes.
const INDENTED_MAX: usize = 128 * 1024;

/// The beginning of a text whose markup takes at most `most` bytes; the whole where it fits.
pub(crate) fn beginning(text: &str, most: usize) -> &str {
    let mut taken = 0;
    let markup = |char: char| match char {
        '&' => "&amp;".len(),
        '<' | '>' => "&lt;".len(),
        '"' => "&quot;".len(),
        other => other.len_utf8(),
    };
    let end = text.char_indices().find(|(_, char)| {
        taken += markup(*char);
        taken > most
    });
    end.map_or(text, |(end, _)| &text[..end])
}

/// A text of at most so many characters, with dots where there is more.
pub(crate) fn short(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A text in a box, indented where it is JSON. Where it is cut, `whole` says where all of it is.
pub(crate) fn boxed(text: &str, whole: Option<&str>) -> Markup {
    let indented = if text.len() <= INDENTED_MAX { json::indented(text) } else { text.to_owned() };
    let shown = beginning(&indented, MARKUP_MAX);
    html! {
        pre.json tabindex="0" { (shown) }
        @if shown.len() < indented.len() {
            p.cut {
                "The beginning is shown, of " (size(text.len())) ". "
                @if let Some(whole) = whole { a.inline href=(whole) { "The whole" } }
            }
        }
    }
}

/// `512 bytes`, `64 KiB`.
pub(crate) fn size(bytes: usize) -> String {
    match bytes {
        ..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{} KiB", bytes.div_ceil(1024)),
        _ => format!("{} MiB", bytes.div_ceil(1_048_576)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_is_cut_between_characters_and_counts_as_markup() {
        assert_eq!(beginning("abc", 3), "abc");
        assert_eq!(beginning("abc", 2), "ab");
        assert_eq!(beginning("äöü", 5), "äö");
        assert_eq!(beginning("<<<", 9), "<<");
        assert_eq!(short("äöü", 2), "äö…");
        let quotes = "\"".repeat(64 * 1024);
        let markup = boxed(&quotes, Some("/whole")).into_string();
        assert!(markup.len() < MARKUP_MAX + 400, "{}", markup.len());
        assert!(markup.contains("of 64 KiB") && markup.contains(r#"href="/whole""#), "{}", &markup[markup.len() - 200..]);
        assert_eq!(boxed("no <json>", None).into_string(), r#"<pre class="json" tabindex="0">no &lt;json&gt;</pre>"#);
        assert!(!boxed("{}", Some("/whole")).into_string().contains("/whole"));
    }
}
