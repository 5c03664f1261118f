//! Stretches of a text that are overwritten.

use std::ops::Range;

/// What stands in the place of what is overwritten.
const REDACTED: &str = "REDACTED";

/// A stretch of a text that must not be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// Bytes, at boundaries of characters.
    pub(super) range: Range<usize>,
    /// It is a value of a JSON text, and a JSON value takes its place.
    pub(super) json: bool,
}

/// Each byte that is in a span, in one span; those of patterns that touch are one.
fn union(mut spans: Vec<Span>) -> Vec<Span> {
    spans.retain(|span| !span.range.is_empty());
    // Of those that begin together, first the one that has the others in it.
    spans.sort_unstable_by_key(|span| (span.range.start, usize::MAX - span.range.end, !span.json));
    let mut union: Vec<Span> = Vec::with_capacity(spans.len());
    for span in spans {
        match union.last_mut() {
            Some(last)
                if span.range.start < last.range.end
                    || span.range.start == last.range.end && !span.json && !last.json =>
            {
                if span.range.end > last.range.end {
                    last.range.end = span.range.end;
                    last.json = false;
                }
            }
            _ => union.push(span),
        }
    }
    union
}

/// The first `end` bytes of a text, each span of them overwritten, in at most `limit` bytes; and whether that cut something off.
pub(super) fn overwrite(text: String, end: usize, spans: Vec<Span>, limit: usize) -> (String, bool) {
    let end = text.floor_char_boundary(end);
    let mut out = text;
    if spans.is_empty() {
        out.truncate(end);
    } else {
        let text = std::mem::take(&mut out);
        let mut at = 0;
        for Span { range, json } in union(spans) {
            if range.start >= end || out.len() > limit {
                break;
            }
            out.push_str(&text[at..range.start]);
            if json {
                out.push('"');
            }
            out.push_str(REDACTED);
            if json {
                out.push('"');
            }
            at = range.end;
        }
        out.push_str(text.get(at..end).unwrap_or_default());
    }
    let cut = out.len() > limit;
    if cut {
        out.truncate(out.floor_char_boundary(limit));
    }
    (out, cut)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spans(ranges: &[(usize, usize, bool)]) -> Vec<Span> {
        ranges.iter().map(|&(start, end, json)| Span { range: start..end, json }).collect()
    }

    fn overwritten(text: &str, end: usize, ranges: &[(usize, usize, bool)], limit: usize) -> String {
        overwrite(text.to_owned(), end, spans(ranges), limit).0
    }

    #[test]
    fn what_overlaps_is_one() {
        let text = "0123456789";
        assert_eq!(overwritten(text, 10, &[], 99), text);
        assert_eq!(overwritten(text, 10, &[(2, 4, false), (3, 6, false), (6, 7, false)], 99), "01REDACTED789");
        assert_eq!(overwritten(text, 10, &[(2, 6, true), (3, 4, false)], 99), "01\"REDACTED\"6789");
        assert_eq!(overwritten(text, 10, &[(3, 4, false), (2, 6, true), (2, 3, false)], 99), "01\"REDACTED\"6789");
        assert_eq!(overwritten(text, 10, &[(2, 6, true), (5, 8, false)], 99), "01REDACTED89");
        assert_eq!(overwritten(text, 10, &[(2, 4, false), (4, 6, true)], 99), "01REDACTED\"REDACTED\"6789");
        assert_eq!(overwritten(text, 10, &[(4, 4, false)], 99), text);
    }

    #[test]
    fn an_end_inside_a_span_shows_nothing_of_it() {
        let text = "0123456789";
        assert_eq!(overwritten(text, 5, &[(2, 8, false)], 99), "01REDACTED");
        assert_eq!(overwritten(text, 2, &[(2, 8, false)], 99), "01");
        assert_eq!(overwritten("aä", 2, &[], 99), "a");
        assert_eq!(overwrite("aä".to_owned(), 3, Vec::new(), 2), ("a".to_owned(), true));
        assert_eq!(
            overwrite("1a1a1a".to_owned(), 6, spans(&[(0, 1, false), (2, 3, false)]), 10),
            ("REDACTEDaR".to_owned(), true)
        );
    }

    proptest! {
        /// No byte of a span comes out, whatever spans there are, and all others do.
        #[test]
        fn what_is_in_a_span_is_not_seen(
            length in 0_usize..60,
            ranges in proptest::collection::vec((0_usize..60, 0_usize..20, any::<bool>()), 0..8),
            end in 0_usize..60,
        ) {
            let letters: String = (0..length).map(|index| char::from(b'a' + (index % 26) as u8)).collect();
            let ranges: Vec<_> =
                ranges.into_iter().map(|(start, more, json)| (start.min(length), (start + more).min(length), json)).collect();
            let end = end.min(length);
            let hidden = |index: usize| ranges.iter().any(|(start, end, _)| (*start..*end).contains(&index));
            let expected: String = letters.chars().take(end).enumerate().filter(|(index, _)| !hidden(*index)).map(|(_, letter)| letter).collect();
            let shown = overwritten(&letters, end, &ranges, usize::MAX);
            let seen: String = shown.replace("REDACTED", "").chars().filter(char::is_ascii_lowercase).collect();
            prop_assert_eq!(seen, expected);
        }
    }
}
