//! Tool calls out of the pieces in which they are told.

use super::{MAX_LISTED, ToolCall};

/// Most values of one document that wait for its end.
const MAX_PENDING: usize = 4 * MAX_LISTED;

/// What is told of a tool call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// That there is one.
    There,
    Id,
    /// An id that holds over [`Self::Id`].
    CallId,
    Name,
    /// What sort of block it is.
    Kind,
}

/// A tool call of the document that is being read.
#[derive(Debug, Default)]
struct Pending {
    at: (u32, u32),
    /// It is one only if its kind says so.
    block: bool,
    /// It is told here again.
    again: bool,
    kind: Option<Box<str>>,
    index: Option<u32>,
    id: Option<Box<str>>,
    call_id: Option<Box<str>>,
    name: Option<Box<str>>,
}

/// A tool call that was told.
#[derive(Debug)]
struct Told {
    /// Choice, and number within it, by which later pieces name it.
    key: Option<(u32, u32)>,
    call: ToolCall,
}

/// Tool calls of an answer.
#[derive(Debug, Default)]
pub(super) struct Tools {
    told: Vec<Told>,
    pending: Vec<Pending>,
}

impl Tools {
    /// A part of the tool call at this place of the document. Empty text says nothing.
    pub(super) fn part(&mut self, part: Part, block: bool, again: bool, at: &[u32], text: Option<&str>) {
        let text = text.filter(|text| !text.is_empty());
        if text.is_none() && part != Part::There {
            return;
        }
        let Some(pending) = self.at(block, at) else { return };
        pending.again |= again;
        let place = match part {
            Part::There => return,
            Part::Id => &mut pending.id,
            Part::CallId => &mut pending.call_id,
            Part::Name => &mut pending.name,
            Part::Kind => &mut pending.kind,
        };
        *place = text.map(Into::into);
    }

    /// The number of the tool call at this place.
    pub(super) fn index(&mut self, at: &[u32], index: u32) {
        if let Some(pending) = self.at(false, at) {
            pending.index = Some(index);
        }
    }

    fn at(&mut self, block: bool, at: &[u32]) -> Option<&mut Pending> {
        let at = (at.first().copied().unwrap_or(0), at.get(1).copied().unwrap_or(0));
        let known = self.pending.iter().rposition(|pending| pending.at == at && pending.block == block);
        let index = match known {
            Some(index) => index,
            None if self.pending.len() < MAX_PENDING => {
                self.pending.push(Pending { at, block, ..Pending::default() });
                self.pending.len() - 1
            }
            None => return None,
        };
        self.pending.get_mut(index)
    }

    /// The document is over. `choice` gives the number of the choice at a place.
    pub(super) fn end_document(&mut self, choice: impl Fn(u32) -> u32) {
        let none_yet = self.told.is_empty();
        for pending in std::mem::take(&mut self.pending) {
            let kind = pending.kind.as_deref().unwrap_or_default();
            if pending.block && !is_call(kind) || pending.again && !none_yet {
                continue;
            }
            // What the provider runs itself is named by its kind, and its id is the item's; of other items that is not the id of the call.
            let asks = matches!(kind, "function_call" | "custom_tool_call");
            let by_kind = || kind.strip_suffix("_call").filter(|_| pending.block && !asks).map(Into::into);
            let name = pending.name.or_else(by_kind);
            let call = ToolCall { id: pending.call_id.or(pending.id.filter(|_| !asks)), name };
            let key = pending.index.map(|index| (choice(pending.at.0), index));
            self.tell(key, call);
        }
    }

    fn tell(&mut self, key: Option<(u32, u32)>, call: ToolCall) {
        if call == ToolCall::default() {
            return;
        }
        let agrees =
            |one: &Option<Box<str>>, other: &Option<Box<str>>| one.is_none() || other.is_none() || one == other;
        let same = |told: &Told| match (key, &call.id) {
            (Some(_), _) => told.key == key && agrees(&told.call.id, &call.id) && agrees(&told.call.name, &call.name),
            (None, Some(_)) => told.call.id == call.id,
            (None, None) => false,
        };
        if let Some(index) = self.told.iter().rposition(same) {
            let told = &mut self.told[index].call;
            told.id = told.id.take().or(call.id);
            told.name = told.name.take().or(call.name);
        } else if self.told.len() < MAX_LISTED {
            self.told.push(Told { key, call });
        }
    }

    /// How many were told.
    pub(super) fn count(&self) -> usize {
        self.told.len()
    }

    /// In the order in which they came.
    pub(super) fn into_calls(self) -> Vec<ToolCall> {
        self.told.into_iter().map(|told| told.call).collect()
    }
}

/// Whether a block of this kind is a tool call: those of Anthropic, and the items of OpenAI's responses.
fn is_call(kind: &str) -> bool {
    matches!(kind, "tool_use" | "server_tool_use" | "mcp_tool_use") || kind.ends_with("_call")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(tools: Tools) -> Vec<(String, String)> {
        let text = |text: Option<Box<str>>| text.map_or_else(|| "-".to_owned(), Into::into);
        tools.into_calls().into_iter().map(|call| (text(call.id), text(call.name))).collect()
    }

    /// One fragment of a streamed call: choice, index, id, name.
    fn fragment(tools: &mut Tools, choice: u32, index: u32, id: &str, name: &str) {
        tools.index(&[0, 0], index);
        tools.part(Part::Id, false, false, &[0, 0], Some(id));
        tools.part(Part::Name, false, false, &[0, 0], Some(name));
        tools.end_document(|_| choice);
    }

    #[test]
    fn fragments_are_of_one_call() {
        let mut tools = Tools::default();
        fragment(&mut tools, 0, 0, "a", "weather");
        fragment(&mut tools, 0, 0, "", "");
        fragment(&mut tools, 0, 1, "b", "");
        fragment(&mut tools, 0, 1, "", "time");
        fragment(&mut tools, 1, 0, "c", "weather");
        fragment(&mut tools, 0, 0, "a", "weather");
        // Another call under the same number, as servers tell that number none.
        fragment(&mut tools, 0, 0, "d", "date");
        let expected = [("a", "weather"), ("b", "time"), ("c", "weather"), ("d", "date")];
        assert_eq!(told(tools), expected.map(|(id, name)| (id.to_owned(), name.to_owned())));
    }

    #[test]
    fn bounds_hold() {
        let mut tools = Tools::default();
        for at in 0..10_000 {
            tools.part(Part::Name, false, false, &[at], Some("x"));
        }
        tools.end_document(|at| at);
        assert_eq!(tools.into_calls().len(), MAX_LISTED);
    }
}
