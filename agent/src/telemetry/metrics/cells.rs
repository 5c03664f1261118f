//! The numbers of series: counts per bucket and sums, all streams of a series side by side.

use std::sync::Arc;

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

/// What was measured at once.
pub(super) trait Measured {
    /// Gives each measurement for this stream, in the unit of its instrument.
    fn each(&self, stream: &Stream, take: impl FnMut(f64));

    /// Whether a stream of the group takes any.
    fn any(&self, group: &Group) -> bool {
        let mut any = false;
        for stream in &group.streams {
            self.each(stream, |_| any = true);
        }
        any
    }
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
            // Of a call beyond HTTP, or of a connection.
            Measure::GenAi(_)
            | Measure::McpOperation
            | Measure::McpSession
            | Measure::JsonRpc
            | Measure::Connection(_) => None,
        }
    }
}

impl Measured for Measurements {
    fn each(&self, stream: &Stream, take: impl FnMut(f64)) {
        self.value(stream).map(take);
    }

    fn any(&self, group: &Group) -> bool {
        group.streams.iter().any(|stream| self.value(stream).is_some())
    }
}

/// Where the numbers of a stream are in the cells of a series: of a counter one (of a fractional one its bits), of a histogram a count per bucket and then the
/// bits of the sum.
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
    index: HashTable<u32>,
    rows: Rows,
}

/// What a table holds, in the order in which its series were made. A copy is cheap: it shares the keys.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    keys: Vec<(u64, Arc<Key>)>,
    cells: Vec<u64>,
    exemplars: Vec<CellExemplars>,
}

/// The last exemplar of each cell that is a bucket and has one, by cell: most series fill a few of their buckets.
#[derive(Clone, Debug, Default)]
struct CellExemplars(Vec<CellExemplar>);

/// An [`Exemplar`] in 48 bytes: with its `u128` it takes 64.
#[derive(Clone, Copy, Debug)]
struct CellExemplar {
    trace_id: [u64; 2],
    span_id: u64,
    value: f64,
    time: u64,
    cell: u32,
}

impl CellExemplar {
    const fn new(cell: usize, exemplar: Exemplar) -> Self {
        let Exemplar { trace_id, span_id, value, time } = exemplar;
        Self { trace_id: [(trace_id >> 64) as u64, trace_id as u64], span_id, value, time, cell: cell as u32 }
    }

    fn exemplar(&self) -> Exemplar {
        let [high, low] = self.trace_id.map(u128::from);
        Exemplar { trace_id: high << 64 | low, span_id: self.span_id, value: self.value, time: self.time }
    }
}

impl CellExemplars {
    /// Takes it for its cell. One that is there is replaced if `replace` says so.
    fn put(&mut self, exemplar: CellExemplar, replace: impl FnOnce(&CellExemplar) -> bool) {
        match self.0.binary_search_by_key(&exemplar.cell, |known| known.cell) {
            Ok(index) if replace(&self.0[index]) => self.0[index] = exemplar,
            Ok(_) => {}
            Err(index) => {
                // One more at a time: it is seldom, and doubling would waste as much as is used.
                self.0.reserve_exact(1);
                self.0.insert(index, exemplar);
            }
        }
    }

    /// Those of `count` cells from `first` on.
    fn of(&self, first: usize, count: usize) -> Vec<Option<Exemplar>> {
        let mut exemplars = vec![None; count];
        for known in &self.0 {
            let own = (known.cell as usize).checked_sub(first).and_then(|bucket| exemplars.get_mut(bucket));
            if let Some(slot) = own {
                *slot = Some(known.exemplar());
            }
        }
        exemplars
    }
}

/// What one stream of a series counted.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// A sum of whole numbers.
    Counter(u64),
    /// A sum of others.
    Sum(f64),
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
        Self { stride: group.streams.iter().map(width).sum(), index: HashTable::new(), rows: Rows::default() }
    }

    /// What it holds.
    pub(super) const fn rows(&self) -> &Rows {
        &self.rows
    }

    pub(super) fn find(&self, hash: u64, key: &KeyRef<'_>) -> Option<usize> {
        let same = |&position: &u32| {
            let (other_hash, other) = &self.rows.keys[position as usize];
            *other_hash == hash && (**other).as_ref() == *key
        };
        self.index.find(hash, same).map(|&position| position as usize)
    }

    pub(super) fn insert(&mut self, hash: u64, key: Arc<Key>) -> usize {
        let Rows { keys, cells, exemplars } = &mut self.rows;
        let position = keys.len();
        keys.push((hash, key));
        cells.resize(cells.len() + self.stride, 0);
        exemplars.push(CellExemplars::default());
        self.index.insert_unique(hash, position as u32, |&position| keys[position as usize].0);
        position
    }

    /// Adds what was measured at once to a series.
    pub(super) fn add(&mut self, position: usize, group: &Group, measured: &impl Measured, exemplar: Option<Exemplar>) {
        let Rows { cells, exemplars, .. } = &mut self.rows;
        let mut cells = &mut cells[position * self.stride..][..self.stride];
        let exemplars = &mut exemplars[position];
        let mut first = 0;
        for stream in &group.streams {
            let (own, rest) = cells.split_at_mut(width(stream));
            measured.each(stream, |value| match stream.instrument.kind() {
                Kind::Counter if stream.instrument.is_fractional() => add_bits(&mut own[0], value),
                Kind::Counter => own[0] += value as u64,
                Kind::Histogram => {
                    add_bits(&mut own[stream.buckets.len() + 1], value);
                    // Bounds are inclusive above. Few buckets: a linear search is faster than a binary one.
                    let bucket =
                        stream.buckets.iter().position(|&bound| value <= bound).unwrap_or(stream.buckets.len());
                    own[bucket] += 1;
                    if let Some(exemplar) = exemplar {
                        let exemplar = CellExemplar::new(first + bucket, Exemplar { value, ..exemplar });
                        exemplars.put(exemplar, |_| true);
                    }
                }
            });
            first += own.len();
            cells = rest;
        }
    }

    /// Adds the series of another table of the same group.
    pub(super) fn merge(&mut self, other: &Rows, group: &Group) {
        for (theirs, (hash, key)) in other.keys.iter().enumerate() {
            let ours = self.find(*hash, &(**key).as_ref()).unwrap_or_else(|| self.insert(*hash, Arc::clone(key)));
            let mut cells = self.rows.cells[ours * self.stride..].iter_mut().zip(&other.cells[theirs * self.stride..]);
            for stream in &group.streams {
                let counts = match stream.instrument.kind() {
                    Kind::Counter if stream.instrument.is_fractional() => 0,
                    Kind::Counter => 1,
                    Kind::Histogram => stream.buckets.len() + 1,
                };
                for (cell, more) in cells.by_ref().take(counts) {
                    *cell += more;
                }
                if counts < width(stream)
                    && let Some((sum, more)) = cells.next()
                {
                    add_bits(sum, f64::from_bits(*more));
                }
            }
            for theirs in &other.exemplars[theirs].0 {
                self.rows.exemplars[ours].put(*theirs, |ours| ours.time < theirs.time);
            }
        }
    }

    /// Each series and what each stream of the group counted in it; `None` where nothing was measured.
    pub(super) fn read(&self, group: &Group) -> impl Iterator<Item = (&Key, Vec<Option<Data>>)> {
        self.rows.keys.iter().enumerate().map(move |(position, (_, key))| {
            let cells = &self.rows.cells[position * self.stride..][..self.stride];
            let exemplars = &self.rows.exemplars[position];
            let mut first = 0;
            let data = group.streams.iter().map(|stream| {
                let start = first;
                first += width(stream);
                let own = &cells[start..first];
                match stream.instrument.kind() {
                    Kind::Counter if stream.instrument.is_fractional() => {
                        (own[0] > 0).then_some(Data::Sum(f64::from_bits(own[0])))
                    }
                    Kind::Counter => (own[0] > 0).then_some(Data::Counter(own[0])),
                    Kind::Histogram => {
                        let (sum, counts) = own.split_last()?;
                        counts.iter().any(|&count| count > 0).then(|| {
                            Data::Histogram(HistogramData {
                                bounds: stream.buckets.to_vec(),
                                counts: counts.to_vec(),
                                sum: f64::from_bits(*sum),
                                exemplars: exemplars.of(start, counts.len()),
                            })
                        })
                    }
                }
            });
            (&**key, data.collect())
        })
    }
}

/// Adds to a number that is kept as its bits.
fn add_bits(cell: &mut u64, value: f64) {
    *cell = (f64::from_bits(*cell) + value).to_bits();
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
            (Self::Sum(ours), Self::Sum(theirs)) => *ours += theirs,
            (Self::Histogram(ours), Self::Histogram(theirs)) => ours.merge(theirs),
            // One name has one type: `Snapshot` sees to it.
            (Self::Counter(_) | Self::Sum(_) | Self::Histogram(_), _) => {}
        }
    }

    /// How many measurements; of a counter what it counted, as a whole number.
    pub fn count(&self) -> u64 {
        match self {
            Self::Counter(count) => *count,
            Self::Sum(sum) => *sum as u64,
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
        let position = table.insert(1, KEY.to_key().into());
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
        let positions = [left.insert(1, KEY.to_key().into()), right.insert(1, KEY.to_key().into())];
        left.add(positions[0], group, &seconds(0.005), Some(exemplar(2)));
        right.add(positions[1], group, &seconds(0.005), Some(exemplar(1)));
        right.add(positions[1], group, &seconds(0.5), Some(exemplar(3)));
        left.merge(right.rows(), group);
        assert_eq!(left.rows.keys.len(), 1);
        let histogram = duration(&left, group);
        assert_eq!((histogram.count(), histogram.sum), (3, 0.51));
        let times: Vec<_> = histogram.buckets().filter_map(|(.., exemplar)| exemplar.map(|e| e.time)).collect();
        assert_eq!(times, [2, 3]);
    }

    #[test]
    fn exemplars_stay_in_their_stream_with_all_their_bits() {
        let plan = MetricsPlan::default();
        let group = &plan.groups[0];
        let mut table = Table::new(group);
        let position = table.insert(1, KEY.to_key().into());
        let measured = Measurements { request_body: Some(70), response_body: Some(1 << 40), ..seconds(11.0) };
        let given =
            Exemplar { trace_id: 0x1122_3344_5566_7788_99aa_bbcc_ddee_ff01, span_id: u64::MAX, value: 0.0, time: 9 };
        table.add(position, group, &measured, Some(given));
        let (_, data) = table.read(group).next().unwrap();
        let histograms: Vec<_> = data.into_iter().flatten().collect();
        assert!(histograms.len() > 1);
        for data in histograms {
            let Data::Histogram(histogram) = data else { panic!("a counter") };
            let filled = histogram.counts.iter().map(|&count| count > 0);
            assert!(filled.eq(histogram.exemplars.iter().map(Option::is_some)));
            let expected = Exemplar { value: histogram.sum, ..given };
            assert_eq!(histogram.exemplars.iter().flatten().collect::<Vec<_>>(), [&expected]);
        }
    }

    /// What the documentation of `MAX_SERIES` says.
    #[test]
    fn a_series_takes_what_is_documented() {
        let plan = MetricsPlan::default();
        let stride = plan.groups.iter().map(|group| Table::new(group).stride).max().unwrap();
        let row =
            size_of::<(u64, Arc<Key>)>() + stride * size_of::<u64>() + size_of::<CellExemplars>() + size_of::<u32>();
        assert!((350..=450).contains(&row), "{row}");
        assert!((100..=250).contains(&size_of::<Key>()), "{}", size_of::<Key>());
        assert_eq!(size_of::<CellExemplar>(), 48);
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
