//! What a policy makes of each signal, in sentences.

use serde::Serialize;

use super::attribute::{describe, describe_all};
use crate::policy::{
    Effect,
    attachment::Candidate,
    model::{
        AccessLogs, ContentCapture, Endpoint, FieldPath, LogField, LogFormat, MatchKind, MetricOverride,
        MetricsProvider, Mode, ParentBased, Profile, Protocol, Provider, Ratio, Redaction, SinkKind, Tls,
    },
    objects::Objects,
    plan::Plan,
    status::backend_fault,
};

/// A signal that is on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Signal {
    /// On what it depends, if it does: `ImplementationDefault`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<&'static str>,
    /// What comes out: sentences without full stops.
    pub summary: Vec<String>,
}

/// Sentences, and what findings say about the fields of the stanza.
fn signal(candidate: &Candidate, at: &FieldPath, when: Option<&'static str>, mut summary: Vec<String>) -> Signal {
    summary.extend(said(candidate, &|field| field.is_in(at)));
    Signal { when, summary }
}

pub(super) fn metrics(candidate: &Candidate, plan: &Plan) -> Option<Signal> {
    let metrics = candidate.policy.spec.metrics.as_ref().filter(|metrics| metrics.mode != Mode::Disabled)?;
    let mut summary = vec![match metrics.profile {
        Profile::OpenTelemetry => "the instruments of the OpenTelemetry conventions".to_owned(),
        Profile::Istio => "Istio's standard metrics (istio_requests_total and the like)".to_owned(),
    }];
    summary.push(match &metrics.provider {
        None => "served at the agent's /metrics, and sent where an OTLP exporter is configured".to_owned(),
        Some(MetricsProvider::Prometheus) => "served at the agent's /metrics for Prometheus".to_owned(),
        Some(MetricsProvider::Otlp) => "sent by the agent's OTLP exporter".to_owned(),
        Some(MetricsProvider::Other(_)) => "given out as the agent does by default".to_owned(),
    });
    if let Some(plan) = plan.metrics.as_ref().filter(|_| metrics.cardinality_limit.is_some()) {
        let limit = plan.limit;
        summary.push(format!(
            "at most {limit} series of each instrument; others are summed up in otel_metric_overflow=\"true\""
        ));
    }
    summary.extend(metrics.overrides.iter().map(metric_override));
    Some(signal(candidate, &metrics.at, None, summary))
}

fn metric_override(of: &MetricOverride) -> String {
    if of.mode == Mode::Disabled {
        return format!("{}: left out", of.name);
    }
    let mut changes = Vec::new();
    changes.extend(of.rename.as_ref().map(|name| format!("named {name}")));
    changes.extend(
        of.buckets
            .as_ref()
            .map(|bounds| format!("buckets {}", bounds.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))),
    );
    if !of.attributes.is_empty() {
        changes.push(format!("with {}", describe_all(&of.attributes)));
    }
    if !of.remove_attributes.is_empty() {
        changes.push(format!("without {}", of.remove_attributes.join(", ")));
    }
    if changes.is_empty() { format!("{}: as it is", of.name) } else { format!("{}: {}", of.name, changes.join("; ")) }
}

pub(super) fn tracing(candidate: &Candidate, objects: &Objects) -> Option<Signal> {
    let tracing = candidate.policy.spec.tracing.as_ref().filter(|tracing| tracing.mode != Mode::Disabled)?;
    let provider = tracing.provider.as_ref().filter(|provider| provider.is_otlp());
    let when = (tracing.mode == Mode::ImplementationDefault && provider.is_none())
        .then_some("a span exporter is configured for the agent (OTEL_EXPORTER_OTLP_ENDPOINT, --spans)");
    let mut summary = vec![receiver(candidate, objects, provider)];
    summary.extend(sampling(tracing.sampling_rate, tracing.parent_based.as_ref()));
    let formats = if tracing.context.is_empty() { "W3C".to_owned() } else { tracing.context.join(", then ") };
    summary.push(format!("a trace is continued from the headers of a request ({formats}); without them its ids follow from the connection"));
    summary.extend(tracing.service_name.as_ref().map(|name| format!("service.name is {name}")));
    summary.extend(tracing.span_name.as_ref().map(|name| format!("every span is named {name}")));
    summary.extend(tracing.attributes.iter().map(|attribute| format!("with {}", describe(attribute))));
    Some(signal(candidate, &tracing.at, when, summary))
}

fn receiver(candidate: &Candidate, objects: &Objects, provider: Option<&Provider>) -> String {
    let Some(provider) = provider else { return "sent by the agent's own span exporter".to_owned() };
    if let Some(backend) = &provider.backend_ref {
        let key = &candidate.policy.key;
        let namespace = backend.namespace.as_deref().unwrap_or(&key.namespace);
        let port = backend.port.map_or_else(String::new, |port| format!(":{port}"));
        return match backend_fault(objects, key, backend) {
            None => format!("sent to {} {namespace}/{}{port}", backend.kind, backend.name),
            Some(fault) => format!("not sent anywhere: {fault}"),
        };
    }
    match &provider.endpoint {
        Some(endpoint) => format!("sent to {}", address(endpoint)),
        None => "sent by the agent's own span exporter".to_owned(),
    }
}

fn address(endpoint: &Endpoint) -> String {
    let protocol = match endpoint.protocol {
        Some(Protocol::Grpc) => " with OTLP/gRPC",
        Some(Protocol::Http) => " with OTLP/HTTP",
        None => "",
    };
    format!("{}{protocol}", endpoint.address)
}

/// `5 %`, without digits that say nothing.
fn percent(ratio: Ratio) -> String {
    let percent = ratio.value() * 100.0;
    let rounded = (percent * 10_000.0).round() / 10_000.0;
    format!("{rounded} %")
}

fn sampling(rate: Option<Ratio>, parent_based: Option<&ParentBased>) -> Vec<String> {
    let own = percent(rate.unwrap_or(Ratio::ALL));
    match parent_based.filter(|parent| parent.mode != Mode::Disabled) {
        None => vec![format!("{own} of all traces are kept; what a parent decided does not count")],
        Some(parent) => {
            let governor = percent(parent.sampling_rate.unwrap_or(Ratio::ALL));
            vec![
                format!("{own} of the traces that begin here are kept"),
                format!("of traces that a parent keeps, {governor}; of those that it does not keep, none"),
            ]
        }
    }
}

pub(super) fn access_logs(candidate: &Candidate) -> Option<Signal> {
    let logs = candidate.policy.spec.access_logs.as_ref().filter(|logs| logs.mode != Mode::Disabled)?;
    let when = (logs.mode == Mode::ImplementationDefault && logs.sinks.is_empty())
        .then_some("the agent has a default log sink; `run` and `replay` have one");
    let mut summary = vec![line(logs), sinks(logs), matches(logs)];
    summary.extend(logs.attributes.iter().map(|attribute| format!("with {}", describe(attribute))));
    Some(signal(candidate, &logs.at, when, summary))
}

fn line(logs: &AccessLogs) -> String {
    let fields: Vec<String> = logs
        .fields
        .iter()
        .map(|field| match field {
            LogField::Named { name, .. } => name.clone(),
            LogField::Attribute { attribute, .. } => describe(attribute),
        })
        .collect();
    match (logs.format, &logs.text, fields.as_slice()) {
        (LogFormat::Json, _, []) => "one JSON object a line, with the default fields".to_owned(),
        (LogFormat::Json, _, _) => format!("one JSON object a line, with {} and nothing else", fields.join(", ")),
        (LogFormat::Text, Some(text), []) => format!("text lines {text:?}"),
        (LogFormat::Text, None, []) if logs.attributes.is_empty() => {
            "text lines as Envoy writes them by default".to_owned()
        }
        (LogFormat::Text, None, []) => {
            "text lines as Envoy writes them by default, and behind them the values".to_owned()
        }
        (LogFormat::Text, _, _) => format!("text lines with {}", fields.join(", ")),
    }
}

fn sinks(logs: &AccessLogs) -> String {
    let sinks: Vec<String> = logs
        .sinks
        .iter()
        .map(|sink| match &sink.kind {
            SinkKind::Stdout => "the agent's standard output".to_owned(),
            SinkKind::File(path) => format!("the file {path}"),
            SinkKind::Otlp(Some(endpoint)) => format!("OTLP logs at {}", address(endpoint)),
            SinkKind::Otlp(None) => "OTLP logs, by the agent's exporter".to_owned(),
            SinkKind::Audit => "the audit log".to_owned(),
        })
        .collect();
    match sinks.as_slice() {
        [] => "written to the agent's standard output".to_owned(),
        sinks => format!("written to {}", sinks.join(" and ")),
    }
}

fn matches(logs: &AccessLogs) -> String {
    let conditions: Vec<String> = logs
        .matches
        .iter()
        .map(|condition| match &condition.kind {
            MatchKind::Path(path) => format!("the path is {path} or below it"),
            MatchKind::Cel(expression) => format!("`{expression}`"),
        })
        .collect();
    if conditions.is_empty() {
        "a line for every exchange".to_owned()
    } else {
        format!("a line only where {}", conditions.join(", or "))
    }
}

/// What holds for all signals.
pub(super) fn remarks(candidate: &Candidate, plan: &Plan) -> Vec<String> {
    let spec = &candidate.policy.spec;
    let mut remarks = Vec::new();
    if let Some(content) = &plan.content {
        let (whose, keys) = match content.capture {
            ContentCapture::Request => ("requests", "telltale.http.request.body"),
            ContentCapture::Response => ("responses", "telltale.http.response.body"),
            ContentCapture::None | ContentCapture::All => {
                ("requests and responses", "telltale.http.request.body and telltale.http.response.body")
            }
        };
        let redacted: Vec<String> = spec
            .content
            .redact
            .iter()
            .map(|redaction| match redaction {
                Redaction::JsonPath(_, path) => path.clone(),
                Redaction::Pattern(_, pattern) => format!("/{pattern}/"),
            })
            .collect();
        let redacted = if redacted.is_empty() { String::new() } else { format!(", without {}", redacted.join(", ")) };
        remarks.push(format!("content of {whose} is kept, {} bytes of each{redacted}", content.max_bytes));
        remarks.push(format!("it comes out as {keys}: on every span, and in access logs where a field asks for it"));
        if plan.calls {
            let of = match content.capture {
                ContentCapture::Request => {
                    "gen_ai.system_instructions, gen_ai.input.messages and gen_ai.tool.definitions"
                }
                ContentCapture::Response => "gen_ai.output.messages",
                ContentCapture::None | ContentCapture::All => {
                    "gen_ai.system_instructions, gen_ai.input.messages, gen_ai.tool.definitions and gen_ai.output.messages"
                }
            };
            remarks.push(format!("what is said in calls of language models comes out too, as {of}"));
        }
        if !content.paths.is_empty() {
            remarks.push(
                "content that is not whole JSON is withheld, for what the paths select could be in it".to_owned(),
            );
        }
    }
    if spec.tls == Tls::Disabled {
        remarks.push("what is inside TLS is not read".to_owned());
    }
    remarks.extend(said(candidate, &|field| field.is_in(&spec.content.at)));
    remarks
}

/// What findings say about the fields that are asked for, as far as they leave the policy valid.
fn said(candidate: &Candidate, about: &dyn Fn(&FieldPath) -> bool) -> Vec<String> {
    let titled = |effect, title: &'static str| {
        let findings = candidate.findings_with(effect).filter(|finding| about(&finding.field));
        findings.map(move |finding| format!("{title}: {finding}"))
    };
    titled(Effect::Partial, "not done").chain(titled(Effect::Message, "note")).collect()
}
