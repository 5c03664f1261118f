//! An exchange as an OTLP span (semconv http-spans; POLICY.md section 4, "Tracing").

mod convention;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, any_value},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span},
};

use super::{
    ExchangeSubject, Facts, KnownMethods,
    calls::{self, message_role},
    method::OTHER,
    names::{SCOPE_NAME, SCOPE_VERSION, followed, key, schema_url},
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
    /// URL of the schema that its names are of.
    pub schema_url: &'static str,
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
    let (start, end) = facts.times();
    let mut attributes = attributes(facts, method);
    let subject = ExchangeSubject { facts, identity: Some(identity), methods };
    add_call(&mut attributes, &subject);
    add(&mut attributes, plan, &subject);
    let remote = if identity.parent_span_id.is_some() { FLAG_IS_REMOTE } else { 0 };
    let span = Span {
        trace_id: identity.trace_id.0.to_be_bytes().to_vec(),
        span_id: identity.span_id.0.to_be_bytes().to_vec(),
        parent_span_id: identity.parent_span_id.map(|id| id.0.to_be_bytes().to_vec()).unwrap_or_default(),
        trace_state: identity.context.as_ref().map(|context| context.state.clone()).unwrap_or_default(),
        flags: FLAG_SAMPLED | FLAG_HAS_IS_REMOTE | remote,
        name: plan.span_name.as_deref().map_or_else(|| convention::name(facts, method), str::to_owned),
        kind: convention::kind(facts).into(),
        start_time_unix_nano: start.0,
        end_time_unix_nano: end.0,
        attributes,
        links: convention::links(identity),
        status: convention::status(facts),
        ..Span::default()
    };
    let workload = Arc::clone(&exchange.connection.workload);
    let schema_url = if exchange.call.is_some() { followed().genai_schema_url() } else { schema_url() };
    SpanRecord { workload, service_name: plan.service_name.clone(), schema_url, span }
}

/// What its own convention says of a call, beside what that of HTTP does.
fn add_call(attributes: &mut Vec<KeyValue>, subject: &ExchangeSubject<'_>) {
    let Some(call) = &subject.facts.exchange.call else { return };
    for row in calls::attributes(call, followed()) {
        if let Some(value) = row.value(subject, followed()) {
            attributes.push(attribute(row.name(), value_of(value)));
        }
    }
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
    if let Some(error) = facts.failure() {
        attributes.push(text(key::ERROR_TYPE, error));
    }
    let receives = facts.message.is_some_and(|message| message_role(facts.role, message) == Role::Server);
    if facts.role == Role::Client {
        if receives {
            attributes.extend(facts.peer().map(|peer| text(key::CLIENT_ADDRESS, peer.ip().to_string())));
        }
        attributes.extend(url_full(facts).map(|url| text(key::URL_FULL, url)));
    } else {
        if !facts.is_from_server() {
            attributes.extend(facts.client_address().map(|address| text(key::CLIENT_ADDRESS, address)));
        }
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
    // The receiver of what a server sends is the client, which nobody addresses.
    if receives {
        attributes.extend(facts.client_port().map(|port| number(key::CLIENT_PORT, port.into())));
    }
    if let Some((address, port)) = server.filter(|_| !facts.is_from_server()) {
        attributes.push(text(key::SERVER_ADDRESS, address));
        attributes.push(number(key::SERVER_PORT, port.into()));
    }
    if let Some(peer) = facts.peer() {
        attributes.push(text(key::NETWORK_PEER_ADDRESS, peer.ip().to_string()));
        attributes.push(number(key::NETWORK_PEER_PORT, peer.port().into()));
    }
    attributes.push(text(key::NETWORK_PROTOCOL_VERSION, facts.version.as_str()));
    let hello = facts.exchange.connection.hello.as_deref();
    if let Some(version) = hello.and_then(|hello| hello.version) {
        attributes.push(text(key::TLS_PROTOCOL_VERSION, version.number()));
    }
    if let Some(incomplete) = facts.incomplete() {
        attributes.push(text(key::TELLTALE_INCOMPLETE, incomplete));
    }
    // What all parts share is with the first.
    if facts.part > 0 {
        return attributes;
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

/// `url.full` of a client: the target if it is absolute, else put together from scheme and authority; `None` where nothing tells the latter.
pub(super) fn url_full(facts: &Facts<'_>) -> Option<String> {
    let target = facts.parsed_target();
    if target.scheme.is_some() {
        return Some(facts.target.to_owned());
    }
    let scheme = facts.scheme();
    let authority = facts.authority().map(str::to_owned).or_else(|| Some(facts.peer()?.to_string()))?;
    Some(match target.path {
        // `OPTIONS *` is about the server itself (RFC 9112 section 3.2.4) and CONNECT about a tunnel: no path.
        None | Some("*") => format!("{scheme}://{authority}"),
        Some(_) => format!("{scheme}://{authority}{}", facts.target),
    })
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

/// One request with a resource for each workload and service name, and in it a scope for each schema, in the order in which they first appear.
pub fn request(records: impl IntoIterator<Item = SpanRecord>, local: &[(String, String)]) -> ExportTraceServiceRequest {
    type Owner = (Arc<Workload>, Option<Arc<str>>);
    let mut groups: Vec<(Owner, Vec<ScopeSpans>)> = Vec::new();
    for SpanRecord { workload, service_name, schema_url, span } in records {
        // From the back: the spans of one connection follow each other. Few workloads are in one batch.
        let same = |((other, name), _): &(Owner, _)| {
            *name == service_name && (Arc::ptr_eq(other, &workload) || **other == *workload)
        };
        let group = groups.iter().rposition(same).unwrap_or_else(|| {
            groups.push(((workload, service_name), Vec::new()));
            groups.len() - 1
        });
        let scopes = &mut groups[group].1;
        match scopes.iter_mut().find(|scope| scope.schema_url == schema_url) {
            Some(scope) => scope.spans.push(span),
            None => scopes.push(ScopeSpans { scope: Some(scope()), spans: vec![span], schema_url: schema_url.into() }),
        }
    }
    let resource_spans = groups
        .into_iter()
        .map(|((workload, service_name), scope_spans)| ResourceSpans {
            resource: Some(resource(
                service_name.as_deref().unwrap_or(&workload.service_name),
                workload.namespace.as_deref(),
                &workload.attributes,
                local,
            )),
            scope_spans,
            schema_url: schema_url().into(),
        })
        .collect();
    ExportTraceServiceRequest { resource_spans }
}
