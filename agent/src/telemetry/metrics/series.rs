//! What tells one series from another.

use std::{
    borrow::Cow,
    hash::{BuildHasher, Hash},
};

use crate::{
    capture::Role,
    protocol::HttpVersion,
    telemetry::{
        facts::ErrorType,
        method::KnownMethods,
        names::{Instrument, Level, key},
    },
    workload::Workload,
};

/// The attribute values of a series, borrowed from the exchange for the look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyRef<'a> {
    /// Which end.
    pub role: Role,
    /// `service.name`.
    pub service: &'a str,
    /// `k8s.namespace.name`.
    pub namespace: Option<&'a str>,
    /// Index among the known methods.
    pub method: Option<u8>,
    /// `url.scheme` is `https`.
    pub https: bool,
    /// `server.address` of a client; empty for a server, where it is opt-in.
    pub server_address: &'a str,
    /// `server.port`, likewise; 0 for a server.
    pub server_port: u16,
    /// Status code.
    pub status: Option<u16>,
    /// `error.type`.
    pub error: Option<ErrorType>,
    /// HTTP version.
    pub version: HttpVersion,
    /// All series beyond the limit, of any workload.
    pub overflow: bool,
}

/// The attribute values of a series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    service: Box<str>,
    namespace: Option<Box<str>>,
    server_address: Box<str>,
    /// The fields that own nothing.
    plain: KeyRef<'static>,
}

impl KeyRef<'_> {
    /// The overflow series of a role.
    pub fn overflow(role: Role) -> KeyRef<'static> {
        KeyRef {
            role,
            service: "",
            namespace: None,
            method: None,
            https: false,
            server_address: "",
            server_port: 0,
            status: None,
            error: None,
            version: HttpVersion::Http11,
            overflow: true,
        }
    }

    /// The hash for tables of series.
    pub fn hash_with(&self, hasher: &impl BuildHasher) -> u64 {
        hasher.hash_one(self)
    }

    /// A copy that owns its text.
    pub fn to_key(&self) -> Key {
        Key {
            service: self.service.into(),
            namespace: self.namespace.map(Into::into),
            server_address: self.server_address.into(),
            plain: KeyRef { service: "", namespace: None, server_address: "", ..*self },
        }
    }
}

impl Key {
    /// The key, borrowed.
    pub fn as_ref(&self) -> KeyRef<'_> {
        KeyRef {
            service: &self.service,
            namespace: self.namespace.as_deref(),
            server_address: &self.server_address,
            ..self.plain
        }
    }

    /// Whom the series belongs to; `None` for the overflow series.
    pub fn workload(&self) -> Option<(&str, Option<&str>)> {
        (!self.plain.overflow).then_some((&*self.service, self.namespace.as_deref()))
    }

    /// Whether this is the overflow series.
    pub fn is_overflow(&self) -> bool {
        self.plain.overflow
    }

    /// Whether the series is of this workload.
    pub fn belongs_to(&self, workload: &Workload) -> bool {
        self.workload() == Some((&workload.service_name, workload.namespace.as_deref()))
    }

    /// The attributes that the instrument shows by default, in the order of its table. Numbers are attributes of type int in OTLP.
    pub fn attributes<'a>(
        &'a self,
        instrument: &'static Instrument,
        methods: &'a KnownMethods,
    ) -> impl Iterator<Item = (&'static str, Value<'a>)> {
        let rows = if self.plain.overflow { &[] } else { instrument.attributes };
        rows.iter()
            .filter(|(_, level)| *level != Level::OptIn)
            .filter_map(|&(name, _)| self.value(name, methods).map(|value| (name, value)))
    }

    fn value<'a>(&'a self, name: &str, methods: &'a KnownMethods) -> Option<Value<'a>> {
        let plain = &self.plain;
        Some(match name {
            key::HTTP_REQUEST_METHOD => Value::Text(methods.name(plain.method).into()),
            key::URL_SCHEME => Value::Text(if plain.https { "https" } else { "http" }.into()),
            key::ERROR_TYPE => Value::Text(plain.error?.name()),
            key::HTTP_RESPONSE_STATUS_CODE => Value::Number(plain.status?.into()),
            key::NETWORK_PROTOCOL_VERSION => Value::Text(plain.version.as_str().into()),
            key::SERVER_ADDRESS => Value::Text((*self.server_address).into()),
            key::SERVER_PORT => Value::Number(plain.server_port.into()),
            _ => return None,
        })
    }
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// A string.
    Text(Cow<'a, str>),
    /// An integer.
    Number(i64),
}
