//! A sample exchange for the tests of this stage and the next.

pub(crate) mod calls;

use std::{net::SocketAddr, sync::Arc};

use super::Facts;
use crate::{
    capture::{Open, Role, Timestamp},
    exchange::{Call, Connection, Content, Exchange, Half, Omission},
    protocol::{Head, Headers, HttpVersion, Incomplete, Protocol, StartLine, secret::redact_url, tls::Hello},
    workload::Workload,
};

/// `GET /orders?id=7` to `shop.example:8080`, answered with 200 after 12.345678 ms, to be changed as the test needs.
pub(crate) struct Sample {
    role: Role,
    method: String,
    target: String,
    headers: Vec<(String, Vec<u8>)>,
    response_headers: Vec<(String, String)>,
    trailers: Vec<(String, String)>,
    status: Option<u16>,
    incomplete: Option<Incomplete>,
    closed: bool,
    response_size: Option<u64>,
    /// Whether what is incomplete is the request alone.
    answered_whole: bool,
    content: Option<Content>,
    workload: Workload,
    peer: Option<Workload>,
    isn: Option<(u32, u32)>,
    nanos: u64,
    call: Option<Call>,
    /// Microseconds after [`START`].
    begins: u64,
    /// Of the client.
    port: u16,
    server_port: u16,
    /// It is inside TLS, whose handshake says this.
    tls: Option<Hello>,
    /// It is not known which connection it was.
    unknown: bool,
}

/// When the first byte of a sample moved, in nanoseconds since the epoch.
pub(crate) const START: u64 = 1_700_000_000_123_456_789;

impl Sample {
    pub(crate) fn new(role: Role) -> Self {
        let service_name = if role == Role::Client { "curl" } else { "shop" }.to_owned();
        Self {
            role,
            method: "GET".into(),
            target: "/orders?id=7".into(),
            headers: vec![("Host".into(), b"shop.example:8080".into()), ("User-Agent".into(), b"curl/8.5".into())],
            response_headers: Vec::new(),
            trailers: Vec::new(),
            status: Some(200),
            incomplete: None,
            closed: false,
            response_size: Some(512),
            answered_whole: false,
            content: None,
            workload: Workload { service_name, ..Workload::default() },
            peer: None,
            isn: Some((7, 9)),
            nanos: 12_345_678,
            call: None,
            begins: 0,
            port: 4000,
            server_port: 80,
            tls: None,
            unknown: false,
        }
    }

    pub(crate) fn target(mut self, method: &str, target: &str) -> Self {
        (self.method, self.target) = (method.into(), target.into());
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(existing, _)| !existing.eq_ignore_ascii_case(name));
        self.another_header(name, value)
    }

    pub(crate) fn header_bytes(mut self, name: &str, value: &[u8]) -> Self {
        self.headers.retain(|(existing, _)| !existing.eq_ignore_ascii_case(name));
        self.headers.push((name.into(), value.into()));
        self
    }

    pub(crate) fn another_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub(crate) fn response_header(mut self, name: &str, value: &str) -> Self {
        self.response_headers.push((name.into(), value.into()));
        self
    }

    pub(crate) fn trailer(mut self, name: &str, value: &str) -> Self {
        self.trailers.push((name.into(), value.into()));
        self
    }

    pub(crate) fn status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    pub(crate) fn unanswered(mut self, why: Incomplete) -> Self {
        self.status = None;
        self.incomplete(why)
    }

    pub(crate) fn incomplete(mut self, why: Incomplete) -> Self {
        self.incomplete = Some(why);
        self
    }

    /// It ended with its connection.
    pub(crate) fn closed(mut self) -> Self {
        self.closed = true;
        self
    }

    /// The request was cut for this reason, and answered whole.
    pub(crate) fn cut_request(mut self, why: Incomplete) -> Self {
        self.answered_whole = true;
        self.incomplete(why)
    }

    pub(crate) fn response_size(mut self, size: Option<u64>) -> Self {
        self.response_size = size;
        self
    }

    /// Of both messages.
    pub(crate) fn content(mut self, text: Option<&str>, incomplete: Option<Omission>) -> Self {
        self.content = Some(Content { text: text.map(Into::into), incomplete });
        self
    }

    /// It begins so many microseconds after other samples.
    pub(crate) fn begins(mut self, micros: u64) -> Self {
        self.begins = micros;
        self
    }

    /// On another connection.
    pub(crate) fn connection(mut self, port: u16) -> Self {
        self.port = port;
        self.isn = self.isn.map(|(client, server)| (client + u32::from(port), server + u32::from(port)));
        self
    }

    /// The server, or the proxy that was asked, has this port.
    pub(crate) fn peer_port(mut self, port: u16) -> Self {
        self.server_port = port;
        self
    }

    /// Of another process.
    pub(crate) fn service(mut self, name: &str) -> Self {
        name.clone_into(&mut self.workload.service_name);
        self
    }

    /// What it is beyond HTTP.
    pub(crate) fn call(mut self, call: Call) -> Self {
        self.call = Some(call);
        self
    }

    pub(crate) fn workload(mut self, workload: Workload) -> Self {
        self.workload = workload;
        self
    }

    pub(crate) fn peer(mut self, peer: Workload) -> Self {
        self.peer = Some(peer);
        self
    }

    pub(crate) fn without(mut self, header: &str) -> Self {
        self.headers.retain(|(name, _)| !name.eq_ignore_ascii_case(header));
        self
    }

    pub(crate) fn inside_tls(mut self, hello: Hello) -> Self {
        self.tls = Some(hello);
        self
    }

    pub(crate) fn at_no_address(mut self) -> Self {
        (self.unknown, self.isn) = (true, None);
        self
    }

    pub(crate) fn facts<T>(&self, read: impl FnOnce(&Facts<'_>) -> T) -> T {
        read(&Facts::of(&self.exchange()).expect("a sample is a request"))
    }

    pub(crate) fn exchange(&self) -> Exchange {
        let (client, server) =
            (SocketAddr::from(([10, 0, 0, 1], self.port)), SocketAddr::from(([10, 0, 0, 2], self.server_port)));
        let (local, peer) = if self.role == Role::Client { (client, server) } else { (server, client) };
        let (local, peer) = if self.unknown { (Open::NO_ADDRESS, Open::NO_ADDRESS) } else { (local, peer) };
        let (client_isn, server_isn) = self.isn.unzip();
        let (isn_out, isn_in) =
            if self.role == Role::Client { (client_isn, server_isn) } else { (server_isn, client_isn) };
        let open = Open {
            role: Some(self.role),
            pid: 12,
            comm: self.workload.service_name.clone(),
            isn_out,
            isn_in,
            tls: self.tls.is_some(),
            ..Open::new(local, peer)
        };
        let half = |start, headers, size, first: u64, last: u64| Half {
            head: Head {
                start,
                version: HttpVersion::Http11,
                headers,
                position: 0,
                request: 0,
                first_byte: Timestamp(first),
                complete: Timestamp(first),
            },
            body_size: size,
            trailers: Headers::default(),
            last_byte: Timestamp(last),
            complete: match self.incomplete {
                None => true,
                Some(Incomplete::Gap(_)) => size.is_some(),
                Some(_) => false,
            },
            content: self.content.clone().map(Box::new),
        };
        let start = START + self.begins * 1000;
        let end = start + self.nanos;
        // As the parser does.
        let target = String::from_utf8_lossy(&redact_url(self.target.as_bytes())).into();
        let line = StartLine::Request { method: self.method.as_str().into(), target };
        Exchange {
            connection: Arc::new(Connection {
                open,
                role: self.role,
                workload: Arc::new(self.workload.clone()),
                peer: self.peer.clone().map(Arc::new),
                protocol: Protocol::Http1,
                hello: self.tls.clone().map(Arc::new),
            }),
            request: half(line, section(&self.headers), Some(0), start, start + 1000),
            response: self.status.map(|status| {
                let (start, headers) = (StartLine::Response { status }, section(&self.response_headers));
                let response = half(start, headers, self.response_size, end - 1000, end);
                let complete = response.complete || self.answered_whole;
                Half { trailers: section(&self.trailers), complete, ..response }
            }),
            incomplete: self.incomplete,
            end: Timestamp(end),
            call: self.call.clone(),
            closed: self.closed,
            epoch: 0,
        }
    }
}

fn section<V: AsRef<[u8]>>(fields: &[(String, V)]) -> Headers {
    let mut headers = Headers::default();
    for (name, value) in fields {
        headers.push(name.as_bytes(), value.as_ref());
    }
    headers
}
