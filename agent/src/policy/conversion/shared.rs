//! What both dialects spell the same.

use crate::policy::{
    api::{
        extension,
        gep::{self, AttributeType},
    },
    model::{
        Attribute, AttributeSource, Content, ContentCapture, Direction, Endpoint, FieldPath, LogFormat,
        MetricsProvider, Mode, Profile, Protocol, Redaction, Sink, SinkKind, Tls, TlsSettings,
    },
};

impl From<gep::Mode> for Mode {
    fn from(mode: gep::Mode) -> Self {
        match mode {
            gep::Mode::Enabled => Self::Enabled,
            gep::Mode::Disabled => Self::Disabled,
            gep::Mode::ImplementationDefault => Self::ImplementationDefault,
        }
    }
}

impl From<extension::Profile> for Profile {
    fn from(profile: extension::Profile) -> Self {
        match profile {
            extension::Profile::OpenTelemetry => Self::OpenTelemetry,
            extension::Profile::Istio => Self::Istio,
        }
    }
}

impl From<extension::LogFormat> for LogFormat {
    fn from(format: extension::LogFormat) -> Self {
        match format {
            extension::LogFormat::Json => Self::Json,
            extension::LogFormat::Text => Self::Text,
        }
    }
}

impl From<extension::Protocol> for Protocol {
    fn from(protocol: extension::Protocol) -> Self {
        match protocol {
            extension::Protocol::Grpc => Self::Grpc,
            extension::Protocol::Http => Self::Http,
        }
    }
}

impl From<extension::Direction> for Direction {
    fn from(direction: extension::Direction) -> Self {
        match direction {
            extension::Direction::Client => Self::Client,
            extension::Direction::Server => Self::Server,
            extension::Direction::Both => Self::Both,
        }
    }
}

impl From<extension::Tls> for Tls {
    fn from(tls: extension::Tls) -> Self {
        match tls.mode {
            extension::TlsMode::Enabled => Self::Enabled,
            extension::TlsMode::Disabled => Self::Disabled,
        }
    }
}

impl From<&extension::TlsSettings> for TlsSettings {
    fn from(tls: &extension::TlsSettings) -> Self {
        Self {
            ca_file: tls.ca_file.clone(),
            cert_file: tls.cert_file.clone(),
            key_file: tls.key_file.clone(),
            server_name: tls.server_name.clone(),
        }
    }
}

/// A number of the API, which the schema bounds from below.
pub(super) fn count(number: i32) -> u32 {
    u32::try_from(number).unwrap_or(0)
}

pub(super) fn metrics_provider(kind: &str) -> MetricsProvider {
    match kind {
        "Prometheus" => MetricsProvider::Prometheus,
        "OTLP" => MetricsProvider::Otlp,
        other => MetricsProvider::Other(other.to_owned()),
    }
}

/// The members of the union of sources.
pub(super) struct Source<'a> {
    pub(super) kind: AttributeType,
    pub(super) header_name: &'a Option<String>,
    pub(super) literal_value: &'a Option<String>,
    pub(super) attribute_key: &'a Option<String>,
    pub(super) expression: &'a Option<String>,
    pub(super) label_key: &'a Option<String>,
    pub(super) annotation_key: &'a Option<String>,
    pub(super) variable: &'a Option<String>,
}

impl Source<'_> {
    /// `None` where the member of the type is missing, which the schema refuses.
    pub(super) fn read(&self) -> Option<AttributeSource> {
        Some(match self.kind {
            AttributeType::Header => AttributeSource::Header(self.header_name.clone()?),
            AttributeType::Literal => AttributeSource::Literal(self.literal_value.clone()?),
            AttributeType::Attribute => AttributeSource::Key(self.attribute_key.clone()?),
            AttributeType::Cel => AttributeSource::Cel(self.expression.clone()?),
            AttributeType::PodLabel => AttributeSource::PodLabel(self.label_key.clone()?),
            AttributeType::PodAnnotation => AttributeSource::PodAnnotation(self.annotation_key.clone()?),
            AttributeType::NamespaceLabel => AttributeSource::NamespaceLabel(self.label_key.clone()?),
            AttributeType::Environment => AttributeSource::Environment(self.variable.clone()?),
        })
    }
}

/// The attributes of a list that stands at a path.
pub(super) fn attributes(at: &FieldPath, list: &[gep::Attribute]) -> Vec<Attribute> {
    let read = |(index, attribute): (usize, &gep::Attribute)| {
        let source = Source {
            kind: attribute.kind,
            header_name: &attribute.header_name,
            literal_value: &attribute.literal_value,
            attribute_key: &attribute.attribute_key,
            expression: &attribute.expression,
            label_key: &attribute.label_key,
            annotation_key: &attribute.annotation_key,
            variable: &attribute.variable,
        };
        Some(Attribute {
            at: at.index(index),
            name: attribute.name.clone(),
            source: source.read()?,
            default: attribute.default.clone(),
        })
    };
    list.iter().enumerate().filter_map(read).collect()
}

/// An endpoint whose members stand in the object at a path.
pub(super) fn endpoint(
    at: &FieldPath,
    address: Option<&String>,
    protocol: Option<extension::Protocol>,
    tls: Option<&extension::TlsSettings>,
) -> Option<Endpoint> {
    // The proposal's Go type leaves an empty endpoint out.
    let address = address.filter(|address| !address.is_empty())?.clone();
    Some(Endpoint { at: at.field("endpoint"), address, protocol: protocol.map(Into::into), tls: tls.map(Into::into) })
}

pub(super) fn sinks(at: &FieldPath, list: &[extension::Sink]) -> Vec<Sink> {
    let read = |(index, sink): (usize, &extension::Sink)| {
        let at = at.index(index);
        let kind = match sink.kind {
            extension::SinkType::Stdout => SinkKind::Stdout,
            extension::SinkType::File => SinkKind::File(sink.path.clone()?),
            extension::SinkType::Otlp => {
                SinkKind::Otlp(endpoint(&at, sink.endpoint.as_ref(), sink.protocol, sink.tls.as_ref()))
            }
            extension::SinkType::Audit => SinkKind::Audit,
        };
        Some(Sink { at, kind })
    };
    list.iter().enumerate().filter_map(read).collect()
}

/// `content`, in the specification at a path.
pub(super) fn content(spec: &FieldPath, content: &extension::Content) -> Content {
    let at = spec.field("content");
    let redact = content.redact.iter().enumerate().filter_map(|(index, redaction)| {
        let at = at.field("redact").index(index);
        match (&redaction.json_path, &redaction.pattern) {
            (Some(path), _) => Some(Redaction::JsonPath(at.field("jsonPath"), path.clone())),
            (None, Some(pattern)) => Some(Redaction::Pattern(at.field("pattern"), pattern.clone())),
            (None, None) => None,
        }
    });
    Content {
        redact: redact.collect(),
        at,
        capture: match content.capture {
            extension::ContentCapture::None => ContentCapture::None,
            extension::ContentCapture::Request => ContentCapture::Request,
            extension::ContentCapture::Response => ContentCapture::Response,
            extension::ContentCapture::All => ContentCapture::All,
        },
        max_bytes: content.max_bytes.map(count),
    }
}
