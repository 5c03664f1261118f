//! Spans and lines as files.

use std::{fs, sync::Arc};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use telltale::{
    admin::{Health, table},
    capture::Role,
    export::{LineWriter, Output, SpanFile},
    telemetry::{Outlets, Recorder, Settings, metrics::Metrics},
};

use super::sample::{ALL, exchange};

/// Records this many exchanges, both ends, into two files.
fn write(directory: &std::path::Path, exchanges: u64) -> (Vec<u8>, Vec<u8>) {
    let health = Health::new();
    let (spans, logs) = (directory.join("spans"), directory.join("logs"));
    let output = |path| Output::open(path, false).unwrap();
    let settings = Settings::default();
    let metrics = Metrics::new(Arc::clone(&settings.methods));
    let outlets = Outlets {
        metrics: metrics.shard(&ALL),
        spans: vec![Box::new(SpanFile::new(output(&spans), Vec::new(), &health))],
        logs: vec![Box::new(LineWriter::new(output(&logs), &health))],
    };
    let mut recorder = Recorder::new(settings, Box::new(outlets), &health);
    for number in 0..exchanges {
        recorder.record(&exchange("curl", Role::Client, number), &ALL);
        recorder.record(&exchange("shop", Role::Server, number), &ALL);
    }
    recorder.flush();
    assert_eq!(health.value(&table::EXPORTED, &["span_file"]), exchanges * 2);
    (fs::read(spans).unwrap(), fs::read(logs).unwrap())
}

#[test]
fn files_are_whole_and_the_same_every_time() {
    let directory = tempfile::tempdir().unwrap();
    let (spans, logs) = write(directory.path(), 300);
    assert_eq!((spans.clone(), logs.clone()), write(directory.path(), 300));
    let text = String::from_utf8(spans).unwrap();
    let requests: Vec<ExportTraceServiceRequest> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let resources: Vec<_> = requests.iter().map(|request| request.resource_spans.len()).collect();
    assert_eq!(resources, [2, 2], "512 spans in the first line, 88 in the second, each of two services");
    assert_eq!(logs.split_inclusive(|&byte| byte == b'\n').count(), 600);
}

/// The form of the Collector's file exporter: hexadecimal ids, 64-bit integers as strings, lower camel case.
#[test]
fn a_line_has_the_form_of_otlp_json() {
    let directory = tempfile::tempdir().unwrap();
    let (spans, _) = write(directory.path(), 1);
    let line: serde_json::Value = serde_json::from_slice(&spans).unwrap();
    let span = &line["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    assert_eq!(span["traceId"].as_str().map(str::len), Some(32));
    assert_eq!(span["spanId"].as_str().map(str::len), Some(16));
    assert_eq!(span["startTimeUnixNano"], "1700000000000000000");
    let server = &line["resourceSpans"][1]["scopeSpans"][0]["spans"][0];
    assert_eq!((&server["parentSpanId"], &server["traceId"]), (&span["spanId"], &span["traceId"]));
    let status = span["attributes"].as_array().unwrap().iter().find(|a| a["key"] == "http.response.status_code");
    assert_eq!(status.unwrap()["value"]["intValue"], "200");
}
