//! The dialect of the proposal -> the internal form.

use super::shared::{self, attributes, count};
use crate::policy::{
    Finding,
    api::proposal::{
        AccessLogsConfig, Dimension, MetricOverride as ApiMetricOverride, MetricsConfig, Percentage,
        TelemetryPolicySpec, TracingConfig, TracingProvider,
    },
    model::{
        AccessLogs, Attribute, AttributeSource, FieldPath, LogField, Match, MatchKind, MetricOverride, Metrics, Mode,
        ParentBased, Provider, Ratio, Spec, TargetRef, Tracing,
    },
};

/// What a specification at a path attaches to and asks for. What contradicts itself is pushed.
pub(super) fn read(at: &FieldPath, spec: &TelemetryPolicySpec, findings: &mut Vec<Finding>) -> (Vec<TargetRef>, Spec) {
    let target = TargetRef {
        at: at.field("targetRef"),
        group: spec.target_ref.group.clone(),
        kind: spec.target_ref.kind.clone(),
        name: spec.target_ref.name.clone(),
        namespace: None,
        section_name: None,
    };
    let read = Spec {
        metrics: spec.metrics.as_ref().map(|stanza| metrics(at.field("metrics"), stanza, findings)),
        tracing: spec.tracing.as_ref().map(|stanza| tracing(at.field("tracing"), stanza, findings)),
        access_logs: spec.access_logs.as_ref().map(|stanza| access_logs(at.field("accessLogs"), stanza)),
        ..shared::spec(at, &spec.extension)
    };
    (vec![target], read)
}

fn mode(enabled: bool) -> Mode {
    if enabled { Mode::Enabled } else { Mode::Disabled }
}

/// The Go type is a plain number that is left out when it is 0, so an empty object says 0.
fn ratio(percentage: Percentage) -> Ratio {
    Ratio { numerator: count(percentage.percent.unwrap_or(0)), denominator: 100 }
}

fn tracing(at: FieldPath, stanza: &TracingConfig, findings: &mut Vec<Finding>) -> Tracing {
    let provider = stanza.provider.as_ref().map(|read| provider(at.field("provider"), read));
    let custom = at.field("customAttributes");
    let literals = stanza.custom_attributes.iter().enumerate().map(|(index, attribute)| Attribute {
        at: custom.index(index),
        name: attribute.attribute_name.clone(),
        source: AttributeSource::Literal(attribute.literal_value.clone()),
        default: None,
    });
    Tracing {
        // A stanza is on. Without a receiver of its own spans can only go to the agent's, which there may be or not.
        mode: if provider.as_ref().is_some_and(is_receiver) { Mode::Enabled } else { Mode::ImplementationDefault },
        provider,
        sampling_rate: stanza.sampling_rate.map(ratio),
        parent_based: stanza.parent_based_sampling.map(|read| ParentBased {
            mode: mode(read.enabled),
            sampling_rate: Some(read.sampling_rate.map_or(Ratio::ALL, ratio)),
        }),
        context: stanza.context.clone(),
        service_name: None,
        span_name: None,
        attributes: joined(literals.collect(), attributes(&at.field("attributes"), &stanza.attributes), findings),
        at,
    }
}

fn is_receiver(provider: &Provider) -> bool {
    provider.is_otlp() && provider.endpoint.is_some()
}

fn provider(at: FieldPath, provider: &TracingProvider) -> Provider {
    Provider {
        provider_type: Some(provider.kind.clone()),
        backend_ref: None,
        endpoint: shared::endpoint(&at, provider.endpoint.as_ref(), &provider.transport),
        headers: Vec::new(),
        at,
    }
}

/// The portable attributes, then those of the extension; one name is only once among them.
fn joined(portable: Vec<Attribute>, added: Vec<Attribute>, findings: &mut Vec<Finding>) -> Vec<Attribute> {
    for attribute in &added {
        if let Some(other) = portable.iter().find(|other| other.name == attribute.name) {
            let problem = format!("`{}` is already the name of {}", attribute.name, other.at);
            findings.push(Finding::invalid(&attribute.at.field("name"), problem).instead("give it another name"));
        }
    }
    portable.into_iter().chain(added).collect()
}

fn metrics(at: FieldPath, stanza: &MetricsConfig, findings: &mut Vec<Finding>) -> Metrics {
    let overrides = at.field("overrides");
    let read = |(index, change)| metric_override(overrides.index(index), change, findings);
    Metrics {
        mode: mode(stanza.enabled),
        provider: stanza.provider.as_ref().map(|provider| shared::metrics_provider(&provider.kind)),
        profile: stanza.extension.profile.map(Into::into).unwrap_or_default(),
        cardinality_limit: stanza.extension.cardinality_limit.map(count),
        overrides: stanza.overrides.iter().enumerate().map(read).collect(),
        at,
    }
}

fn metric_override(at: FieldPath, change: &ApiMetricOverride, findings: &mut Vec<Finding>) -> MetricOverride {
    let dimensions = at.field("dimensions");
    let portable =
        change.dimensions.iter().enumerate().map(|(index, read)| dimension(dimensions.index(index), read)).collect();
    let added = attributes(&at.field("attributes"), &change.attributes);
    MetricOverride {
        attributes: joined(portable, added, findings),
        ..shared::metric_override(at, &change.name, change.kind.as_ref(), &change.extension)
    }
}

fn dimension(at: FieldPath, dimension: &Dimension) -> Attribute {
    let source = match &dimension.from_header {
        Some(header) => AttributeSource::Header(header.clone()),
        // The proposal only says that it can come from a header; what else has a name is an attribute.
        None => AttributeSource::Key(dimension.key.clone()),
    };
    Attribute { at, name: dimension.key.clone(), source, default: None }
}

fn access_logs(at: FieldPath, stanza: &AccessLogsConfig) -> AccessLogs {
    let (matches, fields) = (at.field("matches"), at.field("fields"));
    AccessLogs {
        mode: mode(stanza.enabled.or(stanza.enable).unwrap_or(false)),
        format: stanza.format.into(),
        text: stanza.extension.text.clone(),
        matches: stanza
            .matches
            .iter()
            .enumerate()
            .filter_map(|(index, condition)| {
                let kind = match (&condition.path, &condition.cel) {
                    (Some(path), _) => MatchKind::Path(path.clone()),
                    (None, Some(expression)) => MatchKind::Cel(expression.clone()),
                    (None, None) => return None,
                };
                Some(Match { at: matches.index(index), kind })
            })
            .collect(),
        fields: stanza
            .fields
            .iter()
            .enumerate()
            .map(|(index, name)| LogField::Named { at: fields.index(index), name: name.clone() })
            .collect(),
        attributes: attributes(&at.field("attributes"), &stanza.extension.attributes),
        sinks: shared::sinks(&at.field("sinks"), &stanza.extension.sinks),
        at,
    }
}
