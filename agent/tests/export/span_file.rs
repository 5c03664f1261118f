//! Spans and lines as files.

use std::{
    fs, io,
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use telltale::{
    admin::{Health, table},
    capture::Role,
    export::{LineQueue, LineWriter, Output, SPAN_FILE, SpanFile},
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

/// Takes so many bytes, then none for a while, then all.
#[derive(Clone, Default)]
struct Disk(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    room: usize,
    written: Vec<u8>,
}

impl Disk {
    fn has_room(&self, room: usize) {
        self.0.lock().unwrap().room = room;
    }
}

impl io::Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.0.lock().unwrap();
        let taken = bytes.len().min(state.room);
        if taken == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        state.room -= taken;
        state.written.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Its own recorder of spans.
fn recorder(sink: SpanFile, health: &Arc<Health>) -> Recorder {
    let outlets = Outlets { spans: vec![Box::new(sink)], ..Outlets::default() };
    Recorder::new(Settings::default(), Box::new(outlets), health)
}

/// What was cut off stays by itself: the lines after it are whole.
#[test]
fn a_disk_that_is_full_for_a_while_tears_one_line() {
    let (disk, health) = (Disk::default(), Health::new());
    let output = Output { name: "a disk".to_owned(), writer: Box::new(disk.clone()) };
    let mut recorder = recorder(SpanFile::new(output, Vec::new(), &health), &health);
    for (number, room) in [usize::MAX, 100, 0, usize::MAX, usize::MAX].into_iter().enumerate() {
        disk.has_room(room);
        recorder.record(&exchange("curl", Role::Client, number as u64), &ALL);
        recorder.flush();
    }
    let written = String::from_utf8(disk.0.lock().unwrap().written.clone()).unwrap();
    let whole = written.lines().map(|line| serde_json::from_str::<ExportTraceServiceRequest>(line).is_ok());
    assert_eq!(whole.collect::<Vec<_>>(), [true, false, true, true], "{written}");
    let lost = health.value(&table::QUEUE_DROPPED, &[SPAN_FILE, "write_failed"]);
    assert_eq!((health.value(&table::EXPORTED, &[SPAN_FILE]), lost), (3, 2));
}

/// Takes nothing until the other end is dropped.
struct Stuck(mpsc::Receiver<()>);

impl io::Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.recv();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Every span is counted, once, whatever became of it, and not every line.
#[test]
fn a_reader_that_does_not_read_costs_spans_and_no_time() {
    const SPANS: u64 = 30_000;
    let (reader, stuck) = mpsc::channel();
    let health = Health::new();
    let output = Output { name: "a pipe".to_owned(), writer: Box::new(Stuck(stuck)) };
    let queue = LineQueue::of_spans(output, &health).unwrap();
    let mut recorder = recorder(SpanFile::queued(queue.sender(), Vec::new(), &health), &health);
    for number in 0..SPANS {
        recorder.record(&exchange("curl", Role::Client, number), &ALL);
        if number % 300 == 299 {
            recorder.flush();
        }
    }
    let full = health.value(&table::QUEUE_DROPPED, &[SPAN_FILE, "full"]);
    let capacity = health.value(&table::QUEUE_CAPACITY, &[SPAN_FILE]);
    assert!((SPANS - 2 * capacity..SPANS).contains(&full), "{full} of {capacity}");
    drop(reader);
    queue.close(Duration::from_mins(1));
    assert_eq!(health.value(&table::EXPORTED, &[SPAN_FILE]) + full, SPANS);
    assert_eq!(health.value(&table::QUEUE_LENGTH, &[SPAN_FILE]), 0);
}
