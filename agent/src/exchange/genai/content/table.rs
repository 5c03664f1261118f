//! Which members of JSON are content, in all formats at once, as in the tables of [`super::super::shape`].

use std::sync::LazyLock;

use super::{
    messages,
    part::{Modality, Slot},
    request, response,
};
use crate::protocol::body::json::{Paths, Take};

/// Whose a member is. The indices are those of the `[]` of its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Of the event.
    Event,
    /// Of the instructions: the part of the first index.
    System,
    /// Of the tool of the first index, and of the second.
    Tool,
    /// Of the only message.
    One,
    /// Of its part of the first index.
    OnePart,
    /// Of its part of the first index and the second.
    OneItem,
    /// Of its tool call of the first index.
    OneCall,
    /// Of a message behind the others.
    Last,
    /// Of the message of the first index.
    Message,
    /// Of its part of the second index.
    Part,
    /// Of what is inside of that: the third index.
    Inner,
    /// Of what is inside of its first part: the second index.
    Inside,
    /// Of its tool call of the second index.
    Call,
    /// Of its part of the second index, with which the next event goes on.
    Flow,
    /// Of the part that the event is a piece of.
    Block,
    /// Of the tool call that the event is a piece of.
    BlockCall,
}

/// What a member says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Role,
    /// Number of the choice.
    Choice,
    /// Id of the tool call that a message answers.
    CallId,
    /// Number of the part, in its list.
    Number,
    /// Number of the part that an event is a piece of; of what is inside of it.
    Block,
    InBlock,
    /// `type` of an event, and its `delta`.
    EventKind,
    Delta,
    /// Texts of the event are all that there is so far.
    SoFar,
    /// `type`
    Kind,
    Text,
    /// Text that only counts where there is none yet.
    TextAgain,
    /// Text of reasoning.
    Thought,
    /// Whether the text is reasoning.
    IsThought,
    Id,
    Name,
    /// Of a tool call: JSON, or a text with JSON in it.
    Arguments,
    /// Of a tool: a text.
    Result,
    /// The same: JSON.
    JsonResult,
    /// Media type.
    Mime,
    /// Second half of a media type.
    Format(Modality),
    /// There are bytes, which are not kept.
    Data(Modality),
    /// A reference, or bytes in a `data:` URL.
    Uri(Modality),
    File(Modality),
    /// Of a tool's definition.
    ToolKind,
    ToolName,
    Description,
    Parameters,
}

impl Field {
    const fn take(self) -> Take {
        match self {
            Self::Arguments | Self::JsonResult | Self::Parameters => Take::Json,
            Self::Text | Self::TextAgain | Self::Thought | Self::Result | Self::Delta | Self::Description => {
                Take::Value
            }
            _ => Take::Brief,
        }
    }
}

/// One row.
pub(super) type Row = (&'static str, Place, Field);

/// A table of paths and what they are.
pub(super) struct Table {
    pub(super) paths: Paths,
    rows: &'static [Row],
    /// Documents tell of messages one after the other, and none goes on with what another began.
    pub(super) is_of_messages: bool,
}

impl Table {
    fn new(rows: &'static [Row], is_of_messages: bool) -> Self {
        let numbered = rows.iter().enumerate().map(|(number, &(path, _, field))| (path, number as u16, field.take()));
        Self { paths: Paths::taking(numbered), rows, is_of_messages }
    }

    /// What the path of this number is.
    pub(super) fn row(&self, path: u16) -> Option<(Place, Field)> {
        self.rows.get(usize::from(path)).map(|&(_, place, field)| (place, field))
    }
}

/// Of requests.
pub(super) static REQUEST: LazyLock<Table> = LazyLock::new(|| Table::new(request::ROWS, false));
/// Of answers.
pub(super) static RESPONSE: LazyLock<Table> = LazyLock::new(|| Table::new(response::ROWS, false));
/// Of JSON-RPC, in both directions.
pub(super) static MESSAGES: LazyLock<Table> = LazyLock::new(|| Table::new(messages::ROWS, true));

/// An index, if the path has it.
fn index(at: &[u32], number: usize) -> u32 {
    at.get(number).copied().unwrap_or(0)
}

impl Place {
    /// The message: whether it is behind the others, and its place.
    pub(super) fn message(self, at: &[u32]) -> (bool, u32) {
        match self {
            Self::Message | Self::Part | Self::Inner | Self::Inside | Self::Call | Self::Flow => (false, index(at, 0)),
            _ => (self == Self::Last, 0),
        }
    }

    /// The part of the message.
    pub(super) fn slot(self, field: Field, at: &[u32]) -> Slot {
        match self {
            Self::OnePart | Self::System => Slot::At(index(at, 0), 0),
            Self::OneItem => Slot::At(index(at, 0), index(at, 1)),
            Self::Part | Self::Inner => Slot::At(index(at, 1), 0),
            Self::Inside => Slot::At(0, 0),
            Self::OneCall => Slot::Call(index(at, 0)),
            Self::Call => Slot::Call(index(at, 1)),
            Self::Flow => Slot::Flow(index(at, 1)),
            Self::Block => Slot::Block,
            Self::BlockCall => Slot::BlockCall,
            _ if field == Field::Thought => Slot::Reasoning,
            _ if matches!(field, Field::Id | Field::Name | Field::Arguments) => Slot::Call(0),
            _ => Slot::Text,
        }
    }

    /// What is inside of the part, if it is inside.
    pub(super) fn inside(self, at: &[u32]) -> Option<u32> {
        match self {
            Self::Inner => Some(index(at, 2)),
            Self::Inside => Some(index(at, 1)),
            _ => None,
        }
    }

    /// The tool.
    pub(super) fn tool(at: &[u32]) -> (u32, u32) {
        (index(at, 0), index(at, 1))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_path_has_one_row() {
        for rows in [request::ROWS, response::ROWS, messages::ROWS] {
            let paths: HashSet<_> = rows.iter().map(|(path, ..)| path).collect();
            assert_eq!(paths.len(), rows.len());
        }
    }
}
