//! `--config`: what the operator says once, seen from outside. What needs a running capture is in `tests/live/config.rs`.

use std::{
    fs,
    process::{Command, Output},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;
use tempfile::TempDir;

const SECRET: &str = "s3cret";

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn telltale(folder: &TempDir, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_telltale"))
        .args(arguments)
        .current_dir(folder.path())
        .env_remove("RUST_LOG")
        .env("TELLTALE_TEST_REGION", "north")
        .output()
        .unwrap()
}

/// Exit code, standard output, standard error.
fn said(output: &Output) -> (i32, &str, &str) {
    let text = |bytes| std::str::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

/// One exchange of each pod: `GET` of this URL with these fields, answered with them.
fn recording(pods: &[&str], url: &str, fields: &str) -> String {
    let mut lines = String::new();
    for (index, pod) in pods.iter().enumerate() {
        let (conn, time) = (index + 1, 1_700_000_000_000_000_000 + index as u64 * 1_000_000_000);
        let open = serde_json::json!({
            "t": time, "ev": "open", "conn": conn, "role": "server", "local": "10.0.0.2:80", "peer": "10.0.0.1:4000",
            "pid": 1, "comm": "shop", "pod": pod,
        });
        let data = |after: u64, direction: &str, bytes: &str| {
            serde_json::json!({
                "t": time + after, "ev": "data", "conn": conn, "dir": direction, "pos": 0, "len": bytes.len(),
                "b64": STANDARD.encode(bytes),
            })
        };
        let request = format!("GET {url} HTTP/1.1\r\nHost: shop.example\r\n{fields}\r\n");
        let response = format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 0\r\n\r\n");
        let close = serde_json::json!({"t": time + 3000, "ev": "close", "conn": conn, "how": "fin"});
        for line in [open, data(1000, "in", &request), data(2000, "out", &response), close] {
            lines.push_str(&line.to_string());
            lines.push('\n');
        }
    }
    lines
}

/// A policy for the namespace `shop`.
fn policy(spec: &str) -> String {
    format!(
        "apiVersion: gateway.networking.x-k8s.io/v1alpha1
kind: TelemetryPolicy
metadata: {{name: p, namespace: shop}}
spec:
  targetRefs: [{{group: '', kind: Namespace, name: shop}}]
{spec}---
apiVersion: v1
kind: Namespace
metadata: {{name: shop}}
"
    )
}

/// The log, spans and metrics of a replay.
fn outputs(folder: &TempDir, arguments: &[&str]) -> [String; 3] {
    let files = ["--logs", "logs", "--spans", "spans", "--metrics", "metrics"];
    let output = telltale(folder, &[&["replay", "recording.jsonl"], &files[..], arguments].concat());
    assert_eq!(output.status.code(), Some(0), "{}", said(&output).2);
    ["logs", "spans", "metrics"].map(|name| fs::read_to_string(folder.path().join(name)).unwrap_or_default())
}

const ASKS_FOR_SECRETS: &str = r#"  metrics:
    overrides:
    - name: http.server.request.duration
      attributes: &all
      - {name: plain, type: Header, headerName: x-plain}
      - {name: header, type: Header, headerName: X-Corp-Session}
      - {name: cel, type: CEL, expression: 'request.headers["x-corp-session"]'}
      - {name: hidden, type: CEL, expression: 'response.headers["x-corp-" + "session"]'}
      - {name: every, type: CEL, expression: 'request.headers.map(n, request.headers[n]).join(" ")'}
      - {name: query, type: CEL, expression: 'request.query'}
      - {name: url, type: Attribute, attributeKey: url.full}
      - {name: referer, type: Attribute, attributeKey: http.request.header.referer}
  tracing:
    attributes: *all
  accessLogs:
    attributes: *all
"#;

#[test]
fn what_the_file_makes_secret_is_in_no_output() {
    let url = format!("/p?plain=yes&Corp%5Ftoken={SECRET}&key=k3y");
    let fields = format!("X-CORP-SESSION: {SECRET}\r\nX-Plain: open\r\nReferer: http://a{url}\r\n");
    let folder = folder(&[
        ("recording.jsonl", &recording(&["shop/a"], &url, &fields)),
        ("policy.yaml", &policy(ASKS_FOR_SECRETS)),
        (
            "text.yaml",
            &policy(
                "  accessLogs: {format: Text, text: '%REQ(X-PLAIN)% %REQ(X-CORP-SESSION)% %QUERY_PARAM(corp_token)% %REQ(:PATH)% %REQ(REFERER)%'}\n",
            ),
        ),
        ("config.yaml", "secrets: {headers: [x-corp-session], queryKeys: [corp_token]}\n"),
    ]);
    let config = ["--config", "config.yaml"];
    for policy in ["policy.yaml", "text.yaml"] {
        let arguments = ["--policy", policy];
        let [without, ..] = outputs(&folder, &arguments);
        assert!(without.contains(SECRET), "{without}");
        for output in outputs(&folder, &[&arguments[..], &config[..]].concat()) {
            assert!(!output.contains(SECRET) && !output.contains("k3y"), "{output}");
        }
        let logs = fs::read_to_string(folder.path().join("logs")).unwrap();
        assert!(logs.contains("open") && logs.contains("plain=yes"), "{logs}");
    }
    let validate = telltale(&folder, &["policy", "validate", "policy.yaml", "--config", "config.yaml"]);
    assert!(said(&validate).1.contains("`x-corp-session` holds credentials and is left out"), "{}", said(&validate).1);
    // Nor in a recording that is made public.
    for (flags, there) in [(&[][..], true), (&config[..], false)] {
        let scrub =
            telltale(&folder, &[&["-q", "replay", "recording.jsonl", "--scrub", "public.jsonl"], flags].concat());
        assert_eq!(said(&scrub).0, 0, "{}", said(&scrub).2);
        let public = fs::read_to_string(folder.path().join("public.jsonl")).unwrap();
        let decoded: String = public
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).unwrap()["b64"].as_str().map(str::to_owned))
            .map(|text| String::from_utf8(STANDARD.decode(text).unwrap()).unwrap())
            .collect();
        assert_eq!(decoded.contains(SECRET), there, "{decoded}");
        assert!(decoded.contains("X-Plain: open"));
    }
}

#[test]
fn tenants_read_only_the_variables_that_the_file_names() {
    let attributes = "  accessLogs:
    attributes:
    - {name: region, type: Environment, variable: TELLTALE_TEST_REGION, default: nowhere}
";
    let folder = folder(&[
        ("recording.jsonl", &recording(&["shop/a"], "/", "")),
        ("policy.yaml", &policy(attributes)),
        ("none.yaml", ""),
        ("named.yaml", "policies: {environment: [TELLTALE_TEST_REGION]}\n"),
    ]);
    let validate = |config: &str| {
        let output = telltale(&folder, &["-q", "policy", "validate", "policy.yaml", "--config", config]);
        assert_eq!(said(&output).0, 0);
        said(&output).1.to_owned()
    };
    assert!(validate("none.yaml").contains("policies may not read the agent's variable `TELLTALE_TEST_REGION`"));
    assert_eq!(validate("named.yaml"), "");
    // Whoever replays wrote the policy.
    let [logs, ..] = outputs(&folder, &["--policy", "policy.yaml", "--config", "none.yaml"]);
    assert!(logs.contains(r#""region":"north""#), "{logs}");
}

#[test]
fn tenants_send_and_write_only_where_the_file_allows_it() {
    let spec = "  tracing: {mode: Enabled, provider: {endpoint: '127.0.0.1:4317'}}
  accessLogs: {sinks: [{type: File, path: shop.log}, {type: OTLP, endpoint: '169.254.169.254:4317'}]}
";
    let folder = folder(&[
        ("policy.yaml", &policy(spec)),
        ("absolute.yaml", &policy("  accessLogs: {sinks: [{type: File, path: /etc/shop.log}]}\n")),
        ("node.yaml", &policy("  tracing: {mode: Enabled, provider: {endpoint: '10.1.0.5:4317'}}\n")),
        (
            "cluster.yaml",
            "{apiVersion: v1, kind: Node, metadata: {name: node-1}, status: {addresses: [{type: Hostname, address: node-1}, {type: InternalIP, address: 10.1.0.5}]}}",
        ),
        ("none.yaml", ""),
        ("nodes.yaml", "policies: {endpoints: [10.1.0.0/16]}\n"),
        ("some.yaml", "accessLogs: {directory: /var/log/telltale}\npolicies: {endpoints: [127.0.0.1]}\n"),
    ]);
    let errors = |arguments: &[&str]| {
        let output = telltale(&folder, &[&["-q", "policy", "validate"], arguments].concat());
        let errors = said(&output).1.lines().filter(|line| line.contains(": error: "));
        errors.map(|line| line.split(' ').nth(2).unwrap().to_owned()).collect::<Vec<_>>()
    };
    let [provider, file, metadata] =
        ["spec.tracing.provider.endpoint:", "spec.accessLogs.sinks[0].path:", "spec.accessLogs.sinks[1].endpoint:"];
    assert_eq!(errors(&["policy.yaml"]), [""; 0]);
    assert_eq!(errors(&["policy.yaml", "--config", "none.yaml"]), [provider, file, metadata]);
    assert_eq!(errors(&["policy.yaml", "--config", "some.yaml"]), [metadata]);
    assert_eq!(errors(&["absolute.yaml", "--config", "some.yaml"]), [file]);
    // The addresses of nodes are those of the Node objects beside the policies.
    assert_eq!(errors(&["node.yaml", "--config", "none.yaml"]), [""; 0]);
    assert_eq!(errors(&["node.yaml", "cluster.yaml", "--config", "none.yaml"]), [provider]);
    assert_eq!(errors(&["node.yaml", "cluster.yaml", "--config", "nodes.yaml"]), [""; 0]);
    let status = telltale(&folder, &["policy", "status", "policy.yaml", "--config", "some.yaml", "-o", "json"]);
    let list: Value = serde_json::from_slice(&status.stdout).unwrap();
    let accepted = &list["items"][0]["status"]["ancestors"][0]["conditions"][0];
    assert_eq!((&accepted["reason"], &accepted["status"]), (&"Invalid".into(), &"False".into()));
}

#[test]
fn a_maximum_of_the_file_clamps_what_policies_ask_for() {
    let spec = "  metrics:
    cardinalityLimit: 1000
    overrides:
    - name: http.server.request.duration
      attributes: [{name: pod, type: Attribute, attributeKey: k8s.pod.name}]
";
    let folder = folder(&[
        ("recording.jsonl", &recording(&["shop/a", "shop/b", "shop/c"], "/", "")),
        ("policy.yaml", &policy(spec)),
        ("config.yaml", "policies: {limits: {series: 2}}\n"),
    ]);
    let arguments = ["--policy", "policy.yaml"];
    let [.., metrics] = outputs(&folder, &arguments);
    assert!(metrics.contains("pod=\"c\"") && !metrics.contains("otel_metric_overflow"), "{metrics}");
    let [.., metrics] = outputs(&folder, &[&arguments[..], &["--config", "config.yaml"]].concat());
    assert!(!metrics.contains("pod=\"c\"") && metrics.contains("otel_metric_overflow=\"true\""), "{metrics}");
    let validate = telltale(&folder, &["policy", "validate", "policy.yaml", "--config", "config.yaml"]);
    assert!(said(&validate).1.contains("spec.metrics.cardinalityLimit: 1000 is above 2, the agent's maximum"));
}

/// Each limit of the file is the one that is asked.
#[test]
fn every_limit_of_the_file_holds_for_what_it_says() {
    let spec = "  content: {capture: All, maxBytes: 1000, redact: [{pattern: '[a-z]{40}'}]}
  accessLogs:
    matches: request.path.startsWith('/long/enough/to/be/too/long')
    attributes:
    - {name: a, type: Literal, literalValue: a text of many bytes}
    - {name: b, type: CEL, expression: \"request.headers.exists(n, n == 'x')\"}
    - {name: c, type: Literal, literalValue: c}
";
    let folder = folder(&[("policy.yaml", &policy(spec))]);
    for (limit, expected) in [
        ("contentBytes: 100", "warning: spec.content.maxBytes: 1000 is more than this agent keeps; 100 bytes"),
        ("patternBytes: 64", "error: spec.content.redact[0].pattern: is too large when compiled"),
        ("expressionCharacters: 45", "error: spec.accessLogs.matches: "),
        ("expressionCost: 200", "error: spec.accessLogs.attributes[1].expression: "),
        ("textBytes: 10", "warning: spec.accessLogs.attributes[0].literalValue: 20 bytes are cut to this agent's 10"),
        ("attributes: 2", "warning: spec.accessLogs.attributes[2]: 3 fields are more than this agent's 2"),
    ] {
        let config = folder.path().join("config.yaml");
        let validate = |text: &str| {
            fs::write(&config, text).unwrap();
            let output = telltale(&folder, &["-q", "policy", "validate", "policy.yaml", "--config", "config.yaml"]);
            said(&output).1.to_owned()
        };
        let without = validate("{}");
        assert!(!without.contains(expected), "{limit}: {without}");
        let with = validate(&format!("policies: {{limits: {{{limit}}}}}\n"));
        assert!(with.contains(expected), "{limit}: {with}");
        assert_eq!(with.lines().count(), without.lines().count() + 1, "{limit} and nothing else: {with}");
    }
}

/// Which pods have a log line.
fn logged(logs: &str, key: &str) -> Vec<String> {
    let lines = logs.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter_map(|line| Some(line.get(key)?.as_str()?.to_owned())).collect()
}

const DEFAULT: &str = "defaultPolicy:
  accessLogs:
    mode: Enabled
    attributes:
    - {name: by, type: Literal, literalValue: default}
    - {name: who, type: Attribute, attributeKey: k8s.pod.name}
";

/// A namespace with an accepted policy, one with an invalid policy, one with none, and a pod of a Gateway that has a policy in a namespace that has none.
fn cluster() -> String {
    policy("  metrics: {mode: Enabled}\n")
        + "---
apiVersion: gateway.networking.x-k8s.io/v1alpha1
kind: TelemetryPolicy
metadata: {name: bad, namespace: broken}
spec:
  targetRefs: [{group: '', kind: Namespace, name: broken}]
  accessLogs: {matches: 'no such ('}
---
apiVersion: gateway.networking.x-k8s.io/v1alpha1
kind: TelemetryPolicy
metadata: {name: edge, namespace: bare}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: edge}]
  metrics: {mode: Enabled}
---
apiVersion: v1
kind: Namespace
metadata: {name: broken}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: bare}
---
apiVersion: v1
kind: Pod
metadata: {name: edge-1, namespace: bare, labels: {gateway.networking.k8s.io/gateway-name: edge}}
"
}

#[test]
fn the_default_policy_holds_where_none_is_accepted_and_never_beside_one() {
    let pods = ["shop/accepted", "broken/invalid", "bare/none", "bare/edge-1"];
    let folder = folder(&[
        ("recording.jsonl", &recording(&pods, "/", "")),
        ("cluster.yaml", &cluster()),
        ("config.yaml", DEFAULT),
        ("objects.yaml", "{apiVersion: v1, kind: Namespace, metadata: {name: shop}}\n"),
    ]);
    let config = ["--config", "config.yaml"];
    let [logs, _, metrics] = outputs(&folder, &[&["--policy", "cluster.yaml"], &config[..]].concat());
    assert_eq!(logged(&logs, "who"), ["invalid", "none"], "{logs}");
    assert_eq!(logged(&logs, "by"), ["default", "default"]);
    let measured = |namespace: &str| {
        metrics.contains(&format!("_count{{service_name=\"{namespace}\""))
            || metrics.contains(&format!("k8s_namespace_name=\"{namespace}\""))
    };
    assert!(measured("shop") && measured("bare") && !measured("broken"), "{metrics}");
    // Without policies it is the only one, and takes the place of the built-in one.
    for policies in [&[][..], &["--policy", "objects.yaml"]] {
        let [logs, _, metrics] = outputs(&folder, &[policies, &config[..]].concat());
        assert_eq!(logged(&logs, "by").len(), 4, "{logs}");
        assert!(!metrics.contains("http_server_request_duration"), "{metrics}");
    }
    let output = telltale(&folder, &["replay", "recording.jsonl", "--policy", "objects.yaml"]);
    assert!(said(&output).2.contains("has no TelemetryPolicy, so nothing is asked for"));
}

#[test]
fn explain_tells_of_the_default_policy() {
    let folder = folder(&[("cluster.yaml", &cluster()), ("config.yaml", DEFAULT)]);
    let explain = |arguments: &[&str]| {
        let verb = ["-q", "policy", "explain", "cluster.yaml", "--config", "config.yaml"];
        let output = telltale(&folder, &[&verb, arguments].concat());
        said(&output).1.to_owned()
    };
    let text = explain(&["--namespace", "broken"]);
    assert!(
        text.starts_with("Ordinary pods of Namespace broken follow the default policy of the configuration.\n"),
        "{text}"
    );
    assert!(
        text.contains(
            "  the default policy of the configuration applies: no policy is accepted for Namespace broken\n"
        ),
        "{text}"
    );
    assert!(
        text.contains("  broken/bad does not apply: ")
            && text.contains("metrics: off")
            && text.contains("access logs: on"),
        "{text}"
    );
    let text = explain(&["--namespace", "shop"]);
    assert!(text.contains("  the default policy of the configuration does not apply: shop/p does\n"), "{text}");
    let text = explain(&["--pod", "bare/edge-1", "-o", "json"]);
    let explained: Value = serde_json::from_str(&text).unwrap();
    let default = explained["policies"].as_array().unwrap().iter().find(|policy| policy["namespace"] == "").unwrap();
    assert_eq!((&default["name"], &default["applies"]), (&"default".into(), &false.into()));
    assert_eq!(explained["policies"][0]["name"], "edge");
}

#[test]
fn default_sinks_are_those_of_policies_that_name_none() {
    let folder = folder(&[
        ("own.yaml", &policy("  accessLogs: {mode: Enabled, sinks: [{type: OTLP}]}\n")),
        ("none.yaml", &policy("  accessLogs: {mode: Enabled}\n")),
        ("config.yaml", "accessLogs: {directory: /var/log/telltale, defaultSinks: [{type: File, path: all.log}]}\n"),
    ]);
    let explain = |policy: &str, config: &[&str]| {
        let verb = ["-q", "policy", "explain", policy, "--namespace", "shop"];
        let output = telltale(&folder, &[&verb[..], config].concat());
        let line = said(&output).1.lines().find(|line| line.contains("written to") || line.contains("sent"));
        line.unwrap_or_default().trim().to_owned()
    };
    let config = ["--config", "config.yaml"];
    assert_eq!(explain("none.yaml", &[]), "written to the agent's standard output");
    assert!(explain("none.yaml", &config).contains("all.log"), "{}", explain("none.yaml", &config));
    assert_eq!(explain("own.yaml", &config), explain("own.yaml", &[]));
}

#[test]
fn a_file_that_is_wrong_stops_every_verb_with_all_that_is_wrong() {
    let folder = folder(&[
        ("recording.jsonl", &recording(&["shop/a"], "/", "")),
        ("policy.yaml", &policy("  metrics: {}\n")),
        ("wrong.yaml", "secrets:\n  header: [a]\naccessLogs:\n  stdoutLinesPerSecond: 0\naccessLogs: {}\n"),
        ("sink.yaml", "accessLogs:\n  defaultSinks:\n  - {type: File, path: a.log}\n"),
        ("cel.yaml", "defaultPolicy:\n  accessLogs:\n    mode: Enabled\n    matches: response.code >\n"),
        ("broken.yaml", "a: 1\nb: [\n"),
        ("two.yaml", "secrets: {}\n---\nsecrets: {}\n"),
    ]);
    let verbs: [&[&str]; 4] = [
        &["replay", "recording.jsonl", "--logs", "logs"],
        &["policy", "validate", "policy.yaml"],
        &["policy", "status", "policy.yaml"],
        &["policy", "explain", "policy.yaml", "--namespace", "shop"],
    ];
    for verb in verbs {
        let with = |config: &str| telltale(&folder, &[&["-q"], verb, &["--config", config]].concat());
        let output = with("wrong.yaml");
        let (code, out, errors) = said(&output);
        assert_eq!((code, out), (1, ""), "{verb:?}");
        let lines: Vec<&str> = errors.lines().collect();
        assert_eq!(
            lines,
            [
                "wrong.yaml:2: error: secrets.header: is no field here; did you mean `headers`?",
                "wrong.yaml:5: error: accessLogs: is given twice; write it once",
                "telltale: --config wrong.yaml has 2 errors",
            ]
        );
        assert!(!folder.path().join("logs").exists(), "nothing starts");
        let cel = with("cel.yaml");
        assert!(said(&cel).2.starts_with("cel.yaml:4: error: defaultPolicy.accessLogs.matches: "), "{}", said(&cel).2);
        assert_eq!((said(&cel).0, said(&cel).2.lines().count()), (1, 2));
        for (config, expected) in [
            ("broken.yaml", "broken.yaml:2: error: is not YAML: "),
            ("two.yaml", "two.yaml:3: error: is a second document; a configuration has one\n"),
            ("missing.yaml", "telltale: --config: cannot read missing.yaml: "),
            (".", "telltale: --config: cannot read .: "),
        ] {
            let output = with(config);
            let (code, out, errors) = said(&output);
            assert_eq!((code, out), (1, ""), "{config}");
            assert!(errors.starts_with(expected), "{config}: {errors}");
        }
        // A default sink that the agent could not write: an error for tenants' agents, none for a replay.
        assert_eq!(with("sink.yaml").status.code(), Some(i32::from(verb[0] == "policy")));
        let _ = fs::remove_file(folder.path().join("logs"));
        let twice = telltale(&folder, &[verb, &["--config", "wrong.yaml", "--config", "wrong.yaml"]].concat());
        assert_eq!(twice.status.code(), Some(2), "wrong usage");
    }
}

/// The version of the conventions is what receivers are told.
#[test]
fn spans_carry_the_schema_of_the_conventions_that_the_file_names() {
    for (config, schema) in [("{}", "1.41.0"), ("conventions: v1.41", "1.41.0"), ("conventions: latest", "1.44.0")] {
        let folder = folder(&[
            ("recording.jsonl", &recording(&["shop/cart-1"], "/p", "")),
            ("policy.yaml", &policy("  tracing: {}\n")),
            ("config.yaml", config),
        ]);
        let [_, spans, _] = outputs(&folder, &["--policy", "policy.yaml", "--config", "config.yaml"]);
        let spans: Value = serde_json::from_str(&spans).unwrap();
        let url = format!("https://opentelemetry.io/schemas/{schema}");
        assert_eq!(spans["resourceSpans"][0]["schemaUrl"], url);
        assert_eq!(spans["resourceSpans"][0]["scopeSpans"][0]["schemaUrl"], url);
    }
}
