//! One line of a recording, as text.

use std::{borrow::Cow, fmt, io, net::SocketAddr};

use agent_common::tls;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::capture::{CloseHow, ConnectionId, Direction, Event, EventKind, GapReason, Open, Role, Timestamp};

/// The longest line that is read, in bytes without the line end. A `data` line of this length holds about 12 MiB.
pub const MAX_LINE: usize = 16 << 20;

/// The most fields of a line that are looked at; a line with more is broken.
const MAX_FIELDS: usize = 64;

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// The line is not a JSON object.
    #[error("not a JSON object: {0}")]
    Json(String),
    /// One field is missing or wrong.
    #[error("field \"{field}\": {problem}")]
    Field {
        /// The field's name.
        field: String,
        /// What is wrong with it, and what would be right.
        problem: String,
    },
    /// The line is longer than [`MAX_LINE`].
    #[error("longer than {MAX_LINE} bytes")]
    TooLong,
    /// The line is not UTF-8.
    #[error("not UTF-8")]
    Utf8,
}

fn wrong(field: &str, problem: impl Into<String>) -> FieldError {
    FieldError::Field { field: field.to_owned(), problem: problem.into() }
}

/// A value of a field: everything that a recording holds is one of the first four.
#[derive(Debug)]
enum Scalar<'a> {
    Null,
    Bool(bool),
    Number(u64),
    Text(Cow<'a, str>),
    Other(&'static str),
}

impl Scalar<'_> {
    fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "a string",
            Self::Other(kind) => kind,
        }
    }
}

impl<'de> Deserialize<'de> for Scalar<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ScalarVisitor;
        impl<'de> Visitor<'de> for ScalarVisitor {
            type Value = Scalar<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Scalar::Null)
            }
            fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
                Ok(Scalar::Bool(value))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
                Ok(Scalar::Number(value))
            }
            fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
                Ok(Scalar::Other("a negative number"))
            }
            fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
                Ok(Scalar::Other("a number that is not a 64-bit integer"))
            }
            fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
                Ok(Scalar::Text(Cow::Borrowed(value)))
            }
            fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
                Ok(Scalar::Text(Cow::Owned(value.to_owned())))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Scalar::Other("an array"))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
                while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Scalar::Other("an object"))
            }
        }
        deserializer.deserialize_any(ScalarVisitor)
    }
}

/// The fields of a line in order. Unknown ones are kept until nobody asks for them.
#[derive(Debug)]
struct Fields<'a>(Vec<(Cow<'a, str>, Scalar<'a>)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;
        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::with_capacity(10);
                while let Some(key) = entries.next_key::<Scalar<'de>>()? {
                    let Scalar::Text(key) = key else { continue };
                    if fields.len() == MAX_FIELDS {
                        return Err(serde::de::Error::custom(format_args!("more than {MAX_FIELDS} fields")));
                    }
                    fields.push((key, entries.next_value()?));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(FieldsVisitor)
    }
}

impl Fields<'_> {
    /// The value of a field, `None` if it is absent or null.
    fn get(&self, name: &str) -> Result<Option<&Scalar<'_>>, FieldError> {
        let mut found = None;
        for (key, value) in &self.0 {
            if key == name {
                if found.is_some() {
                    return Err(wrong(name, "given twice"));
                }
                found = Some(value);
            }
        }
        Ok(found.filter(|value| !matches!(value, Scalar::Null)))
    }

    fn optional_number(&self, name: &str) -> Result<Option<u64>, FieldError> {
        match self.get(name)? {
            None => Ok(None),
            Some(Scalar::Number(number)) => Ok(Some(*number)),
            Some(other) => Err(wrong(name, format!("{} where a whole number is needed", other.kind()))),
        }
    }

    fn number(&self, name: &str) -> Result<u64, FieldError> {
        self.optional_number(name)?.ok_or_else(|| wrong(name, "missing"))
    }

    fn optional_u32(&self, name: &str) -> Result<Option<u32>, FieldError> {
        self.optional_number(name)?
            .map(|number| u32::try_from(number).map_err(|_| wrong(name, format!("{number} is above {}", u32::MAX))))
            .transpose()
    }

    fn optional_text(&self, name: &str) -> Result<Option<&str>, FieldError> {
        match self.get(name)? {
            None => Ok(None),
            Some(Scalar::Text(text)) => Ok(Some(text)),
            Some(other) => Err(wrong(name, format!("{} where a string is needed", other.kind()))),
        }
    }

    fn text(&self, name: &str) -> Result<&str, FieldError> {
        self.optional_text(name)?.ok_or_else(|| wrong(name, "missing"))
    }

    fn flag(&self, name: &str) -> Result<bool, FieldError> {
        match self.get(name)? {
            None => Ok(false),
            Some(Scalar::Bool(flag)) => Ok(*flag),
            Some(other) => Err(wrong(name, format!("{} where true or false is needed", other.kind()))),
        }
    }

    fn address(&self, name: &str) -> Result<SocketAddr, FieldError> {
        let text = self.text(name)?;
        let address: SocketAddr = text
            .parse()
            .map_err(|_| wrong(name, format!("{text:?} is not an address like 10.0.0.1:80 or [fd00::1]:80")))?;
        Ok(SocketAddr::new(address.ip().to_canonical(), address.port()))
    }

    fn direction(&self) -> Result<Direction, FieldError> {
        match self.text("dir")? {
            "out" => Ok(Direction::Out),
            "in" => Ok(Direction::In),
            other => Err(wrong("dir", format!("{other:?} is neither \"out\" nor \"in\""))),
        }
    }
}

/// Reads one line. The bytes of a `data` event are decoded into `bytes`, which the event then borrows.
pub(super) fn parse<'b>(line: &[u8], bytes: &'b mut Vec<u8>) -> Result<Event<'b>, FieldError> {
    let line = std::str::from_utf8(line).map_err(|_| FieldError::Utf8)?;
    let fields: Fields<'_> = serde_json::from_str(line)
        .map_err(|error| FieldError::Json(error.to_string().replace(" at line 1 column ", ", column ")))?;
    let time = Timestamp(fields.number("t")?);
    let connection = connection(&fields)?;
    let kind = match fields.text("ev")? {
        "open" => EventKind::Open(Box::new(parse_open(&fields)?)),
        "data" => parse_data(&fields, bytes)?,
        "gap" => parse_gap(&fields)?,
        "close" => EventKind::Close {
            how: match fields.optional_text("how")? {
                None => None,
                Some("fin") => Some(CloseHow::Fin),
                Some("reset") => Some(CloseHow::Reset),
                Some(other) => return Err(wrong("how", format!("{other:?} is neither \"fin\" nor \"reset\""))),
            },
        },
        other => return Err(wrong("ev", format!("{other:?} is none of \"open\", \"data\", \"gap\", \"close\""))),
    };
    Ok(Event { time, connection, kind })
}

/// Which connection: a number, and for what is inside TLS which TLS of that socket it is inside of. A number alone is taken as it is.
fn connection(fields: &Fields<'_>) -> Result<ConnectionId, FieldError> {
    let number = fields.number("conn")?;
    let Some(inside) = fields.optional_u32("inside")? else { return Ok(ConnectionId(number)) };
    if number > tls::COOKIE {
        return Err(wrong("conn", format!("{number} is above {} for what is inside TLS", tls::COOKIE)));
    }
    match inside.checked_sub(1) {
        None => Ok(ConnectionId(tls::TLS | tls::UNKNOWN | number)),
        Some(ordinal) if ordinal < tls::OBJECTS_OF_SOCKET => Ok(ConnectionId(tls::inside(number, ordinal))),
        Some(_) => Err(wrong("inside", format!("{inside} is above {}", tls::OBJECTS_OF_SOCKET))),
    }
}

/// The same to be written: numbers of 64 bits would be others to readers whose numbers are doubles (RFC 8259 section 6).
struct Conn(ConnectionId);

impl fmt::Display for Conn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(ConnectionId(id)) = *self;
        let unknown = id & !(tls::TLS | tls::UNKNOWN);
        match tls::socket(id) {
            Some(socket) if tls::is_inside(id) => write!(f, r#"{socket},"inside":{}"#, tls::ordinal(id) + 1),
            None if unknown <= tls::COOKIE => write!(f, r#"{unknown},"inside":0"#),
            _ => write!(f, "{id}"),
        }
    }
}

fn parse_open(fields: &Fields<'_>) -> Result<Open, FieldError> {
    let pod = fields.optional_text("pod")?;
    if let Some(pod) = pod
        && !pod.split_once('/').is_some_and(|(ns, name)| !ns.is_empty() && !name.is_empty() && !name.contains('/'))
    {
        return Err(wrong("pod", format!("{pod:?} is not of the form \"namespace/name\"")));
    }
    Ok(Open {
        role: match fields.optional_text("role")? {
            None => None,
            Some("client") => Some(Role::Client),
            Some("server") => Some(Role::Server),
            Some(other) => return Err(wrong("role", format!("{other:?} is neither \"client\" nor \"server\""))),
        },
        local: fields.address("local")?,
        peer: fields.address("peer")?,
        pid: fields.optional_u32("pid")?.unwrap_or(0),
        comm: fields.optional_text("comm")?.unwrap_or_default().to_owned(),
        service: fields.optional_text("service")?.map(str::to_owned),
        cgroup: fields.optional_number("cgroup")?,
        isn_out: fields.optional_u32("isn_out")?,
        isn_in: fields.optional_u32("isn_in")?,
        tls: fields.flag("tls")?,
        pod: pod.map(str::to_owned),
        container: fields.optional_text("container")?.map(str::to_owned),
    })
}

fn parse_data<'b>(fields: &Fields<'_>, bytes: &'b mut Vec<u8>) -> Result<EventKind<'b>, FieldError> {
    let direction = fields.direction()?;
    let position = fields.number("pos")?;
    bytes.clear();
    if let Some(text) = fields.optional_text("b64")? {
        STANDARD.decode_vec(text, bytes).map_err(|error| wrong("b64", format!("not Base64 (RFC 4648): {error}")))?;
    }
    let length = match fields.optional_u32("len")? {
        Some(length) if (length as usize) < bytes.len() => {
            return Err(wrong("len", format!("{length} is less than the {} bytes of \"b64\"", bytes.len())));
        }
        Some(length) => length,
        None => bytes.len() as u32,
    };
    if length == 0 {
        return Err(wrong("len", "0: a call that moved nothing is not data"));
    }
    end_of(position, u64::from(length))?;
    Ok(EventKind::Data { direction, position, length, bytes })
}

fn parse_gap(fields: &Fields<'_>) -> Result<EventKind<'static>, FieldError> {
    let direction = fields.direction()?;
    let position = fields.number("pos")?;
    let length = fields.number("len")?;
    if length == 0 {
        return Err(wrong("len", "0: a gap has a length"));
    }
    end_of(position, length)?;
    let why = fields.text("why")?;
    let reason =
        GapReason::from_name(why).ok_or_else(|| wrong("why", format!("{why:?} is not the name of a reason")))?;
    Ok(EventKind::Gap { direction, position, length, reason })
}

/// Positions are 64 bits; no stream reaches their end, and arithmetic behind this check need not fear it.
fn end_of(position: u64, length: u64) -> Result<(), FieldError> {
    match position.checked_add(length) {
        Some(end) if end <= u64::MAX >> 1 => Ok(()),
        _ => Err(wrong("pos", format!("{position} is beyond the end of any stream"))),
    }
}

/// Writes one line with its line end. `scratch` is for Base64 and keeps its allocation.
pub(super) fn format(event: &Event<'_>, scratch: &mut String, out: &mut impl io::Write) -> io::Result<()> {
    let (t, conn) = (event.time.0, Conn(event.connection));
    match &event.kind {
        EventKind::Open(open) => {
            write!(out, r#"{{"t":{t},"ev":"open","conn":{conn}"#)?;
            match open.role {
                Some(Role::Client) => out.write_all(br#","role":"client""#)?,
                Some(Role::Server) => out.write_all(br#","role":"server""#)?,
                None => {}
            }
            write!(out, r#","local":"{}","peer":"{}""#, open.local, open.peer)?;
            if open.pid != 0 {
                write!(out, r#","pid":{}"#, open.pid)?;
            }
            if !open.comm.is_empty() {
                text(out, "comm", &open.comm)?;
            }
            if let Some(service) = &open.service {
                text(out, "service", service)?;
            }
            if let Some(cgroup) = open.cgroup {
                write!(out, r#","cgroup":{cgroup}"#)?;
            }
            if let Some(isn) = open.isn_out {
                write!(out, r#","isn_out":{isn}"#)?;
            }
            if let Some(isn) = open.isn_in {
                write!(out, r#","isn_in":{isn}"#)?;
            }
            if open.tls {
                out.write_all(br#","tls":true"#)?;
            }
            if let Some(pod) = &open.pod {
                text(out, "pod", pod)?;
            }
            if let Some(container) = &open.container {
                text(out, "container", container)?;
            }
            out.write_all(b"}\n")
        }
        EventKind::Data { direction, position, length, bytes } => {
            let dir = direction_name(*direction);
            write!(out, r#"{{"t":{t},"ev":"data","conn":{conn},"dir":"{dir}","pos":{position},"len":{length}"#)?;
            if !bytes.is_empty() {
                scratch.clear();
                STANDARD.encode_string(bytes, scratch);
                write!(out, r#","b64":"{scratch}""#)?;
            }
            out.write_all(b"}\n")
        }
        EventKind::Gap { direction, position, length, reason } => {
            let (dir, why) = (direction_name(*direction), reason.name());
            writeln!(
                out,
                r#"{{"t":{t},"ev":"gap","conn":{conn},"dir":"{dir}","pos":{position},"len":{length},"why":"{why}"}}"#
            )
        }
        EventKind::Close { how } => {
            write!(out, r#"{{"t":{t},"ev":"close","conn":{conn}"#)?;
            match how {
                Some(CloseHow::Fin) => out.write_all(br#","how":"fin""#)?,
                Some(CloseHow::Reset) => out.write_all(br#","how":"reset""#)?,
                None => {}
            }
            out.write_all(b"}\n")
        }
    }
}

const fn direction_name(direction: Direction) -> &'static str {
    match direction {
        Direction::Out => "out",
        Direction::In => "in",
    }
}

fn text(out: &mut impl io::Write, name: &str, value: &str) -> io::Result<()> {
    write!(out, r#","{name}":{}"#, serde_json::to_string(value)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(line: &str) -> String {
        parse(line.as_bytes(), &mut Vec::new()).unwrap_err().to_string()
    }

    #[test]
    fn every_kind_of_line_is_written_as_it_was_read() {
        for line in [
            r#"{"t":1,"ev":"open","conn":1,"role":"client","local":"10.0.0.1:4000","peer":"[fd00::2]:80","pid":12,"comm":"py\"t","service":"my_agent","cgroup":7,"isn_out":1,"isn_in":4294967295,"tls":true,"pod":"ns/name","container":"c"}"#,
            r#"{"t":1,"ev":"open","conn":1,"local":"10.0.0.1:4000","peer":"10.0.0.2:80"}"#,
            r#"{"t":18446744073709551615,"ev":"data","conn":2,"dir":"out","pos":5,"len":9,"b64":"AAEC"}"#,
            r#"{"t":1,"ev":"data","conn":2,"dir":"in","pos":0,"len":9}"#,
            r#"{"t":1,"ev":"gap","conn":2,"dir":"in","pos":0,"len":9,"why":"ring_full"}"#,
            r#"{"t":1,"ev":"close","conn":2,"how":"reset"}"#,
            r#"{"t":1,"ev":"close","conn":2}"#,
            r#"{"t":1,"ev":"close","conn":2,"inside":1}"#,
            r#"{"t":1,"ev":"close","conn":288230376151711743,"inside":16}"#,
            r#"{"t":1,"ev":"close","conn":2,"inside":0}"#,
        ] {
            let mut bytes = Vec::new();
            let event = parse(line.as_bytes(), &mut bytes).unwrap();
            let mut out = Vec::new();
            format(&event, &mut String::new(), &mut out).unwrap();
            assert_eq!(String::from_utf8(out).unwrap().trim_end(), line);
        }
    }

    #[test]
    fn an_error_names_the_field_and_what_would_be_right() {
        let data = |rest: &str| problem(&format!(r#"{{"t":1,"ev":"data","conn":1,{rest}}}"#));
        insta::assert_snapshot!(
            [
                problem("{"),
                problem("[1]"),
                problem(r#"{"t":1,"conn":1}"#),
                problem(r#"{"t":-1,"conn":1,"ev":"close"}"#),
                problem(r#"{"t":1.5,"conn":1,"ev":"close"}"#),
                problem(r#"{"t":1,"t":2,"conn":1,"ev":"close"}"#),
                problem(r#"{"t":1,"conn":{"a":[]},"ev":"close"}"#),
                problem(r#"{"t":1,"conn":1,"ev":"shut"}"#),
                problem(r#"{"t":1,"conn":1,"ev":"close","how":"rst"}"#),
                problem(r#"{"t":1,"conn":1,"ev":"open","local":"localhost:80","peer":"10.0.0.1:1"}"#),
                problem(r#"{"t":1,"conn":1,"ev":"open","local":"10.0.0.1:1","peer":"10.0.0.1:1","pod":"x"}"#),
                data(r#""dir":"up","pos":0,"len":1"#),
                data(r#""dir":"in","len":1"#),
                data(r#""dir":"in","pos":0,"len":1,"b64":"AAEC""#),
                data(r#""dir":"in","pos":0,"len":3,"b64":"A*EC""#),
                data(r#""dir":"in","pos":0,"len":0"#),
                data(r#""dir":"in","pos":0,"len":4294967296"#),
                data(r#""dir":"in","pos":18446744073709551615,"len":1"#),
                problem(r#"{"t":1,"ev":"gap","conn":1,"dir":"in","pos":0,"len":1,"why":"bored"}"#),
            ]
            .join("\n"),
            @r#"
            not a JSON object: EOF while parsing an object, column 1
            not a JSON object: invalid type: sequence, expected an object, column 0
            field "ev": missing
            field "t": a negative number where a whole number is needed
            field "t": a number that is not a 64-bit integer where a whole number is needed
            field "t": given twice
            field "conn": an object where a whole number is needed
            field "ev": "shut" is none of "open", "data", "gap", "close"
            field "how": "rst" is neither "fin" nor "reset"
            field "local": "localhost:80" is not an address like 10.0.0.1:80 or [fd00::1]:80
            field "pod": "x" is not of the form "namespace/name"
            field "dir": "up" is neither "out" nor "in"
            field "pos": missing
            field "len": 1 is less than the 3 bytes of "b64"
            field "b64": not Base64 (RFC 4648): Invalid symbol 42, offset 1.
            field "len": 0: a call that moved nothing is not data
            field "len": 4294967296 is above 4294967295
            field "pos": 18446744073709551615 is beyond the end of any stream
            field "why": "bored" is not the name of a reason
            "#
        );
    }

    #[test]
    fn what_is_inside_tls_is_told_apart_by_small_numbers() {
        let read = |line: &str| parse(line.as_bytes(), &mut Vec::new()).map(|event| event.connection.0);
        assert_eq!(read(r#"{"t":1,"ev":"close","conn":5,"inside":1}"#), Ok(tls::inside(5, 0)));
        assert_eq!(read(r#"{"t":1,"ev":"close","conn":5,"inside":2}"#), Ok(tls::inside(5, 1)));
        assert_eq!(read(r#"{"t":1,"ev":"close","conn":5,"inside":0}"#), Ok(tls::TLS | tls::UNKNOWN | 5));
        // As it was written before.
        assert_eq!(read(r#"{"t":1,"ev":"close","conn":9223372036854775813}"#), Ok(tls::inside(5, 0)));
        let problem = |line| read(line).unwrap_err().to_string();
        assert_eq!(problem(r#"{"t":1,"ev":"close","conn":5,"inside":17}"#), "field \"inside\": 17 is above 16");
        let large = problem(r#"{"t":1,"ev":"close","conn":288230376151711744,"inside":1}"#);
        assert!(large.starts_with("field \"conn\": 288230376151711744 is above"), "{large}");
    }

    #[test]
    fn unknown_fields_are_for_later_versions() {
        let line = br#"{"t":1,"ev":"close","conn":1,"how":"fin","new":{"a":[1,2.5,null]}}"#;
        assert!(parse(line, &mut Vec::new()).is_ok());
    }

    #[test]
    fn v4_mapped_addresses_are_ipv4() {
        let line = br#"{"t":1,"ev":"open","conn":1,"local":"[::ffff:10.0.0.1]:1","peer":"[::1]:2"}"#;
        let mut bytes = Vec::new();
        let EventKind::Open(open) = parse(line, &mut bytes).unwrap().kind else { panic!() };
        assert_eq!(open.local.to_string(), "10.0.0.1:1");
    }
}
