//! Calls beyond HTTP, seen through a snapshot.

use super::*;
use crate::{
    capture::GapReason,
    exchange::{
        Call,
        genai::{GenAi, Operation, Usage},
        mcp::{Message, Messages, SessionEvent},
    },
    telemetry::{
        names::Conventions,
        test_support::calls::{chat, failed, session, streamed, tool_call},
    },
};

fn latest(overrides: Vec<MetricOverride>) -> Plan {
    let mut findings = Vec::new();
    let metrics = model::Metrics { overrides, ..model::Metrics::default() };
    let (defaults, trust) = (Defaults::EVERYTHING, Trust::own());
    let compiled = MetricsPlan::compile_in(Conventions::Latest, &metrics, defaults, &trust, &mut findings);
    assert!(findings.is_empty(), "{findings:?}");
    Plan { metrics: Some(Arc::new(compiled)), ..Plan::of_signals(true, false, false) }
}

/// The series of what is beyond HTTP after these exchanges: `name{attributes} count sum`.
fn measured(plan: &Plan, samples: &[Sample]) -> Vec<String> {
    let metrics = Metrics::new(Arc::default());
    let mut shard = metrics.shard(plan).unwrap();
    for sample in samples {
        record(&mut shard, sample);
    }
    drop(shard);
    let mut lines = Vec::new();
    for family in metrics.snapshot().families.into_iter().filter(|family| !family.name.starts_with("http.")) {
        for (identity, series) in family.merged(identity) {
            let sum = match &series.data {
                Data::Histogram(histogram) => format!(" {:.6}", histogram.sum),
                Data::Counter(_) | Data::Sum(_) => String::new(),
            };
            lines.push(format!("{}{{{identity}}} {}{sum}", family.name, series.data.count()));
        }
    }
    lines
}

/// Those of one name, without it.
fn of(lines: &[String], name: &str) -> Vec<String> {
    lines
        .iter()
        .filter_map(|line| line.strip_prefix(name))
        .filter(|rest| rest.starts_with('{'))
        .map(str::to_owned)
        .collect()
}

fn names(lines: &[String]) -> Vec<&str> {
    let mut names: Vec<_> = lines.iter().filter_map(|line| line.split('{').next()).collect();
    names.dedup();
    names
}

const CHAT: &str = "gen_ai.operation.name=chat,gen_ai.provider.name=openai,gen_ai.request.model=gpt-4o,\
                    gen_ai.response.model=gpt-4o-2024-08-06,server.address=api.openai.com,server.port=80";

#[test]
fn a_chat_of_a_client() {
    let lines =
        measured(&plan(Vec::new()), &[Sample::genai(Role::Client, chat()), Sample::genai(Role::Client, chat())]);
    let tokens = |kind| {
        format!(
            "gen_ai.client.token.usage{{{}}}",
            CHAT.replace(",gen_ai.request", &format!(",gen_ai.token.type={kind},gen_ai.request"))
        )
    };
    assert_eq!(
        lines,
        [
            format!("{} 2 200.000000", tokens("input")),
            format!("{} 2 40.000000", tokens("output")),
            format!("gen_ai.client.operation.duration{{{CHAT}}} 2 0.024691"),
        ]
    );
}

#[test]
fn a_stream_of_a_client_is_measured_chunk_by_chunk() {
    let lines = measured(&plan(Vec::new()), &[Sample::genai(Role::Client, streamed())]);
    assert_eq!(of(&lines, "gen_ai.client.operation.time_to_first_chunk"), [format!("{{{CHAT}}} 1 0.002000")]);
    assert_eq!(of(&lines, "gen_ai.client.operation.time_per_output_chunk"), [format!("{{{CHAT}}} 3 0.009000")]);
}

#[test]
fn a_model_server_has_instruments_of_its_own() {
    let lines = measured(&plan(Vec::new()), &[Sample::genai(Role::Server, streamed())]);
    assert_eq!(
        lines,
        [
            format!("gen_ai.server.request.duration{{{CHAT}}} 1 0.012346"),
            format!("gen_ai.server.time_per_output_token{{{CHAT}}} 1 0.000368"),
            format!("gen_ai.server.time_to_first_token{{{CHAT}}} 1 0.003000"),
        ]
    );
    let one_token = GenAi { usage: Usage { output: Some(1), ..chat().usage }, ..streamed() };
    let failed = GenAi { error: Some("overloaded_error".into()), ..streamed() };
    for (call, expected) in [(one_token, 2), (failed, 1), (chat(), 1)] {
        let lines = measured(&plan(Vec::new()), &[Sample::genai(Role::Server, call)]);
        assert_eq!(lines.len(), expected, "{lines:?}");
    }
}

#[test]
fn what_was_not_said_or_not_seen_is_not_measured() {
    let silent = GenAi { usage: Usage::default(), ..chat() };
    let lines = measured(&plan(Vec::new()), &[Sample::genai(Role::Client, silent)]);
    assert_eq!(names(&lines), ["gen_ai.client.operation.duration"]);
    let half = GenAi { usage: Usage { input: Some(0), ..Usage::default() }, ..chat() };
    let lines = measured(&plan(Vec::new()), &[Sample::genai(Role::Client, half)]);
    // Nought is what the wire said.
    assert!(of(&lines, "gen_ai.client.token.usage")[0].ends_with(" 1 0.000000"), "{lines:?}");
    // Broken off: the first chunks came when they came.
    let cut = GenAi { usage: Usage::default(), cut: true, ..streamed() };
    let aborted = Sample::genai(Role::Client, cut.clone()).incomplete(Incomplete::Closed);
    let chunks = ["gen_ai.client.operation.time_to_first_chunk", "gen_ai.client.operation.time_per_output_chunk"];
    assert_eq!(names(&measured(&plan(Vec::new()), &[aborted])), chunks);
    // With a hole in it nobody knows.
    let holed = Sample::genai(Role::Client, cut).incomplete(Incomplete::Gap(GapReason::RingFull)).response_size(None);
    assert!(measured(&plan(Vec::new()), &[holed]).is_empty());
}

#[test]
fn errors_are_the_providers() {
    let call = GenAi { error: Some("rate_limit_exceeded".into()), usage: Usage::default(), ..chat() };
    let lines = measured(&plan(Vec::new()), &[Sample::genai(Role::Client, call).status(429)]);
    assert_eq!(
        lines,
        [format!("gen_ai.client.operation.duration{{{CHAT},error.type=rate_limit_exceeded}} 1 0.012346")]
    );
}

#[test]
fn views_hold_for_calls() {
    let team = |name| MetricOverride { attributes: vec![header("team", "x-team")], ..change(name) };
    let usage = MetricOverride {
        remove_attributes: vec!["gen_ai.token.type".into(), "server_address".into(), "server.port".into()],
        buckets: Some(vec![50.0]),
        rename: Some("llm.tokens".into()),
        ..team("gen_ai_client_token_usage")
    };
    let off = MetricOverride { mode: Mode::Disabled, ..change("gen_ai.client.operation.duration") };
    let metrics = Metrics::new(Arc::default());
    let mut shard = metrics.shard(&plan(vec![usage, off])).unwrap();
    record(&mut shard, &Sample::genai(Role::Client, chat()).header("x-team", "red"));
    let families = metrics.snapshot().families;
    let family = families.iter().find(|family| !family.name.starts_with("http.")).unwrap();
    assert_eq!(family.name, "llm.tokens");
    let attributes = "gen_ai.operation.name=chat,gen_ai.provider.name=openai,gen_ai.request.model=gpt-4o,\
                      gen_ai.response.model=gpt-4o-2024-08-06,team=red";
    assert_eq!(identity(&family.series[0]), attributes);
    let Data::Histogram(histogram) = &family.series[0].data else { panic!("no histogram") };
    assert_eq!((&histogram.counts[..], histogram.sum), (&[1, 1][..], 120.0));
    assert_eq!(families.iter().filter(|family| !family.name.starts_with("http.")).count(), 1);
}

#[test]
fn the_limit_holds_for_calls() {
    let model = |index: usize| {
        let request = crate::exchange::genai::Request { model: Some(format!("m{index}").into()), ..chat().request };
        Sample::genai(Role::Client, GenAi { request, ..chat() })
    };
    let samples: Vec<_> = (0..10).map(model).collect();
    let lines = measured(&limited(Vec::new(), Some(4)), &samples);
    let durations = of(&lines, "gen_ai.client.operation.duration");
    assert_eq!(durations.len(), 4, "{durations:?}");
    assert!(durations.iter().any(|line| line.starts_with("{overflow} 7 ")), "{durations:?}");
}

#[test]
fn the_newest_names() {
    let usage = Usage { input_audio: Some(30), ..chat().usage };
    let embeddings =
        GenAi { operation: Operation::Embeddings, usage: Usage { input: Some(9), ..Usage::default() }, ..chat() };
    // A stream that is no inference has the times of none.
    let embeddings = GenAi { stream: streamed().stream, ..embeddings };
    let samples = [Sample::genai(Role::Client, GenAi { usage, ..streamed() }), Sample::genai(Role::Client, embeddings)];
    let lines = measured(&latest(Vec::new()), &samples);
    let modality = |kind| CHAT.replace(",gen_ai.request", &format!(",gen_ai.token.modality={kind},gen_ai.request"));
    let (audio, unknown) = (modality("audio"), modality("unknown"));
    let other = CHAT.replace("=chat", "=embeddings");
    assert_eq!(
        lines,
        [
            format!("gen_ai.client.inference.duration{{{CHAT}}} 1 0.012346"),
            format!("gen_ai.client.inference.time_to_first_chunk{{{CHAT}}} 1 0.002000"),
            format!("gen_ai.client.inference.time_per_output_chunk{{{CHAT}}} 3 0.009000"),
            format!("gen_ai.client.inference.usage.input_tokens{{{audio}}} 30"),
            format!("gen_ai.client.inference.usage.input_tokens{{{unknown}}} 70"),
            format!("gen_ai.client.inference.usage.output_tokens{{{unknown}}} 20"),
            format!("gen_ai.client.inference.usage.cache_read.input_tokens{{{unknown}}} 40"),
            format!("gen_ai.client.inference.usage.reasoning.output_tokens{{{unknown}}} 5"),
            format!("gen_ai.client.inference.operation.input_tokens{{{CHAT}}} 1 100.000000"),
            format!("gen_ai.client.inference.operation.output_tokens{{{CHAT}}} 1 20.000000"),
            format!("gen_ai.client.operation.duration{{{other}}} 1 0.012346"),
        ]
    );
}

const NETWORK: &str =
    "mcp.protocol.version=2025-06-18,network.protocol.name=http,network.protocol.version=1.1,network.transport=tcp";
const TOOLS: &str = "server.address=tools.example,server.port=8000";

#[test]
fn each_message_of_a_batch_is_one_record() {
    let list = Message { method: "tools/list".into(), tool: None, ..tool_call() };
    let unanswered = Message { answered: false, end: None, ..tool_call() };
    let tool_error = Message { tool_error: true, ..tool_call() };
    let messages = session(vec![tool_call(), tool_error, failed(-32603), list, unanswered]);
    let messages = Messages { batch: true, ..messages };
    let lines = measured(&plan(Vec::new()), &[Sample::mcp(Role::Client, messages.clone())]);
    assert_eq!(
        of(&lines, "mcp.client.operation.duration"),
        [
            format!(
                "{{mcp.method.name=tools/call,error.type=-32603,gen_ai.tool.name=search,rpc.response.status_code=-32603,gen_ai.operation.name=execute_tool,{NETWORK},{TOOLS}}} 1 0.009000"
            ),
            format!(
                "{{mcp.method.name=tools/call,error.type=tool_error,gen_ai.tool.name=search,gen_ai.operation.name=execute_tool,{NETWORK},{TOOLS}}} 1 0.009000"
            ),
            format!(
                "{{mcp.method.name=tools/call,gen_ai.tool.name=search,gen_ai.operation.name=execute_tool,{NETWORK},{TOOLS}}} 1 0.009000"
            ),
            format!("{{mcp.method.name=tools/list,{NETWORK},{TOOLS}}} 1 0.009000"),
        ]
    );
    assert_eq!(lines.len(), 4);
    let lines = measured(&plan(Vec::new()), &[Sample::mcp(Role::Server, messages)]);
    assert_eq!(names(&lines), ["mcp.server.operation.duration"]);
    assert!(lines.iter().all(|line| !line.contains("server.address")), "{lines:?}");
}

#[test]
fn what_a_caller_makes_up_is_no_label() {
    let made_up = Message { method: "tools/made-up".into(), tool: None, ..tool_call() };
    let unknown = Message { tool: Some("made-up".into()), ..failed(-32602) };
    let messages = Messages { protocol_version: Some("9999".into()), ..session(vec![made_up, unknown]) };
    let lines = measured(&plan(Vec::new()), &[Sample::mcp(Role::Server, messages)]);
    let network = NETWORK.strip_prefix("mcp.protocol.version=2025-06-18,").unwrap();
    assert_eq!(
        lines,
        [
            format!("mcp.server.operation.duration{{mcp.method.name=_OTHER,{network}}} 1 0.009000"),
            format!(
                "mcp.server.operation.duration{{mcp.method.name=tools/call,error.type=-32602,rpc.response.status_code=-32602,gen_ai.operation.name=execute_tool,{network}}} 1 0.009000"
            ),
        ]
    );
}

#[test]
fn exemplars_of_a_batch_are_of_the_message_that_stands_for_it() {
    let metrics = Metrics::new(Arc::default());
    let other = Message { tool: Some("other".into()), ..tool_call() };
    let batch = Messages { batch: true, ..session(vec![tool_call(), other]) };
    let mut shard = metrics.shard(&plan(Vec::new())).unwrap();
    Sample::mcp(Role::Client, batch).facts(|facts| shard.record(facts, Some((7, 9))));
    let families = metrics.snapshot().families;
    let family = families.iter().find(|family| family.name == "mcp.client.operation.duration").unwrap();
    let exemplars: Vec<_> = family
        .series
        .iter()
        .map(|series| {
            let Data::Histogram(histogram) = &series.data else { panic!("no histogram") };
            (identity(series).contains("search"), histogram.exemplars.iter().flatten().count())
        })
        .collect();
    assert_eq!(exemplars, [(true, 1), (false, 0)]);
}

#[test]
fn an_added_attribute_is_that_of_the_message() {
    let add = |name: &str, key: &str| Attribute { source: AttributeSource::Key(key.to_owned()), ..header(name, "") };
    let added = MetricOverride {
        attributes: vec![add("id", "jsonrpc.request.id")],
        remove_attributes: [NETWORK, TOOLS, "mcp.method.name=,gen_ai.tool.name=,gen_ai.operation.name="]
            .iter()
            .flat_map(|names| names.split(','))
            .filter_map(|name| Some(name.split_once('=')?.0.to_owned()))
            .collect(),
        ..change("mcp.client.operation.duration")
    };
    let other = Message { id: Some("8".into()), ..tool_call() };
    let lines = measured(&plan(vec![added]), &[Sample::mcp(Role::Client, session(vec![tool_call(), other]))]);
    assert_eq!(of(&lines, "mcp.client.operation.duration"), ["{id=7} 1 0.009000", "{id=8} 1 0.009000"]);
}

#[test]
fn what_the_server_sends_it_is_the_client_of() {
    let asked = Message { method: "sampling/createMessage".into(), from_server: true, tool: None, ..tool_call() };
    let measured = |role| measured(&plan(Vec::new()), &[Sample::mcp(role, session(vec![asked.clone()]))]);
    let attributes = format!("mcp.method.name=sampling/createMessage,{NETWORK}");
    assert_eq!(measured(Role::Server), [format!("mcp.client.operation.duration{{{attributes}}} 1 0.009000")]);
    assert_eq!(measured(Role::Client), [format!("mcp.server.operation.duration{{{attributes}}} 1 0.009000")]);
}

#[test]
fn sessions_have_a_duration() {
    let of_event = |event| Messages { session: Some(event), ..session(Vec::new()) };
    let begins = Messages { protocol_version: None, ..of_event(SessionEvent::Begins) };
    let samples = [begins, of_event(SessionEvent::Ends)].map(|messages| Sample::mcp(Role::Client, messages));
    let lines = measured(&plan(Vec::new()), &samples);
    assert_eq!(lines, [format!("mcp.client.session.duration{{{NETWORK},{TOOLS}}} 1 0.012346")]);
    let samples = [SessionEvent::Begins, SessionEvent::Expired].map(|event| Sample::mcp(Role::Server, of_event(event)));
    let lines = measured(&plan(Vec::new()), &samples);
    assert_eq!(lines, [format!("mcp.server.session.duration{{error.type=404,{NETWORK}}} 1 0.012346")]);
}

#[test]
fn a_session_may_end_in_another_worker() {
    let metrics = Metrics::new(Arc::default());
    let plan = plan(Vec::new());
    for event in [SessionEvent::Begins, SessionEvent::Ends] {
        let messages = Messages { session: Some(event), ..session(Vec::new()) };
        record(&mut metrics.shard(&plan).unwrap(), &Sample::mcp(Role::Client, messages));
    }
    assert!(show(&metrics).iter().any(|line| line.starts_with("mcp.client.session.duration")));
}

#[test]
fn other_json_rpc_is_measured_by_code() {
    let message = Message { method: "eth_call".into(), tool: None, ..failed(-32000) };
    let call = Call::JsonRpc(Box::new(Messages { messages: vec![message], ..Messages::default() }));
    let sample = |role| Sample::new(role).target("POST", "/").call(call.clone());
    let attributes = "rpc.system.name=jsonrpc,error.type=-32000,rpc.response.status_code=-32000";
    assert_eq!(
        measured(&plan(Vec::new()), &[sample(Role::Client)]),
        [format!("rpc.client.call.duration{{{attributes},server.address=shop.example,server.port=8080}} 1 0.009000")]
    );
    assert_eq!(
        measured(&plan(Vec::new()), &[sample(Role::Server)]),
        [format!("rpc.server.call.duration{{{attributes}}} 1 0.009000")]
    );
}

#[test]
fn a_call_is_an_exchange_too() {
    let metrics = Metrics::new(Arc::default());
    record(&mut metrics.shard(&plan(Vec::new())).unwrap(), &Sample::genai(Role::Server, chat()));
    assert_eq!(durations(&metrics).len(), 1);
    assert_eq!(metrics.snapshot().workloads.len(), 1);
}
