use super::*;
use crate::{
    capture::Role,
    exchange::mcp::Message,
    policy::{
        Defaults, Effect, Finding, Trust,
        model::{AccessLogs, Attribute, AttributeSource, FieldPath, LogField, LogFormat, Match, MatchKind, Mode},
        plan::{AccessLogPlan, ContextFormat},
    },
    protocol::Incomplete,
    telemetry::{
        KnownMethods,
        test_support::{
            Sample,
            calls::{session, streamed, tool_call},
        },
        trace_context::identify,
    },
    workload::Workload,
};

fn entry<T>(sample: &Sample, read: impl FnOnce(&ExchangeSubject<'_>) -> T) -> T {
    sample.facts(|facts| {
        let head = &facts.exchange.request.head;
        let open = &facts.exchange.connection.open;
        let identity =
            identify(open, facts.role, head.position, head.first_byte, facts.context(ContextFormat::DEFAULT));
        read(&ExchangeSubject { facts, identity: Some(&identity), methods: &KnownMethods::default() })
    })
}

fn written(format: &Line, sample: &Sample) -> String {
    entry(sample, |entry| {
        let mut line = Vec::new();
        write_line(&mut line, format, entry);
        String::from_utf8(line).unwrap()
    })
}

fn stanza() -> AccessLogs {
    AccessLogs { at: FieldPath::new("accessLogs"), mode: Mode::Enabled, ..AccessLogs::default() }
}

fn compile(logs: &AccessLogs) -> (AccessLogPlan, Vec<Finding>) {
    let mut findings = Vec::new();
    let plan = AccessLogPlan::compile(logs, Defaults::EVERYTHING, &Trust::own(), &mut findings).expect("it is enabled");
    (plan, findings)
}

fn plan(logs: &AccessLogs) -> AccessLogPlan {
    let (plan, findings) = compile(logs);
    assert_eq!(findings, []);
    plan
}

fn text(format: &str) -> AccessLogs {
    AccessLogs { format: LogFormat::Text, text: Some(format.to_owned()), ..stanza() }
}

fn named(names: &[&str]) -> Vec<LogField> {
    let at = |index| FieldPath::new("fields").index(index);
    names.iter().enumerate().map(|(index, name)| LogField::Named { at: at(index), name: (*name).to_owned() }).collect()
}

fn attribute(name: &str, source: AttributeSource) -> Attribute {
    Attribute { at: FieldPath::new("attributes[0]"), name: name.to_owned(), source, default: None }
}

fn at_path(path: &[&str], source: AttributeSource) -> LogField {
    LogField::Attribute {
        path: path.iter().map(|key| (*key).to_owned()).collect(),
        attribute: attribute(&path.join("."), source),
    }
}

fn pod() -> Workload {
    Workload { service_name: "shop".into(), namespace: Some("prod".into()), ..Workload::default() }
}

/// Answered, failed, and never answered.
fn samples() -> [Sample; 3] {
    [
        Sample::new(Role::Client),
        Sample::new(Role::Server).workload(pod()).header("x-request-id", "r-1").status(500),
        Sample::new(Role::Client).unanswered(Incomplete::Closed),
    ]
}

fn lines(format: &Line) -> String {
    samples().iter().map(|sample| written(format, sample)).collect()
}

#[test]
fn the_default_line() {
    insta::assert_snapshot!(lines(&plan(&stanza()).line));
}

#[test]
fn added_attributes_stand_at_the_end_and_keep_their_dots() {
    let attributes = vec![
        attribute("team", AttributeSource::Literal("a \"b\"".into())),
        attribute("user.agent", AttributeSource::Header("User-Agent".into())),
        attribute("absent", AttributeSource::Header("x-absent".into())),
        attribute("failed", AttributeSource::Cel("response.code >= 500".into())),
    ];
    let line = written(&plan(&AccessLogs { attributes, ..stanza() }).line, &Sample::new(Role::Client));
    assert!(line.ends_with(",\"team\":\"a \\\"b\\\"\",\"user.agent\":\"curl/8.5\",\"failed\":false}\n"), "{line}");
    let twice = AccessLogs { attributes: vec![attribute("path", AttributeSource::Literal("x".into()))], ..stanza() };
    assert_eq!(compile(&twice).1[0].effect, Effect::Invalid);
}

#[test]
fn the_example_of_the_proposal() {
    let logs = AccessLogs {
        matches: vec![Match { at: FieldPath::new("matches[0]"), kind: MatchKind::Path("/api/v1/sensitive".into()) }],
        fields: named(&["start_time", "response_code", "x-token-usage"]),
        ..stanza()
    };
    let plan = plan(&logs);
    let sample = Sample::new(Role::Server).target("POST", "/api/v1/sensitive/7?x=1").header("X-Token-Usage", "17");
    assert_eq!(
        written(&plan.line, &sample),
        "{\"start_time\":\"2023-11-14T22:13:20.123456Z\",\"response_code\":200,\"x-token-usage\":\"17\"}\n"
    );
    let unanswered = Sample::new(Role::Client).unanswered(Incomplete::Reset);
    assert_eq!(written(&plan.line, &unanswered), "{\"start_time\":\"2023-11-14T22:13:20.123456Z\"}\n");
    let wants = |sample: &Sample| entry(sample, |entry| plan.wants(entry.facts.parsed_target().path, entry));
    assert!(wants(&sample));
    assert!(!wants(&sample.target("GET", "/api/v1/sensitively")));
}

#[test]
fn any_one_condition_suffices() {
    let at = FieldPath::new("matches[0]");
    let matches = [MatchKind::Path("/a".into()), MatchKind::Cel("response.code >= 500 || has(error.type)".into())];
    let plan = plan(&AccessLogs { matches: matches.map(|kind| Match { at: at.clone(), kind }).into(), ..stanza() });
    let wants = |sample: Sample| entry(&sample, |entry| plan.wants(entry.facts.parsed_target().path, entry));
    assert!(wants(Sample::new(Role::Server).target("GET", "/a")));
    assert!(wants(Sample::new(Role::Server).status(503)));
    assert!(!wants(Sample::new(Role::Server)));
    assert!(!wants(Sample::new(Role::Server).target("OPTIONS", "*")));
}

#[test]
fn paths_nest_and_what_is_absent_leaves_no_trace() {
    let literal = |text: &str| AttributeSource::Literal(text.to_owned());
    let header = |name: &str| AttributeSource::Header(name.to_owned());
    let fields = vec![
        at_path(&["user.metadata", "id"], literal("7")),
        at_path(&["a", "b", "absent"], header("x-absent")),
        at_path(&["user.metadata", "agent"], header("user-agent")),
        at_path(&["a", "b", "c"], AttributeSource::Cel("duration('1500ms')".into())),
        at_path(&["empty", "absent"], header("x-absent")),
    ];
    let line = written(&plan(&AccessLogs { fields, ..stanza() }).line, &Sample::new(Role::Client));
    assert_eq!(line, "{\"user.metadata\":{\"id\":\"7\",\"agent\":\"curl/8.5\"},\"a\":{\"b\":{\"c\":\"1.5s\"}}}\n");
    for paths in [[&["a"][..], &["a"]], [&["a"], &["a", "b"]], [&["a", "b"], &["a"]], [&[], &["a"]]] {
        let fields = paths.map(|path| at_path(path, literal("x"))).into();
        let (_, findings) = compile(&AccessLogs { fields, ..stanza() });
        assert_eq!(findings.iter().map(|finding| finding.effect).collect::<Vec<_>>(), [Effect::Invalid], "{paths:?}");
    }
}

#[test]
fn names_that_have_no_value_are_told() {
    let names = ["route_name", "authorization", "no header", "respone_code", "start_time", "start_time", ":authority"];
    let (plan, findings) = compile(&AccessLogs { fields: named(&names), ..stanza() });
    insta::assert_snapshot!(
        findings.iter().map(|finding| format!("{:?} {finding}", finding.effect)).collect::<Vec<_>>().join("\n")
    );
    let sample = Sample::new(Role::Server).header("authorization", "Bearer s3cret");
    assert_eq!(
        written(&plan.line, &sample),
        "{\"start_time\":\"2023-11-14T22:13:20.123456Z\",\":authority\":\"shop.example:8080\"}\n"
    );
}

#[test]
fn text_of_fields_keeps_their_order() {
    let fields = named(&["response_code", "x-absent", "start_time", "user-agent"]);
    let logs = AccessLogs { format: LogFormat::Text, fields, ..stanza() };
    let sample = Sample::new(Role::Server).header("user-agent", "a\nb");
    assert_eq!(written(&plan(&logs).line, &sample), "200 - 2023-11-14T22:13:20.123456Z a\\nb\n");
}

#[test]
fn the_formats_of_envoy_and_istio() {
    const ISTIO: &str = "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" %RESPONSE_CODE% %RESPONSE_FLAGS% \
         %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% \"%UPSTREAM_TRANSPORT_FAILURE_REASON%\" %BYTES_RECEIVED% %BYTES_SENT% \
         %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" \"%REQ(X-REQUEST-ID)%\" \
         \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% \
         %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n";
    let envoy = AccessLogs { format: LogFormat::Text, ..stanza() };
    insta::assert_snapshot!(format!("{}{}", lines(&plan(&envoy).line), lines(&compile(&text(ISTIO)).0.line)));
}

#[test]
fn operators() {
    let sample = Sample::new(Role::Client)
        .target("GET", "/orders?id=a%20b&token=s3cret&id=2&%zz=1")
        .header("x-long", "äbcdef")
        .header("cookie", "s3cret");
    for (format, expected) in [
        ("%START_TIME(%Y-%m-%d %s.%3f)%", "2023-11-14 1700000000.123"),
        ("%EMIT_TIME%", "2023-11-14T22:13:20.135Z"),
        ("%PATH(NQ)% %PATH(WQ:PATH):7%", "/orders /orders"),
        ("%REQ_WITHOUT_QUERY(:PATH)%", "/orders"),
        ("%QUERY_PARAM(id)% %QUERY_PARAM(token)% %QUERY_PARAM(x)%", "a b REDACTED -"),
        ("%QUERY_PARAMS(ORIG):4% %QUERY_PARAMS(DECODED):6%", "id=a id=a b"),
        ("%REQ(X-NONE?X-LONG):2% %REQ(COOKIE)% %REQ(HOST)%", "äb - shop.example:8080"),
        ("%DURATION% %REQUEST_DURATION% %RESPONSE_DURATION% %RESPONSE_TX_DURATION%", "12 0 12 0"),
        ("%COMMON_DURATION(DS_RX_BEG:US_RX_BEG:us)% %COMMON_DURATION(DS_RX_BEG:DS_TX_END:ns)%", "12344 12345678"),
        ("%COMMON_DURATION(US_CX_BEG:DS_TX_END:ns)%", "-"),
        ("%UPSTREAM_HOST% %UPSTREAM_REMOTE_PORT%", "10.0.0.2:80 80"),
        ("%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(8)%", "10.0.0.0/8"),
        ("%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", "10.0.0.1"),
        ("%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(0)%", "0.0.0.0/0"),
        ("%CEL(response.code + 1)% %CEL(request.headers['x-none'])%", "201 -"),
        (
            r#"%COALESCE({"operators": ["ROUTE_NAME", {"command": "REQ", "param": ":authority", "max_length": 9}]}):4%"#,
            "shop",
        ),
        ("%TRACE_ID%/%SPAN_ID%", "b0a9a1ff7a1bdbae7c09fd64e4b7bd20/"),
        ("100%%", "100%"),
    ] {
        let line = written(&compile(&text(format)).0.line, &sample);
        if format.contains("TRACE_ID") {
            assert_eq!(line.len(), 32 + 1 + 16 + 1, "{line}");
            continue;
        }
        assert_eq!(line, format!("{expected}\n"), "{format}");
        assert!(!line.contains("s3cret"), "{line}");
    }
    let unique = |sample: &Sample| written(&plan(&text("%UNIQUE_ID%")).line, sample);
    assert_eq!(unique(&sample), unique(&sample));
    assert_ne!(unique(&sample), unique(&Sample::new(Role::Server)));
    assert!(unique(&sample).chars().nth(14) == Some('8'));
}

#[test]
fn a_grpc_status_has_three_spellings() {
    let call = |status| {
        Sample::new(Role::Server)
            .target("POST", "/shop.Cart/Add")
            .header("content-type", "application/grpc")
            .response_header("content-type", "application/grpc")
            .trailer("grpc-status", status)
    };
    let format =
        "%GRPC_STATUS% %GRPC_STATUS(SNAKE_STRING)% %GRPC_STATUS(NUMBER)% %GRPC_STATUS_NUMBER% %TRAILER(GRPC-STATUS)%";
    let line = plan(&text(format)).line;
    assert_eq!(written(&line, &call("3")), "InvalidArgument INVALID_ARGUMENT 3 3 3\n");
    assert_eq!(written(&line, &call("99")), "99 99 99 99 99\n");
    assert_eq!(written(&line, &Sample::new(Role::Server)), "- - - - -\n");
    assert!(written(&plan(&stanza()).line, &call("3")).contains(",\"grpc_status\":3"));
}

#[test]
fn what_was_not_seen_whole_has_no_durations() {
    let sample = Sample::new(Role::Client).incomplete(Incomplete::Truncated);
    let format = "%DURATION% %REQUEST_DURATION% %RESPONSE_DURATION% %RESPONSE_TX_DURATION%";
    assert_eq!(written(&plan(&text(format)).line, &sample), "- - 12 -\n");
}

#[test]
fn a_value_ends_neither_its_line_nor_its_quotation_marks() {
    let sample = Sample::new(Role::Server).header("user-agent", "a\" 200\r\n[forged]\\\u{1b}[2J\u{7f}");
    assert_eq!(
        written(&plan(&text("\"%REQ(USER-AGENT)%\" %REQ(USER-AGENT):3%")).line, &sample),
        "\"a\\\" 200\\r\\n[forged]\\\\\\x1b[2J\\x7f\" a\\\" \n"
    );
}

proptest::proptest! {
    #[test]
    fn any_bytes_make_one_valid_line(value in proptest::collection::vec(proptest::num::u8::ANY, 0..40), name in "[ -~]{0,8}\\PC{0,3}") {
        let sample = Sample::new(Role::Server).header_bytes("user-agent", &value);
        let fields = vec![at_path(&[&name, "x"], AttributeSource::Header("user-agent".into()))];
        let formats = [
            stanza(),
            AccessLogs { fields, ..stanza() },
            AccessLogs { format: LogFormat::Text, fields: named(&["user_agent", "user-agent"]), ..stanza() },
            text("\"%REQ(USER-AGENT)%\" %REQ(USER-AGENT):5%"),
        ];
        for (index, format) in formats.iter().enumerate() {
            let line = written(&plan(format).line, &sample);
            proptest::prop_assert!(line.ends_with('\n'));
            proptest::prop_assert!(!line[..line.len() - 1].chars().any(|c| c.is_ascii_control()), "{line:?}");
            if index < 2 {
                proptest::prop_assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok(), "{line:?}");
            }
        }
    }
}

/// What a call says beyond HTTP, in the documented order; nothing that people or models wrote.
#[test]
fn default_lines_of_calls() {
    let line = |sample: &Sample| {
        let line = written(&Line::default(), sample);
        let (_, of_call) = line.split_once("\"span_id\":").unwrap();
        of_call.split_once(',').map_or("", |(_, rest)| rest.trim_end()).to_owned()
    };
    let mut call = streamed();
    call.request.stop_sequences = vec!["a secret end".into()];
    assert_eq!(
        line(&Sample::genai(Role::Client, call)),
        r#""gen_ai.operation.name":"chat","gen_ai.provider.name":"openai","gen_ai.request.model":"gpt-4o","gen_ai.response.model":"gpt-4o-2024-08-06","gen_ai.response.id":"chatcmpl-1","gen_ai.request.stream":true,"gen_ai.response.finish_reasons":["stop"],"gen_ai.response.time_to_first_chunk":0.002,"gen_ai.usage.input_tokens":100,"gen_ai.usage.output_tokens":20,"gen_ai.usage.cache_read.input_tokens":40,"gen_ai.usage.reasoning.output_tokens":5,"telltale.gen_ai.response.time_to_first_token":0.003}"#
    );
    let failed = Message { tool_error: true, ..tool_call() };
    assert_eq!(
        line(&Sample::mcp(Role::Server, session(vec![failed]))),
        r#""error_type":"tool_error","mcp.method.name":"tools/call","gen_ai.operation.name":"execute_tool","gen_ai.tool.name":"search","mcp.session.id":"s-1","mcp.protocol.version":"2025-06-18","jsonrpc.request.id":"7"}"#
    );
    assert_eq!(line(&Sample::new(Role::Client)), "");
}
