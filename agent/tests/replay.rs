//! `telltale replay` as its users run it: the binary, recordings in, outputs and messages out.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use telltale::capture::recording::{MAX_LINE, Reader, Writer};
use tempfile::TempDir;

fn recording(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings").join(name)
}

fn telltale(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_telltale"))
        .args(arguments)
        .env_remove("RUST_LOG")
        .output()
        .expect("the binary runs")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("outputs are UTF-8")
}

/// Replays and expects success; returns stdout.
fn replay(arguments: &[&str]) -> String {
    let output = telltale(&[&["replay"], arguments].concat());
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout).to_owned()
}

/// Runs what must fail; returns the exit code and the one line on stderr.
fn failure(arguments: &[&str]) -> (i32, String) {
    let output = telltale(arguments);
    let stderr = text(&output.stderr);
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    (output.status.code().expect("no signal"), stderr.trim_end().to_owned())
}

fn path(path: &Path) -> &str {
    path.to_str().expect("paths of tests are UTF-8")
}

/// All outputs of a recording, stdout first.
fn outputs(recording: &Path, directory: &TempDir) -> [String; 4] {
    let file = |name: &str| directory.path().join(name);
    let (spans, metrics) = (file("spans"), file("metrics"));
    let arguments = [path(recording), "--logs", "-", "--spans", path(&spans), "--metrics", path(&metrics)];
    let output = telltale(&[&["replay"], &arguments[..]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let read = |path: &Path| fs::read_to_string(path).expect("the output was written");
    [text(&output.stdout).to_owned(), text(&output.stderr).to_owned(), read(&spans), read(&metrics)]
}

/// Field `key` of every line, as JSON.
fn column(lines: &str, key: &str) -> Vec<serde_json::Value> {
    lines
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("a line is JSON")[key].clone())
        .collect()
}

#[test]
fn both_ends_of_one_connection_are_in_one_trace() {
    let logs = replay(&[path(&recording("pair.jsonl"))]);
    insta::assert_snapshot!(logs);
    let (traces, reporters) = (column(&logs, "trace_id"), column(&logs, "reporter"));
    assert_eq!(reporters, ["server", "client", "server", "client"]);
    assert_eq!((&traces[0], &traces[2]), (&traces[1], &traces[3]));
    assert_ne!(traces[0], traces[2]);
}

#[test]
fn what_was_not_seen_whole_says_why_and_the_next_is_right() {
    let directory = tempfile::tempdir().unwrap();
    let [logs, stderr, ..] = outputs(&recording("edges.jsonl"), &directory);
    insta::assert_snapshot!(logs);
    insta::assert_snapshot!(stderr);
    // The exchange of the exporter is counted only.
    assert!(!logs.contains("/v1/traces"));
}

/// What one connection of a server says: events of the recording, without time and connection.
fn connection(number: u64, events: &[String]) -> String {
    let open = format!(
        r#""ev":"open","role":"server","local":"10.0.0.2:80","peer":"10.0.0.1:{number}","pid":12,"comm":"shop""#
    );
    let events = [open].into_iter().chain(events.iter().cloned()).enumerate();
    let line = |(index, event)| {
        let time = 1_700_000_000_000_000_000 + number * 1_000_000_000 + index as u64 * 1_000_000;
        format!("{{\"t\":{time},\"conn\":{number},{event}}}\n")
    };
    events.map(line).collect()
}

fn data(direction: &str, position: usize, bytes: &str) -> String {
    let (length, text) = (bytes.len(), STANDARD.encode(bytes));
    format!(r#""ev":"data","dir":"{direction}","pos":{position},"len":{length},"b64":"{text}""#)
}

/// POLICY.md section 4, "Incomplete": from the first byte of the request to the last of the response, whatever became of the rest.
#[test]
fn an_exchange_is_measured_if_its_response_was_seen_to_its_end() {
    let get = data("in", 0, "GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = data("in", 0, "HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n");
    let post = data("in", 0, "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\nbegin");
    let chunked_post = data("in", 0, "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegin\r\n");
    let refused = data("out", 0, "HTTP/1.1 413 X\r\nContent-Length: 3\r\n\r\nbig");
    let partial = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n";
    let gap =
        |length: usize| format!(r#""ev":"gap","dir":"out","pos":{},"len":{length},"why":"sendfile""#, partial.len());
    let (whole_gap, short_gap) = (gap(100), gap(99));
    let until_close = data("out", 0, "HTTP/1.1 200 OK\r\n\r\nrest");
    let partial = data("out", 0, partial);
    let (fin, reset) = (r#""ev":"close","how":"fin""#.to_owned(), r#""ev":"close","how":"reset""#.to_owned());
    let cases = [
        (vec![&post, &refused, &fin], true, Some("truncated")),
        (vec![&post, &refused, &reset], true, Some("reset")),
        (vec![&chunked_post, &refused, &fin], true, Some("truncated")),
        // The recording ends while the request goes on.
        (vec![&post, &refused], true, Some("truncated")),
        (vec![&post, &partial, &fin], false, Some("truncated")),
        (vec![&post, &until_close, &fin], true, Some("truncated")),
        (vec![&get, &until_close, &fin], true, None),
        (vec![&get, &until_close, &reset], false, Some("reset")),
        (vec![&get, &until_close], false, Some("truncated")),
        (vec![&get, &partial, &fin], false, Some("truncated")),
        (vec![&head, &partial, &fin], true, None),
        (vec![&get, &partial, &whole_gap, &fin], true, Some("sendfile")),
        // What is missing was not all that did not come.
        (vec![&get, &partial, &short_gap, &fin], false, Some("sendfile")),
    ];
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cases.jsonl");
    let numbered = cases.iter().zip(1..).map(|((events, ..), number)| {
        connection(number, &events.iter().map(|&event| event.clone()).collect::<Vec<_>>())
    });
    fs::write(&file, numbered.collect::<String>()).unwrap();
    let [logs, _, _, metrics] = outputs(&file, &directory);
    let mut seen: Vec<_> = (column(&logs, "source").iter())
        .map(|source| source.as_str().and_then(|peer| peer.rsplit_once(':')).unwrap().1.parse::<usize>().unwrap())
        .zip(column(&logs, "duration").iter().map(serde_json::Value::is_number))
        .zip(column(&logs, "incomplete").iter().map(|why| why.as_str().map(str::to_owned)))
        .map(|((number, measured), why)| (number, measured, why))
        .collect();
    seen.sort_unstable();
    let expected: Vec<_> =
        cases.iter().zip(1..).map(|((_, measured, why), number)| (number, *measured, why.map(str::to_owned))).collect();
    assert_eq!(seen, expected);

    let total = |name: &str, of: &str| -> u64 {
        let counts = metrics.lines().filter(|line| line.starts_with(name) && line.contains(of));
        counts.map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum()
    };
    assert_eq!(total("http_server_request_duration_seconds_count", "\"413\""), 4, "{metrics}");
    assert_eq!(total("http_server_request_duration_seconds_count", ""), 8, "{metrics}");
}

#[test]
fn the_same_recording_gives_the_same_outputs() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["pair.jsonl", "edges.jsonl"] {
        let first = outputs(&recording(name), &directory);
        assert_eq!(first, outputs(&recording(name), &directory));
        assert!(first.iter().all(|output| !output.is_empty()));
    }
}

#[test]
fn secrets_are_in_no_output() {
    let directory = tempfile::tempdir().unwrap();
    let raw = fs::read_to_string(recording("pair.jsonl")).unwrap();
    assert!(decoded(&raw).contains("s3cr3t"));
    for output in outputs(&recording("pair.jsonl"), &directory) {
        assert!(!output.contains("s3cr3t"), "{output}");
    }
}

/// The payload of a recording.
fn decoded(recording: &str) -> String {
    let mut all = Vec::new();
    let mut reader = Reader::new("test".to_owned(), recording.as_bytes());
    while let Some(event) = reader.next_event() {
        if let telltale::capture::EventKind::Data { bytes, .. } = event.unwrap().kind {
            all.extend_from_slice(bytes);
        }
    }
    String::from_utf8_lossy(&all).into_owned()
}

#[test]
fn a_scrubbed_recording_is_as_long_holds_no_secret_and_replays_to_the_same() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["pair.jsonl", "edges.jsonl"] {
        let scrubbed = directory.path().join(name);
        assert_eq!(replay(&[path(&recording(name)), "--scrub", path(&scrubbed)]), "");
        let (before, after) = (fs::read_to_string(recording(name)).unwrap(), fs::read_to_string(&scrubbed).unwrap());
        assert_eq!(before.len(), after.len());
        assert!(!decoded(&after).contains("s3cr3t"));
        assert_eq!(outputs(&recording(name), &directory), outputs(&scrubbed, &directory));
        // Nothing is left to find.
        let again = directory.path().join("again");
        replay(&[path(&scrubbed), "--scrub", path(&again)]);
        assert_eq!(fs::read_to_string(&again).unwrap(), after);
    }
}

#[cfg(unix)]
#[test]
fn a_scrubbed_recording_is_readable_by_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let scrubbed = directory.path().join("s");
    replay(&[path(&recording("pair.jsonl")), "--scrub", path(&scrubbed)]);
    assert_eq!(fs::metadata(&scrubbed).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn recordings_follow_each_other_and_do_not_mix() {
    let one = replay(&[path(&recording("pair.jsonl"))]);
    let twice = replay(&[path(&recording("pair.jsonl")), path(&recording("pair.jsonl"))]);
    assert_eq!(twice, one.repeat(2));
}

#[test]
fn the_access_log_goes_to_stdout_unless_another_output_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let metrics = directory.path().join("metrics");
    assert_eq!(replay(&[path(&recording("pair.jsonl")), "--metrics", path(&metrics)]), "");
    assert!(fs::read_to_string(&metrics).unwrap().contains("http_server_request_duration_seconds_count"));
}

#[test]
fn a_broken_line_stops_the_replay_after_what_came_before_it() {
    let directory = tempfile::tempdir().unwrap();
    let broken = directory.path().join("broken.jsonl");
    let good = fs::read_to_string(recording("pair.jsonl")).unwrap();
    let line = good.lines().count() + 1;
    fs::write(&broken, format!("{good}{{\"t\":1,\"ev\":\"data\",\"conn\":1,\"dir\":\"up\"}}\n{good}")).unwrap();
    let output = telltale(&["replay", path(&broken)]);
    assert_eq!(output.status.code(), Some(1));
    let expected =
        format!("telltale: {}:{line}: field \"dir\": \"up\" is neither \"out\" nor \"in\"\n", broken.display());
    assert_eq!(text(&output.stderr), expected);
    let whole = replay(&[path(&recording("pair.jsonl"))]);
    assert_eq!(text(&output.stdout), whole);

    let output = telltale(&["replay", "--keep-going", path(&broken)]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stdout), whole.repeat(2));
    assert!(text(&output.stderr).contains("1 broken line left out"), "{}", text(&output.stderr));
}

#[test]
fn a_line_beyond_the_bound_is_named_and_left_out() {
    let directory = tempfile::tempdir().unwrap();
    let long = directory.path().join("long.jsonl");
    let good = fs::read_to_string(recording("pair.jsonl")).unwrap();
    let fields = ",\"x\":1".repeat(70);
    let many = format!("{{\"t\":1,\"ev\":\"close\",\"conn\":9{fields}}}");
    fs::write(&long, format!("{}\n{many}\n{good}", " ".repeat(MAX_LINE + 1))).unwrap();
    let (code, line) = failure(&["replay", path(&long)]);
    assert_eq!((code, line), (1, format!("telltale: {}:1: longer than {MAX_LINE} bytes", long.display())));
    let output = telltale(&["replay", "--keep-going", path(&long)]);
    assert_eq!(text(&output.stdout), replay(&[path(&recording("pair.jsonl"))]));
    let stderr = text(&output.stderr);
    assert!(stderr.contains(":2: not a JSON object: more than 64 fields"), "{stderr}");
    assert!(stderr.contains("2 broken lines left out"), "{stderr}");
}

#[test]
fn wrong_usage_is_one_line_and_exit_code_2() {
    let pair = recording("pair.jsonl");
    let pair = path(&pair);
    let table: &[(&[&str], &str)] = &[
        (&["replay"], "required"),
        (&["replay", pair, "--frobnicate"], "--frobnicate"),
        (&["replay", pair, "--log", "-"], "--logs"),
        (&["play"], "play"),
        (&["replay", pair, "--spans", "same", "--logs", "same"], "same file"),
        (&["replay", pair, pair, "--scrub", "-"], "one RECORDING"),
        (&["replay", pair, "--scrub", "-", "--logs", "-"], "both write to stdout"),
    ];
    for (arguments, part) in table {
        let (code, line) = failure(arguments);
        assert_eq!(code, 2, "{arguments:?}");
        assert!(line.starts_with("telltale: ") && line.contains(part), "{line}");
    }
    assert_eq!(telltale(&[]).status.code(), Some(2));
    for help in [&["--help"][..], &["replay", "--help"], &["--version"]] {
        let output = telltale(help);
        assert_eq!(output.status.code(), Some(0));
        assert!(!output.stdout.is_empty() && output.stderr.is_empty());
    }
}

#[test]
fn what_cannot_be_read_or_written_is_named_and_exit_code_1() {
    let directory = tempfile::tempdir().unwrap();
    let copy = directory.path().join("copy.jsonl");
    fs::copy(recording("pair.jsonl"), &copy).unwrap();
    let kept = fs::read(&copy).unwrap();
    let copy = path(&copy);
    let away = directory.path().join("away/out");
    let table: &[(&[&str], &str)] = &[
        (&["replay", "no such file"], "no such file: cannot read: No such file"),
        (&["replay", path(directory.path())], "directory"),
        (&["replay", copy, "--logs", path(&away)], "away/out"),
        (&["replay", copy, "--logs", copy], "--logs would overwrite the recording"),
        (&["replay", copy, "--scrub", copy], "--scrub would overwrite the recording"),
        (&["replay", copy, "--scrub", path(&away)], "away/out"),
    ];
    for (arguments, part) in table {
        let (code, line) = failure(arguments);
        assert_eq!(code, 1, "{arguments:?}");
        assert!(line.starts_with("telltale: ") && line.contains(part), "{line}");
    }
    assert_eq!(fs::read(copy).unwrap(), kept);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_a_message_and_a_failure() {
    let pair = recording("pair.jsonl");
    for flag in ["--logs", "--spans", "--metrics"] {
        let output = telltale(&["replay", path(&pair), flag, "/dev/full"]);
        assert_eq!(output.status.code(), Some(1), "{flag}");
        assert!(text(&output.stderr).contains("No space left on device"), "{flag}: {}", text(&output.stderr));
    }
}

#[test]
fn an_empty_recording_is_no_exchanges() {
    let directory = tempfile::tempdir().unwrap();
    let empty = directory.path().join("empty");
    fs::write(&empty, "\n\n").unwrap();
    let output = telltale(&["replay", path(&empty)]);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), ""));
    assert!(text(&output.stderr).contains("no HTTP exchanges"));
}

#[test]
fn what_is_read_can_be_written_again() {
    for name in ["pair.jsonl", "edges.jsonl"] {
        let original = fs::read_to_string(recording(name)).unwrap();
        let mut reader = Reader::new(name.to_owned(), original.as_bytes());
        let mut writer = Writer::new(Vec::new());
        while let Some(event) = reader.next_event() {
            writer.write(&event.unwrap()).unwrap();
        }
        assert_eq!(text(&writer.finish().unwrap()), original);
    }
}

/// Traffic of real programs (`cargo xtask recordings` takes it), each through all stages: every line as it was when it was taken.
#[test]
fn recordings_of_real_traffic() {
    for (name, lines) in [
        ("bad_endings", 4),
        ("chat_stream", 2),
        ("curl_python", 6),
        ("late_join", 4),
        ("nginx_sendfile", 4),
        ("node", 14),
        ("pipelined", 20),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let file = recording(&format!("{name}.jsonl"));
        assert!(fs::metadata(&file).unwrap().len() < 60_000);
        let [logs, ..] = outputs(&file, &directory);
        insta::assert_snapshot!(format!("real_{name}"), logs);
        // Both ends of each exchange, in one trace each.
        assert_eq!(logs.lines().count(), lines, "{name}");
        let ends: std::collections::BTreeSet<_> = column(&logs, "trace_id")
            .iter()
            .zip(column(&logs, "reporter"))
            .map(|(trace, reporter)| (trace.to_string(), reporter.to_string()))
            .collect();
        let traces: std::collections::BTreeSet<_> = ends.iter().map(|(trace, _)| trace).collect();
        assert_eq!((ends.len(), traces.len()), (lines, lines / 2), "{name}");
        assert!(!decoded(&fs::read_to_string(&file).unwrap()).contains("hunter2"), "{name}");
    }
}

/// curl and a server of `asyncio` over TLS 1.3, both ends (`run --port N --record`, then `replay --scrub`): what the sockets moved and what was inside.
#[test]
fn a_recording_of_tls() {
    let directory = tempfile::tempdir().unwrap();
    let file = recording("tls.jsonl");
    let [logs, _, spans, metrics] = outputs(&file, &directory);
    insta::assert_snapshot!("real_tls", logs);
    assert_eq!(column(&logs, "reporter"), ["server", "client", "server", "client"]);
    let traces: std::collections::BTreeSet<_> = column(&logs, "trace_id").iter().map(ToString::to_string).collect();
    assert_eq!(traces.len(), 2, "one for both ends of each");
    assert!(!decoded(&fs::read_to_string(&file).unwrap()).contains("hunter2"));
    let version = r#"{"key":"tls.protocol.version","value":{"stringValue":"1.3"}}"#;
    assert_eq!(spans.matches(version).count(), 4);
    assert_eq!(spans.matches("https://localhost:").count(), 2);
    let of = |reporter: &str| format!("telltale_reporter=\"{reporter}\",telltale_connection_visibility=\"decrypted\"");
    for reporter in ["client", "server"] {
        let mut samples = metrics.lines().filter(|line| line.starts_with("telltale_connections_total{"));
        let sample = samples.find(|line| line.contains(&of(reporter))).unwrap_or_else(|| panic!("{metrics}"));
        assert!(sample.ends_with(" 1"), "{sample}");
    }
    assert!(!metrics.contains("visibility=\"opaque\""), "{metrics}");
}

/// Replays a recording under a policy with this stanza; returns the lines.
fn logs_under(recording_name: &str, stanza: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let policy = directory.path().join("policy.yaml");
    let text = format!(
        "apiVersion: gateway.networking.k8s.io/v1alpha2\nkind: TelemetryPolicy\nmetadata: {{name: logs, namespace: shop}}\n\
         spec:\n  targetRef: {{group: \"\", kind: Namespace, name: shop}}\n  accessLogs:\n{stanza}"
    );
    fs::write(&policy, text).unwrap();
    replay(&[path(&recording(recording_name)), "--policy", path(&policy), "--logs", "-"])
}

#[test]
fn the_access_log_of_the_proposal() {
    let stanza = "    enable: true\n    format: JSON\n    matches: [{path: /bytes/1000}]\n    fields: [start_time, response_code, x-token-usage, path]\n";
    let logs = logs_under("node.jsonl", stanza);
    assert!(logs.lines().count() > 1, "{logs}");
    for line in logs.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let keys: Vec<&String> = line.as_object().unwrap().keys().collect();
        assert_eq!(
            (keys.len(), &line["path"], &line["response_code"]),
            (3, &"/bytes/1000".into(), &200.into()),
            "{line}"
        );
    }
}

#[test]
fn a_line_comes_out_once_whatever_its_sinks() {
    let file = tempfile::tempdir().unwrap().path().join("never.log");
    let sinks = format!(
        "    enable: true\n    sinks: [{{type: Stdout}}, {{type: File, path: {}}}, {{type: OTLP, endpoint: \"collector:4317\"}}]\n",
        path(&file)
    );
    let (one, three) = (logs_under("pair.jsonl", "    enable: true\n"), logs_under("pair.jsonl", &sinks));
    assert_eq!(one.lines().count(), 4);
    assert_eq!(one, three);
    assert!(!file.exists());
}

#[test]
fn text_has_the_operators_of_envoy() {
    let logs = logs_under(
        "pair.jsonl",
        "    enable: true\n    format: Text\n    text: '%REQ(:METHOD)% %PATH(NQ)% %PROTOCOL% %RESPONSE_CODE% %ROUTE_NAME% %CEL(response.code < 400)%'\n",
    );
    insta::assert_snapshot!(logs);
}
