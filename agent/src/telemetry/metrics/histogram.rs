//! A histogram with explicit buckets.

use super::super::names::{INSTRUMENTS, Instrument};

/// The most buckets that any instrument of the table has, `+Inf` included.
const MAX_BUCKETS: usize = {
    let mut most = 0;
    let mut index = 0;
    while index < INSTRUMENTS.len() {
        if INSTRUMENTS[index].buckets.len() > most {
            most = INSTRUMENTS[index].buckets.len();
        }
        index += 1;
    }
    most + 1
};

/// A measurement with the span in whose context it was made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exemplar {
    /// Trace id.
    pub trace_id: u128,
    /// Span id.
    pub span_id: u64,
    /// The measurement.
    pub value: f64,
    /// When, in nanoseconds since the epoch.
    pub time: u64,
}

/// Counts per bucket, sum, count, and the last exemplar of each bucket.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: [u64; MAX_BUCKETS],
    sum: f64,
    count: u64,
    exemplars: Option<Box<[Option<Exemplar>; MAX_BUCKETS]>>,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: [0; MAX_BUCKETS], sum: 0.0, count: 0, exemplars: None }
    }
}

impl Histogram {
    /// Adds a measurement.
    pub fn record(&mut self, instrument: &Instrument, value: f64, exemplar: Option<Exemplar>) {
        // Bounds are inclusive above. Few buckets: a linear search is faster than a binary one.
        let bucket = instrument.buckets.iter().position(|&bound| value <= bound).unwrap_or(instrument.buckets.len());
        self.counts[bucket] += 1;
        self.sum += value;
        self.count += 1;
        if let Some(exemplar) = exemplar {
            self.exemplars.get_or_insert_default()[bucket] = Some(exemplar);
        }
    }

    /// Adds what another shard counted.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        self.sum += other.sum;
        self.count += other.count;
        if let Some(theirs) = &other.exemplars {
            let ours = self.exemplars.get_or_insert_default();
            for (ours, theirs) in ours.iter_mut().zip(theirs.iter()) {
                if theirs.as_ref().is_some_and(|theirs| ours.as_ref().is_none_or(|ours| ours.time < theirs.time)) {
                    *ours = *theirs;
                }
            }
        }
    }

    /// How many measurements.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their sum.
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// Upper bound, count and exemplar of each bucket of this instrument; the last bound is infinite.
    pub fn buckets<'a>(&'a self, instrument: &'a Instrument) -> impl Iterator<Item = (f64, u64, Option<&'a Exemplar>)> {
        let bounds = instrument.buckets.iter().copied().chain([f64::INFINITY]);
        bounds.zip(self.counts).enumerate().map(|(index, (bound, count))| {
            (bound, count, self.exemplars.as_ref().and_then(|exemplars| exemplars[index].as_ref()))
        })
    }
}

impl Default for Exemplar {
    fn default() -> Self {
        Self { trace_id: 0, span_id: 0, value: 0.0, time: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::names::INSTRUMENTS;

    fn exemplar(time: u64) -> Exemplar {
        Exemplar { trace_id: 1, span_id: 2, value: 0.005, time }
    }

    #[test]
    fn bounds_are_inclusive_above() {
        let instrument = &INSTRUMENTS[0];
        let mut histogram = Histogram::default();
        for value in [0.005, 0.0051, 10.0, 11.0] {
            histogram.record(instrument, value, None);
        }
        let counts: Vec<u64> = histogram.buckets(instrument).map(|(_, count, _)| count).collect();
        assert_eq!(counts, [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert_eq!(histogram.count(), 4);
    }

    #[test]
    fn merging_adds_and_keeps_the_latest_exemplar() {
        let instrument = &INSTRUMENTS[0];
        let (mut left, mut right) = (Histogram::default(), Histogram::default());
        left.record(instrument, 0.005, Some(exemplar(2)));
        right.record(instrument, 0.005, Some(exemplar(1)));
        right.record(instrument, 0.5, Some(exemplar(3)));
        left.merge(&right);
        assert_eq!(left.count(), 3);
        let times: Vec<_> = left.buckets(instrument).filter_map(|(.., exemplar)| exemplar.map(|e| e.time)).collect();
        assert_eq!(times, [2, 3]);
    }
}
