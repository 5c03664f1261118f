//! What is kept of the content of one exchange while it goes on.

use std::sync::Arc;

use super::{
    Budget, Content, MAX_CONNECTION_CONTENT, Omission,
    budget::Cut,
    buffer::{Buffer, Room},
    media,
    redaction::redacted,
};
use crate::{policy::plan::ContentPlan, protocol::Headers};

/// Which message of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::exchange) enum Which {
    Request,
    Response,
}

/// What is kept of one message.
#[derive(Debug)]
enum Kept {
    /// Its first bytes, and whether its end came behind them.
    Bytes { buffer: Buffer, ended: bool },
    /// Nothing, since it will not be given out.
    Withheld(Omission),
}

/// The content of both messages of an exchange, as far as its plan keeps it.
#[derive(Debug)]
pub(in crate::exchange) struct Keeping {
    plan: Arc<ContentPlan>,
    budget: Arc<Budget>,
    kept: [Option<Kept>; 2],
}

impl Keeping {
    pub(in crate::exchange) fn new(plan: &Arc<ContentPlan>, budget: &Arc<Budget>) -> Self {
        Self { plan: Arc::clone(plan), budget: Arc::clone(budget), kept: [None, None] }
    }

    /// The next bytes of the content of a message with these header fields, without transfer coding. `held` is what all exchanges of its
    /// connection hold, this one included.
    pub(in crate::exchange) fn body(&mut self, which: Which, headers: &Headers, bytes: &[u8], held: usize) {
        let (limit, budget) = (self.plan.max_bytes as usize, Arc::clone(&self.budget));
        let connection = MAX_CONNECTION_CONTENT.max(2 * limit).saturating_sub(held);
        if let Some(Kept::Bytes { buffer, .. }) = self.of(which, headers) {
            buffer.push(bytes, Room { limit, connection, budget: &budget });
        }
    }

    /// Bytes of a message were not seen.
    pub(in crate::exchange) fn gap(&mut self, which: Which, headers: &Headers) {
        if let Some(Kept::Bytes { buffer, .. }) = self.of(which, headers) {
            buffer.gap();
        }
    }

    /// A message ended as its framing says.
    pub(in crate::exchange) fn end(&mut self, which: Which) {
        if let Some(Kept::Bytes { ended, .. }) = &mut self.kept[which as usize] {
            *ended = true;
        }
    }

    /// A text in this message is sent in many parts, in which no pattern finds what two of them make: it is given out without, or not at all.
    pub(in crate::exchange) fn came_in_parts(&mut self, which: Which) {
        let kept = &mut self.kept[which as usize];
        if let Some(Kept::Bytes { .. }) = kept
            && !self.plan.patterns.is_empty()
        {
            self.budget.give_back(kept.as_ref().map_or(0, Kept::held));
            self.budget.count_withheld(Omission::InParts);
            *kept = Some(Kept::Withheld(Omission::InParts));
        }
    }

    /// Whether the plan asks for the content of this message.
    pub(in crate::exchange) fn wants(&self, which: Which) -> bool {
        match which {
            Which::Request => self.plan.capture.has_requests(),
            Which::Response => self.plan.capture.has_responses(),
        }
    }

    /// Bytes of the budget that this holds.
    pub(in crate::exchange) fn held(&self) -> usize {
        self.kept.iter().flatten().map(Kept::held).sum()
    }

    /// The content of a message, redacted; `None` if it had none, or none that the plan asks for.
    pub(in crate::exchange) fn give_out(&mut self, which: Which) -> Option<Box<Content>> {
        let kept = self.kept[which as usize].take()?;
        self.budget.give_back(kept.held());
        let (buffer, ended) = match kept {
            Kept::Bytes { buffer, ended } => (buffer, ended),
            Kept::Withheld(why) => return Some(Box::new(Content { text: None, incomplete: Some(why) })),
        };
        let cut = buffer.cut().map(Cut::omission).or((!ended).then_some(Omission::NotSeen));
        let content = match redacted(&self.plan, buffer.into_bytes(), cut.is_none()) {
            Ok((text, shortened)) => Content {
                text: (!text.is_empty()).then(|| text.into_boxed_str()),
                incomplete: cut.or(shortened.then_some(Omission::Size)),
            },
            Err(why) => {
                self.budget.count_withheld(why);
                Content { text: None, incomplete: Some(why) }
            }
        };
        Some(Box::new(content))
    }

    /// What is kept of a message of which content came; `None` if the plan does not ask for it.
    fn of(&mut self, which: Which, headers: &Headers) -> Option<&mut Kept> {
        let asked = self.wants(which);
        let (plan, budget) = (&self.plan, &self.budget);
        asked.then(|| self.kept[which as usize].get_or_insert_with(|| Kept::begin(plan, headers, budget)))
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        self.budget.give_back(self.held());
    }
}

impl Kept {
    /// Nothing is kept of what will not be given out in any case.
    fn begin(plan: &ContentPlan, headers: &Headers, budget: &Budget) -> Self {
        let why = if !media::is_plain(headers) {
            Omission::Encoded
        } else if !plan.paths.is_empty() && !media::is_json(headers) {
            Omission::NotJson
        } else {
            return Self::Bytes { buffer: Buffer::default(), ended: false };
        };
        budget.count_withheld(why);
        Self::Withheld(why)
    }

    fn held(&self) -> usize {
        match self {
            Self::Bytes { buffer, .. } => buffer.held(),
            Self::Withheld(_) => 0,
        }
    }
}
