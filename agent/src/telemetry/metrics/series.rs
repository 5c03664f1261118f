//! What tells one series from another.

use std::hash::{BuildHasher, Hash};

use super::labels;
use crate::{
    capture::Role,
    policy::{
        attribute::Value,
        plan::{Group, Label},
    },
    protocol::HttpVersion,
    telemetry::{Facts, facts::ErrorType, method::KnownMethods, names::key},
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
    /// The values of the labels that the plan adds, as `labels::encode` writes them.
    pub labels: &'a [u8],
}

/// The attribute values of a series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    service: Box<str>,
    namespace: Option<Box<str>>,
    server_address: Box<str>,
    labels: Box<[u8]>,
    /// The fields that own nothing.
    plain: KeyRef<'static>,
}

impl<'a> KeyRef<'a> {
    /// The series of an exchange with every attribute of the instruments, and without labels. `server` is [`Facts::server`] of a client.
    pub fn of(facts: &Facts<'a>, methods: &KnownMethods, server: Option<(&'a str, u16)>) -> Self {
        let workload = &facts.exchange.connection.workload;
        let (server_address, server_port) = server.unwrap_or(("", 0));
        Self {
            role: facts.role,
            service: &workload.service_name,
            namespace: workload.namespace.as_deref(),
            method: methods.index(facts.method),
            https: facts.role == Role::Server && facts.scheme() == "https",
            server_address,
            server_port,
            status: facts.status,
            error: facts.error,
            version: facts.version,
            overflow: false,
            labels: &[],
        }
    }

    /// The series of what is no exchange of HTTP, whose attributes are all labels.
    pub fn of_labels(workload: &'a Workload, role: Role) -> Self {
        Self {
            service: &workload.service_name,
            namespace: workload.namespace.as_deref(),
            overflow: false,
            ..KeyRef::overflow(role)
        }
    }

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
            labels: &[],
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
            labels: self.labels.into(),
            plain: KeyRef { service: "", namespace: None, server_address: "", labels: &[], ..*self },
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
            labels: &self.labels,
            ..self.plain
        }
    }

    /// Whom the series belongs to; `None` for the overflow series.
    pub fn workload(&self) -> Option<(&str, Option<&str>)> {
        (!self.plain.overflow).then_some((&*self.service, self.namespace.as_deref()))
    }

    /// The attributes that an instrument shows: its own in the order of its table, then those that the plan adds in its order.
    pub fn attributes<'a>(&'a self, group: &'a Group, methods: &'a KnownMethods) -> Vec<(&'a str, Value<'a>)> {
        if self.plain.overflow {
            return Vec::new();
        }
        let own = group.kept.iter().filter_map(|&name| self.value(name, methods).map(|value| (name, value)));
        own.chain(labels::decode(&self.labels, &group.labels)).collect()
    }

    fn value<'a>(&'a self, name: &str, methods: &'a KnownMethods) -> Option<Value<'a>> {
        let plain = &self.plain;
        Some(match name {
            key::HTTP_REQUEST_METHOD => Value::from(methods.name(plain.method)),
            key::URL_SCHEME => Value::from(if plain.https { "https" } else { "http" }),
            key::ERROR_TYPE => Value::Text(plain.error?.name()),
            key::HTTP_RESPONSE_STATUS_CODE => Value::Int(plain.status?.into()),
            key::NETWORK_PROTOCOL_VERSION => Value::from(plain.version.as_str()),
            // Nothing but where it is not known which connection it was, nor whom the request addresses.
            key::SERVER_ADDRESS | key::SERVER_PORT if self.server_address.is_empty() => return None,
            key::SERVER_ADDRESS => Value::from(&*self.server_address),
            key::SERVER_PORT => Value::Int(plain.server_port.into()),
            _ => return None,
        })
    }
}

/// Which attributes of [`KeyRef`] a group keeps; the others are the same in all its keys, so that their series are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kept(u8);

/// The attributes of the instruments; the place of each is its bit.
const ATTRIBUTES: [&str; 7] = [
    key::HTTP_REQUEST_METHOD,
    key::URL_SCHEME,
    key::ERROR_TYPE,
    key::HTTP_RESPONSE_STATUS_CODE,
    key::NETWORK_PROTOCOL_VERSION,
    key::SERVER_ADDRESS,
    key::SERVER_PORT,
];

impl Kept {
    const ALL: Self = Self(u8::MAX);

    pub(super) fn of(group: &Group) -> Self {
        let row = group.streams.first().map(|stream| stream.instrument);
        // What the instruments of one end do not have by default is not in its keys either.
        let all = row.is_some_and(|row| row.role.is_some() && row.default_attributes().eq(group.kept.iter().copied()));
        if all {
            return Self::ALL;
        }
        let bits = ATTRIBUTES.iter().enumerate().filter(|(_, name)| group.kept.contains(name)).map(|(bit, _)| 1 << bit);
        Self(bits.sum())
    }

    const fn has(self, bit: u32) -> bool {
        self.0 & (1 << bit) != 0
    }

    /// The key with neutral values in place of what is not kept.
    pub(super) fn apply(self, key: KeyRef<'_>) -> KeyRef<'_> {
        if self == Self::ALL {
            return key;
        }
        KeyRef {
            method: key.method.filter(|_| self.has(0)),
            https: key.https && self.has(1),
            error: key.error.filter(|_| self.has(2)),
            status: key.status.filter(|_| self.has(3)),
            version: if self.has(4) { key.version } else { HttpVersion::Http11 },
            server_address: if self.has(5) { key.server_address } else { "" },
            server_port: if self.has(6) { key.server_port } else { 0 },
            ..key
        }
    }
}

/// The names of labels are those of the plan; a key has only their values.
pub(super) type Labels = [Label];
