//! Where every stage counts.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

use super::{
    Liveness,
    table::{Kind, SelfMetric},
};

/// A handle to count with: one relaxed addition, no lock. Each handle has a cell of its own, so workers do not share cache lines with each
/// other's; cells of the same metric and labels are summed when somebody reads.
#[derive(Clone, Debug)]
pub struct Counter(Arc<Padded<AtomicU64>>);

/// A handle to a value that rises and falls; cells are summed like a counter's.
#[derive(Clone, Debug)]
pub struct Gauge(Arc<Padded<AtomicI64>>);

/// Keeps cells of two workers off one cache line.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Padded<T>(T);

impl Counter {
    /// Adds.
    pub fn add(&self, amount: u64) {
        self.0.0.fetch_add(amount, Ordering::Relaxed);
    }

    /// What this handle (and its clones) counted.
    pub fn get(&self) -> u64 {
        self.0.0.load(Ordering::Relaxed)
    }
}

impl Gauge {
    /// Sets this handle's part.
    pub fn set(&self, value: i64) {
        self.0.0.store(value, Ordering::Relaxed);
    }

    /// Adds to this handle's part; negative to take away.
    pub fn add(&self, amount: i64) {
        self.0.0.fetch_add(amount, Ordering::Relaxed);
    }
}

/// One value of one metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Of which metric.
    pub metric: &'static SelfMetric,
    /// Values of its labels, in its order.
    pub labels: Vec<String>,
    /// The value.
    pub value: f64,
}

enum Cell {
    Counter(Counter),
    Gauge(Gauge),
}

struct Registered {
    metric: &'static SelfMetric,
    labels: Vec<String>,
    cell: Cell,
}

impl Registered {
    fn is(&self, metric: &'static SelfMetric, labels: &[&str]) -> bool {
        self.metric == metric && self.labels == labels
    }
}

type Source = Box<dyn Fn(&mut dyn FnMut(Sample)) + Send + Sync>;

/// The agent's own metrics.
#[derive(Default)]
pub struct Health {
    cells: Mutex<Vec<Registered>>,
    /// Those of the cells that are given out more than once.
    shared: Mutex<Vec<Registered>>,
    sources: Mutex<Vec<Source>>,
    liveness: Liveness,
}

impl fmt::Debug for Health {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Health").finish_non_exhaustive()
    }
}

impl Health {
    /// With nothing in it.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Whether those who do the work still do it.
    pub const fn liveness(&self) -> &Liveness {
        &self.liveness
    }

    /// A new cell of a counter. Made once per worker and label, at start or when a label value first occurs: never per event.
    pub fn counter(&self, metric: &'static SelfMetric, labels: &[&str]) -> Counter {
        let counter = Counter(Arc::default());
        self.register(metric, labels, Cell::Counter(counter.clone()));
        counter
    }

    /// A new cell of a gauge, likewise.
    pub fn gauge(&self, metric: &'static SelfMetric, labels: &[&str]) -> Gauge {
        let gauge = Gauge(Arc::default());
        self.register(metric, labels, Cell::Gauge(gauge.clone()));
        gauge
    }

    /// The one cell of a counter that all who ask for it share: for what comes and goes, such as exporters, whose own cells would stay.
    pub fn shared_counter(&self, metric: &'static SelfMetric, labels: &[&str]) -> Counter {
        let found = lock(&self.shared).iter().find_map(|registered| match &registered.cell {
            Cell::Counter(counter) if registered.is(metric, labels) => Some(counter.clone()),
            _ => None,
        });
        found.unwrap_or_else(|| {
            let counter = self.counter(metric, labels);
            self.share(metric, labels, Cell::Counter(counter.clone()));
            counter
        })
    }

    /// The one cell of a gauge, likewise: to be added to and taken from, never set.
    pub fn shared_gauge(&self, metric: &'static SelfMetric, labels: &[&str]) -> Gauge {
        let found = lock(&self.shared).iter().find_map(|registered| match &registered.cell {
            Cell::Gauge(gauge) if registered.is(metric, labels) => Some(gauge.clone()),
            _ => None,
        });
        found.unwrap_or_else(|| {
            let gauge = self.gauge(metric, labels);
            self.share(metric, labels, Cell::Gauge(gauge.clone()));
            gauge
        })
    }

    /// Two who ask for the same cell at the same time may get one each; both are summed.
    fn share(&self, metric: &'static SelfMetric, labels: &[&str], cell: Cell) {
        let labels = labels.iter().map(|&label| label.to_owned()).collect();
        lock(&self.shared).push(Registered { metric, labels, cell });
    }

    fn register(&self, metric: &'static SelfMetric, labels: &[&str], cell: Cell) {
        debug_assert_eq!(metric.labels.len(), labels.len(), "{}", metric.name);
        debug_assert_eq!(metric.kind, if matches!(cell, Cell::Counter(_)) { Kind::Counter } else { Kind::Gauge });
        let labels = labels.iter().map(|&label| label.to_owned()).collect();
        lock(&self.cells).push(Registered { metric, labels, cell });
    }

    /// Asks this function at every read: for values that live elsewhere, such as counters of kernel programs. It must not call back into this
    /// `Health`.
    pub fn source(&self, source: impl Fn(&mut dyn FnMut(Sample)) + Send + Sync + 'static) {
        lock(&self.sources).push(Box::new(source));
    }

    /// All values now, summed over cells and sources, in the order of the table and then of the labels.
    pub fn samples(&self) -> Vec<Sample> {
        let mut all: Vec<Sample> = Vec::new();
        for registered in lock(&self.cells).iter() {
            let value = match &registered.cell {
                Cell::Counter(counter) => counter.get() as f64,
                Cell::Gauge(gauge) => gauge.0.0.load(Ordering::Relaxed) as f64,
            };
            all.push(Sample { metric: registered.metric, labels: registered.labels.clone(), value });
        }
        for source in lock(&self.sources).iter() {
            source(&mut |sample| all.push(sample));
        }
        let row = |metric: &SelfMetric| super::table::ALL.iter().position(|&known| known == metric);
        // Metrics of other tables come first, by name.
        all.sort_by(|left, right| {
            let key = |sample: &Sample| (row(sample.metric), sample.metric.name);
            key(left).cmp(&key(right)).then_with(|| left.labels.cmp(&right.labels))
        });
        all.dedup_by(|later, kept| {
            let same = later.metric == kept.metric && later.labels == kept.labels;
            if same {
                kept.value += later.value;
            }
            same
        });
        all
    }

    /// The value of one metric with these labels now; 0 if nobody counted.
    pub fn value(&self, metric: &'static SelfMetric, labels: &[&str]) -> u64 {
        let samples = self.samples();
        let found = samples.iter().find(|sample| sample.metric == metric && sample.labels == labels);
        found.map_or(0, |sample| sample.value as u64)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::{super::table, *};

    #[test]
    fn cells_and_sources_are_summed() {
        let health = Health::new();
        let counters = [health.counter(&table::GAPS, &["ring_full"]), health.counter(&table::GAPS, &["ring_full"])];
        counters[0].add(2);
        counters[1].add(3);
        health.source(|add| add(Sample { metric: &table::GAPS, labels: vec!["ring_full".into()], value: 5.0 }));
        health.gauge(&table::QUEUE_LENGTH, &["spans"]).set(7);
        assert_eq!(health.value(&table::GAPS, &["ring_full"]), 10);
        let names: Vec<_> = health.samples().iter().map(|sample| sample.metric.name).collect();
        assert_eq!(names, ["telltale_gaps", "telltale_queue_length"]);
    }

    #[test]
    fn shared_cells_do_not_grow_in_number() {
        let health = Health::new();
        for _ in 0..10 {
            health.shared_counter(&table::QUEUE_DROPPED, &["spans", "full"]).add(1);
            health.shared_gauge(&table::QUEUE_LENGTH, &["spans"]).add(2);
        }
        health.shared_counter(&table::QUEUE_DROPPED, &["spans", "refused"]).add(1);
        assert_eq!(lock(&health.cells).len(), 3);
        assert_eq!(health.value(&table::QUEUE_DROPPED, &["spans", "full"]), 10);
        assert_eq!(health.value(&table::QUEUE_LENGTH, &["spans"]), 20);
    }
}
