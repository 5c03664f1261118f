//! An exchange as attributes see it: the values of the table of keys.

mod calls;
mod connection;
#[cfg(test)]
mod tests;

use std::{
    borrow::Cow,
    collections::{HashMap, hash_map::Entry},
};

pub use self::connection::ConnectionSubject;
use self::connection::{End, Ends};
use super::{
    Facts, KnownMethods, authorization::Authorization, grpc, method::OTHER, span::url_full, trace_context::Identity,
};
use crate::{
    capture::Role,
    exchange::{Content, Visibility},
    policy::{
        attribute::{Key, Side, Subject, Value, When},
        objects::Labels,
    },
    protocol::{Headers, Incomplete},
};

/// What of an exchange can be asked for. Everything in it has passed the parser, which drops credentials and redacts URLs.
#[derive(Clone, Copy)]
pub struct ExchangeSubject<'a> {
    /// The exchange, read.
    pub facts: &'a Facts<'a>,
    /// Its place in a trace, where a signal needs one.
    pub identity: Option<&'a Identity>,
    /// The methods that keep their name.
    pub methods: &'a KnownMethods,
}

impl<'a> ExchangeSubject<'a> {
    fn ends(&self) -> Ends<'a> {
        Ends { connection: &self.facts.exchange.connection, role: self.facts.role }
    }

    fn headers(&self, side: Side) -> Option<&'a Headers> {
        match side {
            Side::Request => Some(&self.facts.exchange.request.head.headers),
            Side::Response => self.facts.exchange.response.as_ref().map(|response| &response.head.headers),
        }
    }

    fn content(&self, side: Side) -> Option<&'a Content> {
        match side {
            Side::Request => self.facts.exchange.request.content.as_deref(),
            Side::Response => self.facts.exchange.response.as_ref()?.content.as_deref(),
        }
    }

    fn trailers(&self) -> Option<&'a Headers> {
        self.facts.exchange.response.as_ref().map(|response| &response.trailers).filter(|trailers| !trailers.is_empty())
    }

    fn map(&self, map: Key) -> Option<&'a Headers> {
        match map {
            Key::RequestHeaders => self.headers(Side::Request),
            Key::ResponseHeaders => self.headers(Side::Response),
            Key::ResponseTrailers => self.trailers(),
            _ => None,
        }
    }

    fn authorization(&self) -> Option<Authorization> {
        let headers = self.headers(Side::Response)?;
        let challenged = headers.contains("www-authenticate") || headers.contains("proxy-authenticate");
        Some(Authorization::of(self.facts.status?, challenged, self.grpc_status()))
    }

    fn grpc_status(&self) -> Option<u32> {
        if grpc::is_call(self.facts.exchange) { grpc::status(self.facts.exchange) } else { None }
    }

    /// `package.Service/Method` where the answer shows that there is such a method (semconv rpc: a name from a caller is not trusted).
    fn rpc_method(&self) -> Option<&'a str> {
        if !grpc::is_call(self.facts.exchange) {
            return None;
        }
        let exists = self.grpc_status().is_some_and(|status| status != grpc::UNIMPLEMENTED);
        let path = self.facts.parsed_target().path?;
        Some(if exists { path.strip_prefix('/').unwrap_or(path) } else { OTHER })
    }

    /// Keys of the request.
    fn of_request(&self, key: Key) -> Option<Value<'a>> {
        let facts = self.facts;
        let size = |size: Option<u64>| Some(Value::Int(i64::try_from(size?).ok()?));
        let known = || self.methods.index(facts.method);
        Some(match key {
            Key::HttpRequestMethod if known().is_some() => facts.method.into(),
            Key::HttpRequestMethod => OTHER.into(),
            Key::HttpRequestMethodOriginal if known().is_some() => return None,
            Key::HttpRequestMethodOriginal | Key::Method => facts.method.into(),
            Key::Path => facts.target.into(),
            Key::UrlPath => facts.parsed_target().path?.into(),
            Key::UrlQuery => facts.parsed_target().query?.into(),
            Key::UrlScheme => facts.scheme().into(),
            Key::UrlFull => url_full(facts)?.into(),
            Key::Authority => facts.authority()?.into(),
            Key::ServerAddress => facts.server()?.0.into(),
            Key::ServerPort => Value::Int(facts.server()?.1.into()),
            Key::ClientAddress if facts.role == Role::Client => {
                self.ends().address(End::Source)?.ip().to_string().into()
            }
            Key::ClientAddress => facts.client_address()?.into(),
            Key::ClientPort if facts.role == Role::Client => {
                Value::Int(self.ends().address(End::Source)?.port().into())
            }
            Key::ClientPort => Value::Int(facts.client_port()?.into()),
            Key::UserAgent => String::from_utf8_lossy(facts.user_agent()?).into(),
            Key::Referer => joined(self.headers(Side::Request)?, "referer")?.into(),
            Key::RequestId => facts.request_id()?.into(),
            Key::ForwardedFor => joined(self.headers(Side::Request)?, "x-forwarded-for")?.into(),
            Key::RequestProtocol => format!("HTTP/{}", facts.version.as_str()).into(),
            Key::RequestTime => Value::Time(facts.exchange.request.head.first_byte.0),
            Key::RequestDuration => Value::Duration(i64::try_from(facts.duration()?).ok()?),
            Key::DurationMillis => return size(Some(facts.duration()? / 1_000_000)),
            Key::RequestBodySize => return size(facts.exchange.request.body_size),
            Key::ResponseBodySize => return size(facts.exchange.response.as_ref()?.body_size),
            Key::HttpRequestBody => self.content(Side::Request)?.text.as_deref()?.into(),
            Key::HttpRequestBodyIncomplete => self.content(Side::Request)?.incomplete?.name().into(),
            Key::HttpResponseBody => self.content(Side::Response)?.text.as_deref()?.into(),
            Key::HttpResponseBodyIncomplete => self.content(Side::Response)?.incomplete?.name().into(),
            _ => return None,
        })
    }

    /// Keys of the response and of what became of the exchange.
    fn of_response(&self, key: Key) -> Option<Value<'a>> {
        let facts = self.facts;
        Some(match key {
            Key::HttpResponseStatusCode => Value::Int(facts.status?.into()),
            Key::ResponseCode => match (facts.status, facts.exchange.incomplete) {
                (Some(status), _) => Value::Int(status.into()),
                (None, Some(Incomplete::Closed | Incomplete::Reset)) => Value::Int(0),
                // An answer that was not seen may have had any.
                (None, _) => return None,
            },
            Key::UpstreamServiceTime => joined(self.headers(Side::Response)?, "x-envoy-upstream-service-time")?.into(),
            Key::ErrorType => facts.failure()?.into(),
            Key::Incomplete => facts.incomplete()?.into(),
            Key::RpcSystemName => grpc::is_call(facts.exchange).then_some("grpc")?.into(),
            Key::RpcMethod => self.rpc_method()?.into(),
            Key::RpcResponseStatusCode => grpc::name(self.grpc_status()?)?.into(),
            Key::GrpcStatus => Value::Int(self.grpc_status()?.into()),
            Key::EventAction => self.authorization()?.action()?.into(),
            Key::EventOutcome => self.authorization()?.outcome().into(),
            Key::TraceId => self.identity?.trace_id.to_string().into(),
            Key::SpanId => self.identity?.span_id.to_string().into(),
            _ => return None,
        })
    }

    /// Keys of the connection.
    fn of_connection(&self, key: Key) -> Option<Value<'a>> {
        let tls = self.facts.exchange.connection.open.tls;
        Some(match key {
            Key::NetworkProtocolName => "http".into(),
            Key::NetworkProtocolVersion => self.facts.version.as_str().into(),
            Key::ConnectionTls => Value::Bool(tls),
            Key::ConnectionVisibility => (if tls { Visibility::Decrypted } else { Visibility::Plain }).name().into(),
            _ => return self.ends().of_connection(key),
        })
    }

    /// Keys of one end. Of what a pod asks outside the cluster the name is the host and port that it addresses; else it is the address.
    fn of_end(&self, end: End, key: Key) -> Option<Value<'a>> {
        match key {
            Key::Source | Key::Destination if self.ends().at(end).is_none() => Some(self.facts.peer_name()?.into()),
            _ => self.ends().of_end(end, key),
        }
    }
}

impl<'a> ExchangeSubject<'a> {
    /// The value of a key, for as long as the exchange lives.
    pub(super) fn value(&self, key: Key) -> Option<Value<'a>> {
        match key.row().when {
            When::Never => return None,
            When::GenAi | When::Mcp | When::JsonRpc => return self.of_call(key),
            _ => {}
        }
        if (Key::SourceAddress..=Key::SourceLabels).contains(&key) {
            return self.of_end(End::Source, key);
        }
        if (Key::DestinationAddress..=Key::DestinationLabels).contains(&key) {
            return self.of_end(End::Destination, key);
        }
        (self.of_request(key))
            .or_else(|| self.of_response(key))
            .or_else(|| self.of_connection(key))
            .or_else(|| self.ends().of_workload(key))
            .or_else(|| if key.row().when == When::Rpc { self.of_call(key) } else { None })
    }
}

impl Subject for ExchangeSubject<'_> {
    fn header(&self, side: Side, name: &str) -> Option<Cow<'_, str>> {
        joined(self.headers(side)?, name)
    }

    fn pod_label(&self, key: &str) -> Option<&str> {
        self.ends().pod()?.pod.labels.get(key).map(String::as_str)
    }

    fn pod_annotation(&self, key: &str) -> Option<&str> {
        self.ends().pod()?.pod.annotations.get(key).map(String::as_str)
    }

    fn namespace_label(&self, key: &str) -> Option<&str> {
        self.ends().pod()?.namespace_labels.get(key).map(String::as_str)
    }

    fn key(&self, key: Key) -> Option<Value<'_>> {
        self.value(key)
    }

    fn entry(&self, map: Key, name: &str) -> Option<Cow<'_, str>> {
        match map {
            Key::SourceLabels => {
                self.ends().readable_labels(End::Source)?.get(name).map(|value| Cow::Borrowed(value.as_str()))
            }
            Key::DestinationLabels => {
                self.ends().readable_labels(End::Destination)?.get(name).map(|value| Cow::Borrowed(value.as_str()))
            }
            _ => joined(self.map(map)?, name),
        }
    }

    fn entries(&self, map: Key) -> Option<Vec<(Cow<'_, str>, Cow<'_, str>)>> {
        let labels = match map {
            Key::SourceLabels => Some(self.ends().readable_labels(End::Source)?),
            Key::DestinationLabels => Some(self.ends().readable_labels(End::Destination)?),
            _ => None,
        };
        if let Some(labels) = labels {
            return Some(labels.iter().map(|(name, value)| (name.as_str().into(), value.as_str().into())).collect());
        }
        let headers = self.map(map)?;
        let mut entries: Vec<(Cow<'_, str>, Cow<'_, str>)> = Vec::with_capacity(headers.len());
        // A head may have ten thousand fields: each name is looked up, not searched for.
        let mut places = HashMap::with_capacity(headers.len());
        for (name, value) in headers.iter() {
            let Some(value) = value else { continue };
            let name = lower_case(name);
            let value = String::from_utf8_lossy(value);
            match places.entry(name.clone()) {
                Entry::Occupied(place) => {
                    let values: &mut (_, Cow<'_, str>) = &mut entries[*place.get()];
                    append(&mut values.1, &value);
                }
                Entry::Vacant(place) => {
                    place.insert(entries.len());
                    entries.push((name, value));
                }
            }
        }
        Some(entries)
    }

    fn fields(&self, map: Key) -> Option<usize> {
        match map {
            Key::SourceLabels => self.ends().readable_labels(End::Source).map(Labels::len),
            Key::DestinationLabels => self.ends().readable_labels(End::Destination).map(Labels::len),
            _ => self.map(map).map(Headers::len),
        }
    }
}

/// The values of all fields of this name, joined (RFC 9110 section 5.3). A credential has none.
fn joined<'a>(headers: &'a Headers, name: &str) -> Option<Cow<'a, str>> {
    let mut values = headers
        .iter()
        .filter(|(field, _)| field.eq_ignore_ascii_case(name.as_bytes()))
        .filter_map(|(_, value)| value.map(String::from_utf8_lossy));
    let first = values.next()?;
    Some(values.fold(first, |mut joined, value| {
        append(&mut joined, &value);
        joined
    }))
}

/// One more value of a field, in place: a field may come ten thousand times.
fn append(joined: &mut Cow<'_, str>, value: &str) {
    let joined = joined.to_mut();
    joined.push_str(", ");
    joined.push_str(value);
}

fn lower_case(name: &[u8]) -> Cow<'_, str> {
    if name.iter().any(u8::is_ascii_uppercase) {
        Cow::Owned(String::from_utf8_lossy(name).to_ascii_lowercase())
    } else {
        String::from_utf8_lossy(name)
    }
}
