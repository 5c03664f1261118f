use super::*;
use crate::{
    exchange::{
        Call, Omission,
        genai::GenAi,
        mcp::{Message, Messages},
    },
    policy::{
        Capture, Defaults, Trust,
        model::{Attribute, AttributeSource, FieldPath, Tracing},
        plan::ContextFormat,
    },
    protocol::Incomplete,
    telemetry::test_support::{
        Sample,
        calls::{chat, failed, session, streamed, tool_call},
    },
};

fn span(sample: &Sample) -> SpanRecord {
    planned(sample, &TracingPlan::default())
}

fn planned(sample: &Sample, plan: &TracingPlan) -> SpanRecord {
    sample.facts(|facts| build(facts, &facts.identify(ContextFormat::DEFAULT), &KnownMethods::default(), plan))
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

/// One line of each span: kind, name, status.
fn heads(sample: &Sample) -> Vec<String> {
    sample.facts(|facts| {
        let head = |part: Facts<'_>| {
            let identity = part.identify(ContextFormat::DEFAULT);
            let span = build(&part, &identity, &KnownMethods::default(), &TracingPlan::default()).span;
            let status = span.status.clone().map(|status| format!(" ! {}", status.message)).unwrap_or_default();
            let error = span.attributes.iter().find(|attribute| attribute.key == key::ERROR_TYPE).is_some();
            assert_eq!(error, span.status.is_some(), "a span that failed says why");
            format!("{:?} {}{status}", span.kind(), span.name)
        };
        facts.parts().map(head).collect()
    })
}

#[test]
fn language_model_client_span() {
    insta::assert_snapshot!(show(&span(&Sample::genai(Role::Client, streamed()))));
}

#[test]
fn tool_call_server_span() {
    let failed = Message { tool_error: true, ..tool_call() };
    insta::assert_snapshot!(show(&span(&Sample::mcp(Role::Server, session(vec![failed])))));
}

#[test]
fn what_a_server_sends_is_addressed_to_nobody() {
    let asked = Message { method: "roots/list".into(), from_server: true, tool: None, ..tool_call() };
    let sample = |role| Sample::mcp(role, session(vec![tool_call(), asked.clone()])).content(Some("{}"), None);
    let attributes = |role| {
        sample(role).facts(|facts| {
            let parts = facts.parts().map(|part| {
                let identity = part.identify(ContextFormat::DEFAULT);
                build(&part, &identity, &KnownMethods::default(), &TracingPlan::default()).span.attributes
            });
            let names = ["server.address", "client.address", "client.port", "telltale.http.request.body"];
            let value = |attributes: &[KeyValue], name: &str| {
                let found = attributes.iter().find(|attribute| attribute.key == name)?.value.clone()?.value?;
                Some(match found {
                    any_value::Value::StringValue(text) => text,
                    any_value::Value::IntValue(number) => number.to_string(),
                    _ => panic!("{found:?}"),
                })
            };
            parts.map(|part| names.map(|name| value(&part, name).unwrap_or_default()).join(" ")).collect::<Vec<_>>()
        })
    };
    assert_eq!(attributes(Role::Client), ["tools.example   {}", " 10.0.0.2 80 "]);
    assert_eq!(attributes(Role::Server), ["tools.example 10.0.0.1 4000 {}", "   "]);
}

#[test]
fn spans_are_named_by_their_convention() {
    let genai = |role, change: fn(&mut GenAi)| {
        let mut call = chat();
        change(&mut call);
        heads(&Sample::genai(role, call))
    };
    assert_eq!(genai(Role::Client, |_| ()), ["Client chat gpt-4o"]);
    assert_eq!(genai(Role::Server, |call| call.request.model = None), ["Server chat"]);
    assert_eq!(genai(Role::Client, |call| call.error = Some("overloaded_error".into())), ["Client chat gpt-4o ! "]);
    let mcp = |role, message: Message| heads(&Sample::mcp(role, session(vec![message])));
    let without = Message { tool: None, resource: Some("file:///a".into()), ..tool_call() };
    assert_eq!(mcp(Role::Server, tool_call()), ["Server tools/call search"]);
    assert_eq!(
        mcp(Role::Client, Message { method: "resources/read".into(), ..without.clone() }),
        ["Client resources/read"]
    );
    let prompt = Message { method: "prompts/get".into(), prompt: Some("greet".into()), ..without.clone() };
    assert_eq!(mcp(Role::Client, prompt), ["Client prompts/get greet"]);
    assert_eq!(mcp(Role::Client, failed(-32602)), ["Client tools/call ! it failed"]);
    let error = Message { error: failed(-32000).error, ..tool_call() };
    assert_eq!(mcp(Role::Client, error), ["Client tools/call search ! it failed"]);
    assert_eq!(mcp(Role::Client, Message { method: "a/1".into(), ..without.clone() }), ["Client _OTHER"]);
    let asked = Message { method: "roots/list".into(), from_server: true, ..without.clone() };
    let both = Messages { batch: true, ..session(vec![tool_call(), asked]) };
    assert_eq!(heads(&Sample::mcp(Role::Client, both)), ["Client tools/call search", "Server roots/list"]);
    // A stream that nothing was asked on is one of HTTP.
    let silent = Sample::mcp(Role::Client, session(Vec::new())).target("GET", "/mcp");
    assert_eq!(heads(&silent), ["Client GET"]);
    let plain = Sample::new(Role::Client).call(Call::JsonRpc(Box::new(session(vec![without]))));
    assert_eq!(heads(&plain), ["Client jsonrpc"]);
    assert_eq!(heads(&Sample::new(Role::Client)), ["Client GET"]);
}

#[test]
fn a_message_with_a_context_of_its_own_links_to_that_of_http() {
    let traced =
        Message { traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()), ..tool_call() };
    let sample = |message| {
        Sample::mcp(Role::Server, session(vec![message]))
            .header("traceparent", "00-80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-01")
    };
    let span = |message| span(&sample(message)).span;
    let with = span(traced);
    assert_eq!(with.parent_span_id, 0x00f0_67aa_0ba9_02b7_u64.to_be_bytes());
    let [link] = &with.links[..] else { panic!("{:?}", with.links) };
    assert_eq!(link.span_id, 0xe457_b5a2_e4d8_6bd1_u64.to_be_bytes());
    let without = span(tool_call());
    assert_eq!((without.parent_span_id, without.links), (link.span_id.clone(), vec![]));
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
