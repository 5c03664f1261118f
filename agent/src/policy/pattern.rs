//! Regular expressions of policies: bounded in memory, linear in the length of the text, and weighed for how many times that length.

use regex::{Regex, RegexBuilder};
use regex_syntax::hir::{Hir, HirKind, Properties};

/// The least that a byte of text costs, in comparisons of a byte: a regular expression does more with each than a comparison.
const LEAST: u64 = 4;

/// A compiled pattern.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// What is looked for.
    pub regex: Regex,
    /// Bytes of the longest text that it can match; `None` if there is no longest.
    pub longest: Option<usize>,
    /// Places of the pattern that a search may be at, all at once: where an engine cannot remember them together, each byte of a text costs as
    /// many steps. `[01]*1[01]{900}` has 903.
    pub positions: u64,
}

impl Pattern {
    /// Compiles a pattern of at most so many bytes of memory, and as many for what a search remembers.
    pub fn new(text: &str, size_limit: usize) -> Result<Self, regex::Error> {
        let regex = RegexBuilder::new(text).size_limit(size_limit).dfa_size_limit(size_limit).build()?;
        // The same parser with the same flags: what compiles is parsed.
        let parsed = regex_syntax::parse(text).map_err(|error| regex::Error::Syntax(error.to_string()))?;
        let longest = Properties::maximum_len(parsed.properties());
        Ok(Self { regex, longest, positions: positions(&parsed) })
    }

    /// What searching so many bytes takes at worst, in comparisons of a byte.
    pub const fn work(&self, bytes: u64) -> u64 {
        let each = if self.positions > LEAST { self.positions } else { LEAST };
        bytes.saturating_mul(each)
    }
}

/// Recursion is bounded by the nesting that the parser accepts.
fn positions(hir: &Hir) -> u64 {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) | HirKind::Class(_) => 1,
        HirKind::Literal(literal) => literal.0.len() as u64,
        HirKind::Repetition(repetition) => {
            let copies = u64::from(repetition.max.unwrap_or(repetition.min).max(1));
            // A repetition that may end is a place of its own.
            let end = u64::from(repetition.max != Some(repetition.min));
            positions(&repetition.sub).saturating_add(end).saturating_mul(copies)
        }
        HirKind::Capture(capture) => positions(&capture.sub).saturating_add(1),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            parts.iter().map(positions).fold(0, u64::saturating_add)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_match_of_a_pattern_is_known() {
        let longest = |pattern: &str| Pattern::new(pattern, 1 << 20).unwrap().longest;
        for (pattern, expected) in [
            ("[0-9]{16}", Some(16)),
            ("a|bcd", Some(3)),
            ("(?i)k{2}", Some(6)),
            (r"\bab?\b", Some(2)),
            (".{0,10}", Some(40)),
            ("[0-9]+", None),
            (".*", None),
        ] {
            assert_eq!(longest(pattern), expected, "{pattern}");
        }
    }

    #[test]
    fn a_pattern_weighs_what_its_parts_do() {
        for (pattern, expected) in [
            ("", 1),
            ("^kube-probe/", 12),
            ("[0-9]{16}", 16),
            ("[0-9]{13,19}", 38),
            (r"\w+", 2),
            ("(a|bcd)", 5),
            ("[01]*1[01]{900}", 903),
            ("(?:[01]{30}){30}", 900),
        ] {
            assert_eq!(Pattern::new(pattern, 1 << 20).unwrap().positions, expected, "{pattern}");
        }
        let pattern = Pattern::new("ab", 1 << 20).unwrap();
        assert_eq!((pattern.work(0), pattern.work(100)), (0, 400));
        assert_eq!(Pattern::new("[ab]{300}", 1 << 20).unwrap().work(100), 30_000);
    }
}
