//! One message of JSON-RPC while it is read.

use std::sync::LazyLock;

use super::{MAX_NAME, Party, RpcError, text::cut_to};
use crate::protocol::body::json::{Paths, Value};

/// Longest text that the scanner gives, in bytes. `tracestate` may be this long (W3C Trace Context section 3.3.1.5); everything else is cut to
/// [`MAX_NAME`].
pub(super) const MAX_TEXT: usize = 512;

/// What is wanted of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    /// The item itself: a message or a batch of them.
    Item,
    JsonRpc,
    Method,
    Id,
    Params,
    Name,
    Uri,
    ReferenceName,
    ReferenceUri,
    RequestedVersion,
    ClientName,
    ClientVersion,
    TraceParent,
    TraceState,
    MetaVersion,
    CancelledId,
    Result,
    IsError,
    ResultType,
    TaskId,
    AgreedVersion,
    ServerName,
    ServerVersion,
    Error,
    ErrorCode,
    ErrorMessage,
    /// A member of the message, whatever its name. It has to be behind those that have names.
    Member,
}

/// Where that is. Of a batch it is there in each element.
const FIELDS: &[(&str, Field)] = &[
    ("jsonrpc", Field::JsonRpc),
    ("method", Field::Method),
    ("id", Field::Id),
    ("params", Field::Params),
    ("params.name", Field::Name),
    ("params.uri", Field::Uri),
    ("params.ref.name", Field::ReferenceName),
    ("params.ref.uri", Field::ReferenceUri),
    ("params.protocolVersion", Field::RequestedVersion),
    ("params.clientInfo.name", Field::ClientName),
    ("params.clientInfo.version", Field::ClientVersion),
    ("params._meta.traceparent", Field::TraceParent),
    ("params._meta.tracestate", Field::TraceState),
    (r#"params._meta."io.modelcontextprotocol/protocolVersion""#, Field::MetaVersion),
    (r#"params._meta."io.modelcontextprotocol/clientInfo".name"#, Field::ClientName),
    (r#"params._meta."io.modelcontextprotocol/clientInfo".version"#, Field::ClientVersion),
    ("params.requestId", Field::CancelledId),
    ("result", Field::Result),
    ("result.isError", Field::IsError),
    ("result.resultType", Field::ResultType),
    ("result.task.taskId", Field::TaskId),
    ("result.protocolVersion", Field::AgreedVersion),
    ("result.serverInfo.name", Field::ServerName),
    ("result.serverInfo.version", Field::ServerVersion),
    (r#"result._meta."io.modelcontextprotocol/serverInfo".name"#, Field::ServerName),
    (r#"result._meta."io.modelcontextprotocol/serverInfo".version"#, Field::ServerVersion),
    ("error", Field::Error),
    ("error.code", Field::ErrorCode),
    ("error.message", Field::ErrorMessage),
    ("*", Field::Member),
];

/// [`FIELDS`] by their number, of which the scanner tells.
const BY_NUMBER: &[Field] = {
    const COUNT: usize = FIELDS.len();
    const TABLE: [Field; COUNT] = {
        let mut table = [Field::Item; COUNT];
        let mut index = 0;
        while index < COUNT {
            table[index] = FIELDS[index].1;
            index += 1;
        }
        table
    };
    &TABLE
};

/// The number of the item itself.
const ITEM: u16 = u16::MAX;

/// The table for the scanner.
pub(super) static PATHS: LazyLock<Paths> = LazyLock::new(|| {
    let in_batch: Vec<String> = FIELDS.iter().map(|(path, _)| format!("[].{path}")).collect();
    let numbered = |(number, path): (usize, &'static str)| (path, number as u16);
    let mut paths: Vec<(&str, u16)> = vec![("", ITEM)];
    paths.extend(FIELDS.iter().map(|(path, _)| *path).enumerate().map(numbered));
    paths.extend(in_batch.iter().enumerate().map(|(number, path)| (path.as_str(), number as u16)));
    Paths::new(&paths)
});

/// The id of a request. Text and number are never the same (JSON-RPC 2.0 section 4).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Id {
    /// None: a notification, or an error of a message whose id could not be read.
    #[default]
    Absent,
    /// `null`.
    Null,
    /// A number, written as an integer where it is one.
    Number(Box<str>),
    /// Text.
    Text(Box<str>),
    /// Longer than is kept, so that it cannot be compared.
    Long,
}

impl Id {
    fn read(value: &Value<'_>) -> Option<Self> {
        Some(match value {
            Value::Null => Self::Null,
            Value::Number(written) => {
                value.as_i64().map_or_else(|| Self::Number((*written).into()), |id| Self::Number(id.to_string().into()))
            }
            Value::Text { text, cut } if *cut || text.len() > MAX_NAME => Self::Long,
            Value::Text { text, .. } => Self::Text((*text).into()),
            Value::Bool(_) | Value::Object | Value::Array => return None,
        })
    }

    /// As text.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Number(text) | Self::Text(text) => Some(text),
            Self::Absent | Self::Null | Self::Long => None,
        }
    }

    /// Whether it tells one request from another.
    pub(super) const fn tells(&self) -> bool {
        matches!(self, Self::Number(_) | Self::Text(_))
    }
}

/// What was read of a message so far.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "members that are there, each apart from the others")]
pub(super) struct Draft {
    /// Some member of a message was there.
    pub(super) begun: bool,
    /// Version of JSON-RPC.
    pub(super) jsonrpc: Option<Box<str>>,
    pub(super) method: Option<Box<str>>,
    pub(super) id: Id,
    pub(super) name: Option<Box<str>>,
    pub(super) uri: Option<Box<str>>,
    pub(super) reference_name: Option<Box<str>>,
    pub(super) reference_uri: Option<Box<str>>,
    pub(super) requested_version: Option<Box<str>>,
    pub(super) client: Party,
    pub(super) traceparent: Option<Box<str>>,
    pub(super) tracestate: Option<Box<str>>,
    pub(super) meta_version: Option<Box<str>>,
    /// `params.requestId`, which is the request that a notification cancels.
    pub(super) cancelled: Id,
    /// There is a result, of whatever kind.
    pub(super) result: bool,
    pub(super) is_error: bool,
    pub(super) result_type: Option<Box<str>>,
    pub(super) is_task: bool,
    pub(super) agreed_version: Option<Box<str>>,
    pub(super) server: Party,
    /// There is an error.
    pub(super) error: Option<RpcError>,
    /// Its code, whatever it is, was there.
    pub(super) has_code: bool,
    /// It is not a message of JSON-RPC.
    malformed: bool,
    /// A member with a name was just told; it is told again as [`Field::Member`].
    named: bool,
}

/// What a message is, as far as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// That depends on what follows.
    Open,
    /// A message of JSON-RPC.
    JsonRpc,
    /// None.
    Other,
}

impl Draft {
    /// What it is. Members may be in any order, but those of a message of JSON-RPC have few names (section 4): one of another name that comes
    /// before `jsonrpc` tells that it is none, long before its end.
    pub(super) const fn verdict(&self) -> Verdict {
        match self {
            Self { malformed: true, .. } => Verdict::Other,
            Self { jsonrpc: Some(_), method: Some(_), result: false, error: None, .. } => Verdict::JsonRpc,
            Self { jsonrpc: Some(_), method: None, .. } if self.result || self.error.is_some() => Verdict::JsonRpc,
            _ => Verdict::Open,
        }
    }

    fn found(&mut self, field: Field, value: &Value<'_>) {
        if field == Field::Member {
            self.malformed |= !std::mem::take(&mut self.named) && self.jsonrpc.is_none();
            return;
        }
        match field {
            Field::Item | Field::Member => {}
            Field::JsonRpc => match value.as_str() {
                Some(version @ ("2.0" | "1.0" | "1.1")) => self.jsonrpc = Some(version.into()),
                _ => self.malformed = true,
            },
            Field::Method => match value.as_str() {
                Some(method) if !method.is_empty() => self.method = Some(cut_to(method, MAX_NAME).into()),
                _ => self.malformed = true,
            },
            Field::Id => match Id::read(value) {
                Some(id) => self.id = id,
                None => self.malformed = true,
            },
            // Section 4.2: structured, or left out.
            Field::Params => self.malformed |= !matches!(value, Value::Object | Value::Array | Value::Null),
            Field::Name => set(&mut self.name, value),
            Field::Uri => set(&mut self.uri, value),
            Field::ReferenceName => set(&mut self.reference_name, value),
            Field::ReferenceUri => set(&mut self.reference_uri, value),
            Field::RequestedVersion => set(&mut self.requested_version, value),
            Field::ClientName => set(&mut self.client.name, value),
            Field::ClientVersion => set(&mut self.client.version, value),
            Field::TraceParent => set(&mut self.traceparent, value),
            // A part of it would be another one.
            Field::TraceState => {
                self.tracestate = match value {
                    Value::Text { text, cut: false } if !text.is_empty() => Some((*text).into()),
                    _ => None,
                };
            }
            Field::MetaVersion => set(&mut self.meta_version, value),
            Field::CancelledId => self.cancelled = Id::read(value).unwrap_or_default(),
            Field::Result => self.result = true,
            Field::IsError => self.is_error = *value == Value::Bool(true),
            Field::ResultType => set(&mut self.result_type, value),
            Field::TaskId => self.is_task = true,
            Field::AgreedVersion => set(&mut self.agreed_version, value),
            Field::ServerName => set(&mut self.server.name, value),
            Field::ServerVersion => set(&mut self.server.version, value),
            // With `null` beside a result, as version 1.0 has it, there is none.
            Field::Error => self.error = (*value != Value::Null).then(RpcError::default),
            Field::ErrorCode => {
                self.has_code = true;
                if let Some(error) = &mut self.error {
                    let written = value.as_str().and_then(|text| text.parse().ok());
                    error.code = value.as_i64().or(written).unwrap_or(0);
                }
            }
            Field::ErrorMessage => {
                if let (Some(error), Some(message)) = (&mut self.error, value.as_str()) {
                    error.message = cut_to(message, MAX_NAME).into();
                }
            }
        }
        // Fields below the first level are told before the next member of the first.
        self.named |=
            matches!(field, Field::JsonRpc | Field::Method | Field::Id | Field::Params | Field::Result | Field::Error);
        self.begun = true;
    }
}

fn set(kept: &mut Option<Box<str>>, value: &Value<'_>) {
    if let Some(text) = value.as_str().filter(|text| !text.is_empty()) {
        *kept = Some(cut_to(text, MAX_NAME).into());
    }
}

/// Takes what the scanner finds in one item: a message, or the messages of a batch, one after the other.
pub(super) struct Drafting<'a, F> {
    /// The message that is read.
    pub(super) state: &'a mut Drafts,
    /// Takes each message of a batch that the next one follows.
    pub(super) done: F,
}

/// The message that is read, and where it stands.
#[derive(Debug, Default)]
pub(super) struct Drafts {
    pub(super) draft: Draft,
    /// The item is an array.
    pub(super) batch: bool,
    /// Index in it.
    index: u32,
}

impl<F: FnMut(Draft)> crate::protocol::body::json::Found for Drafting<'_, F> {
    fn found(&mut self, path: u16, at: &[u32], value: Value<'_>) {
        let state = &mut *self.state;
        if path == ITEM {
            state.batch = value == Value::Array;
            // Text or a number is no message.
            state.draft.malformed |= !matches!(value, Value::Object | Value::Array);
            return;
        }
        if let Some(&index) = at.first()
            && index != state.index
        {
            state.index = index;
            (self.done)(std::mem::take(&mut state.draft));
        }
        if let Some(field) = BY_NUMBER.get(usize::from(path)) {
            state.draft.found(*field, &value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::body::json::Scanner;

    fn drafts(text: &str) -> Vec<Draft> {
        let mut scanner = Scanner::new(&PATHS, MAX_TEXT);
        let (mut state, mut all) = (Drafts::default(), Vec::new());
        scanner.push(text.as_bytes(), &mut Drafting { state: &mut state, done: |draft| all.push(draft) });
        scanner.end();
        all.push(state.draft);
        all
    }

    fn verdict(text: &str) -> Verdict {
        drafts(text).pop().unwrap().verdict()
    }

    #[test]
    fn a_message_of_json_rpc_is_one_by_its_members() {
        for text in [
            r#"{"jsonrpc":"2.0","id":1,"method":"m"}"#,
            r#"{"method":"m","params":{"a":1},"jsonrpc":"2.0","id":0}"#,
            r#"{"id":"x","result":null,"jsonrpc":"2.0"}"#,
            r#"{"jsonrpc":"2.0","error":{"code":-32700,"message":"x"},"id":null}"#,
            r#"{"jsonrpc":"1.0","id":"curltest","method":"getblockchaininfo","params":[]}"#,
            r#"{"jsonrpc":"2.0","method":"user.get","params":{},"auth":"x","id":1}"#,
            r#"{"jsonrpc":"2.0","method":"m""#,
        ] {
            assert_eq!(verdict(text), Verdict::JsonRpc, "{text}");
        }
    }

    #[test]
    fn what_looks_alike_is_none() {
        for text in [
            r#"{"model":"gpt-4o","messages":[]}"#,
            r#"{"id":7,"method":"card","amount":5}"#,
            r#"{"jsonrpc":2.0,"id":1,"method":"m"}"#,
            r#"{"jsonrpc":"3.0","id":1,"method":"m"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"m","params":"text"}"#,
            r#"{"jsonrpc":"2.0","id":{},"method":"m"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":null}"#,
            r#""jsonrpc""#,
        ] {
            assert_eq!(verdict(text), Verdict::Other, "{text}");
        }
        for text in [
            r#"{"id":7,"method":"card","params":{"jsonrpc":"2.0"}}"#,
            r#"{"jsonrpc":"2.0"}"#,
            r#"{"jsonrpc":"2.0","id":1}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"m","result":{}}"#,
            "{}",
            "[]",
            "[1,2]",
        ] {
            assert_eq!(verdict(text), Verdict::Open, "{text}");
        }
    }

    #[test]
    fn it_is_told_at_the_first_foreign_member() {
        assert_eq!(verdict(r#"{"messages":[{"role":"user","content":""#), Verdict::Other);
        assert_eq!(verdict(r#"{"jsonrpc":"2.0","method":"tools/call","params":{"arguments":{"x":""#), Verdict::JsonRpc);
    }

    #[test]
    fn ids_keep_their_type() {
        let id = |text: &str| drafts(&format!(r#"{{"jsonrpc":"2.0","id":{text},"method":"m"}}"#)).pop().unwrap().id;
        assert_eq!(id("1"), Id::Number("1".into()));
        assert_eq!(id("1.0"), Id::Number("1".into()));
        assert_eq!(id("1.5"), Id::Number("1.5".into()));
        assert_eq!(id("\"1\""), Id::Text("1".into()));
        assert_eq!(id("null"), Id::Null);
        assert_eq!(id(&format!("\"{}\"", "x".repeat(MAX_NAME))), Id::Text("x".repeat(MAX_NAME).into()));
        assert_eq!(id(&format!("\"{}\"", "x".repeat(MAX_NAME + 1))), Id::Long);
        assert_eq!(drafts(r#"{"jsonrpc":"2.0","method":"m"}"#)[0].id, Id::Absent);
    }

    #[test]
    fn the_elements_of_a_batch_are_apart() {
        let all =
            drafts(r#"[{"jsonrpc":"2.0","id":1,"method":"a"},{"jsonrpc":"2.0","method":"b","params":{"name":"n"}}]"#);
        let seen: Vec<_> =
            all.iter().map(|draft| (draft.method.as_deref(), &draft.id, draft.name.as_deref())).collect();
        assert_eq!(seen, [(Some("a"), &Id::Number("1".into()), None), (Some("b"), &Id::Absent, Some("n"))]);
    }

    #[test]
    fn what_is_kept_of_a_text_is_bounded() {
        let long = "世".repeat(400);
        let draft = drafts(&format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"{long}","params":{{"name":"{long}","_meta":{{"tracestate":"{long}"}}}}}}"#
        ))
        .pop()
        .unwrap();
        assert_eq!(draft.method.as_deref(), Some(&*"世".repeat(85)));
        assert_eq!(draft.name.as_deref(), Some(&*"世".repeat(85)));
        assert_eq!(draft.tracestate, None);
    }
}
