//! What both dialects spell the same.

use crate::policy::{
    api::{
        extension,
        gep::{self, AttributeType},
    },
    model::{
        Attribute, AttributeSource, Content, ContentCapture, Direction, Endpoint, FieldPath, LogFormat, MetricOverride,
        MetricsProvider, Mode, Profile, Protocol, Redaction, Sink, SinkKind, Spec, Tls, TlsSettings,
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

/// `None` where the member of the type is missing, which the schema refuses.
pub(super) fn source(source: &gep::Source) -> Option<AttributeSource> {
    Some(match source.kind {
        AttributeType::Header => AttributeSource::Header(source.header_name.clone()?),
        AttributeType::Literal => AttributeSource::Literal(source.literal_value.clone()?),
        AttributeType::Attribute => AttributeSource::Key(source.attribute_key.clone()?),
        AttributeType::Cel => AttributeSource::Cel(source.expression.clone()?),
        AttributeType::PodLabel => AttributeSource::PodLabel(source.label_key.clone()?),
        AttributeType::PodAnnotation => AttributeSource::PodAnnotation(source.annotation_key.clone()?),
        AttributeType::NamespaceLabel => AttributeSource::NamespaceLabel(source.label_key.clone()?),
        AttributeType::Environment => AttributeSource::Environment(source.variable.clone()?),
    })
}

/// The attributes of a list that stands at a path.
pub(super) fn attributes(at: &FieldPath, list: &[gep::Attribute]) -> Vec<Attribute> {
    let read = |(index, attribute): (usize, &gep::Attribute)| {
        Some(Attribute {
            at: at.index(index),
            name: attribute.name.clone(),
            source: source(&attribute.source)?,
            default: attribute.source.default.clone(),
        })
    };
    list.iter().enumerate().filter_map(read).collect()
}

/// The stanzas that are added to the specification at a path: content, direction and TLS.
pub(super) fn spec(at: &FieldPath, added: &extension::Spec) -> Spec {
    Spec {
        content: added.content.as_ref().map(|stanza| content(at, stanza)).unwrap_or_default(),
        direction: added.direction.map(Into::into).unwrap_or_default(),
        tls: added.tls.map(Into::into).unwrap_or_default(),
        ..Spec::default()
    }
}

/// A view without attributes: what both dialects say of an instrument in the same words.
pub(super) fn metric_override(
    at: FieldPath,
    name: &str,
    kind: Option<&String>,
    added: &extension::MetricOverride,
) -> MetricOverride {
    MetricOverride {
        name: name.to_owned(),
        instrument_type: kind.cloned(),
        mode: added.mode.into(),
        rename: added.rename.clone(),
        buckets: added.buckets.clone(),
        attributes: Vec::new(),
        remove_attributes: added.remove_attributes.clone(),
        at,
    }
}

/// An endpoint whose members stand in the object at a path.
pub(super) fn endpoint(at: &FieldPath, address: Option<&String>, transport: &extension::Transport) -> Option<Endpoint> {
    // The proposal's Go type leaves an empty endpoint out.
    let address = address.filter(|address| !address.is_empty())?.clone();
    Some(Endpoint {
        at: at.field("endpoint"),
        address,
        protocol: transport.protocol.map(Into::into),
        tls: transport.tls.as_ref().map(Into::into),
    })
}

pub(super) fn sinks(at: &FieldPath, list: &[extension::Sink]) -> Vec<Sink> {
    let read = |(index, sink): (usize, &extension::Sink)| {
        let at = at.index(index);
        let kind = match sink.kind {
            extension::SinkType::Stdout => SinkKind::Stdout,
            extension::SinkType::File => SinkKind::File(sink.path.clone()?),
            extension::SinkType::Otlp => SinkKind::Otlp(endpoint(&at, sink.endpoint.as_ref(), &sink.transport)),
            extension::SinkType::Audit => SinkKind::Audit,
        };
        Some(Sink { at, kind })
    };
    list.iter().enumerate().filter_map(read).collect()
}

/// `content`, in the specification at a path.
fn content(spec: &FieldPath, content: &extension::Content) -> Content {
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
