//! Spans as OTLP JSON lines: one `ExportTraceServiceRequest` each, as the Collector's file exporter writes them.

use std::io::Write;

use super::Output;
use crate::{
    admin::{Counter, Health, table},
    telemetry::{
        SpanSink,
        span::{self, SpanRecord},
    },
};

/// Spans per line at most: the default batch of the specification.
const BATCH: usize = 512;

/// Writes spans to a file or to standard output, in the order in which they come. Synchronous: for replays, and for the `console` exporter.
pub struct SpanFile {
    output: Output,
    batch_size: usize,
    batch: Vec<SpanRecord>,
    local_attributes: Vec<(String, String)>,
    exported: Counter,
    dropped: Counter,
    failed: bool,
}

impl SpanFile {
    /// A sink that writes there. `local_attributes` are added to the resources of workloads that are of no pod.
    pub fn new(output: Output, local_attributes: Vec<(String, String)>, health: &Health) -> Self {
        Self {
            output,
            batch_size: BATCH,
            batch: Vec::new(),
            local_attributes,
            exported: health.counter(&table::EXPORTED, &["span_file"]),
            dropped: health.counter(&table::QUEUE_DROPPED, &["span_file", "write_failed"]),
            failed: false,
        }
    }

    /// Writes a line for every span at once, for a terminal.
    #[must_use]
    pub fn immediate(mut self) -> Self {
        self.batch_size = 1;
        self
    }

    fn write(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let spans = self.batch.len() as u64;
        let request = span::request(self.batch.drain(..), &self.local_attributes);
        let written = serde_json::to_vec(&request).map_err(std::io::Error::other).and_then(|mut line| {
            line.push(b'\n');
            self.output.writer.write_all(&line)?;
            self.output.writer.flush()
        });
        match written {
            Ok(()) => self.exported.add(spans),
            Err(error) => {
                self.dropped.add(spans);
                if !self.failed {
                    tracing::error!(
                        "cannot write spans to {}: {error}; spans are lost and counted until it works again",
                        self.output.name
                    );
                }
                self.failed = true;
                return;
            }
        }
        self.failed = false;
    }
}

impl SpanSink for SpanFile {
    fn span(&mut self, record: SpanRecord) {
        self.batch.push(record);
        if self.batch.len() >= self.batch_size {
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
