//! Texts of bounded length.

/// The text, cut between characters to at most so many bytes.
pub(super) fn cut_to(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}
