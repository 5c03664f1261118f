//! What is said in a call, in the form of the conventions (standards of generative AI: messages with parts), where a policy's `content` asks for it:
//! read out of the decoded items beside everything else, so that compressed and streamed content works too, redacted, and within bounds. Bytes of
//! pictures, sound and documents are not kept.

mod filling;
mod messages;
mod part;
mod request;
mod response;
mod table;
#[cfg(test)]
mod tests;
mod writing;

use std::{fmt, sync::Arc};

use self::{
    filling::Filling,
    part::Kind,
    table::{MESSAGES, REQUEST, RESPONSE, Table},
    writing::{Withheld, Writer},
};
use crate::{
    exchange::{
        Budget, Omission,
        content::{Cut, Redactor, Which, without_paths},
    },
    policy::plan::ContentPlan,
    protocol::body::json::{Outcome, Scanner},
};

/// Least room that is taken from the budget.
const FIRST: usize = 1024;

/// What is kept of what is said in a call. Each text is JSON in the form that the conventions give to the attribute of its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallContent {
    /// `gen_ai.system_instructions`: those that are told apart from the messages.
    pub system_instructions: Option<Box<str>>,
    /// `gen_ai.input.messages`
    pub input_messages: Option<Box<str>>,
    /// `gen_ai.tool.definitions`
    pub tool_definitions: Option<Box<str>>,
    /// Why those are not all that was sent, or absent.
    pub input_incomplete: Option<Omission>,
    /// `gen_ai.output.messages`
    pub output_messages: Option<Box<str>>,
    /// Why they are not all that was answered, or absent.
    pub output_incomplete: Option<Omission>,
}

/// Whose content is kept, and within what.
#[derive(Clone, Debug)]
pub(in crate::exchange) struct Kept {
    pub(in crate::exchange) plan: Arc<ContentPlan>,
    pub(in crate::exchange) budget: Arc<Budget>,
}

/// What is gathered of the content of one message over HTTP.
pub(in crate::exchange) struct Gathering {
    plan: Arc<ContentPlan>,
    budget: Arc<Budget>,
    which: Which,
    table: &'static Table,
    scanner: Scanner<'static>,
    filling: Filling,
    /// Where the policy redacts by path: the document, which is read when it is whole and redacted.
    document: Option<Vec<u8>>,
    items: u64,
    /// The stream said that nothing more comes.
    over: bool,
    /// Bytes of the budget that it has.
    reserved: usize,
    withheld: Option<Omission>,
}

/// Without content: it is not redacted.
impl fmt::Debug for Gathering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gathering")
            .field("items", &self.items)
            .field("withheld", &self.withheld)
            .finish_non_exhaustive()
    }
}

impl Gathering {
    /// Of a call of a language model; `None` if the policy does not keep this message.
    pub(super) fn of(kept: Option<&Kept>, which: Which) -> Option<Box<Self>> {
        let table = match which {
            Which::Request => &*REQUEST,
            Which::Response => &*RESPONSE,
        };
        Self::by(table, kept, which)
    }

    /// Of messages of JSON-RPC.
    pub(in crate::exchange) fn of_messages(kept: Option<&Kept>, which: Which) -> Option<Box<Self>> {
        Self::by(&MESSAGES, kept, which)
    }

    fn by(table: &'static Table, kept: Option<&Kept>, which: Which) -> Option<Box<Self>> {
        let Kept { plan, budget } = kept?;
        let wanted = match which {
            Which::Request => plan.capture.has_requests(),
            Which::Response => plan.capture.has_responses(),
        };
        wanted.then(|| {
            let limit = plan.max_bytes as usize;
            Box::new(Self {
                plan: Arc::clone(plan),
                budget: Arc::clone(budget),
                which,
                table,
                scanner: Scanner::new(&table.paths, limit),
                filling: Filling::new(table, limit),
                document: (!plan.paths.is_empty()).then(Vec::new),
                items: 0,
                over: false,
                reserved: 0,
                withheld: None,
            })
        })
    }

    /// An item begins.
    pub(in crate::exchange) fn begin(&mut self) {
        self.items += 1;
        if self.items > 1 {
            self.is_stream();
        }
    }

    /// It is a stream or an array: the paths of a policy are those of a document that is the whole content.
    pub(in crate::exchange) fn is_stream(&mut self) {
        if self.document.is_some() {
            self.withhold(Omission::NotJson);
        }
    }

    pub(in crate::exchange) fn bytes(&mut self, bytes: &[u8]) {
        if self.withheld.is_some() {
            return;
        }
        match &mut self.document {
            None => self.scanner.push(bytes, &mut self.filling),
            Some(document) if document.len() + bytes.len() > self.plan.max_bytes as usize => {
                return self.withhold(Omission::CutShort);
            }
            Some(document) => document.extend_from_slice(bytes),
        }
        self.settle();
    }

    /// The item is over; `whole` if all of it was there.
    pub(in crate::exchange) fn end(&mut self, whole: bool) {
        if self.withheld.is_some() {
            return;
        }
        if let Some(document) = self.document.take() {
            if !whole {
                return self.withhold(Omission::CutShort);
            }
            match without_paths(&self.plan, document) {
                Ok(redacted) => self.scanner.push(redacted.as_bytes(), &mut self.filling),
                Err(why) => return self.withhold(why),
            }
            // Nothing may follow.
            self.document = Some(Vec::new());
        }
        let outcome = self.scanner.end();
        self.filling.end();
        if !whole || outcome == Outcome::Cut {
            self.lost();
        }
        self.settle();
    }

    /// Something was not seen: nothing behind it is kept.
    pub(in crate::exchange) fn cut(&mut self) {
        if self.document.is_some() && self.items == 0 {
            self.withhold(Omission::CutShort);
        }
        if !self.over {
            self.lost();
        }
    }

    /// The stream said that nothing more comes: clients may leave the rest of the message unread.
    pub(in crate::exchange) fn is_over(&mut self) {
        self.over = true;
    }

    fn lost(&mut self) {
        self.filling.room.closed.get_or_insert(Omission::NotSeen);
    }

    /// Nothing of it will be given out: nothing is kept.
    fn withhold(&mut self, why: Omission) {
        self.withheld.get_or_insert(why);
        self.document = self.document.is_some().then(Vec::new);
        self.filling = Filling::new(self.table, 0);
        self.scanner = Scanner::new(&self.table.paths, 0);
        self.budget.give_back(self.reserved);
        self.reserved = 0;
    }

    /// Takes what it holds from the budget, in steps.
    fn settle(&mut self) {
        let document = self.document.as_ref().map_or(0, Vec::capacity);
        let held = self.scanner.held() + self.filling.held() + document;
        if held > self.reserved {
            let wanted = held.next_power_of_two().max(FIRST);
            if self.budget.take(wanted - self.reserved) {
                self.reserved = wanted;
            } else {
                self.budget.count_cut(Cut::Worker, held);
                self.withhold(Omission::AgentLimit);
            }
        }
    }

    /// All that was gathered, redacted. `complete` if the message ended as its framing says.
    fn finish(
        mut self: Box<Self>,
        complete: bool,
        write: impl FnOnce(part::Conversation, &mut Writer<'_>) -> Result<(), Withheld>,
    ) -> Option<Omission> {
        if self.withheld.is_none() && !complete && !self.over {
            if self.document.as_ref().is_some_and(|document| !document.is_empty()) {
                self.withhold(Omission::CutShort);
            }
            self.lost();
        }
        if let Some(why) = self.withheld {
            self.budget.count_withheld(why);
            return Some(why);
        }
        let limit = self.plan.max_bytes as usize;
        let filling = std::mem::replace(&mut self.filling, Filling::new(self.table, 0));
        let closed = filling.room.closed;
        let mut conversation = filling.into_conversation();
        if conversation.messages.is_empty() && conversation.system.is_empty() && conversation.tools.is_empty() {
            return closed.filter(|_| self.items > 0);
        }
        if closed.is_some() && self.which == Which::Response && !self.table.is_of_messages {
            // Any text of a stream may have gone on.
            let parts = conversation.messages.iter_mut().flat_map(|message| &mut message.parts);
            parts.for_each(|part| part.cut = true);
        }
        let mut writer = Writer::new(Redactor::new(&self.plan), limit);
        let why = match write(conversation, &mut writer) {
            Err(Withheld(why)) => Some(why),
            Ok(()) if writer.withholds_all() => Some(Omission::CutShort),
            Ok(()) => closed.or(writer.full.then_some(Omission::Size)),
        };
        if let Some(why) = why.filter(|why| Omission::WITHHELD.contains(why)) {
            self.budget.count_withheld(why);
        }
        why
    }
}

impl Gathering {
    /// What messages of JSON-RPC say, those that are there whole, each with the id of its message: arguments of a request or the result of an answer,
    /// as JSON and redacted.
    pub(in crate::exchange) fn into_messages(self: Box<Self>, complete: bool) -> Vec<(Box<str>, Box<str>)> {
        let mut said = Vec::new();
        let which = self.which;
        self.finish(complete, |conversation, writer| {
            let wanted = if which == Which::Request { Kind::Call } else { Kind::Response };
            for message in conversation.messages {
                let part = message.parts.into_iter().find(|part| part.kind == Some(wanted) && !part.cut);
                if let (Some(id), Some(part)) = (message.call_id, part)
                    && let Some(json) = writer.json(part)?
                {
                    said.push((id, json.into()));
                }
            }
            Ok(())
        });
        said
    }
}

impl Drop for Gathering {
    fn drop(&mut self) {
        self.budget.give_back(self.reserved);
    }
}

impl CallContent {
    /// Takes what was gathered of the request.
    pub(super) fn take_request(&mut self, gathered: Box<Gathering>, complete: bool) {
        self.input_incomplete = gathered.finish(complete, |conversation, writer| {
            let system = writer.instructions(conversation.system)?;
            let messages = writer.messages(conversation.messages, None)?;
            self.tool_definitions = writer.tools(conversation.tools)?;
            (self.system_instructions, self.input_messages) = (system, messages);
            Ok(())
        });
    }

    /// Takes what was gathered of the answer. `finish` tells why a choice ended; empty where that was not told.
    pub(super) fn take_response(&mut self, gathered: Box<Gathering>, complete: bool, finish: &dyn Fn(u32) -> String) {
        self.output_incomplete = gathered.finish(complete, |conversation, writer| {
            self.output_messages = writer.messages(conversation.messages, Some(finish))?;
            Ok(())
        });
    }
}
