//! The dialect of GEP-4768 -> the internal form.

use super::shared::{self, attributes, count};
use crate::policy::{
    api::gep::{
        AccessLogsConfig, BackendObjectReference, Fraction, LogField as ApiLogField, MetricsConfig, TargetReference,
        TelemetryPolicySpec, TracingConfig, TracingProvider,
    },
    model::{
        AccessLogs, Attribute, BackendRef, FieldPath, LogField, Match, MatchKind, MetricOverride, Metrics, ParentBased,
        Provider, Ratio, Spec, TargetRef, Tracing,
    },
};

/// What a specification at a path attaches to and asks for.
pub(super) fn read(at: &FieldPath, spec: &TelemetryPolicySpec) -> (Vec<TargetRef>, Spec) {
    let targets = at.field("targetRefs");
    let read = Spec {
        metrics: spec.metrics.as_ref().map(|stanza| metrics(at.field("metrics"), stanza)),
        tracing: spec.tracing.as_ref().map(|stanza| tracing(at.field("tracing"), stanza)),
        access_logs: spec.access_logs.as_ref().map(|stanza| access_logs(at.field("accessLogs"), stanza)),
        ..shared::spec(at, &spec.extension)
    };
    let targets = spec.target_refs.iter().enumerate().map(|(index, reference)| target(targets.index(index), reference));
    (targets.collect(), read)
}

pub(super) fn target(at: FieldPath, reference: &TargetReference) -> TargetRef {
    TargetRef {
        at,
        group: reference.group.clone(),
        kind: reference.kind.clone(),
        name: reference.name.clone(),
        namespace: reference.namespace.clone(),
        section_name: reference.section_name.clone(),
    }
}

fn ratio(fraction: Fraction) -> Ratio {
    Ratio { numerator: count(fraction.numerator), denominator: count(fraction.denominator).max(1) }
}

fn tracing(at: FieldPath, stanza: &TracingConfig) -> Tracing {
    Tracing {
        mode: stanza.mode.into(),
        provider: stanza.provider.as_ref().map(|read| provider(at.field("provider"), read)),
        sampling_rate: stanza.sampling_rate.map(ratio),
        parent_based: stanza
            .parent_based_sampling
            .map(|read| ParentBased { mode: read.mode.into(), sampling_rate: read.sampling_rate.map(ratio) }),
        context: stanza.context.clone(),
        service_name: stanza.service_name.clone(),
        span_name: stanza.span_name.clone(),
        attributes: attributes(&at.field("attributes"), &stanza.attributes),
        at,
    }
}

fn provider(at: FieldPath, provider: &TracingProvider) -> Provider {
    Provider {
        provider_type: None,
        backend_ref: provider.backend_ref.as_ref().map(|read| backend(at.field("backendRef"), read)),
        endpoint: shared::endpoint(&at, provider.endpoint.as_ref(), &provider.transport),
        headers: provider.headers.iter().map(|header| (header.name.clone(), header.value.clone())).collect(),
        at,
    }
}

fn backend(at: FieldPath, reference: &BackendObjectReference) -> BackendRef {
    BackendRef {
        at,
        group: reference.group.clone(),
        kind: reference.kind.clone(),
        name: reference.name.clone(),
        namespace: reference.namespace.clone(),
        port: reference.port.and_then(|port| u16::try_from(port).ok()),
    }
}

fn metrics(at: FieldPath, stanza: &MetricsConfig) -> Metrics {
    let overrides = at.field("overrides");
    Metrics {
        mode: stanza.mode.into(),
        provider: stanza.provider.as_ref().map(|provider| shared::metrics_provider(&provider.kind)),
        profile: stanza.extension.profile.map(Into::into).unwrap_or_default(),
        cardinality_limit: stanza.extension.cardinality_limit.map(count),
        overrides: stanza
            .overrides
            .iter()
            .enumerate()
            .map(|(index, change)| {
                let at = overrides.index(index);
                MetricOverride {
                    attributes: attributes(&at.field("attributes"), &change.attributes),
                    ..shared::metric_override(at, &change.name, change.kind.as_ref(), &change.extension)
                }
            })
            .collect(),
        at,
    }
}

fn access_logs(at: FieldPath, stanza: &AccessLogsConfig) -> AccessLogs {
    let fields = at.field("fields");
    AccessLogs {
        mode: stanza.mode.into(),
        format: stanza.format.into(),
        text: stanza.extension.text.clone(),
        matches: stanza
            .matches
            .iter()
            .map(|expression| Match { at: at.field("matches"), kind: MatchKind::Cel(expression.clone()) })
            .collect(),
        fields: stanza
            .fields
            .iter()
            .enumerate()
            .filter_map(|(index, field)| log_field(fields.index(index), field))
            .collect(),
        attributes: attributes(&at.field("attributes"), &stanza.extension.attributes),
        sinks: shared::sinks(&at.field("sinks"), &stanza.extension.sinks),
        at,
    }
}

fn log_field(at: FieldPath, field: &ApiLogField) -> Option<LogField> {
    let (name, source) = (field.path.join("."), shared::source(&field.source)?);
    let attribute = Attribute { at, name, source, default: field.source.default.clone() };
    Some(LogField::Attribute { path: field.path.clone(), attribute })
}
