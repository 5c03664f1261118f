//! A connection as attributes see it: what an exchange has of its connection, and all that one has that is over.

use std::{borrow::Cow, net::SocketAddr};

use crate::{
    capture::Role,
    exchange::{Connection, Report},
    policy::{
        attribute::{Key, Side, Subject, Value},
        objects::Labels,
    },
    protocol::{Protocol, tls},
    workload::{PodIdentity, Workload, WorkloadKind},
};

/// Which end of a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The client.
    Source,
    /// The server.
    Destination,
}

/// A connection, and which end of it reports.
#[derive(Clone, Copy)]
pub(super) struct Ends<'a> {
    pub(super) connection: &'a Connection,
    pub(super) role: Role,
}

impl<'a> Ends<'a> {
    pub(super) fn workload(self) -> &'a Workload {
        &self.connection.workload
    }

    pub(super) fn pod(self) -> Option<&'a PodIdentity> {
        self.workload().pod.as_deref()
    }

    fn is_own(self, end: End) -> bool {
        (self.role == Role::Client) == (end == End::Source)
    }

    pub(super) fn address(self, end: End) -> Option<SocketAddr> {
        let open = &self.connection.open;
        open.addresses_known().then_some(if self.is_own(end) { open.local } else { open.peer })
    }

    /// Who is at this end; of the end that does not report that is known of pods with an address of their own.
    pub(super) fn at(self, end: End) -> Option<&'a Workload> {
        if self.is_own(end) { Some(self.workload()) } else { self.connection.peer.as_deref() }
    }

    fn labels(self, end: End) -> Option<&'a Labels> {
        Some(&self.at(end)?.pod.as_deref()?.pod.labels)
    }

    /// Labels by name: of the other end only if it is in the same namespace. A policy's author may be no reader of others' pods.
    pub(super) fn readable_labels(self, end: End) -> Option<&'a Labels> {
        let readable = self.is_own(end) || self.at(end)?.namespace == self.workload().namespace;
        readable.then(|| self.labels(end))?
    }

    /// The first of these labels that is there.
    fn label(self, end: End, names: &[&str]) -> Option<&'a str> {
        let labels = self.labels(end)?;
        names.iter().find_map(|name| labels.get(*name)).map(String::as_str)
    }

    /// The object that controls the pod, else the pod; of a local process its service.
    fn workload_name(self, end: End) -> Option<&'a str> {
        let workload = self.at(end)?;
        match (&workload.pod, workload.kind) {
            (Some(pod), _) => Some(pod.owner().map_or(&*pod.name.name, |(_, name)| name)),
            // Which pod of a service answered is not known.
            (None, WorkloadKind::Service | WorkloadKind::Node) => None,
            (None, _) => Some(&workload.service_name),
        }
    }

    /// Keys of the connection itself.
    pub(super) fn of_connection(self, key: Key) -> Option<Value<'a>> {
        let open = &self.connection.open;
        let hello = self.connection.hello.as_deref();
        let known = || open.addresses_known().then_some(());
        Some(match key {
            Key::NetworkPeerAddress => {
                known()?;
                open.peer.ip().to_string().into()
            }
            Key::NetworkPeerPort => {
                known()?;
                Value::Int(open.peer.port().into())
            }
            Key::NetworkLocalAddress => {
                known()?;
                open.local.ip().to_string().into()
            }
            Key::NetworkLocalPort => {
                known()?;
                Value::Int(open.local.port().into())
            }
            Key::NetworkTransport => "tcp".into(),
            Key::NetworkType => {
                known()?;
                if open.peer.is_ipv4() { "ipv4" } else { "ipv6" }.into()
            }
            Key::Reporter => if self.role == Role::Client { "client" } else { "server" }.into(),
            Key::ConnectionServerName => hello?.server_name.as_deref()?.into(),
            Key::TlsNextProtocol => hello?.chosen.as_deref()?.into(),
            Key::TlsProtocolName => hello?.version?.protocol().into(),
            Key::TlsOfferedProtocols => {
                let offered = &hello?.offered;
                (!offered.is_empty()).then(|| offered.join(","))?.into()
            }
            Key::TlsProtocolVersion => hello?.version?.number().into(),
            Key::ConnectionTlsVersion => match hello?.version? {
                // As Envoy writes them.
                tls::Version::Ssl3 => return None,
                version @ tls::Version::Tls10 => format!("TLSv{}", version.number().trim_end_matches(".0")).into(),
                version => format!("TLSv{}", version.number()).into(),
            },
            _ => return None,
        })
    }

    /// Keys of one end, but for what it is called where nobody knows who it is.
    pub(super) fn of_end(self, end: End, key: Key) -> Option<Value<'a>> {
        Some(match key {
            Key::SourceAddress | Key::DestinationAddress => self.address(end)?.to_string().into(),
            Key::SourcePort | Key::DestinationPort => Value::Int(self.address(end)?.port().into()),
            Key::Source | Key::Destination => match self.at(end)? {
                Workload { service_name, namespace: Some(namespace), .. } => {
                    format!("{namespace}/{service_name}").into()
                }
                Workload { service_name, .. } => service_name.as_str().into(),
            },
            Key::SourceWorkload | Key::DestinationWorkload => self.workload_name(end)?.into(),
            Key::SourceNamespace | Key::DestinationNamespace => self.at(end)?.namespace.as_deref()?.into(),
            Key::SourceServiceAccount | Key::DestinationServiceAccount => {
                self.at(end)?.pod.as_deref()?.pod.service_account.as_deref()?.into()
            }
            Key::SourceApp | Key::DestinationApp => self.label(end, &["app", "app.kubernetes.io/name"])?.into(),
            Key::SourceVersion | Key::DestinationVersion => {
                self.label(end, &["version", "app.kubernetes.io/version"])?.into()
            }
            Key::SourceCanonicalService | Key::DestinationCanonicalService => {
                let names = ["service.istio.io/canonical-name", "app.kubernetes.io/name", "app"];
                self.label(end, &names).or_else(|| self.workload_name(end))?.into()
            }
            Key::SourceCanonicalRevision | Key::DestinationCanonicalRevision => {
                let names = ["service.istio.io/canonical-revision", "app.kubernetes.io/version", "version"];
                self.labels(end)?;
                self.label(end, &names).unwrap_or("latest").into()
            }
            _ => return None,
        })
    }

    /// Keys of whom the end that reports belongs to.
    pub(super) fn of_workload(self, key: Key) -> Option<Value<'a>> {
        let workload = self.workload();
        match key {
            Key::ServiceName => return Some(workload.service_name.as_str().into()),
            Key::K8sNamespaceName => return workload.namespace.as_deref().map(Value::from),
            _ => {}
        }
        let name = key.row().attribute?;
        let (_, value) = workload.attributes.iter().find(|(attribute, _)| *attribute == name)?;
        if key == Key::ProcessPid { value.parse().ok().map(Value::Int) } else { Some(value.as_str().into()) }
    }
}

/// A connection of which something is told. It has no value of an exchange.
#[derive(Clone, Copy)]
pub struct ConnectionSubject<'a>(pub &'a Report);

impl<'a> ConnectionSubject<'a> {
    fn ends(self) -> Ends<'a> {
        let connection = &*self.0.connection;
        Ends { connection, role: self.0.role.unwrap_or(connection.role) }
    }

    /// The server: the name that the client asked for, else its address. The other end of a tunnel is a proxy, whose port is not that of the name.
    fn server(self, key: Key) -> Option<Value<'a>> {
        let Connection { hello, protocol, .. } = &*self.0.connection;
        let address = self.ends().address(End::Destination);
        let name = hello.as_deref().and_then(|hello| hello.server_name.as_deref());
        if key == Key::ServerPort {
            let is_tunnel = *protocol == Protocol::Upgraded && name.is_some();
            return Some(Value::Int(address.filter(|_| !is_tunnel)?.port().into()));
        }
        name.map(Value::from).or_else(|| Some(address?.ip().to_string().into()))
    }
}

impl Subject for ConnectionSubject<'_> {
    fn header(&self, _: Side, _: &str) -> Option<Cow<'_, str>> {
        None
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
        let report = self.0;
        match key {
            Key::Reporter if report.role.is_none() => None,
            Key::ConnectionTls => Some(Value::Bool(report.tls)),
            Key::ConnectionVisibility => Some(report.visibility?.name().into()),
            Key::ConnectionOpaqueReason => Some(report.visibility?.reason()?.name().into()),
            Key::NetworkProtocolName => match report.protocol {
                Protocol::Http1 | Protocol::Http2 => Some("http".into()),
                _ => None,
            },
            // That of HTTP/1 is of each message.
            Key::NetworkProtocolVersion => (report.protocol == Protocol::Http2).then(|| "2".into()),
            Key::ServerAddress | Key::ServerPort => self.server(key),
            _ if (Key::SourceAddress..=Key::SourceLabels).contains(&key) => self.ends().of_end(End::Source, key),
            _ if (Key::DestinationAddress..=Key::DestinationLabels).contains(&key) => {
                self.ends().of_end(End::Destination, key)
            }
            _ => self.ends().of_connection(key).or_else(|| self.ends().of_workload(key)),
        }
    }

    fn entry(&self, map: Key, name: &str) -> Option<Cow<'_, str>> {
        self.labels(map)?.get(name).map(|value| Cow::Borrowed(value.as_str()))
    }

    fn entries(&self, map: Key) -> Option<Vec<(Cow<'_, str>, Cow<'_, str>)>> {
        Some(self.labels(map)?.iter().map(|(name, value)| (name.as_str().into(), value.as_str().into())).collect())
    }

    fn fields(&self, map: Key) -> Option<usize> {
        self.labels(map).map(Labels::len)
    }
}

impl<'a> ConnectionSubject<'a> {
    fn labels(self, map: Key) -> Option<&'a Labels> {
        match map {
            Key::SourceLabels => self.ends().readable_labels(End::Source),
            Key::DestinationLabels => self.ends().readable_labels(End::Destination),
            _ => None,
        }
    }
}
