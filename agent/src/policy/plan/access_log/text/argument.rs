//! Arguments of operators.

use super::{AddressPart, Expression, GrpcStatusStyle, Point, Problem, Section, Source, TimeFormat, operator::Meaning};
use crate::policy::{
    attribute::{Key, Program},
    model::FieldPath,
    nearest::nearest,
    plan::access_log::Compiler,
};

/// What an operator with this argument reads: the first that has a value.
pub(super) fn compile(
    meaning: Meaning,
    argument: Option<&str>,
    at: &FieldPath,
    compiler: &mut Compiler<'_>,
) -> Result<Vec<Source>, Problem> {
    // Empty parentheses are no argument.
    let argument = argument.filter(|argument| !argument.is_empty());
    Ok(match meaning {
        Meaning::Unknown | Meaning::Coalesce => Vec::new(),
        Meaning::Key(key) => vec![Source::Key(without(argument, key)?)],
        Meaning::Millis(from, to) => vec![Source::Between { from, to, unit: without(argument, 1_000_000)? }],
        Meaning::UniqueId => vec![without(argument, Source::UniqueId)?],
        Meaning::HostName => without(argument, vec![Source::Key(Key::K8sPodName), Source::Key(Key::HostName)])?,
        Meaning::Time(moment) => vec![Source::Time(moment, time_format(argument)?)],
        Meaning::Header(section) => headers(section, argument, at, compiler)?,
        Meaning::HeaderWithoutQuery => headers(Section::Request, argument, at, compiler)?
            .into_iter()
            .map(|source| Source::WithoutQuery(Box::new(source)))
            .collect(),
        Meaning::CommonDuration => common_duration(argument)?,
        Meaning::Address(end, part) => vec![Source::Address(end, address_part(part, argument)?)],
        Meaning::GrpcStatus => vec![grpc_status(argument)?],
        Meaning::ServerName => server_name(argument)?,
        Meaning::Path => path(argument)?,
        Meaning::QueryParameter => {
            let name =
                argument.ok_or_else(|| Problem::new("needs the name of a parameter", "write %QUERY_PARAM(NAME)%"))?;
            vec![Source::QueryParameter(name.into())]
        }
        Meaning::Query => match one_of(argument.unwrap_or("ORIG"), &["ORIG", "DECODED"])? {
            "DECODED" => vec![Source::DecodedQuery],
            _ => vec![Source::Key(Key::UrlQuery)],
        },
        Meaning::Environment => {
            let name =
                argument.ok_or_else(|| Problem::new("needs the name of a variable", "write %ENVIRONMENT(NAME)%"))?;
            if !compiler.trust.may_read(name) {
                return Err(Problem::new(
                    format!("policies may not read the environment variable {name}"),
                    "the agent's configuration names those that they may",
                ));
            }
            (compiler.trust.variable)(name).into_iter().map(|value| Source::Constant(value.into())).collect()
        }
        Meaning::Cel => {
            let text = argument.ok_or_else(|| Problem::new("needs an expression", "write %CEL(EXPRESSION)%"))?;
            // What is wrong with it is among the findings already.
            let program = Program::compile(text, at, compiler.trust, compiler.findings);
            program.map(|program| Source::Cel(Expression::new(text, program))).into_iter().collect()
        }
    })
}

/// The value, of an operator without argument.
fn without<T>(argument: Option<&str>, value: T) -> Result<T, Problem> {
    match argument {
        None => Ok(value),
        Some(_) => Err(Problem::new("takes no argument", "leave out the parentheses")),
    }
}

fn time_format(argument: Option<&str>) -> Result<TimeFormat, Problem> {
    argument.map_or(Ok(TimeFormat::Default), |argument| {
        TimeFormat::compile(argument)
            .map_err(|problem| Problem::new(problem, "use the specifiers of std::put_time, %s, or %1f to %9f"))
    })
}

/// One of these words.
fn one_of<'a>(argument: &str, words: &[&'a str]) -> Result<&'a str, Problem> {
    words.iter().copied().find(|word| *word == argument).ok_or_else(|| {
        let remedy = match nearest(argument, words.iter().copied()) {
            Some(word) => format!("the nearest is `{word}`"),
            None => format!("write one of {}", words.join(", ")),
        };
        Problem::new(format!("{argument:?} is none of its words"), remedy)
    })
}

/// `X?Y`
fn headers(
    section: Section,
    argument: Option<&str>,
    at: &FieldPath,
    compiler: &mut Compiler<'_>,
) -> Result<Vec<Source>, Problem> {
    let wrong = || Problem::new("needs the name of a header field", "write NAME, or NAME?ALTERNATIVE");
    let names: Vec<&str> = argument.ok_or_else(wrong)?.split('?').map(str::trim).collect();
    if names.len() > 2 || names.iter().any(|name| name.is_empty()) {
        return Err(wrong());
    }
    let mut sources = Vec::new();
    for name in names {
        sources.extend(header(section, name, at, compiler)?);
    }
    Ok(sources)
}

/// A header field or what HTTP/2 calls a pseudo-header field; `None` of one that is never given out.
fn header(
    section: Section,
    name: &str,
    at: &FieldPath,
    compiler: &mut Compiler<'_>,
) -> Result<Option<Source>, Problem> {
    if let Some(key) = pseudo_header(section, name) {
        return Ok(Some(Source::Key(key)));
    }
    if !is_field_name(name) {
        return Err(Problem::new(
            format!("{name:?} is no name of a header field"),
            "a name has letters, digits and !#$%&'*+-.^_`|~",
        ));
    }
    Ok(compiler.may_give_out(at, name).then(|| Source::Header(section, name.to_ascii_lowercase().into())))
}

/// What a name with a colon means (RFC 9113 section 8.3); Envoy takes `Host` for `:authority`.
pub(in crate::policy::plan::access_log) fn pseudo_header(section: Section, name: &str) -> Option<Key> {
    let is = |known: &str| name.eq_ignore_ascii_case(known);
    match section {
        Section::Request if is(":method") => Some(Key::Method),
        Section::Request if is(":path") => Some(Key::Path),
        Section::Request if is(":authority") || is("host") => Some(Key::Authority),
        Section::Request if is(":scheme") => Some(Key::UrlScheme),
        Section::Response if is(":status") => Some(Key::HttpResponseStatusCode),
        _ => None,
    }
}

/// RFC 9110 section 5.1: a token.
pub(in crate::policy::plan::access_log) fn is_field_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// `START:END:PRECISION`
fn common_duration(argument: Option<&str>) -> Result<Vec<Source>, Problem> {
    let wrong = || {
        Problem::new("needs two points and a precision", "write START:END:PRECISION, such as DS_RX_BEG:US_RX_BEG:ms")
    };
    let [start, end, precision] = argument.ok_or_else(wrong)?.split(':').collect::<Vec<_>>()[..] else {
        return Err(wrong());
    };
    let unit = match one_of(precision, &["ms", "us", "ns"])? {
        "ms" => 1_000_000,
        "us" => 1000,
        _ => 1,
    };
    // Any other word names a point that a filter of a proxy has set: there is none.
    Ok(point(start).zip(point(end)).map(|(from, to)| Source::Between { from, to, unit }).into_iter().collect())
}

fn point(name: &str) -> Option<Point> {
    match name {
        "DS_RX_BEG" | "US_TX_BEG" => Some(Point::RequestFirst),
        "DS_RX_END" | "US_TX_END" => Some(Point::RequestLast),
        "US_RX_BEG" | "DS_TX_BEG" => Some(Point::ResponseFirst),
        "US_RX_END" | "DS_TX_END" => Some(Point::ResponseLast),
        _ => None,
    }
}

fn address_part(part: AddressPart, argument: Option<&str>) -> Result<AddressPart, Problem> {
    match (part, argument) {
        (AddressPart::Host { .. }, Some(argument)) => match argument.parse() {
            Ok(bits) if bits <= 128 => Ok(AddressPart::Host { prefix: Some(bits) }),
            _ => Err(Problem::new(
                format!("{argument:?} is no length of a prefix"),
                "write a number from 0 to 32, or 128 for IPv6",
            )),
        },
        (part, argument) => without(argument, part),
    }
}

fn grpc_status(argument: Option<&str>) -> Result<Source, Problem> {
    Ok(match one_of(argument.unwrap_or("CAMEL_STRING"), &["CAMEL_STRING", "SNAKE_STRING", "NUMBER"])? {
        "CAMEL_STRING" => Source::GrpcStatus(GrpcStatusStyle::Camel),
        "SNAKE_STRING" => Source::GrpcStatus(GrpcStatusStyle::Snake),
        _ => Source::Key(Key::GrpcStatus),
    })
}

/// `X:Y`; the server name of a TLS handshake is not known here, so only the host can be.
fn server_name(argument: Option<&str>) -> Result<Vec<Source>, Problem> {
    let (fallback, host) =
        argument.unwrap_or("SNI_ONLY").split_once(':').unwrap_or((argument.unwrap_or("SNI_ONLY"), "ORIG_OR_HOST"));
    let original = || Source::Header(Section::Request, "x-envoy-original-host".into());
    let host = match one_of(host, &["ORIG", "HOST", "ORIG_OR_HOST"])? {
        "ORIG" => vec![original()],
        "HOST" => vec![Source::Key(Key::Authority)],
        _ => vec![original(), Source::Key(Key::Authority)],
    };
    let server_name = Source::Key(Key::ConnectionServerName);
    Ok(match one_of(fallback, &["SNI_ONLY", "SNI_FIRST", "HOST_FIRST"])? {
        "SNI_ONLY" => vec![server_name],
        "SNI_FIRST" => std::iter::once(server_name).chain(host).collect(),
        _ => host.into_iter().chain([server_name]).collect(),
    })
}

/// `X:Y`
fn path(argument: Option<&str>) -> Result<Vec<Source>, Problem> {
    let argument = argument.unwrap_or("WQ");
    let (query, which) = argument.split_once(':').unwrap_or((argument, "ORIG_OR_PATH"));
    let original = || Source::Header(Section::Request, "x-envoy-original-path".into());
    let paths = match one_of(which, &["ORIG", "PATH", "ORIG_OR_PATH"])? {
        "ORIG" => vec![original()],
        "PATH" => vec![Source::Key(Key::Path)],
        _ => vec![original(), Source::Key(Key::Path)],
    };
    Ok(match one_of(if query.is_empty() { "WQ" } else { query }, &["WQ", "NQ"])? {
        "NQ" => paths.into_iter().map(|path| Source::WithoutQuery(Box::new(path))).collect(),
        _ => paths,
    })
}
