//! Messages and their parts, as they are gathered.

use std::fmt;

/// What is in binary form, or referred to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Modality {
    Image,
    Audio,
    Video,
    Document,
}

impl Modality {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Document => "document",
        }
    }

    /// By a media type.
    pub(super) fn of(media_type: &str) -> Self {
        match media_type.split('/').next() {
            Some("image") => Self::Image,
            Some("audio") => Self::Audio,
            Some("video") => Self::Video,
            _ => Self::Document,
        }
    }
}

/// What a part is, in the conventions' words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Reasoning,
    /// `tool_call`
    Call,
    /// `server_tool_call`: the provider runs it.
    ServerCall,
    /// `tool_call_response`
    Response,
    /// `server_tool_call_response`
    ServerResponse,
    /// `blob`, `uri` or `file`
    Media(Modality),
}

impl Kind {
    /// By `type` of a part, of a block or of an item.
    pub(super) fn of(name: &str) -> Option<Self> {
        Some(match name {
            "text" | "input_text" | "output_text" | "refusal" | "message" => Self::Text,
            "thinking" | "redacted_thinking" | "reasoning" | "reasoning_text" | "summary_text" => Self::Reasoning,
            "tool_use" | "function_call" | "custom_tool_call" => Self::Call,
            "server_tool_use" | "mcp_tool_use" => Self::ServerCall,
            "tool_result" => Self::Response,
            "image" | "image_url" | "input_image" => Self::Media(Modality::Image),
            "audio" | "audio_url" | "input_audio" => Self::Media(Modality::Audio),
            "video" | "video_url" | "input_video" => Self::Media(Modality::Video),
            "document" | "file" | "input_file" => Self::Media(Modality::Document),
            _ if name.ends_with("_tool_result") => Self::ServerResponse,
            _ if name.ends_with("_call_output") => Self::Response,
            _ if name.ends_with("_call") => Self::ServerCall,
            _ => return None,
        })
    }
}

/// Where a part stands in its document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Slot {
    /// The message's own text: there is one.
    #[default]
    Text,
    /// The message's own reasoning: there is one.
    Reasoning,
    /// An element of its list of parts, and one inside of that.
    At(u32, u32),
    /// An element of its list of tool calls.
    Call(u32),
    /// A part of which this event is a piece.
    Block,
    /// A tool call of which this event is a piece.
    BlockCall,
    /// An element of a list of parts of which the next event goes on with the last one.
    Flow(u32),
}

/// By what pieces of one part are known in the documents of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Key {
    /// Nothing: each is a part of its own.
    #[default]
    None,
    /// It is the only one of its slot.
    Slot(Slot),
    /// A number, of tool calls (`true`) or of other parts.
    Number(bool, u32),
    /// It goes on with the last one.
    Flow,
}

/// A part of a message.
#[derive(Clone, Default)]
pub(super) struct Part {
    pub(super) slot: Slot,
    pub(super) number: Option<u32>,
    pub(super) key: Key,
    pub(super) kind: Option<Kind>,
    /// Text, arguments or response.
    pub(super) body: String,
    /// It is JSON as it was written.
    pub(super) is_json: bool,
    /// The end of the text is not there.
    pub(super) cut: bool,
    pub(super) id: Option<Box<str>>,
    pub(super) name: Option<Box<str>>,
    pub(super) mime: Option<Box<str>>,
    pub(super) uri: Option<Box<str>>,
    pub(super) file: Option<Box<str>>,
    /// What a response is made of.
    pub(super) inner: Vec<Part>,
}

impl Part {
    pub(super) fn at(slot: Slot) -> Self {
        Self { slot, ..Self::default() }
    }

    /// What it is by the member that was found, unless it was said before.
    pub(super) fn is(&mut self, kind: Kind) {
        self.kind.get_or_insert(kind);
    }
}

/// Without texts: they are not redacted.
impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part").field("kind", &self.kind).field("length", &self.body.len()).finish_non_exhaustive()
    }
}

/// A message.
#[derive(Clone, Debug, Default)]
pub(super) struct Message {
    /// Of what comes behind the list of messages, wherever it is written.
    pub(super) is_last: bool,
    /// Its place in the list, which is the number of the choice unless that is told.
    pub(super) place: u32,
    pub(super) choice: Option<u32>,
    pub(super) role: Option<Box<str>>,
    /// The tool call that it answers.
    pub(super) call_id: Option<Box<str>>,
    pub(super) parts: Vec<Part>,
}

impl Message {
    /// By what it is known in the documents of a stream, and what it is sorted by.
    pub(super) fn key(&self) -> (bool, u32) {
        (self.is_last, self.choice.unwrap_or(self.place))
    }
}

/// The definition of a tool.
#[derive(Clone, Default)]
pub(super) struct Tool {
    pub(super) at: (u32, u32),
    pub(super) kind: Option<Box<str>>,
    pub(super) name: Option<Box<str>>,
    pub(super) description: Option<Box<str>>,
    /// JSON schema as it was written.
    pub(super) parameters: Option<Box<str>>,
    /// The end of its texts is not there.
    pub(super) cut: bool,
}

/// What one message over HTTP has.
#[derive(Clone, Default)]
pub(super) struct Conversation {
    pub(super) system: Vec<Part>,
    pub(super) messages: Vec<Message>,
    pub(super) tools: Vec<Tool>,
}
