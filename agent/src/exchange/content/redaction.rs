//! Bytes of content -> text without what a policy wants overwritten.

use super::{
    Omission, json,
    span::{Span, overwrite},
};
use crate::policy::{Pattern, plan::ContentPlan};

/// What the patterns of a policy may take in one content, in comparisons of a byte ([`Pattern::work`]). Each goes over the text once, whatever
/// it finds; then the search for the next match may look again as far as the longest match reaches, without a longest match as far as the text
/// does. Enough for 256 positions and 1 MiB.
const WORK: u64 = 1 << 28;
/// Matches that are remembered.
const MATCHES: usize = 1 << 18;

/// Text that may be given out, and whether something was cut off at its end; or why there is none.
///
/// `whole` says that the bytes are all of the content. Of a content that was cut short, what a pattern finds only together with bytes that are
/// not there must not be seen either: as much of its end is left out as the longest match can take, and everything if a pattern has no longest
/// match, or if values are selected by JSON path.
pub(super) fn redacted(plan: &ContentPlan, bytes: Vec<u8>, whole: bool) -> Result<(String, bool), Omission> {
    let text = text(bytes, whole)?;
    let mut spans = Vec::new();
    if !plan.paths.is_empty() {
        if !whole {
            return Err(Omission::CutShort);
        }
        spans = selected(plan, &text)?;
    }
    Redactor::new(plan).overwrite(text, whole, spans)
}

/// A JSON document, all of it, in which the values are overwritten that the paths of the policy select. What its patterns find is still there.
pub(in crate::exchange) fn without_paths(plan: &ContentPlan, document: Vec<u8>) -> Result<String, Omission> {
    let text = text(document, true)?;
    let (spans, end) = (selected(plan, &text)?, text.len());
    Ok(overwrite(text, end, spans, usize::MAX).0)
}

fn selected(plan: &ContentPlan, text: &str) -> Result<Vec<Span>, Omission> {
    let values = json::select(text, &plan.paths).ok_or(Omission::NotJson)?;
    Ok(values.into_iter().map(|range| Span { range, json: true }).collect())
}

/// Overwrites what the patterns of a policy find in the texts of one content.
#[derive(Debug)]
pub(in crate::exchange) struct Redactor<'p> {
    plan: &'p ContentPlan,
    /// What they may still take.
    left: u64,
}

impl<'p> Redactor<'p> {
    pub(in crate::exchange) const fn new(plan: &'p ContentPlan) -> Self {
        Self { plan, left: WORK }
    }

    /// A text that may be given out, and whether something was cut off at its end; or why there is none. `whole` says that the end of the text
    /// is there.
    pub(in crate::exchange) fn text(&mut self, text: String, whole: bool) -> Result<(String, bool), Omission> {
        self.overwrite(text, whole, Vec::new())
    }

    fn overwrite(&mut self, text: String, whole: bool, mut spans: Vec<Span>) -> Result<(String, bool), Omission> {
        let mut end = text.len();
        for pattern in &self.plan.patterns {
            if !whole {
                end = end.min(text.len().saturating_sub(pattern.longest.ok_or(Omission::CutShort)?));
            }
            find(pattern, &text, &mut self.left, &mut spans)?;
        }
        if end == 0 && !text.is_empty() {
            return Err(Omission::CutShort);
        }
        Ok(overwrite(text, end, spans, self.plan.max_bytes as usize))
    }
}

/// All that a pattern finds. Each is looked for in the text as it was sent: what another redaction overwrites cannot hide it.
fn find(pattern: &Pattern, text: &str, left: &mut u64, spans: &mut Vec<Span>) -> Result<(), Omission> {
    let mut spend = |bytes: usize| {
        *left = left.checked_sub(pattern.work(bytes as u64)).ok_or(Omission::RedactionCost)?;
        Ok(())
    };
    spend(text.len())?;
    for found in pattern.regex.find_iter(text) {
        let ahead = text.len() - found.start();
        spend(pattern.longest.map_or(ahead, |longest| longest.min(ahead)))?;
        if spans.len() >= MATCHES {
            return Err(Omission::RedactionCost);
        }
        spans.push(Span { range: found.range(), json: false });
    }
    Ok(())
}

/// The bytes as text. A character that the end cuts is left out. NUL is in no text, but in UTF-16 and in binary formats, which would hide
/// from patterns what is written in them.
fn text(mut bytes: Vec<u8>, whole: bool) -> Result<String, Omission> {
    if !whole
        && let Err(error) = std::str::from_utf8(&bytes)
        && error.error_len().is_none()
    {
        bytes.truncate(error.valid_up_to());
    }
    if memchr::memchr(0, &bytes).is_some() {
        return Err(Omission::NotText);
    }
    String::from_utf8(bytes).map_err(|_| Omission::NotText)
}
