//! The part of an output that is kept.

use baton_domain::limits::OUTPUT_KEPT_BYTES;

/// The first [`OUTPUT_KEPT_BYTES`] of an output.
#[derive(Debug, Default)]
pub(super) struct Kept {
    bytes: Vec<u8>,
    truncated: bool,
}

impl Kept {
    /// Keeps what there is room for.
    pub(super) fn take(&mut self, chunk: &[u8]) {
        let room = OUTPUT_KEPT_BYTES - self.bytes.len();
        self.truncated |= chunk.len() > room;
        self.bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
    }

    /// Whether there was more than is kept.
    pub(super) fn truncated(&self) -> bool {
        self.truncated
    }

    /// As text. What is not UTF-8 is replaced, and so is NUL, which no PostgreSQL text can hold. A character that the limit cut in two
    /// is left out.
    pub(super) fn into_text(mut self) -> String {
        if self.truncated
            && let Err(error) = std::str::from_utf8(&self.bytes)
            && error.error_len().is_none()
        {
            self.bytes.truncate(error.valid_up_to());
        }
        let text = String::from_utf8(self.bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned());
        if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(chunks: &[&[u8]]) -> (String, bool) {
        let mut kept = Kept::default();
        chunks.iter().for_each(|chunk| kept.take(chunk));
        let truncated = kept.truncated();
        (kept.into_text(), truncated)
    }

    #[test]
    fn the_limit_itself_is_whole_and_one_more_is_not() {
        let limit = vec![b'x'; OUTPUT_KEPT_BYTES];
        assert_eq!(kept(&[&limit]), ("x".repeat(OUTPUT_KEPT_BYTES), false));
        assert_eq!(kept(&[&limit, b"y", b"z"]), ("x".repeat(OUTPUT_KEPT_BYTES), true));
        assert_eq!(kept(&[&limit[1..], b"yz"]), (format!("{}y", "x".repeat(OUTPUT_KEPT_BYTES - 1)), true));
    }

    #[test]
    fn a_character_that_is_cut_in_two_is_left_out() {
        let almost = vec![b'x'; OUTPUT_KEPT_BYTES - 1];
        assert_eq!(kept(&[&almost, "é".as_bytes()]), ("x".repeat(OUTPUT_KEPT_BYTES - 1), true));
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        assert_eq!(kept(&[b"a\xff", "é".as_bytes(), b"\0"]), ("a\u{fffd}é\u{fffd}".into(), false));
        assert_eq!(kept(&[b"a\xc3"]), ("a\u{fffd}".into(), false));
    }
}
