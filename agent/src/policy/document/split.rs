//! The documents of a file, before they are parsed: a broken one must not take the others with it.

/// One document of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chunk<'a> {
    /// Line of the file at which it begins, from 1.
    pub(super) line: u32,
    /// Its bytes, with the `---` that opens it.
    pub(super) bytes: &'a [u8],
}

/// Cuts a file at its document markers. A line that begins with `---` or `...` is one wherever it stands, even inside a quoted or a block scalar
/// (YAML 1.2.2, production 206 `c-forbidden`), so no parser is needed to find them.
pub(super) fn split(bytes: &[u8]) -> Vec<Chunk<'_>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut chunks = Vec::new();
    let (mut begin, mut begin_line) = (0, 1);
    // Directives and comments before `---` belong to the document that it opens.
    let mut has_content = false;
    let (mut at, mut line) = (0, 1);
    while at < bytes.len() {
        let end = memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |newline| at + newline + 1);
        let text = &bytes[at..end];
        if is_marker(text, b"---") {
            if has_content {
                chunks.push(Chunk { line: begin_line, bytes: &bytes[begin..at] });
                (begin, begin_line) = (at, line);
            }
            has_content = true;
        } else if is_marker(text, b"...") {
            if has_content {
                chunks.push(Chunk { line: begin_line, bytes: &bytes[begin..at] });
            }
            (begin, begin_line) = (end, line + 1);
            has_content = false;
        } else if !is_blank(text) {
            has_content = true;
        }
        (at, line) = (end, line.saturating_add(1));
    }
    if has_content {
        chunks.push(Chunk { line: begin_line, bytes: &bytes[begin..] });
    }
    chunks
}

fn is_marker(line: &[u8], marker: &[u8]) -> bool {
    line.strip_prefix(marker).is_some_and(|rest| rest.first().is_none_or(u8::is_ascii_whitespace))
}

/// Nothing, a comment or a directive.
fn is_blank(line: &[u8]) -> bool {
    line.first() == Some(&b'%') || line.trim_ascii_start().first().is_none_or(|&first| first == b'#')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<(u32, &str)> {
        split(text.as_bytes())
            .into_iter()
            .map(|chunk| (chunk.line, std::str::from_utf8(chunk.bytes).unwrap()))
            .collect()
    }

    #[test]
    fn documents_are_cut_at_their_markers_and_keep_their_lines() {
        assert_eq!(lines("a: 1\n---\nb: 2\n--- c\n"), [(1, "a: 1\n"), (2, "---\nb: 2\n"), (4, "--- c\n")]);
        assert_eq!(lines("a: 1\n...\n# of b\n---\nb: 2"), [(1, "a: 1\n"), (3, "# of b\n---\nb: 2")]);
        assert_eq!(lines("%YAML 1.2\n---\na: 1\n"), [(1, "%YAML 1.2\n---\na: 1\n")]);
    }

    #[test]
    fn nothing_is_no_document() {
        assert_eq!(lines(""), []);
        assert_eq!(lines("\n# only words\n"), []);
        assert_eq!(lines("\u{feff}a: 1"), [(1, "a: 1")]);
    }

    #[test]
    fn longer_dashes_are_text() {
        assert_eq!(lines("a: |\n  x\n----\nb\n"), [(1, "a: |\n  x\n----\nb\n")]);
    }
}
