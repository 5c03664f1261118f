//! Connections -> measurements.

use super::{calls::OfPart, cells::Measured};
use crate::{
    capture::Direction,
    exchange::Report,
    policy::plan::{Part, Stream},
    telemetry::names::{ConnectionMeasure, Measure},
};

/// The directions, with their names (semconv registry, `network.io.direction`).
pub(super) const DIRECTIONS: [(Direction, &str); 2] = [(Direction::Out, "transmit"), (Direction::In, "receive")];

/// What was measured of a connection, or of one of its directions.
pub(super) struct OfConnection<'a> {
    pub(super) report: &'a Report,
    pub(super) direction: Option<(Direction, &'static str)>,
}

impl Measured for OfConnection<'_> {
    fn each(&self, stream: &Stream, take: impl FnMut(f64)) {
        let Measure::Connection(measure) = stream.instrument.measure else { return };
        let value = match (measure, self.direction) {
            (ConnectionMeasure::Ended, None) => self.report.over.then_some(1.0),
            (ConnectionMeasure::Duration, None) => self.report.duration.map(|duration| duration.as_secs_f64()),
            (ConnectionMeasure::Io, Some((direction, _))) => {
                let bytes = self.report.bytes[direction.index()];
                (bytes > 0).then_some(bytes as f64)
            }
            _ => None,
        };
        value.map(take);
    }
}

impl OfPart for OfConnection<'_> {
    fn part(&self) -> Part {
        Part { io_direction: self.direction.map(|(_, name)| name), ..Part::default() }
    }
}
