//! Traces that nobody injected, and secrets that nobody gives out.

use std::process::Command;

use crate::common::{
    agent::Run,
    program::{Server, curl, done},
    seen::{attribute, nanos, row, text},
};

#[test]
fn a_context_that_came_with_the_request_is_continued() {
    let server = Server::python();
    let run = Run::port(server.port);
    let context = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    done(&mut curl(["-H", context, "-H", "tracestate: a=1,b=2", &server.url("/bytes/1")]));
    let seen = run.stop_after(2);
    assert_eq!((seen.logs.len(), seen.spans.len()), (2, 2), "{}", seen.stderr);
    for span in &seen.spans {
        assert_eq!(text(span, "traceId"), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(text(span, "parentSpanId"), "00f067aa0ba902b7");
        assert_eq!(text(span, "traceState"), "a=1,b=2");
    }
    assert_ne!(seen.spans[0]["spanId"], seen.spans[1]["spanId"]);
}

/// Without a header both ends still meet in one trace, another for each request; and no response precedes its request.
#[test]
fn traces_without_a_header() {
    let server = Server::go();
    let run = Run::port(server.port);
    let url = server.url("/bytes/1");
    let mut client = curl([&url]);
    client.args(["-o", "/dev/null", &url]).args(["-o", "/dev/null", &url]);
    done(&mut client);
    let expected: Vec<_> = (0..3).map(|_| row("GET", "/bytes/1", 200, 0, 1)).collect();
    // Checks that the ends join.
    let seen = run.expect_both_ends(&expected);
    for span in &seen.spans {
        assert!(nanos(span, "startTimeUnixNano") <= nanos(span, "endTimeUnixNano"));
    }
    let mut clients: Vec<_> = seen.spans.iter().filter(|span| span["kind"] == 3).collect();
    clients.sort_by_key(|span| nanos(span, "startTimeUnixNano"));
    for pair in clients.windows(2) {
        assert_ne!(pair[0]["traceId"], pair[1]["traceId"]);
        assert!(nanos(pair[0], "endTimeUnixNano") <= nanos(pair[1], "startTimeUnixNano"));
    }
    assert_eq!(attribute(clients[0], "url.full"), Some(url));
    assert_eq!(attribute(clients[0], "network.peer.port"), Some(server.port.to_string()));
}

/// Every place a secret may stand. The recording holds them, and says so; nothing else does; a scrubbed recording holds none.
#[test]
fn secrets_are_in_no_output() {
    let server = Server::python();
    let run = Run::start_with(["--port", &server.port.to_string()], |folder, command| {
        command.arg("--record").arg(folder.join("recording"))
    });
    let url = format!("http://user:hunter2-a@127.0.0.1:{}/bytes/1?api_key=hunter2-b&q=kept", server.port);
    let fields = [
        "Authorization: Bearer hunter2-c",
        "Proxy-Authorization: Basic hunter2-d",
        "Cookie: session=hunter2-e",
        "X-Api-Key: hunter2-f",
        "X-Goog-Api-Key: hunter2-g",
        "Referer: http://h/?token=hunter2-h",
    ];
    let mut client = curl([&url]);
    for field in fields {
        client.args(["-H", field]);
    }
    done(&mut client);
    let recording = run.file("recording");
    let scrape = run.scrape();
    crate::common::wait_for("the lines", || {
        (std::fs::read_to_string(run.file("logs")).ok()?.lines().count() >= 2).then_some(())
    });
    // Before the folder goes away.
    let kept = tempfile::tempdir().expect("a folder can be made");
    let link = kept.path().join("recording");
    std::fs::hard_link(&recording, &link).expect("one file system");
    let seen = run.stop();
    seen.assert_reporter("client", &[row("GET", "/bytes/1?api_key=REDACTED&q=kept", 200, 0, 1)]);
    for output in [&seen.raw, &seen.stderr, &scrape] {
        assert!(!output.contains("hunter2"), "{output}");
    }
    assert!(seen.stderr.contains("credentials included"), "{}", seen.stderr);

    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&link).expect("it was written").permissions());
    assert_eq!(mode & 0o777, 0o600);
    let scrubbed = kept.path().join("scrubbed");
    done(Command::new(crate::common::agent::TELLTALE).arg("replay").arg(&link).arg("--scrub").arg(&scrubbed));
    assert!(payload(&link).contains("hunter2-c"));
    assert!(!payload(&scrubbed).contains("hunter2"), "{}", payload(&scrubbed));
}

/// All bytes of a recording.
fn payload(recording: &std::path::Path) -> String {
    let file = std::fs::File::open(recording).expect("it was written");
    let mut reader = telltale::capture::recording::Reader::new("test".to_owned(), std::io::BufReader::new(file));
    let mut all = Vec::new();
    while let Some(event) = reader.next_event() {
        if let telltale::capture::EventKind::Data { bytes, .. } = event.expect("a recording is well formed").kind {
            all.extend_from_slice(bytes);
        }
    }
    String::from_utf8_lossy(&all).into_owned()
}
