//! Puts what the scanner finds where it belongs: values into the messages of a document, and those into the messages of its stream.

use super::{
    part::{Conversation, Key, Kind, Message, Modality, Part, Slot, Tool},
    table::{Field, Place, Table},
};
use crate::{
    exchange::content::Omission,
    protocol::{
        body::json::{Found, Value},
        secret::redact_url,
    },
};

/// A message, a part or a tool takes at least so many bytes in the form in which it is given out, so that no more than fit are kept.
const LEAST: usize = 24;
/// As many more as one event may have before they go on with others.
const MORE: usize = 16;
/// How many messages, parts or tools are looked through for the one that is gone on with, from the end: more are in no document at once, since
/// documents tell of one after the other.
const LOOK_BACK: usize = 128;

/// What may still be kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// Bytes of texts.
    left: usize,
    /// Messages, parts and tools.
    ones: usize,
    /// Why nothing more is kept.
    pub(super) closed: Option<Omission>,
}

impl Room {
    const fn new(limit: usize) -> Self {
        Self { left: limit, ones: limit / LEAST + MORE, closed: None }
    }

    /// Room for one more message, part or tool.
    fn one(&mut self) -> bool {
        if self.ones == 0 {
            self.closed.get_or_insert(Omission::Size);
        }
        let is_open = self.closed.is_none();
        self.ones -= usize::from(is_open);
        is_open
    }

    /// Gives back what one took that goes on with another.
    fn give_back(&mut self) {
        self.ones += 1;
    }

    /// Puts as much of a text into another as there is room for; whether its end is missing then.
    fn keep(&mut self, text: &str, cut: bool, into: &mut String) -> bool {
        let fits = if self.closed.is_some() { "" } else { &text[..text.floor_char_boundary(self.left)] };
        into.push_str(fits);
        self.left -= fits.len();
        let is_cut = cut || fits.len() < text.len();
        if is_cut {
            self.closed.get_or_insert(Omission::Size);
        }
        is_cut
    }

    /// A text that is kept whole or not at all.
    fn word(&mut self, value: Value<'_>) -> Option<Box<str>> {
        let Value::Text { text, cut: false } = value else { return None };
        let mut kept = String::new();
        (!text.is_empty() && self.left >= text.len() && !self.keep(text, false, &mut kept)).then(|| kept.into())
    }
}

/// What an event says of itself.
#[derive(Default)]
struct Event {
    kind: Option<Box<str>>,
    block: Option<u32>,
    inside: Option<u32>,
    delta: Option<Part>,
    so_far: bool,
}

/// What was found so far.
pub(super) struct Filling {
    table: &'static Table,
    limit: usize,
    pub(super) room: Room,
    /// What it was when the document began.
    before: Room,
    total: Conversation,
    /// Of the document that is being read.
    draft: Conversation,
    event: Event,
}

impl Filling {
    pub(super) fn new(table: &'static Table, limit: usize) -> Self {
        Self {
            table,
            limit,
            room: Room::new(limit),
            before: Room::new(limit),
            total: Conversation::default(),
            draft: Conversation::default(),
            event: Event::default(),
        }
    }

    /// Bytes that it holds, at most: texts have as much room as they have length again.
    pub(super) fn held(&self) -> usize {
        let ones = (self.limit / LEAST + MORE).saturating_sub(self.room.ones);
        2 * (self.limit - self.room.left) + ones * size_of::<Part>()
    }

    /// All that was found.
    pub(super) fn into_conversation(mut self) -> Conversation {
        self.end();
        if !self.table.is_of_messages {
            self.total.messages.sort_by_key(Message::key);
        }
        self.total
    }

    /// The document is over.
    pub(super) fn end(&mut self) {
        let Event { kind, block, inside, delta, so_far } = std::mem::take(&mut self.event);
        let mut draft = std::mem::take(&mut self.draft);
        if kind.as_deref().is_some_and(is_told_again) {
            self.room = self.before;
            return;
        }
        let delta_kind = kind.as_deref().and_then(kind_of_delta);
        match (delta_kind, delta) {
            (Some(kind), Some(part)) => {
                let part = Part { kind: Some(kind), slot: Slot::Block, ..part };
                if let Some(message) = one(&mut draft.messages, &mut self.room, false, 0) {
                    message.parts.push(part);
                }
            }
            (None, Some(part)) => {
                self.room.give_back();
                self.room.left += part.body.len();
            }
            (_, None) => {}
        }
        self.total.system.append(&mut draft.system);
        self.total.tools.append(&mut draft.tools);
        for mut message in draft.messages {
            for part in &mut message.parts {
                let block = block.map(|block| block << 12 | inside.unwrap_or(0) & 0xfff);
                part.key = match part.slot {
                    Slot::Text | Slot::Reasoning => Key::Slot(part.slot),
                    Slot::Block => block.map_or(Key::Flow, |block| Key::Number(false, block)),
                    Slot::BlockCall => block.map_or(Key::None, |block| Key::Number(true, block)),
                    Slot::Call(_) => part.number.map_or(Key::None, |number| Key::Number(true, number)),
                    Slot::Flow(_) => Key::Flow,
                    Slot::At(..) => Key::None,
                };
            }
            let key = message.key();
            let mut known = self.total.messages.iter_mut().rev().take(LOOK_BACK);
            let known = known.find(|known| !self.table.is_of_messages && known.key() == key);
            match known {
                Some(known) => go_on(known, message, so_far, &mut self.room),
                None => self.total.messages.push(message),
            }
        }
        self.before = self.room;
    }

    fn part(&mut self, place: Place, field: Field, at: &[u32]) -> Option<(&mut Part, &mut Room)> {
        let slot = place.slot(field, at);
        let parts = if place == Place::System {
            &mut self.draft.system
        } else {
            let (is_last, number) = place.message(at);
            &mut one(&mut self.draft.messages, &mut self.room, is_last, number)?.parts
        };
        let mut part = part(parts, &mut self.room, slot)?;
        if let Some(inner) = place.inside(at) {
            part.is(Kind::Response);
            part = self::part(&mut part.inner, &mut self.room, Slot::At(inner, 0))?;
        }
        Some((part, &mut self.room))
    }

    fn tool(&mut self, at: &[u32]) -> Option<(&mut Tool, &mut Room)> {
        let at = Place::tool(at);
        let tools = &mut self.draft.tools;
        if tools.last().is_none_or(|tool| tool.at != at) {
            if !self.room.one() {
                return None;
            }
            tools.push(Tool { at, ..Tool::default() });
        }
        Some((tools.last_mut()?, &mut self.room))
    }

    /// A text of a part.
    fn text(&mut self, place: Place, field: Field, at: &[u32], text: &str, cut: bool) {
        if text.is_empty() {
            return;
        }
        let Some((part, room)) = self.part(place, field, at) else {
            self.room.keep(text, cut, &mut String::new());
            return;
        };
        part.is(match field {
            Field::Thought => Kind::Reasoning,
            Field::Arguments => Kind::Call,
            Field::Result => Kind::Response,
            _ => Kind::Text,
        });
        part.cut |= room.keep(text, cut, &mut part.body);
    }

    /// Whether there is a text of the message already.
    fn has_text(&self) -> bool {
        let mut messages = self.total.messages.iter().chain(&self.draft.messages);
        messages.any(|message| message.parts.iter().any(|part| part.slot == Slot::Text && !part.body.is_empty()))
    }
}

/// The message at a place.
fn one<'m>(messages: &'m mut Vec<Message>, room: &mut Room, is_last: bool, place: u32) -> Option<&'m mut Message> {
    let is_it = |message: &Message| message.is_last == is_last && message.place == place;
    match messages.iter().rev().take(LOOK_BACK).position(is_it) {
        Some(back) => {
            let index = messages.len() - 1 - back;
            messages.get_mut(index)
        }
        None if room.one() => {
            messages.push(Message { is_last, place, ..Message::default() });
            messages.last_mut()
        }
        None => None,
    }
}

/// The part of a slot.
fn part<'p>(parts: &'p mut Vec<Part>, room: &mut Room, slot: Slot) -> Option<&'p mut Part> {
    let known = parts.iter().rev().take(LOOK_BACK).position(|part| part.slot == slot);
    match known {
        Some(back) => {
            let index = parts.len() - 1 - back;
            parts.get_mut(index)
        }
        None if room.one() => {
            parts.push(Part::at(slot));
            parts.last_mut()
        }
        None => None,
    }
}

/// A message of a stream goes on with what another document tells of it.
fn go_on(known: &mut Message, more: Message, so_far: bool, room: &mut Room) {
    room.give_back();
    known.role = known.role.take().or(more.role);
    known.call_id = known.call_id.take().or(more.call_id);
    for part in more.parts {
        let same = match part.key {
            Key::None => None,
            // Servers that number no calls give each the same number, and another id.
            Key::Number(true, _) => {
                let agrees = |one: &Option<Box<str>>| one.is_none() || part.id.is_none() || *one == part.id;
                known.parts.iter_mut().rev().find(|known| known.key == part.key).filter(|known| agrees(&known.id))
            }
            Key::Slot(_) | Key::Number(false, _) => known.parts.iter_mut().rev().find(|known| known.key == part.key),
            Key::Flow => known.parts.last_mut().filter(|last| goes_on(last, &part)),
        };
        let Some(same) = same else {
            known.parts.push(part);
            continue;
        };
        room.give_back();
        if so_far {
            room.left += same.body.len();
            same.body.clear();
        }
        same.body.push_str(&part.body);
        same.is_json |= part.is_json;
        same.cut |= part.cut;
        same.kind = same.kind.or(part.kind);
        same.id = same.id.take().or(part.id);
        same.name = same.name.take().or(part.name);
    }
}

/// Whether a part is more of the one before it.
fn goes_on(last: &Part, part: &Part) -> bool {
    // A piece whose event does not say of what: of the one that began last.
    if part.slot == Slot::Block {
        return last.kind == part.kind && part.id.is_none() && part.name.is_none();
    }
    let is_text = matches!(part.kind, Some(Kind::Text | Kind::Reasoning)) && part.mime.is_none();
    is_text && last.key == Key::Flow && last.kind == part.kind && last.mime.is_none()
}

/// What the `delta` of an event is, of OpenAI's responses; those of speech are none.
fn kind_of_delta(event: &str) -> Option<Kind> {
    let of = event.strip_prefix("response.")?.strip_suffix(".delta")?;
    Some(match of {
        "output_text" | "refusal" => Kind::Text,
        "reasoning_text" | "reasoning_summary_text" => Kind::Reasoning,
        "function_call_arguments" | "custom_tool_call_input" => Kind::Call,
        "mcp_call_arguments" | "code_interpreter_call_code" => Kind::ServerCall,
        _ => return None,
    })
}

/// Whether an event of OpenAI's responses says again what came before.
fn is_told_again(event: &str) -> bool {
    event.strip_prefix("response.").and_then(|of| of.strip_suffix(".done")).is_some()
}

/// A word of a format, such as a role: of other texts nothing is kept.
fn token(value: Value<'_>) -> Option<Box<str>> {
    let is_token = |text: &&str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'_' | b'.' | b'-' | b'+');
        (1..=64).contains(&text.len()) && text.bytes().all(allowed)
    };
    value.as_str().filter(is_token).map(Into::into)
}

/// An id that is a number, written as an integer where it is one.
fn id(value: Value<'_>) -> Option<Box<str>> {
    let Value::Number(written) = value else { return None };
    Some(value.as_i64().map_or_else(|| written.into(), |id| id.to_string().into()))
}

fn number(value: Value<'_>) -> Option<u32> {
    value.as_u64().and_then(|number| u32::try_from(number).ok())
}

impl Found for Filling {
    fn found(&mut self, path: u16, at: &[u32], value: Value<'_>) {
        use Field as F;
        let Some((place, field)) = self.table.row(path) else { return };
        match (field, value) {
            (F::Role | F::Choice | F::CallId, _) => {
                let (is_last, number) = place.message(at);
                let Some(message) = one(&mut self.draft.messages, &mut self.room, is_last, number) else { return };
                match field {
                    F::Role => message.role = token(value),
                    F::CallId => message.call_id = id(value).or_else(|| self.room.word(value)),
                    _ => message.choice = self::number(value),
                }
            }
            (F::Block, _) => self.event.block = number(value),
            (F::InBlock, _) => self.event.inside = number(value),
            (F::EventKind, _) => self.event.kind = token(value),
            (F::SoFar, _) => self.event.so_far = true,
            (F::Delta, Value::Text { text, cut }) if !text.is_empty() => {
                if !self.room.one() {
                    return;
                }
                let mut part = Part::default();
                part.cut = self.room.keep(text, cut, &mut part.body);
                self.event.delta = Some(part);
            }
            (F::TextAgain, _) if self.has_text() => {}
            (F::Text | F::TextAgain | F::Thought | F::Arguments | F::Result, Value::Text { text, cut }) => {
                self.text(place, field, at, text, cut);
            }
            (F::ToolKind | F::ToolName | F::Description, Value::Text { text, cut }) => {
                let Some((tool, room)) = self.tool(at) else { return };
                match field {
                    F::ToolKind => tool.kind = token(value),
                    F::ToolName => tool.name = room.word(value),
                    _ => {
                        let mut kept = String::new();
                        tool.cut |= room.keep(text, cut, &mut kept);
                        tool.description = Some(kept.into());
                    }
                }
            }
            (
                F::Kind | F::Id | F::Name | F::Mime | F::Format(_) | F::Data(_) | F::Uri(_) | F::File(_),
                Value::Text { text, .. },
            ) if !text.is_empty() => {
                self.word(place, field, at, value, text);
            }
            (F::Number, Value::Number(_)) => {
                if let Some((part, _)) = self.part(place, field, at) {
                    part.number = number(value);
                }
            }
            (F::IsThought, Value::Bool(true)) => {
                if let Some((part, _)) = self.part(place, field, at) {
                    part.kind = Some(Kind::Reasoning);
                }
            }
            _ => {}
        }
    }

    fn json(&mut self, path: u16, at: &[u32], json: &str, cut: bool) {
        let Some((place, field)) = self.table.row(path) else { return };
        if field == Field::Parameters {
            if let Some((tool, room)) = self.tool(at) {
                let mut kept = String::new();
                tool.cut |= room.keep(json, cut, &mut kept);
                tool.parameters = Some(kept.into());
            }
        } else if let Some((part, room)) = self.part(place, field, at) {
            // Inside of a response it is a part of it.
            part.is(match field {
                Field::Arguments => Kind::Call,
                _ if place.inside(at).is_some() => Kind::Text,
                _ => Kind::Response,
            });
            part.is_json = true;
            part.cut |= room.keep(json, cut, &mut part.body);
        }
    }
}

impl Filling {
    /// A short text of a part.
    fn word(&mut self, place: Place, field: Field, at: &[u32], value: Value<'_>, text: &str) {
        let Some((part, room)) = self.part(place, field, at) else { return };
        match field {
            Field::Kind => {
                part.kind = Kind::of(text).or(part.kind);
                // Tools of the provider are named by the kind of their call.
                if let (Some(Kind::ServerCall), Some(name)) = (part.kind, text.strip_suffix("_call")) {
                    part.name.get_or_insert_with(|| name.into());
                }
            }
            Field::Id => part.id = room.word(value).or(part.id.take()),
            Field::Name => {
                part.is(Kind::Call);
                part.name = room.word(value).or(part.name.take());
            }
            Field::Mime => {
                part.mime = token(value);
                part.is(Kind::Media(Modality::of(text)));
            }
            Field::Format(modality) => {
                part.is(Kind::Media(modality));
                part.mime = match (modality, token(value)) {
                    (Modality::Document, Some(format)) if &*format == "pdf" => Some("application/pdf".into()),
                    (Modality::Document, _) | (_, None) => None,
                    (_, Some(format)) => Some(format!("{}/{format}", modality.name()).into()),
                };
            }
            Field::Data(modality) => part.is(Kind::Media(modality)),
            Field::Uri(modality) => {
                part.is(Kind::Media(modality));
                if let Some(data) = text.strip_prefix("data:") {
                    let mime = data.split([';', ',']).next().unwrap_or_default();
                    part.mime = token(Value::Text { text: mime, cut: false });
                } else if text.contains("://") {
                    let redacted = redact_url(text.as_bytes());
                    let text = String::from_utf8_lossy(&redacted);
                    let cut = matches!(value, Value::Text { cut: true, .. });
                    part.uri = room.word(Value::Text { text: &text, cut });
                }
            }
            Field::File(modality) => {
                part.is(Kind::Media(modality));
                part.file = room.word(value);
            }
            _ => {}
        }
    }
}
