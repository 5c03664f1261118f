//! Spans as OTLP JSON lines: one `ExportTraceServiceRequest` each, as the Collector's file exporter writes them.

use super::{LineSender, Output, SPAN_FILE, line_sink::Target, otlp::ExportRecord as _};
use crate::{
    admin::{Counter, Health, table},
    telemetry::{
        SpanSink,
        span::{self, SpanRecord},
    },
};

/// Spans per line at most: the default batch of the specification.
const BATCH: usize = 512;

/// Bytes of texts in a line: the span that reaches it is the last. Content may make a span long.
const BATCH_SIZE: usize = 1024 * 1024;

/// Where lines go.
enum To {
    /// Written by the caller's thread, which waits.
    Output(Target),
    /// Never waited for.
    Queue(LineSender),
}

/// Writes spans to a file or to standard output, in the order in which they come.
pub struct SpanFile {
    to: To,
    batch_length: usize,
    batch: Vec<SpanRecord>,
    /// Bytes of the texts of the batch.
    size: usize,
    local_attributes: Vec<(String, String)>,
    not_json: Counter,
}

impl SpanFile {
    /// A sink that writes there in the caller's thread: for replays, which must not lose. `local_attributes` are added to the resources of
    /// workloads that are of no pod.
    pub fn new(output: Output, local_attributes: Vec<(String, String)>, health: &Health) -> Self {
        Self::to(To::Output(Target::new(SPAN_FILE, output, health)), local_attributes, health)
    }

    /// A sink that puts its lines into a queue of spans, for one worker: a reader that does not read costs spans, never time.
    pub fn queued(queue: LineSender, local_attributes: Vec<(String, String)>, health: &Health) -> Self {
        Self::to(To::Queue(queue), local_attributes, health)
    }

    fn to(to: To, local_attributes: Vec<(String, String)>, health: &Health) -> Self {
        let not_json = health.shared_counter(&table::QUEUE_DROPPED, &[SPAN_FILE, "not_json"]);
        Self { to, batch_length: BATCH, batch: Vec::new(), size: 0, local_attributes, not_json }
    }

    /// Writes a line for every span at once, for a terminal.
    #[must_use]
    pub fn immediate(mut self) -> Self {
        self.batch_length = 1;
        self
    }

    fn write(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let spans = self.batch.len() as u32;
        self.size = 0;
        let request = span::request(self.batch.drain(..), &self.local_attributes);
        let Ok(mut line) = serde_json::to_vec(&request) else {
            self.not_json.add(u64::from(spans));
            return;
        };
        line.push(b'\n');
        match &mut self.to {
            To::Output(target) => target.write(&line, &[spans]),
            To::Queue(queue) => queue.records(&line, spans),
        }
    }
}

impl SpanSink for SpanFile {
    fn span(&mut self, record: SpanRecord) {
        self.size += record.size();
        self.batch.push(record);
        if self.batch.len() >= self.batch_length || self.size >= BATCH_SIZE {
            self.write();
        }
    }

    fn flush(&mut self) {
        self.write();
    }
}

impl Drop for SpanFile {
    fn drop(&mut self) {
        self.write();
    }
}
