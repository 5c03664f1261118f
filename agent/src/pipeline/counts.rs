//! What a pipeline counts, as metrics of the agent's health.

use std::sync::Arc;

use crate::{
    admin::{Counter, Gauge, Health, SelfMetric, table},
    capture::{Event, EventKind, GapReason},
    exchange,
    protocol::Protocol,
    workload,
};

/// Where the rows of the stages' counters go: row name, metric, and the values of its labels before the row's `reason`.
const ROWS: &[(&str, &SelfMetric, &[&str])] = &[
    ("telltale.stream.reordered", &table::STREAM_REORDERED, &[]),
    ("telltale.stream.late_bytes", &table::STREAM_LATE_BYTES, &[]),
    ("telltale.stream.window.cut_short", &table::STREAM_CUT_SHORT, &[]),
    ("telltale.stream.data_bytes", &table::STREAM_DATA_BYTES, &[]),
    ("telltale.stream.gap_bytes", &table::GAP_BYTES, &[]),
    ("telltale.http1.messages", &table::HTTP1_MESSAGES, &[]),
    ("telltale.http1.parse_failures", &table::PARSE_FAILURES, &["http1"]),
    ("telltale.http1.heads_lost", &table::HTTP1_HEADS_LOST, &[]),
    ("telltale.http1.resyncs", &table::RESYNCHRONISATIONS, &["http1"]),
    ("telltale.http1.skipped_bytes", &table::HTTP1_SKIPPED_BYTES, &[]),
    ("telltale.http1.unpaired_responses", &table::UNPAIRED_RESPONSES, &[]),
    ("telltale.http1.wait_overflows", &table::HTTP1_WAIT_OVERFLOWS, &[]),
    ("telltale.http1.pipeline_overflows", &table::HTTP1_PIPELINE_OVERFLOWS, &[]),
    ("telltale.http1.given_up", &table::HTTP1_GIVEN_UP, &[]),
    ("telltale.protocol.detection_overflows", &table::DETECTION_OVERFLOWS, &[]),
    ("telltale.protocol.opaque_bytes", &table::OPAQUE_BYTES, &[]),
    ("telltale.body.items", &table::BODY_ITEMS, &[]),
    ("telltale.body.unreadable", &table::BODY_UNREADABLE, &[]),
    ("telltale.body.cut", &table::BODY_CUT, &[]),
    ("telltale.mcp.answers", &table::MCP_ANSWERS, &[]),
    ("telltale.mcp.unanswered", &table::MCP_UNANSWERED, &[]),
    ("telltale.mcp.sessions_forgotten", &table::MCP_SESSIONS_FORGOTTEN, &[]),
    ("telltale.mcp.messages_beyond", &table::MCP_MESSAGES_BEYOND, &[]),
    ("telltale.content.cut_bytes", &table::CONTENT_CUT_BYTES, &[]),
    ("telltale.content.withheld", &table::CONTENT_WITHHELD, &[]),
];

/// Those that are counted.
const PROTOCOLS: [Protocol; 5] =
    [Protocol::Http1, Protocol::Http2, Protocol::Tls, Protocol::Upgraded, Protocol::Unknown];

/// The name of a direction in metrics; by [`crate::capture::Direction::index`].
const DIRECTIONS: [&str; 2] = ["out", "in"];

/// Handles to one worker's cells.
pub(super) struct Counts {
    health: Arc<Health>,
    events: [Counter; 4],
    copied: [Counter; 2],
    gaps: Vec<(GapReason, Counter)>,
    by_protocol: Vec<(Protocol, Counter, [Counter; 2])>,
    pub(super) opened: Counter,
    pub(super) closed: Counter,
    pub(super) evicted: Counter,
    pub(super) without_open: Counter,
    tracked: Gauge,
    overflowed: Counter,
    workloads_evicted: Counter,
    /// One for each row of the stages' counters, in their order; made when the row first counts.
    rows: Vec<(Option<Counter>, u64)>,
}

impl Counts {
    pub(super) fn new(health: &Arc<Health>) -> Self {
        let by_protocol = PROTOCOLS
            .iter()
            .map(|&protocol| {
                let name = protocol.name();
                let bytes = DIRECTIONS.map(|direction| health.counter(&table::CONNECTION_BYTES, &[name, direction]));
                (protocol, health.counter(&table::CONNECTIONS_PROTOCOL, &[name]), bytes)
            })
            .collect();
        Self {
            events: ["open", "data", "gap", "close"].map(|kind| health.counter(&table::EVENTS, &[kind])),
            copied: DIRECTIONS.map(|direction| health.counter(&table::EVENT_BYTES, &[direction])),
            gaps: Vec::new(),
            by_protocol,
            opened: health.counter(&table::CONNECTIONS_OPENED, &[]),
            closed: health.counter(&table::CONNECTIONS_CLOSED, &[]),
            evicted: health.counter(&table::CONNECTIONS_EVICTED, &["limit"]),
            without_open: health.counter(&table::EVENTS_WITHOUT_OPEN, &[]),
            tracked: health.gauge(&table::CONNECTIONS_TRACKED, &[]),
            overflowed: health.counter(&table::EXCHANGES_OVERFLOWED, &[]),
            workloads_evicted: health.counter(&table::WORKLOADS_EVICTED, &[]),
            rows: Vec::new(),
            health: Arc::clone(health),
        }
    }

    pub(super) fn event(&mut self, event: &Event<'_>) {
        let kind = match &event.kind {
            EventKind::Open(_) => 0,
            EventKind::Data { direction, bytes, .. } => {
                self.copied[direction.index()].add(bytes.len() as u64);
                1
            }
            EventKind::Gap { reason, .. } => {
                self.gap(*reason);
                2
            }
            EventKind::Close { .. } => 3,
        };
        self.events[kind].add(1);
    }

    fn gap(&mut self, reason: GapReason) {
        if let Some((_, counter)) = self.gaps.iter().find(|(known, _)| *known == reason) {
            return counter.add(1);
        }
        let counter = self.health.counter(&table::GAPS, &[reason.name()]);
        counter.add(1);
        self.gaps.push((reason, counter));
    }

    /// Counts the bytes of an event for what its connection speaks, and the connection when that has changed.
    pub(super) fn protocol(&self, counted: &mut Option<Protocol>, now: Protocol, event: &Event<'_>) {
        let Some((_, connections, bytes)) = self.by_protocol.iter().find(|(protocol, ..)| *protocol == now) else {
            return;
        };
        // Not known yet is not unknown: [`Self::undetected`] counts those that stay so.
        if now != Protocol::Unknown && *counted != Some(now) {
            *counted = Some(now);
            connections.add(1);
        }
        match event.kind {
            EventKind::Data { direction, length, .. } => bytes[direction.index()].add(u64::from(length)),
            EventKind::Gap { direction, length, .. } => bytes[direction.index()].add(length),
            EventKind::Open(_) | EventKind::Close { .. } => {}
        }
    }

    /// A connection ended of which it was never found out what it speaks, although it moved bytes.
    pub(super) fn undetected(&self) {
        if let Some((_, connections, _)) = self.by_protocol.iter().find(|(protocol, ..)| *protocol == Protocol::Unknown)
        {
            connections.add(1);
        }
    }

    pub(super) fn assembler(&self, counters: exchange::Counters) {
        self.overflowed.add(counters.overflow);
    }

    /// Publishes what the stages counted in numbers of their own.
    pub(super) fn publish(
        &mut self,
        tracked: usize,
        workloads: workload::Counters,
        rows: impl Iterator<Item = (&'static str, &'static str, u64)>,
    ) {
        self.tracked.set(tracked as i64);
        self.workloads_evicted.add(workloads.evicted - self.workloads_evicted.get());
        for (index, (name, reason, value)) in rows.enumerate() {
            if index == self.rows.len() {
                self.rows.push((None, 0));
            }
            let (counter, published) = &mut self.rows[index];
            if value > *published {
                if counter.is_none() {
                    *counter = cell(&self.health, name, reason);
                }
                if let Some(counter) = counter {
                    counter.add(value - *published);
                }
                *published = value;
            }
        }
    }
}

/// The cell of a row; `None` if [`ROWS`] does not have it, which a test rules out.
fn cell(health: &Health, name: &str, reason: &str) -> Option<Counter> {
    let (_, metric, labels) = ROWS.iter().find(|(row, ..)| *row == name)?;
    let mut labels = labels.to_vec();
    if !reason.is_empty() {
        labels.push(reason);
    }
    Some(health.counter(metric, &labels))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{protocol, stream};

    #[test]
    fn every_row_of_every_stage_has_its_metric() {
        let (stream, protocol, body, budget) =
            <(stream::Counters, protocol::Counters, protocol::body::Counters, exchange::Budget)>::default();
        let mcp = exchange::mcp::CorrelatorCounters::default();
        let rows = stream.rows().chain(protocol.rows()).chain(body.rows()).chain(mcp.rows()).chain(budget.rows());
        for (name, reason, _) in rows {
            let (_, metric, labels) =
                ROWS.iter().find(|(row, ..)| *row == name).unwrap_or_else(|| panic!("{name} has no metric"));
            assert_eq!(metric.labels.len(), labels.len() + usize::from(!reason.is_empty()), "{name}");
        }
    }
}
