//! What an exchange says, read once and shared by metrics, spans and logs.

use std::{borrow::Cow, net::SocketAddr};

use super::{
    calls::leading,
    cost::Cost,
    host,
    trace_context::{self, Context},
};
use crate::{
    capture::Role,
    exchange::{Call, Exchange, mcp::Message},
    policy::plan::ContextFormat,
    protocol::{Headers, HttpVersion, Incomplete, StartLine},
};

/// `error.type` (semconv http-spans: the status code of an error status, else a low-cardinality reason).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorType {
    /// An error status: 4xx and 5xx for a client, 5xx for a server.
    Status(u16),
    /// The connection closed before the answer.
    ConnectionClosed,
    /// The connection was reset before the answer.
    ConnectionReset,
}

impl ErrorType {
    /// The attribute's value.
    pub fn name(self) -> Cow<'static, str> {
        match self {
            Self::Status(status) => status.to_string().into(),
            Self::ConnectionClosed => "connection_closed".into(),
            Self::ConnectionReset => "connection_reset".into(),
        }
    }
}

/// The request target, split (RFC 9112 section 3.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Target<'a> {
    /// The scheme of an absolute-form target.
    pub scheme: Option<&'a str>,
    /// The authority of an absolute-form or authority-form target.
    pub authority: Option<&'a str>,
    /// The path; `*` for asterisk-form, `None` for authority-form.
    pub path: Option<&'a str>,
    /// The query, without the question mark.
    pub query: Option<&'a str>,
}

impl<'a> Target<'a> {
    /// Splits a target of this method.
    pub fn parse(method: &str, target: &'a str) -> Self {
        if method == "CONNECT" {
            return Self { authority: Some(target), ..Self::default() };
        }
        let (scheme, authority, rest) = match target.split_once("://") {
            // Only an absolute-form target starts with a letter; `/a?b=http://c` is origin-form.
            Some((scheme, rest)) if target.starts_with(|first: char| first.is_ascii_alphabetic()) => {
                let end = rest.find(['/', '?']).unwrap_or(rest.len());
                (Some(scheme), Some(&rest[..end]), &rest[end..])
            }
            _ => (None, None, target),
        };
        let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
        let path = if path.is_empty() { "/" } else { path };
        Self { scheme, authority, path: Some(path), query }
    }
}

/// Header fields that the three signals need, found in one pass.
#[derive(Clone, Default)]
struct Fields<'a> {
    host: Option<&'a str>,
    forwarded: Option<&'a str>,
    forwarded_for: Option<&'a str>,
    forwarded_host: Option<&'a str>,
    forwarded_proto: Option<&'a str>,
    request_id: Option<&'a str>,
    user_agent: Option<&'a [u8]>,
    /// Whether one of them can be part of a trace context: most requests carry none, and need no search for it.
    traced: bool,
}

impl<'a> Fields<'a> {
    fn read(headers: &'a Headers) -> Self {
        let mut fields = Self::default();
        for (name, value) in headers.iter() {
            let Some(value) = value else { continue };
            let is = |wanted: &str| name.eq_ignore_ascii_case(wanted.as_bytes());
            // The length decides first, so that most fields cost one comparison.
            match name.len() {
                4 if is("host") => text(&mut fields.host, value),
                9 if is("forwarded") => text(&mut fields.forwarded, value),
                10 if is("user-agent") => {
                    fields.user_agent.get_or_insert(value);
                }
                12 if is("x-request-id") => text(&mut fields.request_id, value),
                15 if is("x-forwarded-for") => text(&mut fields.forwarded_for, value),
                16 if is("x-forwarded-host") => text(&mut fields.forwarded_host, value),
                17 if is("x-forwarded-proto") => text(&mut fields.forwarded_proto, value),
                _ => fields.traced |= trace_context::carries(name),
            }
        }
        fields
    }
}

/// Keeps the first value that is text.
fn text<'a>(slot: &mut Option<&'a str>, value: &'a [u8]) {
    if slot.is_none() {
        *slot = std::str::from_utf8(value).ok().filter(|value| !value.is_empty());
    }
}

/// An exchange, read.
#[derive(Clone)]
pub struct Facts<'a> {
    /// The exchange itself.
    pub exchange: &'a Exchange,
    /// Which end reports.
    pub role: Role,
    /// The method as sent.
    pub method: &'a str,
    /// The request target as sent, redacted by the parser.
    pub target: &'a str,
    /// HTTP version of the request.
    pub version: HttpVersion,
    /// Status code of the response.
    pub status: Option<u16>,
    /// Why it failed as an exchange of HTTP, if it did; as the call that it is: [`Facts::failure`].
    pub error: Option<ErrorType>,
    /// Of JSON-RPC the message that is asked for: that of the part, or the one that stands for the exchange.
    pub message: Option<&'a Message>,
    /// Which part it is ([`Facts::parts`]); 0 for what stands for the exchange.
    pub part: u32,
    /// What it costs, as far as the one who made this knows prices.
    pub cost: Cost,
    /// Whether the first byte of the request and the last of the response were both seen.
    pub both_ends: bool,
    fields: Fields<'a>,
}

impl<'a> Facts<'a> {
    /// Reads an exchange. `None` if what it has for a request is not one.
    pub fn of(exchange: &'a Exchange) -> Option<Self> {
        let StartLine::Request { method, target } = &exchange.request.head.start else { return None };
        let role = exchange.connection.role;
        let status = exchange.response.as_ref().and_then(|response| match response.head.start {
            StartLine::Response { status } => Some(status),
            StartLine::Request { .. } => None,
        });
        let messages = exchange.call.as_ref().and_then(|call| match call {
            Call::Mcp(messages) | Call::JsonRpc(messages) => leading(&messages.messages),
            Call::GenAi(_) => None,
        });
        Some(Self {
            exchange,
            role,
            method,
            target,
            version: exchange.request.head.version,
            status,
            error: error_type(exchange, role, status),
            message: messages.map(|(_, message)| message),
            part: 0,
            cost: Cost::of(exchange),
            both_ends: both_ends_seen(exchange),
            fields: Fields::read(&exchange.request.head.headers),
        })
    }

    /// Nanoseconds from the first byte of the request to the last of the response; `None` unless both were seen.
    pub fn duration(&self) -> Option<u64> {
        let response = self.exchange.response.as_ref()?;
        self.both_ends.then(|| response.last_byte.since(self.exchange.request.head.first_byte).as_nanos() as u64)
    }

    /// The target's parts.
    pub fn parsed_target(&self) -> Target<'a> {
        Target::parse(self.method, self.target)
    }

    /// What the sender addressed: the target's authority, else `Host` (RFC 9112 section 3.2.2), without user info.
    pub fn authority(&self) -> Option<&'a str> {
        let in_target = if self.target.starts_with('/') { None } else { self.parsed_target().authority };
        // User info is no part of whom it addresses; the parser has redacted it.
        let authority = in_target.or(self.fields.host)?;
        Some(authority.rsplit_once('@').map_or(authority, |(_, host)| host))
    }

    /// `url.scheme`: that of an absolute target, else what the connection tells. A server believes a proxy's `Forwarded` or `X-Forwarded-Proto`.
    pub fn scheme(&self) -> &'static str {
        let of_proxy = || {
            let of_standard = self.fields.forwarded.and_then(|value| host::forwarded(value, "proto"));
            of_standard.or_else(|| self.fields.forwarded_proto.and_then(host::first))
        };
        let forwarded = if self.role == Role::Server { of_proxy() } else { None };
        let in_target = || if self.target.starts_with('/') { None } else { self.parsed_target().scheme };
        let said = forwarded.and_then(host::scheme).or_else(|| in_target().and_then(host::scheme));
        said.unwrap_or(if self.exchange.connection.open.tls { "https" } else { "http" })
    }

    /// The port of an authority that names none: that of the scheme (RFC 9110 section 4.2). Where a proxy is asked, the other end of the connection has
    /// another one.
    fn scheme_port(&self) -> u16 {
        if self.scheme() == "https" { 443 } else { 80 }
    }

    /// `server.address` and `server.port`.
    ///
    /// For a client: the authority, its port or else the scheme's; without one the server name of TLS and the peer's port; without either the peer. For
    /// a server: the host that a proxy forwarded, else the authority, else the server name, its port or else the scheme's; absent without any.
    pub fn server(&self) -> Option<(Cow<'a, str>, u16)> {
        let connection = &self.exchange.connection;
        let asked_for = || connection.hello.as_deref().and_then(|hello| hello.server_name.as_deref());
        if self.role == Role::Client {
            if let Some((host, port)) = self.authority().and_then(host::split) {
                return Some((Cow::Borrowed(host), port.unwrap_or_else(|| self.scheme_port())));
            }
            let peer = self.peer();
            return match asked_for() {
                Some(name) => Some((Cow::Borrowed(name), peer.map_or_else(|| self.scheme_port(), |peer| peer.port()))),
                None => peer.map(|peer| (Cow::Owned(peer.ip().to_string()), peer.port())),
            };
        }
        let forwarded = (self.fields.forwarded.and_then(|value| host::forwarded(value, "host")))
            .or_else(|| self.fields.forwarded_host.and_then(host::first));
        let host = forwarded.and_then(host::split).or_else(|| self.authority().and_then(host::split));
        let (host, port) = host.or_else(|| Some((asked_for()?, None)))?;
        Some((Cow::Borrowed(host), port.unwrap_or_else(|| self.scheme_port())))
    }

    /// `client.address` of a server: who a proxy says it was, else the peer.
    pub fn client_address(&self) -> Option<Cow<'a, str>> {
        (self.fields.forwarded.and_then(|value| host::forwarded(value, "for")))
            .or_else(|| self.fields.forwarded_for.and_then(host::first))
            .and_then(host::split)
            .map(|(host, _)| Cow::Borrowed(host))
            .or_else(|| Some(Cow::Owned(self.peer()?.ip().to_string())))
    }

    /// `client.port` of a server; `None` where a proxy says who the client was, since the port is the proxy's.
    pub fn client_port(&self) -> Option<u16> {
        let peer = self.peer()?;
        let is_own = self.role == Role::Client || self.client_address()? == peer.ip().to_string();
        is_own.then(|| peer.port())
    }

    /// The other end of the connection; `None` where it is not known which connection it was.
    pub fn peer(&self) -> Option<SocketAddr> {
        let open = &self.exchange.connection.open;
        open.addresses_known().then_some(open.peer)
    }

    /// The other end where it is nobody that is known: of what a pod asks outside the cluster the host and port that it addresses, since that is the
    /// name that was resolved for it; else the address.
    pub fn peer_name(&self) -> Option<String> {
        let peer = self.peer()?;
        let asks = self.role == Role::Client && self.exchange.connection.workload.pod.is_some();
        Some(match self.authority().filter(|_| asks).and_then(host::split) {
            Some((host, port)) if host.contains(':') => {
                format!("[{host}]:{}", port.unwrap_or_else(|| self.scheme_port()))
            }
            Some((host, port)) => format!("{host}:{}", port.unwrap_or_else(|| self.scheme_port())),
            None => peer.to_string(),
        })
    }

    /// `User-Agent`.
    pub fn user_agent(&self) -> Option<&'a [u8]> {
        self.fields.user_agent
    }

    /// `X-Request-Id`.
    pub fn request_id(&self) -> Option<&'a str> {
        self.fields.request_id
    }

    /// The trace context that the request carries in one of these formats, the first that is there.
    pub fn context(&self, formats: &[ContextFormat]) -> Option<Context> {
        self.fields.traced.then(|| trace_context::extract(formats, &self.exchange.request.head.headers))?
    }
}

fn error_type(exchange: &Exchange, role: Role, status: Option<u16>) -> Option<ErrorType> {
    match (status, exchange.incomplete) {
        (Some(status), _) => {
            let first = if role == Role::Client { 400 } else { 500 };
            (status >= first).then_some(ErrorType::Status(status))
        }
        (None, Some(Incomplete::Closed)) => Some(ErrorType::ConnectionClosed),
        (None, Some(Incomplete::Reset)) => Some(ErrorType::ConnectionReset),
        // An answer that was not seen is not an answer that failed.
        (None, _) => None,
    }
}

/// POLICY.md section 4, "Incomplete". A request has a head, so its first byte was seen; what became of the rest of it (an answer may come
/// before its end, RFC 9112 section 9.6) does not matter. After a gap inside a response its end is known only if its framing was.
fn both_ends_seen(exchange: &Exchange) -> bool {
    exchange.response.as_ref().is_some_and(|response| response.complete)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{capture::GapReason, protocol::tls::Hello, telemetry::test_support::Sample};

    #[test]
    fn targets() {
        let parse = |method, target| {
            let parsed = Target::parse(method, target);
            (parsed.scheme, parsed.authority, parsed.path, parsed.query)
        };
        assert_eq!(parse("GET", "/a?b=c?d"), (None, None, Some("/a"), Some("b=c?d")));
        assert_eq!(parse("GET", "/a?u=http://x"), (None, None, Some("/a"), Some("u=http://x")));
        assert_eq!(parse("GET", "http://h:1/p?q"), (Some("http"), Some("h:1"), Some("/p"), Some("q")));
        assert_eq!(parse("GET", "http://h?q"), (Some("http"), Some("h"), Some("/"), Some("q")));
        assert_eq!(parse("OPTIONS", "*"), (None, None, Some("*"), None));
        assert_eq!(parse("CONNECT", "h:443"), (None, Some("h:443"), None, None));
    }

    #[test]
    fn errors_depend_on_the_end() {
        let error = |role, status| Sample::new(role).status(status).facts(|facts| facts.error);
        assert_eq!(error(Role::Client, 404), Some(ErrorType::Status(404)));
        assert_eq!(error(Role::Server, 404), None);
        assert_eq!(error(Role::Server, 503), Some(ErrorType::Status(503)));
        assert_eq!(error(Role::Client, 302), None);
        let unanswered = |why| Sample::new(Role::Client).unanswered(why).facts(|facts| facts.error);
        assert_eq!(unanswered(Incomplete::Closed), Some(ErrorType::ConnectionClosed));
        assert_eq!(unanswered(Incomplete::Reset), Some(ErrorType::ConnectionReset));
        assert_eq!(unanswered(Incomplete::Gap(GapReason::RingFull)), None);
    }

    #[test]
    fn durations_need_both_ends() {
        let measured = |sample: &Sample| sample.facts(|facts| facts.duration().map(u128::from));
        let duration = |why| measured(&Sample::new(Role::Client).incomplete(why));
        assert_eq!(measured(&Sample::new(Role::Client)), Some(12_345_678));
        assert_eq!(duration(Incomplete::Gap(GapReason::RingFull)), Some(12_345_678));
        assert_eq!(duration(Incomplete::LateJoin), None);
        assert_eq!(duration(Incomplete::Truncated), None);
        let unknown_size =
            Sample::new(Role::Client).incomplete(Incomplete::Gap(GapReason::RingFull)).response_size(None);
        assert_eq!(measured(&unknown_size), None);
        for why in [Incomplete::Truncated, Incomplete::Reset] {
            let answered = Sample::new(Role::Client).cut_request(why);
            assert_eq!(measured(&answered), Some(12_345_678));
        }
    }

    #[test]
    fn whom_a_request_addresses() {
        let server =
            |sample: Sample| sample.facts(|facts| facts.server().map(|(host, port)| (host.into_owned(), port)));
        let is = |host: &str, port| Some((host.to_owned(), port));
        assert_eq!(server(Sample::new(Role::Client)), is("shop.example", 8080));
        assert_eq!(server(Sample::new(Role::Client).header("host", "shop.example")), is("shop.example", 80));
        assert_eq!(server(Sample::new(Role::Client).header("host", "")), is("10.0.0.2", 80));
        assert_eq!(server(Sample::new(Role::Client).target("GET", "http://other:81/x")), is("other", 81));
        // The peer is a proxy, at a port of its own.
        let by_proxy =
            |target| Sample::new(Role::Client).target("GET", target).header("host", "ignored").peer_port(3128);
        assert_eq!(server(by_proxy("http://other/x")), is("other", 80));
        assert_eq!(server(by_proxy("HTTPS://other/x")), is("other", 443));
        assert!(by_proxy("https://other/x").facts(|facts| facts.scheme() == "https"));
        let tunnelled = || Sample::new(Role::Client).peer_port(3128).inside_tls(Hello::default());
        assert_eq!(server(tunnelled().header("host", "api.example")), is("api.example", 443));
        assert_eq!(server(tunnelled().header("host", "")), is("10.0.0.2", 3128));
        let with_user_info = Sample::new(Role::Client).header("host", "alice:s3cret@shop.example:8080");
        with_user_info.facts(|facts| assert_eq!(facts.authority(), Some("shop.example:8080")));
        assert_eq!(server(with_user_info), is("shop.example", 8080));
        assert_eq!(
            server(Sample::new(Role::Server).header("x-forwarded-host", "front.example")),
            is("front.example", 80)
        );
        let https = Sample::new(Role::Server).header("forwarded", "for=1.1.1.1;host=f.example;proto=https");
        assert!(https.facts(|facts| facts.scheme() == "https"));
        assert_eq!(https.facts(|facts| facts.client_address().unwrap().into_owned()), "1.1.1.1");
        assert_eq!(server(https), is("f.example", 443));
        assert_eq!(server(Sample::new(Role::Server).header("host", "")), None);
        assert_eq!(Sample::new(Role::Server).facts(|facts| facts.client_address().unwrap().into_owned()), "10.0.0.1");
    }
}
