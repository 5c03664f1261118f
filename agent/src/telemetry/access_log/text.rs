//! Lines that a format string makes.

use std::{
    borrow::Cow,
    fmt::{self, Write as _},
    hash::Hasher as _,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use siphasher::sip128::{Hasher128 as _, SipHasher24};

use super::ExchangeSubject;
use crate::{
    capture::Role,
    percent,
    policy::{
        attribute::{Key, Side, Subject as _, Value},
        plan::access_log::text::{
            AddressPart, End, GrpcStatusStyle, Moment, Operand, Part, Point, Section, Source, Template,
        },
    },
    protocol::Headers,
    telemetry::{grpc, trace_context::Identity},
};

/// Appends a line.
pub(super) fn write(line: &mut Vec<u8>, template: &Template, entry: &ExchangeSubject<'_>) {
    for part in &template.parts {
        match part {
            Part::Literal(text) => line.extend_from_slice(text.as_bytes()),
            Part::Operand(operand) => write_operand(line, operand, entry),
        }
    }
}

/// Appends the first choice that has a value. What is absent or empty is `-`.
fn write_operand(line: &mut Vec<u8>, operand: &Operand, entry: &ExchangeSubject<'_>) {
    for (source, length) in &operand.choices {
        if let Some(text) = read(source, entry).filter(|text| !text.is_empty()) {
            let length = [*length, operand.length].into_iter().flatten().min();
            return value(line, &text, length);
        }
    }
    line.push(b'-');
}

/// Appends a value of at most so many characters, escaped as Apache httpd does ("Apache Module `mod_log_config`", format notes): quotation marks and backslashes with a
/// backslash, control characters in the style of C. So a value can neither end its line nor its quotation marks.
pub(super) fn value(line: &mut Vec<u8>, text: &str, length: Option<usize>) {
    let end = length.and_then(|length| text.char_indices().nth(length)).map_or(text.len(), |(end, _)| end);
    match &text[..end] {
        "" => line.push(b'-'),
        text => super::escape(line, text, "\\x"),
    }
}

/// What a source says of an exchange.
fn read<'a>(source: &'a Source, entry: &'a ExchangeSubject<'a>) -> Option<Cow<'a, str>> {
    match source {
        Source::Constant(text) => Some(Cow::Borrowed(text)),
        Source::Key(key) => entry.key(*key).map(Value::into_text),
        Source::Header(section, name) => header(*section, name, entry),
        Source::WithoutQuery(source) => read(source, entry).map(without_query),
        Source::Time(moment, format) => {
            let nanos = match moment {
                Moment::Start => entry.facts.exchange.request.head.first_byte.0,
                Moment::End => entry.facts.exchange.end.0,
            };
            let mut text = String::new();
            format.write(&mut text, nanos).ok().map(|()| Cow::Owned(text))
        }
        Source::Between { from, to, unit } => {
            let (from, to) = (point(*from, entry)?, point(*to, entry)?);
            let units = (i128::from(to) - i128::from(from)) / i128::from(*unit);
            Some(Cow::Owned(units.to_string()))
        }
        Source::Address(end, part) => {
            let open = &entry.facts.exchange.connection.open;
            if !open.addresses_known() {
                return None;
            }
            let own = (entry.facts.role == Role::Client) == (*end == End::Source);
            let address = if own { open.local } else { open.peer };
            Some(Cow::Owned(address_part(address, *part)))
        }
        Source::GrpcStatus(style) => {
            let Some(Value::Int(number)) = entry.key(Key::GrpcStatus) else { return None };
            Some(grpc_status(number, *style))
        }
        Source::QueryParameter(name) => query_parameter(entry.facts.parsed_target().query?, name),
        Source::DecodedQuery => entry.facts.parsed_target().query.map(percent_decoded),
        Source::Cel(expression) => expression.program.value(entry).map(Value::into_text),
        Source::UniqueId => entry.identity.map(|identity| Cow::Owned(Uuid::of(identity).to_string())),
    }
}

fn header<'a>(section: Section, name: &str, entry: &'a ExchangeSubject<'a>) -> Option<Cow<'a, str>> {
    match section {
        Section::Request => entry.header(Side::Request, name),
        Section::Response => entry.header(Side::Response, name),
        Section::Trailer => first(&entry.facts.exchange.response.as_ref()?.trailers, name),
    }
}

/// The first field of this name. The parser has dropped credentials and redacted URLs.
fn first<'a>(headers: &'a Headers, name: &str) -> Option<Cow<'a, str>> {
    headers.get(name).map(String::from_utf8_lossy)
}

fn without_query(path: Cow<'_, str>) -> Cow<'_, str> {
    match path.find('?') {
        None => path,
        Some(end) => match path {
            Cow::Borrowed(path) => Cow::Borrowed(&path[..end]),
            Cow::Owned(mut path) => {
                path.truncate(end);
                Cow::Owned(path)
            }
        },
    }
}

/// When something moved; `None` if it was not seen to.
fn point(point: Point, entry: &ExchangeSubject<'_>) -> Option<u64> {
    let exchange = entry.facts.exchange;
    let time = match point {
        Point::RequestFirst => exchange.request.head.first_byte,
        Point::ResponseFirst => exchange.response.as_ref()?.head.first_byte,
        // Of a message that was cut these are only the last bytes that were seen.
        Point::RequestLast => exchange.request.complete.then_some(exchange.request.last_byte)?,
        Point::ResponseLast => exchange.response.as_ref().filter(|response| response.complete)?.last_byte,
    };
    Some(time.0)
}

fn address_part(address: SocketAddr, part: AddressPart) -> String {
    match (part, address.ip()) {
        (AddressPart::Whole, _) => address.to_string(),
        (AddressPart::Port, _) => address.port().to_string(),
        (AddressPart::Host { prefix: None }, ip) => ip.to_string(),
        (AddressPart::Host { prefix: Some(bits) }, IpAddr::V4(ip)) => {
            let bits = u32::from(bits).min(32);
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            format!("{}/{bits}", Ipv4Addr::from_bits(ip.to_bits() & mask))
        }
        (AddressPart::Host { prefix: Some(bits) }, IpAddr::V6(ip)) => {
            let bits = u32::from(bits).min(128);
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            format!("{}/{bits}", Ipv6Addr::from_bits(ip.to_bits() & mask))
        }
    }
}

/// Names of gRPC statuses by number, as Envoy spells them in camel case.
const CAMEL_STATUSES: &[&str] = &[
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
];

/// A number without a name is itself.
fn grpc_status(number: i64, style: GrpcStatusStyle) -> Cow<'static, str> {
    let name = u32::try_from(number).ok().and_then(|number| match style {
        GrpcStatusStyle::Camel => CAMEL_STATUSES.get(number as usize).copied(),
        GrpcStatusStyle::Snake => grpc::name(number),
    });
    name.map_or_else(|| Cow::Owned(number.to_string()), Cow::Borrowed)
}

fn query_parameter<'a>(query: &'a str, wanted: &str) -> Option<Cow<'a, str>> {
    query.split('&').find_map(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        (percent_decoded(name) == wanted).then(|| percent_decoded(value))
    })
}

/// Percent-decoded; what is then not UTF-8 is replaced.
fn percent_decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let decoded: Vec<u8> = percent::decode(text.as_bytes()).collect();
    Cow::Owned(String::from_utf8_lossy(&decoded).into_owned())
}

/// A UUID of version 8 (RFC 9562 section 5.8), hashed from the ids of the span, so that a replay gives the same.
struct Uuid(u128);

impl Uuid {
    fn of(identity: &Identity) -> Self {
        let mut hasher = SipHasher24::new_with_keys(0x7465_6c6c_7461_6c65, 0x6c6f_675f_6964_0001);
        hasher.write(&identity.trace_id.0.to_le_bytes());
        hasher.write(&identity.span_id.0.to_le_bytes());
        let hash = hasher.finish128().as_u128();
        let version = 0xf_u128 << 76;
        let variant = 0b11_u128 << 62;
        Self(hash & !version & !variant | 8 << 76 | 0b10 << 62)
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = String::with_capacity(32);
        write!(digits, "{:032x}", self.0)?;
        write!(f, "{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..])
    }
}
