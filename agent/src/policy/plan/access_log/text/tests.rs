use super::*;
use crate::policy::{Trust, attribute::Key};

fn compile(format: &str) -> (Template, Vec<Finding>) {
    let trust = Trust::own();
    let mut findings = Vec::new();
    let template = Template::compile(&FieldPath::new("text"), format, &mut Compiler::new(&trust, &mut findings));
    (template, findings)
}

fn messages(format: &str) -> Vec<String> {
    compile(format).1.iter().map(|finding| format!("{:?} {finding}", finding.effect)).collect()
}

fn only(format: &str) -> Operand {
    let (template, findings) = compile(format);
    assert_eq!(findings, []);
    match &template.parts[..] {
        [Part::Operand(operand)] => operand.clone(),
        other => panic!("{other:?}"),
    }
}

fn sources(format: &str) -> Vec<Source> {
    only(format).choices.into_iter().map(|(source, _)| source).collect()
}

#[test]
fn every_operator_of_envoy_is_accepted() {
    for name in operator::names() {
        let argument = match name {
            "REQ" | "REQUEST_HEADER" | "RESP" | "RESPONSE_HEADER" | "TRAILER" | "RESPONSE_TRAILER"
            | "REQ_WITHOUT_QUERY" => "(X-A?X-B):10",
            "COMMON_DURATION" => "(DS_RX_BEG:my_filter:us)",
            "QUERY_PARAM" | "ENVIRONMENT" => "(NAME)",
            "CEL" | "TYPED_CEL" => "(response.code)",
            "COALESCE" => r#"({"operators": ["PROTOCOL"]})"#,
            _ => "",
        };
        let findings = compile(&format!("%{name}{argument}%")).1;
        assert!(findings.iter().all(|finding| finding.effect == Effect::Partial), "{name}: {findings:?}");
    }
}

#[test]
fn what_only_a_proxy_knows_is_said_once() {
    assert_eq!(
        messages("%ROUTE_NAME% %RESPONSE_FLAGS% %ROUTE_NAME% %DYNAMIC_METADATA(a:b):3%"),
        ["Partial text: only a proxy can know DYNAMIC_METADATA, RESPONSE_FLAGS, ROUTE_NAME: \"-\" is written"]
    );
}

#[test]
fn faults_say_where_and_what_instead() {
    insta::assert_snapshot!(
        [
            "50% %PROTOCOL%",
            "%RESPONCE_CODE% and %XYZZY%",
            "%PROTOCOL(x)%",
            "%START_TIME(%Q)%",
            "%REQ%",
            "%REQ()%",
            "%REQ(a?b?c)%",
            "%REQ(a b)%",
            "%COMMON_DURATION(DS_RX_BEG:ms)%",
            "%COMMON_DURATION(DS_RX_BEG:DS_TX_END:s)%",
            "%PATH(QN)%",
            "%PATH(NQ:X)%",
            "%GRPC_STATUS(CAMELSTRING)%",
            "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(129)%",
            "%QUERY_PARAM%",
            "%QUERY_PARAMS(RAW)%",
            "%REQUESTED_SERVER_NAME(SNI)%",
            "%COALESCE(PROTOCOL)%",
            r#"%COALESCE({"operators": []})%"#,
            r#"%COALESCE({"operators": [{"command": "REQ"}]})%"#,
            r#"%COALESCE({"operators": ["COALESCE"]})%"#,
        ]
        .map(|format| format!("{format}\n  {}", messages(format).join("\n  ")))
        .join("\n")
    );
}

#[test]
fn headers_have_alternatives_and_credentials_are_left_out() {
    assert_eq!(
        sources("%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%"),
        [Source::Header(Section::Request, "x-envoy-original-path".into()), Source::Key(Key::Path)]
    );
    assert_eq!(only("%RESP(x-a):7%").length, Some(7));
    let (template, findings) = compile("%REQ(Authorization?X-A)%");
    assert_eq!(template.parts, [Part::Operand(Operand::of([Source::Header(Section::Request, "x-a".into())], None))]);
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].effect, Effect::Message);
    assert!(findings[0].problem.contains("`authorization`"), "{}", findings[0]);
}

#[test]
fn paths_and_coalesced_operators() {
    let query = |source| Source::WithoutQuery(Box::new(source));
    assert_eq!(sources("%PATH(NQ:PATH)%"), [query(Source::Key(Key::Path))]);
    assert_eq!(sources("%PATH%").len(), 2);
    let operand = only(
        r#"%COALESCE({"operators": ["REQUESTED_SERVER_NAME", {"command": "REQ", "param": ":authority", "max_length": 3}]}):9%"#,
    );
    assert_eq!(operand.length, Some(9));
    assert_eq!(
        operand.choices,
        [(Source::Key(Key::ConnectionServerName), None), (Source::Key(Key::Authority), Some(3))]
    );
}

#[test]
fn a_tenant_reads_no_variable_that_is_not_named() {
    let trust = Trust { variable: |name| Some(format!("value of {name}")), ..Trust::tenant() };
    let mut findings = Vec::new();
    Template::compile(&FieldPath::new("text"), "%ENVIRONMENT(AWS_SECRET)%", &mut Compiler::new(&trust, &mut findings));
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].effect, Effect::Invalid);
    let trust = Trust { variable: |name| Some(format!("value of {name}")), ..Trust::own() };
    let mut findings = Vec::new();
    let template =
        Template::compile(&FieldPath::new("text"), "%ENVIRONMENT(A)%", &mut Compiler::new(&trust, &mut findings));
    assert_eq!(template.parts, [Part::Operand(Operand::of([Source::Constant("value of A".into())], None))]);
}

#[test]
fn a_line_has_no_breaks_inside() {
    let (template, findings) = compile("a\nb\t%%\u{1}c\n\n");
    assert_eq!(template.parts, [Part::Literal("a\\nb\\t%\\u{1}c".into())]);
    assert_eq!(findings, []);
    assert_eq!(messages(&"x".repeat(MAX_FORMAT + 1)), ["Invalid text: a format string has at most 8192 characters"]);
}

proptest::proptest! {
    #[test]
    fn any_format_is_compiled_or_has_a_finding(format in "(%|[A-Z_]{1,6}|START_TIME|REQ|PATH|COALESCE|[()?:{}\\[\\]\"]|.){0,40}") {
        let (template, findings) = compile(&format);
        let whole = template.parts.iter().all(|part| match part {
            Part::Literal(text) => !text.chars().any(|c| c.is_ascii_control()),
            Part::Operand(_) => true,
        });
        proptest::prop_assert!(whole);
        proptest::prop_assert!(findings.iter().all(|finding| finding.effect != Effect::Warning));
    }
}
