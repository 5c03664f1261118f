//! A policy of the proposal's dialect in the words of GEP-4768. What the GEP has no field for, an extension of the same name holds.

use super::{matches, reference};
use crate::policy::{
    api::{
        extension::Transport,
        gep::{
            AccessLogsConfig, Attribute, AttributeType, Fraction, LogField, MetricOverride, MetricsConfig, Mode,
            ParentBasedSampling, Source, TargetReference, TelemetryPolicySpec, TracingConfig, TracingProvider,
        },
        proposal,
    },
    attribute::Key,
    model::{FieldPath, is_otlp},
};

/// Names that HTTP/2 gives to parts of a request, as a log line may name them, and the keys that say the same.
const PSEUDO_HEADERS: [(&str, &str); 5] = [
    (":authority", "authority"),
    (":method", "method"),
    (":path", "path"),
    (":scheme", "url.scheme"),
    (":status", "response_code"),
];

/// Something that cannot be said in GEP-4768.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lost {
    /// Which field.
    pub(super) at: FieldPath,
    /// Why.
    pub(super) problem: String,
    /// Whether the policy would mean something else without it.
    pub(super) is_error: bool,
}

/// The specification in the other dialect.
pub(super) fn spec(spec: &proposal::TelemetryPolicySpec, lost: &mut Vec<Lost>) -> TelemetryPolicySpec {
    TelemetryPolicySpec {
        target_refs: vec![TargetReference {
            group: spec.target_ref.group.clone(),
            kind: spec.target_ref.kind.clone(),
            name: spec.target_ref.name.clone(),
            namespace: None,
            section_name: None,
        }],
        tracing: spec.tracing.as_ref().map(|stanza| tracing(stanza, lost)),
        metrics: spec.metrics.as_ref().map(|stanza| metrics(stanza, lost)),
        access_logs: spec.access_logs.as_ref().map(|stanza| access_logs(stanza, lost)),
        extension: spec.extension.clone(),
    }
}

fn mode(enabled: bool) -> Mode {
    if enabled { Mode::Enabled } else { Mode::Disabled }
}

fn fraction(percentage: proposal::Percentage) -> Fraction {
    Fraction { numerator: percentage.percent.unwrap_or(0), denominator: 100 }
}

fn tracing(stanza: &proposal::TracingConfig, lost: &mut Vec<Lost>) -> TracingConfig {
    let provider = stanza.provider.as_ref().and_then(|read| provider(read, lost));
    let literal = |attribute: &proposal::CustomAttribute| {
        let literal_value = Some(attribute.literal_value.clone());
        let source = Source { literal_value, ..Source::new(AttributeType::Literal) };
        Attribute { name: attribute.attribute_name.clone(), source }
    };
    TracingConfig {
        // As the proposal means it: on, if there is somewhere to send spans to. The GEP wants a provider where it says Enabled.
        mode: if provider.is_some() { Mode::Enabled } else { Mode::ImplementationDefault },
        provider,
        sampling_rate: stanza.sampling_rate.map(fraction),
        parent_based_sampling: stanza.parent_based_sampling.map(|read| ParentBasedSampling {
            mode: mode(read.enabled),
            sampling_rate: Some(read.sampling_rate.map_or(Fraction { numerator: 100, denominator: 100 }, fraction)),
        }),
        service_name: None,
        span_name: None,
        attributes: stanza.custom_attributes.iter().map(literal).chain(stanza.attributes.iter().cloned()).collect(),
        context: stanza.context.clone(),
    }
}

fn provider(provider: &proposal::TracingProvider, lost: &mut Vec<Lost>) -> Option<TracingProvider> {
    if !is_otlp(&provider.kind) {
        lost.push(Lost {
            at: FieldPath::new("spec.tracing.provider"),
            problem: format!(
                "providers of type `{}` are not known; as before, spans go to the agent's exporter",
                provider.kind
            ),
            is_error: false,
        });
        return None;
    }
    let address = provider.endpoint.as_ref().filter(|address| !address.is_empty())?;
    if provider.transport == Transport::default()
        && let Some(reference) = reference::of_address(address)
    {
        return Some(TracingProvider { backend_ref: Some(reference), ..TracingProvider::default() });
    }
    Some(TracingProvider {
        endpoint: Some(address.clone()),
        transport: provider.transport.clone(),
        ..TracingProvider::default()
    })
}

fn metrics(stanza: &proposal::MetricsConfig, lost: &mut Vec<Lost>) -> MetricsConfig {
    let at = FieldPath::new("spec.metrics.overrides");
    let overrides = stanza.overrides.iter().enumerate().map(|(index, change)| {
        let dimensions = at.index(index).field("dimensions");
        let portable = change.dimensions.iter().enumerate();
        let portable = portable.filter_map(|(index, read)| dimension(&dimensions.index(index), read, lost));
        MetricOverride {
            name: change.name.clone(),
            attributes: portable.collect::<Vec<_>>().into_iter().chain(change.attributes.iter().cloned()).collect(),
            kind: change.kind.clone(),
            extension: change.extension.clone(),
        }
    });
    MetricsConfig {
        mode: mode(stanza.enabled),
        overrides: overrides.collect(),
        provider: stanza.provider.clone(),
        extension: stanza.extension.clone(),
    }
}

fn dimension(at: &FieldPath, dimension: &proposal::Dimension, lost: &mut Vec<Lost>) -> Option<Attribute> {
    if let Some(header) = &dimension.from_header {
        let source = Source { header_name: Some(header.clone()), ..Source::new(AttributeType::Header) };
        return Some(Attribute { name: dimension.key.clone(), source });
    }
    if !dimension.key.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_.-".contains(&byte)) {
        let problem =
            format!("no attribute can be named `{}`, so this dimension has no value and is left out", dimension.key);
        lost.push(Lost { at: at.field("key"), problem, is_error: false });
        return None;
    }
    let source = Source { attribute_key: Some(dimension.key.clone()), ..Source::new(AttributeType::Attribute) };
    Some(Attribute { name: dimension.key.clone(), source })
}

fn access_logs(stanza: &proposal::AccessLogsConfig, lost: &mut Vec<Lost>) -> AccessLogsConfig {
    let matches = matches::expression(&stanza.matches);
    if matches.as_ref().is_some_and(|expression| expression.len() > matches::MAX_LENGTH) {
        lost.push(Lost {
            at: FieldPath::new("spec.accessLogs.matches"),
            problem: format!("its conditions are more than {} characters as one expression", matches::MAX_LENGTH),
            is_error: true,
        });
    }
    AccessLogsConfig {
        mode: mode(stanza.enabled.or(stanza.enable).unwrap_or(false)),
        matches,
        fields: stanza.fields.iter().map(|name| log_field(name)).collect(),
        format: stanza.format,
        extension: stanza.extension.clone(),
    }
}

/// A name is a key of log lines, else that of a header (POLICY.md section 4).
pub(super) fn log_field(name: &str) -> LogField {
    let pseudo = PSEUDO_HEADERS.iter().find(|(pseudo, _)| *pseudo == name).map(|(_, key)| *key);
    let key = pseudo.or_else(|| Key::of_log(name).map(|_| name));
    let source = match key {
        Some(key) => Source { attribute_key: Some(key.to_owned()), ..Source::new(AttributeType::Attribute) },
        None => Source { header_name: Some(name.to_owned()), ..Source::new(AttributeType::Header) },
    };
    LogField { path: vec![name.to_owned()], source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_log_lines_means_the_same_as_a_key() {
        for key in Key::ALL {
            for name in key.row().log_names() {
                let field = log_field(name);
                assert_eq!(field.source.attribute_key.as_deref(), Some(name));
                // Where it is looked up as an attribute first, that must find the same.
                assert!(Key::of_attribute(name).is_none_or(|found| found == *key), "{name}");
            }
        }
        assert_eq!(log_field("x-token-usage").source.header_name.as_deref(), Some("x-token-usage"));
    }
}
