//! Spans that are written as lines, and what opens their sinks.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;

use crate::{
    admin::Health,
    cli::exit::Failure,
    export::{LineQueue, Output, SpanFile},
    telemetry::{SpanSink, span::SpanRecord},
};

/// Spans that are written as lines.
pub(super) enum Spans {
    /// By the worker itself, in order: for a replay.
    Direct(SharedSpans),
    /// By a thread of its own: capture never waits for a reader.
    Queue {
        queue: LineQueue,
        /// On a terminal spans are seen one by one.
        immediate: bool,
    },
}

impl Spans {
    /// One worker's sink, which all its plans share.
    pub(super) fn open(&self, local_attributes: &[(String, String)], health: &Health) -> SharedSpans {
        match self {
            Self::Direct(file) => file.clone(),
            Self::Queue { queue, immediate } => {
                let file = SpanFile::queued(queue.sender(), local_attributes.to_vec(), health);
                SharedSpans::new(if *immediate { file.immediate() } else { file })
            }
        }
    }
}

/// A span sink that several plans share.
#[derive(Clone)]
pub(super) struct SharedSpans(Arc<Mutex<SpanFile>>);

impl SharedSpans {
    pub(super) fn new(file: SpanFile) -> Self {
        Self(Arc::new(Mutex::new(file)))
    }
}

impl SpanSink for SharedSpans {
    fn span(&mut self, record: SpanRecord) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).span(record);
    }

    fn flush(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).flush();
    }
}

pub(super) type SpanOpener = Box<dyn Fn() -> Box<dyn SpanSink> + Send>;

pub(super) fn span_opener(sink: impl SpanSink + Clone + 'static) -> SpanOpener {
    Box::new(move || Box::new(sink.clone()))
}

/// A thread that writes spans there.
pub(super) fn span_queue(output: Output, immediate: bool, health: &Arc<Health>) -> Result<Spans, Failure> {
    let queue = LineQueue::of_spans(output, health).context("cannot start the thread that writes spans")?;
    Ok(Spans::Queue { queue, immediate })
}
