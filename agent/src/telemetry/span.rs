//! An exchange as an OTLP span (semconv http-spans; POLICY.md section 4, "Tracing").

use std::sync::Arc;

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, any_value},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span::SpanKind, status::StatusCode},
};

use super::{
    ExchangeSubject, Facts, KnownMethods,
    method::OTHER,
    names::{SCOPE_NAME, SCOPE_VERSION, key, schema_url},
    trace_context::Identity,
};
use crate::{
    capture::Role,
    exchange::Half,
    policy::{
        attribute::{Subject, Value},
        plan::TracingPlan,
    },
    workload::{ResourceAttribute, Workload},
};

/// A span and whom it belongs to.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanRecord {
    /// The source of its resource.
    pub workload: Arc<Workload>,
    /// `service.name` instead of the workload's.
    pub service_name: Option<Arc<str>>,
    /// The span.
    pub span: Span,
}

/// Flags of `Span.flags` (OTLP trace.proto, `SpanFlags`).
const FLAG_SAMPLED: u32 = 0x01;
const FLAG_HAS_IS_REMOTE: u32 = 0x100;
const FLAG_IS_REMOTE: u32 = 0x200;

/// An attribute with a string value.
pub fn text(key: &str, value: impl Into<String>) -> KeyValue {
    attribute(key, any_value::Value::StringValue(value.into()))
}

/// An attribute with an integer value.
pub fn number(key: &str, value: i64) -> KeyValue {
    attribute(key, any_value::Value::IntValue(value))
}

/// An attribute with a boolean value.
pub fn boolean(key: &str, value: bool) -> KeyValue {
    attribute(key, any_value::Value::BoolValue(value))
}

fn any(value: any_value::Value) -> AnyValue {
    AnyValue { value: Some(value) }
}

/// The value of a policy's attribute; what OTLP has no type for becomes text.
fn value_of(value: Value<'_>) -> any_value::Value {
    use any_value::Value as Any;
    match value {
        Value::Int(number) => Any::IntValue(number),
        Value::Double(number) => Any::DoubleValue(number),
        Value::Bool(flag) => Any::BoolValue(flag),
        Value::List(texts) => {
            let values = texts.into_iter().map(|text| any(Any::StringValue(text.into_owned()))).collect();
            Any::ArrayValue(ArrayValue { values })
        }
        other => Any::StringValue(other.into_text().into_owned()),
    }
}

/// Adds what the policy asks for. Keys are unique (OTLP common.proto), so of two of one name the policy's holds, and of two of the policy's the later.
fn add(attributes: &mut Vec<KeyValue>, plan: &TracingPlan, subject: &dyn Subject) {
    for (name, extractor) in &plan.attributes {
        let Some(value) = extractor.value(subject) else { continue };
        let added = attribute(name, value_of(value));
        match attributes.iter_mut().find(|existing| existing.key == **name) {
            Some(existing) => *existing = added,
            None => attributes.push(added),
        }
    }
}

fn attribute(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(any(value)), ..KeyValue::default() }
}

/// Builds the span of an exchange, as the plan asks for it.
pub fn build(facts: &Facts<'_>, identity: &Identity, methods: &KnownMethods, plan: &TracingPlan) -> SpanRecord {
    let exchange = facts.exchange;
    let method = methods.name(methods.index(facts.method));
    let end = exchange.response.as_ref().map_or(exchange.end, |response| response.last_byte);
    let start = exchange.request.head.first_byte;
    let mut attributes = attributes(facts, method);
    add(&mut attributes, plan, &ExchangeSubject { facts, identity: Some(identity), methods });
    let remote = if identity.parent_span_id.is_some() { FLAG_IS_REMOTE } else { 0 };
    let span = Span {
        trace_id: identity.trace_id.0.to_be_bytes().to_vec(),
        span_id: identity.span_id.0.to_be_bytes().to_vec(),
        parent_span_id: identity.parent_span_id.map(|id| id.0.to_be_bytes().to_vec()).unwrap_or_default(),
        trace_state: identity.context.as_ref().map(|context| context.state.clone()).unwrap_or_default(),
        flags: FLAG_SAMPLED | FLAG_HAS_IS_REMOTE | remote,
        name: match &plan.span_name {
            Some(name) => name.to_string(),
            None if method == OTHER => "HTTP".to_owned(),
            None => method.to_owned(),
        },
        kind: match facts.role {
            Role::Client => SpanKind::Client,
            Role::Server => SpanKind::Server,
        }
        .into(),
        start_time_unix_nano: start.0,
        end_time_unix_nano: end.0.max(start.0),
        attributes,
        // No message: the code and `error.type` say it (semconv recording-errors).
        status: facts.error.map(|_| Status { code: StatusCode::Error.into(), message: String::new() }),
        ..Span::default()
    };
    let workload = Arc::clone(&exchange.connection.workload);
    SpanRecord { workload, service_name: plan.service_name.clone(), span }
}

fn attributes(facts: &Facts<'_>, method: &str) -> Vec<KeyValue> {
    let mut attributes = Vec::with_capacity(16);
    let target = facts.parsed_target();
    let server = facts.server();
    attributes.push(text(key::HTTP_REQUEST_METHOD, method));
    if method == OTHER {
        attributes.push(text(key::HTTP_REQUEST_METHOD_ORIGINAL, facts.method));
    }
    if let Some(status) = facts.status {
        attributes.push(number(key::HTTP_RESPONSE_STATUS_CODE, status.into()));
    }
    if let Some(error) = facts.error {
        attributes.push(text(key::ERROR_TYPE, error.name()));
    }
    if facts.role == Role::Client {
        attributes.push(text(key::URL_FULL, url_full(facts)));
    } else {
        attributes.push(text(key::CLIENT_ADDRESS, facts.client_address()));
        attributes.push(text(key::URL_SCHEME, facts.scheme()));
        if let Some(path) = target.path {
            attributes.push(text(key::URL_PATH, path));
        }
        if let Some(query) = target.query {
            attributes.push(text(key::URL_QUERY, query));
        }
        if let Some(user_agent) = facts.user_agent() {
            attributes.push(text(key::USER_AGENT_ORIGINAL, String::from_utf8_lossy(user_agent)));
        }
    }
    if let Some((address, port)) = server {
        attributes.push(text(key::SERVER_ADDRESS, address));
        attributes.push(number(key::SERVER_PORT, port.into()));
    }
    let peer = facts.peer();
    attributes.push(text(key::NETWORK_PEER_ADDRESS, peer.ip().to_string()));
    attributes.push(number(key::NETWORK_PEER_PORT, peer.port().into()));
    attributes.push(text(key::NETWORK_PROTOCOL_VERSION, facts.version.as_str()));
    if let Some(incomplete) = facts.exchange.incomplete {
        attributes.push(text(key::TELLTALE_INCOMPLETE, incomplete.name()));
    }
    let [body, incomplete] = [key::TELLTALE_HTTP_REQUEST_BODY, key::TELLTALE_HTTP_REQUEST_BODY_INCOMPLETE];
    add_content(&mut attributes, Some(&facts.exchange.request), body, incomplete);
    let [body, incomplete] = [key::TELLTALE_HTTP_RESPONSE_BODY, key::TELLTALE_HTTP_RESPONSE_BODY_INCOMPLETE];
    add_content(&mut attributes, facts.exchange.response.as_ref(), body, incomplete);
    attributes
}

/// Adds what the policy keeps of a message's content: if it keeps any, spans have it.
fn add_content(attributes: &mut Vec<KeyValue>, half: Option<&Half>, body: &str, incomplete: &str) {
    let Some(content) = half.and_then(|half| half.content.as_deref()) else { return };
    attributes.extend(content.text.as_deref().map(|value| text(body, value)));
    attributes.extend(content.incomplete.map(|why| text(incomplete, why.name())));
}

/// `url.full` of a client: the target if it is absolute, else put together from scheme and authority.
pub(super) fn url_full(facts: &Facts<'_>) -> String {
    let target = facts.parsed_target();
    if target.scheme.is_some() {
        return facts.target.to_owned();
    }
    let scheme = facts.scheme();
    let authority = facts.authority().map_or_else(|| facts.peer().to_string(), str::to_owned);
    match target.path {
        // `OPTIONS *` is about the server itself (RFC 9112 section 3.2.4) and CONNECT about a tunnel: no path.
        None | Some("*") => format!("{scheme}://{authority}"),
        Some(_) => format!("{scheme}://{authority}{}", facts.target),
    }
}

/// The OTLP resource of a workload, `local` added where it is of no pod (`OTEL_RESOURCE_ATTRIBUTES`; the workload's own win).
pub fn resource(
    service_name: &str,
    namespace: Option<&str>,
    own: &[ResourceAttribute],
    local: &[(String, String)],
) -> Resource {
    let mut attributes = vec![text(key::SERVICE_NAME, service_name)];
    attributes.extend(namespace.map(|namespace| text(key::K8S_NAMESPACE_NAME, namespace)));
    attributes.extend(own.iter().map(|(key, value)| text(key, value.as_str())));
    if namespace.is_none() {
        for (name, value) in local {
            if !attributes.iter().any(|existing| existing.key == *name) {
                attributes.push(text(name, value.as_str()));
            }
        }
    }
    Resource { attributes, ..Resource::default() }
}

/// The scope of everything observed.
pub fn scope() -> InstrumentationScope {
    InstrumentationScope { name: SCOPE_NAME.into(), version: SCOPE_VERSION.into(), ..InstrumentationScope::default() }
}

/// One request with a resource for each workload and service name, in the order in which they first appear.
pub fn request(records: impl IntoIterator<Item = SpanRecord>, local: &[(String, String)]) -> ExportTraceServiceRequest {
    type Owner = (Arc<Workload>, Option<Arc<str>>);
    let mut groups: Vec<(Owner, Vec<Span>)> = Vec::new();
    for SpanRecord { workload, service_name, span } in records {
        // From the back: the spans of one connection follow each other. Few workloads are in one batch.
        let same = |((other, name), _): &(Owner, _)| {
            *name == service_name && (Arc::ptr_eq(other, &workload) || **other == *workload)
        };
        match groups.iter().rposition(same) {
            Some(group) => groups[group].1.push(span),
            None => groups.push(((workload, service_name), vec![span])),
        }
    }
    let resource_spans = groups
        .into_iter()
        .map(|((workload, service_name), spans)| ResourceSpans {
            resource: Some(resource(
                service_name.as_deref().unwrap_or(&workload.service_name),
                workload.namespace.as_deref(),
                &workload.attributes,
                local,
            )),
            scope_spans: vec![ScopeSpans { scope: Some(scope()), spans, schema_url: schema_url().into() }],
            schema_url: schema_url().into(),
        })
        .collect();
    ExportTraceServiceRequest { resource_spans }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        exchange::Omission,
        policy::{
            Capture, Defaults, Trust,
            model::{Attribute, AttributeSource, FieldPath, Tracing},
            plan::ContextFormat,
        },
        protocol::Incomplete,
        telemetry::{test_support::Sample, trace_context::identify},
    };

    fn span(sample: &Sample) -> SpanRecord {
        planned(sample, &TracingPlan::default())
    }

    fn planned(sample: &Sample, plan: &TracingPlan) -> SpanRecord {
        sample.facts(|facts| {
            let head = &facts.exchange.request.head;
            let open = &facts.exchange.connection.open;
            let context = facts.context(ContextFormat::DEFAULT);
            let identity = identify(open, facts.role, head.position, head.first_byte, context);
            build(facts, &identity, &KnownMethods::default(), plan)
        })
    }

    /// One line per field and attribute.
    fn show(record: &SpanRecord) -> String {
        let json = serde_json::to_value(&record.span).unwrap();
        let mut lines = Vec::new();
        for name in ["name", "kind", "traceId", "spanId", "parentSpanId", "traceState", "flags", "status"] {
            lines.push(format!("{name}: {}", json[name]));
        }
        let span = &record.span;
        lines.push(format!("nanos: {}", span.end_time_unix_nano - span.start_time_unix_nano));
        for attribute in json["attributes"].as_array().unwrap() {
            let value = attribute["value"].as_object().unwrap().values().next().unwrap();
            lines.push(format!("{}: {value}", attribute["key"].as_str().unwrap()));
        }
        lines.join("\n")
    }

    #[test]
    fn client_span() {
        insta::assert_snapshot!(show(&span(&Sample::new(Role::Client).status(404))));
    }

    #[test]
    fn server_span_with_context() {
        let sample = Sample::new(Role::Server)
            .header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
            .header("tracestate", "vendor=1")
            .header("x-forwarded-for", "203.0.113.7, 10.0.0.9");
        insta::assert_snapshot!(show(&span(&sample)));
    }

    #[test]
    fn unanswered_span() {
        let sample = Sample::new(Role::Client).target("BREW", "*").header("host", "").unanswered(Incomplete::Reset);
        insta::assert_snapshot!(show(&span(&sample)));
    }

    /// Where a policy keeps content its spans have it, or why not.
    #[test]
    fn kept_content_is_on_the_span() {
        let content = |text, incomplete| {
            let shown = show(&span(&Sample::new(Role::Server).content(text, incomplete)));
            shown.lines().filter(|line| line.contains("body")).collect::<Vec<_>>().join("\n")
        };
        assert_eq!(
            content(Some("hel"), Some(Omission::Size)),
            "telltale.http.request.body: \"hel\"\ntelltale.http.request.body_incomplete: \"size\"\n\
             telltale.http.response.body: \"hel\"\ntelltale.http.response.body_incomplete: \"size\""
        );
        assert_eq!(
            content(None, Some(Omission::NotText)),
            "telltale.http.request.body_incomplete: \"not_text\"\ntelltale.http.response.body_incomplete: \"not_text\""
        );
        assert_eq!(show(&span(&Sample::new(Role::Server))).matches("body").count(), 0);
    }

    #[test]
    fn spans_are_grouped_by_workload_in_order() {
        let [client, server] = [Role::Client, Role::Server].map(|role| span(&Sample::new(role)));
        let local = [("deployment.environment.name".to_owned(), "test".to_owned())];
        let request = request([client.clone(), server, client], &local);
        let groups: Vec<_> = request
            .resource_spans
            .iter()
            .map(|group| (group.resource.as_ref().unwrap().attributes.len(), group.scope_spans[0].spans.len()))
            .collect();
        assert_eq!(groups, [(2, 2), (2, 1)]);
    }

    /// Each type as OTLP has it; a name of the conventions is replaced, what has no value is left out, and secrets are never there.
    #[test]
    fn a_plan_adds_attributes() {
        let sources = [
            ("team", AttributeSource::Literal("payments".into())),
            ("agent", AttributeSource::Header("User-Agent".into())),
            ("absent", AttributeSource::Header("x-absent".into())),
            ("secret", AttributeSource::Header("Authorization".into())),
            ("status", AttributeSource::Key("http.response.status_code".into())),
            ("url.full", AttributeSource::Literal("hidden".into())),
            ("slow", AttributeSource::Cel("request.duration > duration('1ms')".into())),
            ("took", AttributeSource::Cel("request.duration".into())),
            ("accept", AttributeSource::Key("http.request.header.accept".into())),
        ];
        let attributes = sources.map(|(name, source)| Attribute {
            at: FieldPath::default(),
            name: name.to_owned(),
            source,
            default: None,
        });
        let stanza = Tracing { attributes: attributes.to_vec(), ..Tracing::default() };
        let defaults = Defaults::EVERYTHING;
        let plan = TracingPlan::compile(&stanza, "shop", defaults, &Trust::own(), &mut Vec::new()).unwrap();
        assert_eq!(plan.needs(), Capture::Heads);
        let sample = Sample::new(Role::Client).header("authorization", "Bearer x").header("accept", "text/plain");
        let span = planned(&sample, &plan).span;
        let value = |name: &str| {
            let mut found = span.attributes.iter().filter(|attribute| attribute.key == name);
            let value = found.next().map(|attribute| attribute.value.clone().unwrap().value.unwrap());
            assert!(found.next().is_none(), "{name} is there once");
            value
        };
        assert_eq!(value("team"), text("", "payments").value.unwrap().value);
        assert_eq!(value("agent"), text("", "curl/8.5").value.unwrap().value);
        assert_eq!((value("absent"), value("secret")), (None, None));
        assert_eq!(value("status"), number("", 200).value.unwrap().value);
        assert_eq!(value("url.full"), text("", "hidden").value.unwrap().value);
        assert_eq!(value("slow"), boolean("", true).value.unwrap().value);
        assert_eq!(value("took"), text("", "0.012345678s").value.unwrap().value);
        let list = any_value::Value::ArrayValue(ArrayValue {
            values: vec![any(any_value::Value::StringValue("text/plain".into()))],
        });
        assert_eq!(value("accept"), Some(list));
    }

    #[test]
    fn a_plan_names_spans_and_their_service() {
        let plan = TracingPlan {
            service_name: Some("checkout".into()),
            span_name: Some("http call".into()),
            ..TracingPlan::default()
        };
        let sample = Sample::new(Role::Client);
        let named = planned(&sample, &plan);
        assert_eq!(named.span.name, "http call");
        let request = request([span(&sample), named.clone(), named], &[]);
        let services: Vec<_> = request
            .resource_spans
            .iter()
            .map(|group| {
                let service = &group.resource.as_ref().unwrap().attributes[0];
                assert_eq!(service.key, key::SERVICE_NAME);
                (service.clone(), group.scope_spans[0].spans.len())
            })
            .collect();
        assert_eq!(services, [(text(key::SERVICE_NAME, "curl"), 1), (text(key::SERVICE_NAME, "checkout"), 2)]);
    }
}
