use proptest::prelude::*;

use super::{Faults, Program, cost, eval::Evaluation};
use crate::policy::{
    Capture, Effect, Trust,
    attribute::{Key, Side, Value, test_support::Told},
    model::{ContentCapture, FieldPath},
};

fn told() -> Told {
    Told::sample()
        .key(Key::GenAiUsageOutputTokens, Value::Int(40))
        .key(Key::GenAiResponseFinishReasons, Value::List(vec!["stop".into(), "length".into()]))
        .key(Key::GenAiRequestTemperature, Value::Double(0.5))
        .key(Key::GenAiToolName, "search".into())
        .header(Side::Request, "x-team", "red")
        .header(Side::Request, "x-count", "12")
}

/// Compiled, with what was said of it.
fn compiled(expression: &str) -> (Option<Program>, Vec<String>) {
    let mut findings = Vec::new();
    let program = Program::compile(expression, &FieldPath::new("cel"), &Trust::own(), &mut findings);
    (program, findings.iter().map(|finding| format!("{:?} {finding}", finding.effect)).collect())
}

/// The value as text, `-` if it is absent, `!` if it is a fault.
fn value(expression: &str, told: &Told) -> String {
    let trust = Trust { faults: Faults::default(), ..Trust::own() };
    let mut findings = Vec::new();
    let program = Program::compile(expression, &FieldPath::default(), &trust, &mut findings);
    let program = program.unwrap_or_else(|| panic!("{expression}: {findings:?}"));
    match program.value(told) {
        Some(value) => value.into_text().into_owned(),
        None if trust.faults.total() == 1 => "!".to_owned(),
        None => "-".to_owned(),
    }
}

fn invalid(expression: &str) -> String {
    let (program, said) = compiled(expression);
    assert!(program.is_none(), "{expression} is not invalid");
    let [said] = &said[..] else { panic!("{expression}: {said:?}") };
    said.strip_prefix("Invalid cel: ").expect("an invalid expression").to_owned()
}

#[test]
fn values() {
    let table = [
        // Variables.
        ("request.method", "GET"),
        ("request.path", "/orders?id=7"),
        ("request.url_path", "/orders"),
        ("request.host + request.path", "shop.example/orders?id=7"),
        ("response.code", "200"),
        ("url.path", "/orders"),
        ("request.time", "2023-11-14T22:13:20Z"),
        ("request.duration", "0.012s"),
        ("gen_ai.usage.output_tokens * 2", "80"),
        ("mcp.tool.name == gen_ai.tool.name", "true"),
        ("gen_ai.response.finish_reasons", "stop,length"),
        ("request.headers['user-agent']", "curl/8.5"),
        ("request.headers['User-Agent']", "curl/8.5"),
        ("request.headers['x-' + 'team']", "red"),
        ("size(request.headers) == 3", "true"),
        ("'x-team' in request.headers", "true"),
        ("'x-none' in request.headers", "false"),
        ("('x-' + 'team') in request.headers", "true"),
        // Operators.
        ("1 + 2 * 3 - 8 / 4 % 3", "5"),
        ("-(1 - 3)", "2"),
        ("0.5 + 1.0", "1.5"),
        ("1 < 2 && 2.5 >= 2 && 1 != 2", "true"),
        ("'a' < 'b' ? 'less' : 'more'", "less"),
        ("response.code in [200, 204]", "true"),
        ("response.code in [500]", "false"),
        ("'stop' in gen_ai.response.finish_reasons", "true"),
        ("gen_ai.response.finish_reasons[1]", "length"),
        ("['a'] + ['b', request.method]", "a,b,GET"),
        ("[1, 2] == [1, 2]", "true"),
        ("gen_ai.request.temperature > 0", "true"),
        ("!true || !false", "true"),
        // Times.
        ("request.duration > duration('10ms')", "true"),
        ("request.duration + duration('1s')", "1.012s"),
        ("request.time + duration('24h')", "2023-11-15T22:13:20Z"),
        ("request.time - timestamp('2023-11-14T22:13:00Z')", "20s"),
        ("request.time.getFullYear()", "2023"),
        ("request.time.getMonth()", "10"),
        ("request.time.getDayOfWeek()", "2"),
        ("request.time.getHours()", "22"),
        ("request.duration.getMilliseconds()", "12"),
        ("int(request.time)", "1700000000"),
        // Texts.
        ("size('häh')", "3"),
        ("'häh'.size()", "3"),
        ("request.path.startsWith('/ord') && request.path.endsWith('=7') && request.path.contains('?')", "true"),
        ("request.path.matches('^/o[a-z]+[?]id=\\\\d$')", "true"),
        ("matches(request.path, 'x')", "false"),
        ("request.method.lowerAscii() + 'a'.upperAscii() + ' b '.trim()", "getAb"),
        ("request.path.split('?')[1].substring(3)", "7"),
        ("'häh'.substring(1, 2)", "ä"),
        ("['a', 'b'].join('-')", "a-b"),
        ("int(request.headers['x-count']) + 1", "13"),
        ("string(response.code) + string(1.5) + string(true)", "2001.5true"),
        ("double('0.5') + double(1)", "1.5"),
        ("bool('true')", "true"),
        // Macros.
        ("gen_ai.response.finish_reasons.exists(r, r == 'length')", "true"),
        ("gen_ai.response.finish_reasons.all(r, r == 'length')", "false"),
        ("gen_ai.response.finish_reasons.exists_one(r, r == 'length')", "true"),
        ("gen_ai.response.finish_reasons.filter(r, r != 'stop')", "length"),
        ("gen_ai.response.finish_reasons.map(r, r + '!')", "stop!,length!"),
        ("gen_ai.response.finish_reasons.map(r, r != 'stop', r + '!')", "length!"),
        ("request.headers.exists(n, n.startsWith('x-') && request.headers[n] == 'red')", "true"),
        ("[1, 2].all(a, [3, 4].all(b, a < b))", "true"),
        // A variable of a loop hides the dictionary's.
        ("[1, 2].map(request, request)[1]", "2"),
    ];
    for (expression, expected) in table {
        assert_eq!(value(expression, &told()), expected, "{expression}");
        let (spent, worst) = steps(&compiled(expression).0.unwrap(), &told());
        assert!(spent <= worst, "{expression}: {spent} steps, not {worst}");
    }
}

/// Steps that an evaluation takes, and how many it was thought to take at worst.
fn steps(program: &Program, told: &Told) -> (u64, u64) {
    let mut evaluation = Evaluation::new(told, 1 << 40);
    let _ = evaluation.of(&program.node);
    ((1 << 40) - evaluation.fuel, cost::worst_case(&program.node))
}

#[test]
fn what_is_absent_is_not_a_fault() {
    for (expression, expected) in [
        ("error.type", "-"),
        ("has(error.type)", "false"),
        ("has(response.code)", "true"),
        ("has(request.headers)", "true"),
        ("has(response.trailers)", "false"),
        ("has(request.headers.x_none)", "false"),
        ("has(gen_ai.request.model)", "false"),
        ("has(mcp.tool.name)", "true"),
        ("request.headers['x-none']", "-"),
        ("request.headers.x_none == 'x'", "-"),
        ("error.type == 'x'", "-"),
        ("!(error.type == 'x')", "-"),
        ("size(error.type) > 0 ? 'a' : 'b'", "-"),
        // What decides wins on either side.
        ("error.type == 'x' || response.code == 200", "true"),
        ("response.code == 200 || error.type == 'x'", "true"),
        ("error.type == 'x' && response.code == 500", "false"),
        ("response.code == 500 && error.type == 'x'", "false"),
        ("error.type == 'x' || response.code == 500", "-"),
        ("error.type == 'x' && response.code == 200", "-"),
        ("['a', 'b'].exists(x, x == error.type || x == 'b')", "true"),
        ("['a'].exists(x, x == error.type)", "-"),
        ("['a', 'b'].all(x, x == error.type && x == 'b')", "false"),
        ("response.trailers.exists(n, true)", "-"),
    ] {
        assert_eq!(value(expression, &told()), expected, "{expression}");
    }
}

#[test]
fn faults_are_counted_and_mean_no() {
    for expression in [
        "1 / (response.code - 200) == 1",
        "9223372036854775807 + response.code == 0",
        "int(request.method) == 1",
        "gen_ai.response.finish_reasons[2] == ''",
        "duration(request.method) > duration('1s')",
        "request.method.substring(4) == ''",
        "-(-9223372036854775807 - int('1')) == 1",
        "error.type == 'x' && int(request.method) == 1",
    ] {
        let trust = Trust::own();
        let program = Program::filter(expression, &FieldPath::default(), &trust, &mut Vec::new()).expect(expression);
        assert!(!program.holds(&told()), "{expression}");
        assert_eq!(trust.faults.total(), 1, "{expression}");
        assert_eq!(program.value(&told()), None, "{expression}");
        let health = crate::admin::Health::new();
        trust.faults.report_to(&health);
        assert_eq!(health.value(&crate::admin::table::EVALUATION_FAULTS, &[]), 2, "{expression}");
    }
}

#[test]
fn what_is_wrong_is_said() {
    let is = |expression: &str, expected: &str| assert_eq!(invalid(expression), expected, "{expression}");
    is("response.kode > 1", "unknown variable `response.kode`; the nearest is `response.code`");
    is("foo", "unknown variable `foo`");
    is(
        "gen_ai.usage",
        "`gen_ai.usage` is not a variable but a group of 8; name one, such as `gen_ai.usage.input_tokens`",
    );
    is("response.code > '5'", "`>` cannot compare int with string; convert one with int(x) or string(x)");
    is("request.duration > 5", "`>` cannot compare duration with int; write a duration as duration(\"1.5s\")");
    is(
        "request.time == 5",
        "`==` cannot compare timestamp with int; write a time as timestamp(\"2026-01-01T00:00:00Z\")",
    );
    is("request.method + 1", "`+` cannot take string and int; convert one with int(x) or string(x)");
    is("request.method.code", "`request.method` is a string, it has no `code`");
    is("request.headers.a.b", "`request.headers` is a map of strings, it has no `a`");
    is(
        "request.headers",
        "a map(string, string) cannot be an attribute; give a string, number, bool, duration, timestamp or list of strings",
    );
    is(
        "[1]",
        "a list(int) cannot be an attribute; give a string, number, bool, duration, timestamp or list of strings",
    );
    is("response.code && true", "`&&` takes bool, not int");
    is("true ? 1 : 'a'", "both sides of `? :` are of one type, not int and string");
    is("[1, 'a']", "the elements of a list are of one type, not int and string");
    is("request.path.startWith('/')", "unknown function `startWith`; the nearest is `startsWith`");
    is("request.path.startsWith(1)", "`startsWith` takes (string, string), not (string, int)");
    is("startsWith(request.path, '')", "`startsWith` is called as x.startsWith(...)");
    is("duration('1d') > request.duration", "\"1d\" is not a duration; write it like \"1h30m\", \"1.5s\" or \"10ms\"");
    is("request.path.matches(request.host)", "the pattern of `matches` is not a constant; write it out as a string");
    is("request.path.matches('(')", "the pattern cannot be read: unclosed group");
    is("error.type == null", "nothing is ever null; ask has(x)");
    is("1u", "there are no unsigned numbers; leave out the `u`");
    is("{'a': 1}['a']", "maps and messages cannot be written out; compare single values");
    is(
        "has(request)",
        "not a CEL expression, at line 1 column 5: invalid argument to has() macro; has(x.y) takes a variable; ask \"name\" in map",
    );
    is("1 +", "not a CEL expression, at line 1 column 4: Syntax error: mismatched input '<EOF>' expecting expression");
    is("[1].map(a, [1].map(b, [1].map(c, c)))", "macros nest more than once");
    is(
        "connection.mtls ? 1 : response",
        "`response` is not a variable but a group of 10; name one, such as `response.code`",
    );
    assert!(invalid(&format!("{}1", "1+".repeat(1000))).starts_with("the expression nests deeper"));
    assert!(invalid(&"1".repeat(2049)).contains("2049 characters, more than 2048"));
    assert!(invalid("'x'.matches('(a{500}){500}')").contains("when compiled"));
    let costly = "request.headers.map(a, request.headers.all(b, request.path.matches('x') && a == b)).size() > 0";
    assert!(invalid(costly).contains("steps, more than 100000"), "{}", invalid(costly));
    let mut findings = Vec::new();
    assert!(Program::filter("response.code", &FieldPath::new("f"), &Trust::own(), &mut findings).is_none());
    assert_eq!(findings[0].to_string(), "f: a filter is bool, this is int; compare it with something");
}

#[test]
fn credentials_never_come_out() {
    let told = told().header(Side::Request, "authorization", "Bearer s3cret");
    let is = |expression: &str, expected: Option<&str>, messages: usize| {
        let (program, said) = compiled(expression);
        assert_eq!(said.len(), messages, "{said:?}");
        assert!(said.iter().all(|said| said.starts_with("Message")), "{said:?}");
        let value = program.expect(expression).value(&told).map(|value| value.into_text().into_owned());
        assert_eq!(value.as_deref(), expected, "{expression}");
    };
    is("request.headers['Authorization']", None, 1);
    is("request.headers.authorization + request.headers.cookie", None, 2);
    is("'authorization' in request.headers", Some("false"), 1);
    is("has(request.headers.authorization)", Some("false"), 1);
    is("response.headers['set-cookie']", None, 1);
}

#[test]
fn a_program_knows_what_it_asks_for() {
    let (program, said) = compiled("response.code > 1 || has(gen_ai.request.model) || connection.mtls");
    let program = program.unwrap();
    assert_eq!(program.keys(), [Key::ResponseCode, Key::GenAiRequestModel, Key::ConnectionMtls]);
    assert_eq!(program.needs(), Capture::Bodies);
    assert_eq!(said, ["Partial cel: `connection.mtls` is known to a proxy only and always absent here"]);
    assert_eq!(compiled("network.peer.port > 1").0.unwrap().needs(), Capture::Nothing);
}

#[test]
fn an_evaluation_is_bounded_whatever_the_exchange_holds() {
    let mut told = told();
    for index in 0..2000 {
        told = told.header(Side::Request, &format!("x-{index}"), &"y".repeat(100));
    }
    let trust = Trust::own();
    let nested = "request.headers.all(a, request.headers.all(b, a != '' && b != ''))";
    let program = Program::filter(nested, &FieldPath::default(), &trust, &mut Vec::new()).unwrap();
    assert!(!program.holds(&told));
    assert_eq!(trust.faults.total(), 1);
}

/// `fields` of a request, more than a person would send, and a path of so many bytes.
fn large(fields: usize, path: usize) -> Told {
    let told = told().key(Key::Path, Value::from("/".repeat(path))).key(Key::RequestId, Value::from("i".to_owned()));
    (0..fields).fold(told, |told, index| told.header(Side::Request, &format!("x-{index}"), ""))
}

/// Faults of the filter, of which the steps are all used up by one.
fn faults(expression: &str, told: &Told) -> u64 {
    let trust = Trust::tenant();
    let mut findings = Vec::new();
    let program = Program::filter(expression, &FieldPath::default(), &trust, &mut findings);
    program.unwrap_or_else(|| panic!("{expression}: {findings:?}")).holds(told);
    trust.faults.total()
}

#[test]
fn a_look_into_a_map_takes_as_many_steps_as_it_has_fields() {
    for body in [
        "size(request.headers) == 0",
        "request.headers['x-none'] == 'a'",
        "request.headers[x + 'y'] == 'a'",
        "(x + 'y') in request.headers",
        "'x-none' in request.headers",
        "request.headers.exists(y, false)",
    ] {
        let expression = format!("request.headers.exists(x, {body})");
        let program = compiled(&expression).0.unwrap();
        let (few, many) = (steps(&program, &large(100, 1)).0, steps(&program, &large(1000, 1)).0);
        // Ten times as many rounds, each of ten times as many fields.
        assert!(many > 50 * few && many > 100_000, "{expression}: {few} steps, then {many}");
        assert_eq!(faults(&expression, &large(1000, 1)), 1, "{expression}");
    }
    // What does not look into it does not: keys are read once.
    let program = compiled("request.headers.exists(x, request.id == '' || has(error.type))").0.unwrap();
    assert!(steps(&program, &large(1000, 1)).0 < 20_000);
}

#[test]
fn the_variable_of_a_loop_is_copied_for_its_length_or_not_at_all() {
    let over = |body: &str| format!("[request.path.split('')].exists(x, request.headers.exists(y, {body}))");
    let spent = |body: &str, path: usize| steps(&compiled(&over(body)).0.expect(body), &large(50, path)).0;
    let splitting = steps(&compiled("request.path.split('')").0.unwrap(), &large(50, 4000)).0;
    for body in ["x[0] == '~'", "size(x) == 0", "x.size() < 0"] {
        let (short, long) = (spent(body, 10), spent(body, 4000));
        assert!(long < short + 2 * splitting, "{body}: {short} steps, then {long}");
    }
    // These go over all of it, in each of the rounds.
    for body in ["x == ['~']", "'~' in x", "(x + x)[0] == '~'", "x.join('') == '~'"] {
        assert!(invalid(&over(body)).contains("steps, more than 100000"), "{body}");
    }
    let text = "[request.path].exists(x, request.headers.exists(y, x == '~'))";
    let program = compiled(text).0.unwrap();
    let (short, long) = (steps(&program, &large(50, 1)).0, steps(&program, &large(50, 1 << 16)).0);
    assert!(long > short + 50 * 16, "{short} steps, then {long}");
}

#[test]
fn a_pattern_costs_what_it_weighs() {
    let heavy = "request.path.matches('[01]*1[01]{900}')";
    assert!(invalid(&format!("{heavy} || {heavy}")).contains("steps, more than 100000"));
    let (light, heavy) = (compiled("request.path.matches('01')").0.unwrap(), compiled(heavy).0.unwrap());
    let told = large(1, 6400);
    assert!(steps(&heavy, &told).0 > 200 * steps(&light, &told).0);
    assert_eq!(faults("request.path.matches('[01]*1[01]{900}')", &large(1, 1 << 16)), 1);
    // What people write is not affected.
    for pattern in ["^kube-probe/", "^/api/v[0-9]+/[a-z]{1,40}$", "(GET|POST|PUT|DELETE)", "[a-zA-Z0-9._-]+@[a-z]+"] {
        let over = format!("request.headers.exists(n, request.headers[n].matches('{pattern}'))");
        let alone = format!("request.path.matches('{pattern}')");
        assert!(compiled(&alone).0.is_some(), "{alone}");
        assert!(pattern.len() > 20 || compiled(&over).0.is_some(), "{over}");
    }
}

#[test]
fn a_value_that_is_too_long_is_cut() {
    let given = |expression: &str, told: &Told| {
        let trust = Trust { content: ContentCapture::All, ..Trust::tenant() };
        let program = Program::compile(expression, &FieldPath::default(), &trust, &mut Vec::new()).expect(expression);
        let length = program.value(told).map(|value| value.into_text().len());
        (length, trust.faults.cut(), trust.faults.total())
    };
    let told = large(50, 2000).key(Key::HttpRequestBody, Value::from("b".repeat(40_000)));
    assert_eq!(given("request.headers.map(x, request.path).join('')", &told), (Some(16_384), 1, 0));
    assert_eq!(given("request.headers.map(x, request.path)", &told), (Some(16_384), 1, 0));
    assert_eq!(given("request.path + request.path", &told), (Some(4000), 0, 0));
    assert_eq!(given("telltale.http.request.body + ''", &told), (Some(40_000), 0, 0));
}

/// Pieces that make many expressions that are nearly right.
fn pieces() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "request.path",
        "response.code",
        "error.type",
        "request.headers",
        "request.duration",
        "request.time",
        "x",
        "y",
        "has(",
        "1",
        "0",
        "-1",
        "2.5",
        "'a'",
        "\"\"",
        "[",
        "]",
        "(",
        ")",
        "{",
        "}",
        ",",
        ".",
        "+",
        "-",
        "*",
        "/",
        "%",
        "==",
        "!=",
        "<",
        ">=",
        "&&",
        "||",
        "!",
        "?",
        ":",
        " in ",
        ".map(x, ",
        ".all(y, ",
        ".exists(x, ",
        ".filter(y, ",
        ".matches('a+')",
        ".size()",
        ".split('')",
        ".join(",
        "duration('1s')",
        "timestamp(",
        "int(",
        "string(",
        "null",
        "true",
        "9223372036854775807",
        "`a`",
        "1u",
    ]);
    prop::collection::vec(words, 0..40).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn any_text_is_compiled_or_said_to_be_wrong(expression in prop_oneof![pieces(), ".{0,200}"]) {
        let trust = Trust::tenant();
        let mut findings = Vec::new();
        let program = Program::compile(&expression, &FieldPath::default(), &trust, &mut findings);
        let is_invalid = findings.iter().any(|finding| finding.effect == Effect::Invalid);
        prop_assert_eq!(program.is_none(), is_invalid);
        if let Some(program) = program {
            for told in [told(), Told::default()] {
                let _ = program.value(&told);
                let (spent, worst) = steps(&program, &told);
                prop_assert!(spent <= worst, "{} steps, not {}", spent, worst);
            }
        }
    }
}
