//! Writes messages in the form of the conventions (`gen-ai-input-messages.json`, `gen-ai-output-messages.json`, `gen-ai-system-instructions.json`,
//! `gen-ai-tool-definitions.json`), redacted and within bounds.

use std::fmt::Write as _;

use super::part::{Kind, Message, Modality, Part, Tool};
use crate::exchange::content::{Omission, Redactor};

/// What stands around a text, at most, but the id of a response; what does not fit with it is left out.
const CLOSING: usize = 48;

/// What is written, within the bound of one message.
#[expect(clippy::struct_excessive_bools, reason = "each says something of what was written by itself")]
pub(super) struct Writer<'p> {
    redactor: Redactor<'p>,
    left: usize,
    /// What is written next is the last that is.
    ending: bool,
    /// Something did not fit.
    pub(super) full: bool,
    /// A text is left out, since what is redacted could be in it unseen.
    withheld: bool,
    /// Something is given out.
    any: bool,
}

/// Nothing of the message may be given out.
pub(super) struct Withheld(pub(super) Omission);

pub(super) type Written<T> = Result<T, Withheld>;

impl<'p> Writer<'p> {
    pub(super) fn new(redactor: Redactor<'p>, limit: usize) -> Self {
        Self { redactor, left: limit, ending: false, full: false, withheld: false, any: false }
    }

    /// Whether there is nothing to be given out, since what is redacted could be in it unseen.
    pub(super) const fn withholds_all(&self) -> bool {
        self.withheld && !self.any
    }

    /// `gen_ai.system_instructions`
    pub(super) fn instructions(&mut self, parts: Vec<Part>) -> Written<Option<Box<str>>> {
        let mut list = String::from("[");
        for part in parts {
            let written = self.part(part)?;
            self.add(&mut list, written);
        }
        Ok(closed(list))
    }

    /// `gen_ai.input.messages` and `gen_ai.output.messages`: the latter have a reason for their end, which may be empty where none was told.
    pub(super) fn messages(
        &mut self,
        messages: Vec<Message>,
        finish: Option<&dyn Fn(u32) -> String>,
    ) -> Written<Option<Box<str>>> {
        let mut list = String::from("[");
        for message in messages {
            if self.full {
                break;
            }
            let (_, choice) = message.key();
            let role = self.word(Some(role(&message, finish.is_some()).to_owned()))?.unwrap_or_default();
            let mut written = format!("{{\"role\":{},\"parts\":[", quoted(&role));
            let mut end = String::from("]");
            let mut any = false;
            if let Some(finish) = finish {
                let reason = self.word(Some(finish(choice)))?.unwrap_or_default();
                // That it ended says something of itself.
                any = !reason.is_empty();
                let _ = write!(end, ",\"finish_reason\":{}", quoted(&reason));
            }
            end.push('}');
            if written.len() + end.len() + 1 > self.left {
                self.full = true;
                break;
            }
            self.left -= written.len() + end.len() + 1;
            for part in parts(message) {
                let part = self.part(part)?;
                any |= part.is_some();
                self.add(&mut written, part);
            }
            if any {
                written.push_str(&end);
                if list.len() > 1 {
                    list.push(',');
                }
                list.push_str(&written);
            }
        }
        Ok(closed(list))
    }

    /// `gen_ai.tool.definitions`
    pub(super) fn tools(&mut self, tools: Vec<Tool>) -> Written<Option<Box<str>>> {
        let mut list = String::from("[");
        for tool in tools {
            let function = || tool.name.is_some().then(|| "function".into());
            let Some(kind) = self.word(tool.kind.map(Into::into).or_else(function))? else { continue };
            // What the provider runs itself is named by its kind.
            let Some(name) = self.word(Some(tool.name.map_or_else(|| kind.clone(), Into::into)))? else { continue };
            let mut written = format!("{{\"type\":{},\"name\":{}", quoted(&kind), quoted(&name));
            if let Some(text) = tool.description
                && let Some(text) = self.redacted(text.into(), !tool.cut)?
            {
                let _ = write!(written, ",\"description\":{}", quoted(&text));
            }
            if let Some(text) = tool.parameters
                && let Some(text) = self.redacted(text.into(), !tool.cut)?
                && is_json(&text)
            {
                let _ = write!(written, ",\"parameters\":{text}");
            }
            written.push('}');
            self.add(&mut list, Some(written));
        }
        Ok(closed(list))
    }

    /// Adds an element to a list that is open, if it fits.
    fn add(&mut self, list: &mut String, written: Option<String>) {
        let Some(written) = written.filter(|_| !self.full) else { return };
        if written.len() + 1 > self.left {
            self.full = true;
            return;
        }
        self.left -= written.len() + 1;
        if !list.ends_with('[') {
            list.push(',');
        }
        list.push_str(&written);
        self.any = true;
        self.full |= self.ending;
    }

    /// As much of a text as there is room for, if any. Of one that is cut nothing comes behind.
    fn fitting(&mut self, text: &str) -> Option<String> {
        let fits = fitting(text, self.left.saturating_sub(CLOSING));
        self.ending |= fits.len() < text.len();
        self.full |= fits.is_empty() && !text.is_empty();
        (!self.full).then(|| quoted(fits))
    }

    /// A part; `None` if it says nothing.
    fn part(&mut self, part: Part) -> Written<Option<String>> {
        if self.full {
            return Ok(None);
        }
        let kind = part.kind.unwrap_or(Kind::Text);
        Ok(match kind {
            Kind::Media(_) if part.body.is_empty() => self.media(part)?,
            Kind::Text | Kind::Media(_) if part.is_json => {
                let Some(json) = self.redacted(part.body, !part.cut)? else { return Ok(None) };
                Some(format!("{{\"type\":\"json\",\"content\":{}}}", json_or_text(&json)))
            }
            Kind::Text | Kind::Reasoning | Kind::Media(_) => {
                let name = if kind == Kind::Reasoning { "reasoning" } else { "text" };
                let Some(text) = self.redacted(part.body, !part.cut)? else { return Ok(None) };
                self.fitting(&text).map(|text| format!("{{\"type\":\"{name}\",\"content\":{text}}}"))
            }
            Kind::Call | Kind::ServerCall => self.call(part, kind)?,
            Kind::Response => self.response(part)?,
            Kind::ServerResponse => {
                let id = self.word(part.id.map(Into::into))?;
                let id = id.map_or_else(String::new, |id| format!(",\"id\":{}", quoted(&id)));
                Some(format!(
                    "{{\"type\":\"server_tool_call_response\"{id},\"server_tool_call_response\":{{\"type\":\"omitted\"}}}}"
                ))
            }
        })
    }

    fn call(&mut self, part: Part, kind: Kind) -> Written<Option<String>> {
        let is_server = kind == Kind::ServerCall;
        let name = self.word(part.name.map(Into::into))?.unwrap_or_default();
        let id = self.word(part.id.map(Into::into))?;
        if name.is_empty() && id.is_none() && part.body.is_empty() {
            return Ok(None);
        }
        let mut written = format!("{{\"type\":\"{}\"", if is_server { "server_tool_call" } else { "tool_call" });
        if let Some(id) = id {
            let _ = write!(written, ",\"id\":{}", quoted(&id));
        }
        let _ = write!(written, ",\"name\":{}", quoted(&name));
        let arguments = self.redacted(part.body, !part.cut)?;
        let arguments = arguments.map_or_else(String::new, |text| format!(",\"arguments\":{}", json_or_text(&text)));
        if is_server {
            let _ = write!(written, ",\"server_tool_call\":{{\"type\":{}{arguments}}}", quoted(&name));
        } else {
            written.push_str(&arguments);
        }
        written.push('}');
        Ok(Some(written))
    }

    fn response(&mut self, part: Part) -> Written<Option<String>> {
        let id = self.word(part.id.map(Into::into))?;
        let id = id.map_or_else(String::new, |id| format!(",\"id\":{}", quoted(&id)));
        let response = if part.inner.is_empty() {
            let Some(text) = self.redacted(part.body, !part.cut)? else { return Ok(None) };
            if part.is_json { Some(json_or_text(&text)) } else { self.fitting(&text) }
        } else {
            self.inner(part.inner)?
        };
        Ok(response.map(|response| format!("{{\"type\":\"tool_call_response\"{id},\"response\":{response}}}")))
    }

    /// What a response is made of: one text or document as it is, else its parts.
    fn inner(&mut self, mut parts: Vec<Part>) -> Written<Option<String>> {
        if let [part] = &mut parts[..]
            && (part.is_json || part.kind == Some(Kind::Text))
        {
            let (is_json, whole) = (part.is_json, !part.cut);
            let text = self.redacted(std::mem::take(&mut part.body), whole)?.unwrap_or_default();
            return Ok(if is_json { Some(json_or_text(&text)) } else { self.fitting(&text) });
        }
        let mut list = String::from("[");
        for part in parts {
            // No deeper than this: what is inside has nothing inside.
            let part = Part { inner: Vec::new(), ..part };
            if let Some(written) = self.part(part)? {
                if list.len() > 1 {
                    list.push(',');
                }
                list.push_str(&written);
            }
        }
        list.push(']');
        Ok(Some(list))
    }

    fn media(&mut self, part: Part) -> Written<Option<String>> {
        let by_mime = part.mime.as_deref().map(Modality::of);
        let modality = match part.kind {
            Some(Kind::Media(modality)) if modality != Modality::Document => modality,
            _ => by_mime.unwrap_or(Modality::Document),
        };
        let mime = self.word(part.mime.map(Into::into))?;
        let mime = mime.map_or_else(String::new, |mime| format!(",\"mime_type\":{}", quoted(&mime)));
        let begin = |kind: &str| format!("{{\"type\":\"{kind}\"{mime},\"modality\":\"{}\"", modality.name());
        if let Some(uri) = self.word(part.uri.map(Into::into))? {
            return Ok(Some(format!("{},\"uri\":{}}}", begin("uri"), quoted(&uri))));
        }
        if let Some(file) = self.word(part.file.map(Into::into))? {
            return Ok(Some(format!("{},\"file_id\":{}}}", begin("file"), quoted(&file))));
        }
        // The conventions want content; what it was is not kept.
        Ok(Some(format!("{},\"content\":\"\"}}", begin("blob"))))
    }

    /// What a part has, as JSON.
    pub(super) fn json(&mut self, part: Part) -> Written<Option<String>> {
        let is_json = part.is_json;
        let text = self.redacted(part.body, !part.cut)?;
        Ok(text.map(|text| if is_json { json_or_text(&text) } else { quoted(&text) }))
    }

    fn word(&mut self, word: Option<String>) -> Written<Option<String>> {
        let Some(word) = word else { return Ok(None) };
        self.redacted(word, true)
    }

    /// A text without what the policy wants overwritten; `None` if it is empty, or nothing of it may be seen.
    fn redacted(&mut self, text: String, whole: bool) -> Written<Option<String>> {
        if text.is_empty() {
            return Ok(None);
        }
        match self.redactor.text(text, whole) {
            Ok((text, cut)) => {
                self.ending |= cut;
                Ok((!text.is_empty()).then_some(text))
            }
            Err(Omission::CutShort) => {
                self.withheld = true;
                Ok(None)
            }
            Err(why) => Err(Withheld(why)),
        }
    }
}

/// `None` if the list has nothing.
fn closed(mut list: String) -> Option<Box<str>> {
    list.push(']');
    (list.len() > 2).then(|| list.into())
}

/// As a string of JSON.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// As it is, if it is an object or array of JSON; else as a string: it may be cut, or what is overwritten in it may have been no string.
fn json_or_text(text: &str) -> String {
    if text.trim_start().starts_with(['{', '[']) && is_json(text) { text.to_owned() } else { quoted(text) }
}

/// As much of a text as takes no more bytes than this as a string of JSON.
fn fitting(text: &str, room: usize) -> &str {
    let mut used = 0;
    for (at, character) in text.char_indices() {
        used += match character {
            '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
            '\0'..' ' => 6,
            other => other.len_utf8(),
        };
        if used > room {
            return &text[..at];
        }
    }
    text
}

/// Roles in the conventions' words where they have one.
fn role(message: &Message, is_output: bool) -> &str {
    let has = |kinds: &[Kind]| message.parts.iter().any(|part| part.kind.is_some_and(|kind| kinds.contains(&kind)));
    match message.role.as_deref() {
        Some("model" | "CHATBOT" | "Chatbot" | "chatbot") => "assistant",
        Some("USER" | "User") => "user",
        Some("SYSTEM" | "System") => "system",
        Some("TOOL" | "Tool" | "function") => "tool",
        Some(role) => role,
        None if is_output || has(&[Kind::Call, Kind::ServerCall, Kind::Reasoning]) => "assistant",
        None if has(&[Kind::Response]) => "tool",
        None => "user",
    }
}

/// The parts of a message. What a tool says is its response, and reasoning comes before what came of it.
fn parts(message: Message) -> Vec<Part> {
    let is_response =
        role(&message, false) == "tool" && !message.parts.iter().any(|part| part.kind == Some(Kind::Response));
    let Message { call_id, mut parts, .. } = message;
    if is_response && !parts.is_empty() {
        return vec![Part { kind: Some(Kind::Response), id: call_id, inner: parts, ..Part::default() }];
    }
    parts.sort_by_key(|part| part.slot != super::part::Slot::Reasoning);
    parts
}
