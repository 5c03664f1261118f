//! The numbers of series: counts per bucket and sums, all streams of a series side by side.

use hashbrown::HashTable;

use super::{Key, KeyRef};
use crate::{
    policy::plan::{Group, Stream},
    telemetry::names::{Kind, Measure},
};

/// A measurement with the span in whose context it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
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

/// One exchange's measurements.
#[derive(Clone, Copy, Debug, Default)]
pub struct Measurements {
    /// Nanoseconds.
    pub duration: Option<u64>,
    /// Bytes.
    pub request_body: Option<u64>,
    /// Bytes.
    pub response_body: Option<u64>,
    /// Whether the answer tells that it was allowed or denied; asked only where an instrument counts it.
    pub decided: bool,
}

impl Measurements {
    /// In the unit of the instrument.
    fn value(&self, stream: &Stream) -> Option<f64> {
        match stream.instrument.measure {
            Measure::Requests => Some(1.0),
            Measure::Decisions => self.decided.then_some(1.0),
            Measure::Duration => {
                let per_unit = if stream.instrument.unit == "ms" { 1e6 } else { 1e9 };
                self.duration.map(|nanos| nanos as f64 / per_unit)
            }
            Measure::RequestBody => self.request_body.map(|size| size as f64),
            Measure::ResponseBody => self.response_body.map(|size| size as f64),
        }
    }

    /// Whether a stream of the group takes any.
    pub(super) fn any(&self, group: &Group) -> bool {
        group.streams.iter().any(|stream| self.value(stream).is_some())
    }
}

/// Where the numbers of a stream are in the cells of a series: of a counter one, of a histogram a count per bucket and then the bits of the sum.
fn width(stream: &Stream) -> usize {
    match stream.instrument.kind() {
        Kind::Counter => 1,
        Kind::Histogram => stream.buckets.len() + 2,
    }
}

/// The series of one group in one worker.
#[derive(Debug)]
pub(super) struct Table {
    /// Cells of a series.
    stride: usize,
    keys: Vec<(u64, Key)>,
    index: HashTable<u32>,
    cells: Vec<u64>,
    /// By series, then by cell; only where there is one.
    exemplars: Vec<Option<Box<[Option<Exemplar>]>>>,
}

/// What one stream of a series counted.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// A sum.
    Counter(u64),
    /// A histogram.
    Histogram(HistogramData),
}

/// Counts per bucket, sum, and the last exemplar of each bucket.
#[derive(Clone, Debug, PartialEq)]
pub struct HistogramData {
    /// Upper bounds, inclusive, without the infinite one.
    pub bounds: Vec<f64>,
    /// One more than bounds.
    pub counts: Vec<u64>,
    /// Sum of all measurements.
    pub sum: f64,
    /// As many as counts.
    pub exemplars: Vec<Option<Exemplar>>,
}

impl Table {
    pub(super) fn new(group: &Group) -> Self {
        Self {
            stride: group.streams.iter().map(width).sum(),
            keys: Vec::new(),
            index: HashTable::new(),
            cells: Vec::new(),
            exemplars: Vec::new(),
        }
    }

    pub(super) fn find(&self, hash: u64, key: &KeyRef<'_>) -> Option<usize> {
        let same = |&position: &u32| {
            let (other_hash, other) = &self.keys[position as usize];
            *other_hash == hash && other.as_ref() == *key
        };
        self.index.find(hash, same).map(|&position| position as usize)
    }

    pub(super) fn insert(&mut self, hash: u64, key: &KeyRef<'_>) -> usize {
        let position = self.keys.len();
        self.keys.push((hash, key.to_key()));
        self.cells.resize(self.cells.len() + self.stride, 0);
        self.exemplars.push(None);
        let keys = &self.keys;
        self.index.insert_unique(hash, position as u32, |&position| keys[position as usize].0);
        position
    }

    /// Adds an exchange's measurements to a series.
    pub(super) fn add(&mut self, position: usize, group: &Group, measured: &Measurements, exemplar: Option<Exemplar>) {
        let mut cells = &mut self.cells[position * self.stride..][..self.stride];
        let mut first = 0;
        for stream in &group.streams {
            let (own, rest) = cells.split_at_mut(width(stream));
            if let Some(value) = measured.value(stream) {
                let bucket = match stream.instrument.kind() {
                    Kind::Counter => 0,
                    Kind::Histogram => {
                        let sum = &mut own[stream.buckets.len() + 1];
                        *sum = (f64::from_bits(*sum) + value).to_bits();
                        // Bounds are inclusive above. Few buckets: a linear search is faster than a binary one.
                        stream.buckets.iter().position(|&bound| value <= bound).unwrap_or(stream.buckets.len())
                    }
                };
                own[bucket] += 1;
                if let Some(exemplar) = exemplar {
                    let of_series = self.exemplars[position].get_or_insert_with(|| vec![None; self.stride].into());
                    of_series[first + bucket] = Some(Exemplar { value, ..exemplar });
                }
            }
            first += own.len();
            cells = rest;
        }
    }

    /// Adds the series of another table of the same group.
    pub(super) fn merge(&mut self, other: &Self, group: &Group) {
        for (theirs, (hash, key)) in other.keys.iter().enumerate() {
            let key = key.as_ref();
            let ours = self.find(*hash, &key).unwrap_or_else(|| self.insert(*hash, &key));
            let mut cells = self.cells[ours * self.stride..].iter_mut().zip(&other.cells[theirs * self.stride..]);
            for stream in &group.streams {
                let counts = match stream.instrument.kind() {
                    Kind::Counter => 1,
                    Kind::Histogram => stream.buckets.len() + 1,
                };
                for (cell, more) in cells.by_ref().take(counts) {
                    *cell += more;
                }
                if counts < width(stream)
                    && let Some((sum, more)) = cells.next()
                {
                    *sum = (f64::from_bits(*sum) + f64::from_bits(*more)).to_bits();
                }
            }
            if let Some(theirs) = &other.exemplars[theirs] {
                let ours = self.exemplars[ours].get_or_insert_with(|| vec![None; self.stride].into());
                for (ours, theirs) in ours.iter_mut().zip(theirs) {
                    keep_latest(ours, *theirs);
                }
            }
        }
    }

    /// Each series and what each stream of the group counted in it; `None` where nothing was measured.
    pub(super) fn read(&self, group: &Group) -> impl Iterator<Item = (&Key, Vec<Option<Data>>)> {
        self.keys.iter().enumerate().map(move |(position, (_, key))| {
            let cells = &self.cells[position * self.stride..][..self.stride];
            let exemplars = self.exemplars[position].as_deref();
            let mut first = 0;
            let data = group.streams.iter().map(|stream| {
                let start = first;
                first += width(stream);
                let own = &cells[start..first];
                match stream.instrument.kind() {
                    Kind::Counter => (own[0] > 0).then_some(Data::Counter(own[0])),
                    Kind::Histogram => {
                        let (sum, counts) = own.split_last()?;
                        counts.iter().any(|&count| count > 0).then(|| {
                            let exemplars = exemplars.map(|all| all[start..start + counts.len()].to_vec());
                            Data::Histogram(HistogramData {
                                bounds: stream.buckets.to_vec(),
                                counts: counts.to_vec(),
                                sum: f64::from_bits(*sum),
                                exemplars: exemplars.unwrap_or_else(|| vec![None; counts.len()]),
                            })
                        })
                    }
                }
            });
            (key, data.collect())
        })
    }
}

impl HistogramData {
    /// How many measurements.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Upper bound, count and exemplar of each bucket; the last bound is infinite.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64, Option<&Exemplar>)> {
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        bounds
            .zip(&self.counts)
            .zip(&self.exemplars)
            .map(|((bound, &count), exemplar)| (bound, count, exemplar.as_ref()))
    }

    /// Adds another histogram. Where the bounds differ, those that both have remain: what is below them is known exactly.
    fn merge(&mut self, other: Self) {
        if self.bounds != other.bounds {
            let common: Vec<f64> = self.bounds.iter().copied().filter(|bound| other.bounds.contains(bound)).collect();
            let other = other.narrowed(&common);
            *self = std::mem::take(self).narrowed(&common);
            return self.merge_same(&other);
        }
        self.merge_same(&other);
    }

    fn merge_same(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.sum += other.sum;
        for (ours, theirs) in self.exemplars.iter_mut().zip(&other.exemplars) {
            keep_latest(ours, *theirs);
        }
    }

    /// The same measurements in buckets of these bounds, all of which it has.
    fn narrowed(self, bounds: &[f64]) -> Self {
        let mut narrowed = Self {
            counts: vec![0; bounds.len() + 1],
            exemplars: vec![None; bounds.len() + 1],
            bounds: bounds.to_vec(),
            sum: self.sum,
        };
        for (bound, count, exemplar) in self.buckets() {
            let bucket = bounds.iter().position(|&wider| bound <= wider).unwrap_or(bounds.len());
            narrowed.counts[bucket] += count;
            keep_latest(&mut narrowed.exemplars[bucket], exemplar.copied());
        }
        narrowed
    }
}

impl Default for HistogramData {
    /// One bucket.
    fn default() -> Self {
        Self { bounds: Vec::new(), counts: vec![0], sum: 0.0, exemplars: vec![None] }
    }
}

impl Data {
    /// Adds what another series of the same instrument counted.
    pub fn merge(&mut self, other: Self) {
        match (self, other) {
            (Self::Counter(ours), Self::Counter(theirs)) => *ours += theirs,
            (Self::Histogram(ours), Self::Histogram(theirs)) => ours.merge(theirs),
            // One name has one type: `Snapshot` sees to it.
            (Self::Counter(_), Self::Histogram(_)) | (Self::Histogram(_), Self::Counter(_)) => {}
        }
    }

    /// How many exchanges.
    pub fn count(&self) -> u64 {
        match self {
            Self::Counter(count) => *count,
            Self::Histogram(histogram) => histogram.count(),
        }
    }
}

fn keep_latest(ours: &mut Option<Exemplar>, theirs: Option<Exemplar>) {
    if theirs.is_some_and(|theirs| ours.is_none_or(|ours| ours.time < theirs.time)) {
        *ours = theirs;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{capture::Role, policy::plan::MetricsPlan};

    const KEY: KeyRef<'_> = KeyRef {
        role: Role::Server,
        service: "a",
        namespace: None,
        method: None,
        https: false,
        server_address: "",
        server_port: 0,
        status: None,
        error: None,
        version: crate::protocol::HttpVersion::Http11,
        overflow: false,
        labels: &[],
    };

    fn seconds(value: f64) -> Measurements {
        Measurements { duration: Some((value * 1e9) as u64), ..Measurements::default() }
    }

    fn exemplar(time: u64) -> Exemplar {
        Exemplar { trace_id: 1, span_id: 2, value: 0.0, time }
    }

    fn duration(table: &Table, group: &Group) -> HistogramData {
        let (_, data) = table.read(group).next().unwrap();
        assert_eq!(data[1], None);
        let Some(Data::Histogram(histogram)) = data[0].clone() else { panic!("no histogram") };
        histogram
    }

    #[test]
    fn bounds_are_inclusive_above() {
        let plan = MetricsPlan::default();
        let mut table = Table::new(&plan.groups[0]);
        let position = table.insert(1, &KEY);
        for value in [0.005, 0.0051, 10.0, 11.0] {
            table.add(position, &plan.groups[0], &seconds(value), None);
        }
        let histogram = duration(&table, &plan.groups[0]);
        assert_eq!(histogram.counts, [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert_eq!((histogram.count(), histogram.sum), (4, 21.0101));
    }

    #[test]
    fn merging_adds_and_keeps_the_latest_exemplar() {
        let plan = MetricsPlan::default();
        let group = &plan.groups[0];
        let (mut left, mut right) = (Table::new(group), Table::new(group));
        let positions = [left.insert(1, &KEY), right.insert(1, &KEY)];
        left.add(positions[0], group, &seconds(0.005), Some(exemplar(2)));
        right.add(positions[1], group, &seconds(0.005), Some(exemplar(1)));
        right.add(positions[1], group, &seconds(0.5), Some(exemplar(3)));
        left.merge(&right, group);
        assert_eq!(left.keys.len(), 1);
        let histogram = duration(&left, group);
        assert_eq!((histogram.count(), histogram.sum), (3, 0.51));
        let times: Vec<_> = histogram.buckets().filter_map(|(.., exemplar)| exemplar.map(|e| e.time)).collect();
        assert_eq!(times, [2, 3]);
    }

    #[test]
    fn histograms_of_different_bounds_merge_at_those_that_both_have() {
        let of = |bounds: &[f64], counts: &[u64]| HistogramData {
            bounds: bounds.to_vec(),
            counts: counts.to_vec(),
            sum: 1.0,
            exemplars: vec![Some(exemplar(counts[0])); counts.len()],
        };
        let mut data = Data::Histogram(of(&[1.0, 2.0, 4.0], &[1, 2, 3, 4]));
        data.merge(Data::Histogram(of(&[2.0, 3.0, 4.0], &[10, 20, 30, 40])));
        let Data::Histogram(merged) = &data else { panic!() };
        assert_eq!((&merged.bounds[..], &merged.counts[..]), (&[2.0, 4.0][..], &[13, 53, 44][..]));
        assert_eq!(merged.exemplars[0].unwrap().time, 10);
        assert_eq!(data.count(), 110);
    }
}
