//! A policy that asks for every secret, on an exchange that is full of them: no output has one (POLICY.md section 3, "Never given out").

use std::{fmt::Write as _, fs, process::Command};

use base64::{Engine as _, engine::general_purpose::STANDARD};

const HEADERS: &[&str] = &[
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "x-amz-security-token",
    "x-auth-token",
    "x-vault-token",
    "private-token",
    "ocp-apim-subscription-key",
    "cf-access-jwt-assertion",
];

const QUERY_KEYS: &[&str] = &[
    "key",
    "api_key",
    "token",
    "access_token",
    "sig",
    "signature",
    "AWSAccessKeyId",
    "X-Amz-Signature",
    "X-Amz-Credential",
    "X-Amz-Security-Token",
    "X-Goog-Signature",
];

/// Header fields that name an authority, whose user info is secret.
const AUTHORITIES: &[&str] = &["host", "x-forwarded-host", "forwarded", "origin"];

/// Stands wherever a secret can stand.
const SECRET: &str = "s3cret";

/// One request with its target in absolute form, and one in origin form, of which only `Host` names the authority.
fn recording() -> String {
    exchange(1, true) + &exchange(2, false)
}

fn exchange(connection: u32, absolute: bool) -> String {
    let mut query = String::from("plain=yes");
    let mut fields = String::new();
    for key in QUERY_KEYS {
        let _ = write!(query, "&{key}={SECRET}");
    }
    for name in HEADERS {
        let _ = write!(fields, "{}: {SECRET}\r\n", name.to_uppercase());
    }
    let authority = format!("me:{SECRET}@shop.example");
    for name in AUTHORITIES {
        let _ = match *name {
            "forwarded" => write!(fields, "Forwarded: for=10.0.0.9;host=\"{authority}\"\r\n"),
            "origin" => write!(fields, "Origin: http://{authority}\r\n"),
            name => write!(fields, "{name}: {authority}\r\n"),
        };
    }
    let url = format!("http://{authority}/p?{query}");
    let target = if absolute { url.clone() } else { format!("/p?{query}") };
    let request = format!("GET {target} HTTP/1.1\r\nReferer: {url}\r\nX-Plain: open\r\n{fields}\r\n");
    let response = format!("HTTP/1.1 302 Found\r\nLocation: {url}#token={SECRET}\r\n{fields}Content-Length: 0\r\n\r\n");
    let event = |time: u64, rest: &str| format!("{{\"t\":{time},\"conn\":{connection},{rest}}}\n");
    let data = |time: u64, direction: &str, bytes: &str| {
        let (length, text) = (bytes.len(), STANDARD.encode(bytes));
        event(time, &format!(r#""ev":"data","dir":"{direction}","pos":0,"len":{length},"b64":"{text}""#))
    };
    [
        event(
            1_700_000_000_000_000_000,
            r#""ev":"open","role":"server","local":"10.0.0.2:80","peer":"10.0.0.1:4000","pid":1,"comm":"shop""#,
        ),
        data(1_700_000_000_001_000_000, "in", &request),
        data(1_700_000_000_002_000_000, "out", &response),
        event(1_700_000_000_003_000_000, r#""ev":"close","how":"fin""#),
    ]
    .concat()
}

/// Attributes from every source that names a secret, and one that does not.
fn attributes(indent: usize) -> String {
    let mut entries = vec![("plain".to_owned(), "type: Header, headerName: x-plain".to_owned())];
    for name in HEADERS {
        entries.push((format!("h.{name}"), format!("type: Header, headerName: {name}")));
        entries.push((format!("k.{name}"), format!("type: Attribute, attributeKey: http.request.header.{name}")));
        entries.push((format!("c.{name}"), format!(r#"type: CEL, expression: 'request.headers["{name}"]'"#)));
        let hidden = format!(r#"type: CEL, expression: 'response.headers["{name}" + ""]'"#);
        entries.push((format!("d.{name}"), hidden));
    }
    for key in ["url.full", "url.query", "url.path", "http.request.header.referer", "http.response.header.location"] {
        entries.push((format!("u.{key}"), format!("type: Attribute, attributeKey: {key}")));
    }
    for name in AUTHORITIES {
        entries.push((format!("a.{name}"), format!("type: Header, headerName: {name}")));
    }
    entries.push(("host".to_owned(), "type: CEL, expression: request.host".to_owned()));
    let all = "request.headers.map(n, request.headers[n]).join(\" \") + request.path + request.query + request.referer";
    entries.push(("all".to_owned(), format!("type: CEL, expression: '{all}'")));
    let pad = " ".repeat(indent);
    let lines: Vec<_> = entries.iter().map(|(name, source)| format!("{pad}- {{name: {name}, {source}}}\n")).collect();
    lines.concat()
}

fn policy(access_logs: &str) -> String {
    format!(
        "apiVersion: gateway.networking.x-k8s.io/v1alpha1
kind: TelemetryPolicy
metadata: {{name: p, namespace: shop}}
spec:
  targetRefs: [{{group: '', kind: Namespace, name: shop}}]
  metrics:
    overrides:
    - name: http.server.request.duration
      attributes:
{}  tracing:
    attributes:
{}  accessLogs:
{access_logs}",
        attributes(6),
        attributes(4)
    )
}

/// The log, spans and metrics of a replay under this policy.
fn outputs(policy: &str) -> [String; 3] {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("policy.yaml"), policy).unwrap();
    fs::write(folder.path().join("recording.jsonl"), recording()).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_telltale"))
        .args(["replay", "recording.jsonl", "--policy", "policy.yaml"])
        .args(["--logs", "logs", "--spans", "spans", "--metrics", "metrics"])
        .current_dir(folder.path())
        .env_remove("RUST_LOG")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains(SECRET), "{said}");
    ["logs", "spans", "metrics"].map(|name| fs::read_to_string(folder.path().join(name)).unwrap_or_default())
}

#[test]
fn no_output_has_a_secret_that_attributes_ask_for() {
    let outputs = outputs(&policy(&format!("    attributes:\n{}", attributes(4))));
    assert!(outputs[0].contains(r#""plain":"open""#) && outputs[0].contains("plain=yes"), "{}", outputs[0]);
    assert_eq!(
        outputs[0].lines().filter(|line| line.contains(r#""authority":"shop.example""#)).count(),
        2,
        "{}",
        outputs[0]
    );
    for output in outputs {
        assert!(!output.contains(SECRET), "{output}");
    }
}

#[test]
fn no_text_line_has_a_secret_that_operators_ask_for() {
    let mut text =
        String::from("%REQ(X-PLAIN)% %REQ(:AUTHORITY)% %PATH(WQ)% %REQ(:PATH)% %REQ(REFERER)% %RESP(LOCATION)%");
    for name in HEADERS {
        let name_in_cel = format!(r#"request.headers["{name}"]"#);
        let _ =
            write!(text, " %REQ({name})% %RESP({name})% %REQ(X-NONE?{name})% %TRAILER({name})% %CEL({name_in_cel})%");
    }
    for name in AUTHORITIES {
        let _ = write!(text, " %REQ({name})%");
    }
    for key in QUERY_KEYS {
        let _ = write!(text, " %QUERY_PARAM({key})%");
    }
    let [log, ..] = outputs(&policy(&format!("    format: Text\n    text: '{text}'\n")));
    assert!(log.starts_with("open ") && !log.contains(SECRET), "{log}");
}
