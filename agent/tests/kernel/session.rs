//! A capture with its workers, for one test.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use agent_common::counter::Counter;
use telltale::capture::{
    Event,
    kernel::{Backend, Capture, InsideCounts, Scope, ScopeControl, Settings, Skips, TlsProbes, Worker},
};

use super::captured::Captured;

/// What tests ask for of the kernel side's counters.
const COUNTERS: [Counter; 15] = [
    Counter::Records,
    Counter::CopiedBytes,
    Counter::RingFull,
    Counter::RingFullBytes,
    Counter::SocketState,
    Counter::ThreadState,
    Counter::ProcessTable,
    Counter::KernelTls,
    Counter::Mptcp,
    Counter::Sockmap,
    Counter::CgroupDepth,
    Counter::TlsCalls,
    Counter::TlsOthers,
    Counter::TlsBound,
    Counter::TlsUnbound,
];

/// Tests run one at a time: they count programs and compare counters.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static LOCK: Mutex<()> = Mutex::new(());
    LOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The backends to test: the one that the environment names, which must work, or all that this kernel allows.
pub(crate) fn backends() -> &'static [Backend] {
    static BACKENDS: OnceLock<Vec<Backend>> = OnceLock::new();
    BACKENDS.get_or_init(|| {
        if let Ok(name) = std::env::var("TELLTALE_TEST_BACKEND") {
            return vec![Backend::from_name(&name).expect("TELLTALE_TEST_BACKEND names a backend")];
        }
        let nothing = Scope { ports: vec![1], ..Scope::default() };
        let works = |backend: &Backend| {
            let settings = Settings { backend: Some(*backend), scope: nothing.clone(), ..Settings::default() };
            Capture::start(&settings).map_err(|error| println!("{}: {error}", backend.name())).is_ok()
        };
        let working: Vec<_> = Backend::ALL.into_iter().filter(works).collect();
        assert!(!working.is_empty(), "no backend works here (the kernel tests need root)");
        working
    })
}

/// Runs a test with each backend.
pub(crate) fn each_backend(test: impl Fn(Backend)) {
    let _alone = alone();
    for backend in backends() {
        test(*backend);
    }
}

/// Numbers of the maps or programs that this process holds: `map_id:` or `prog_id:`.
pub(crate) fn owned_ids(key: &str) -> Vec<u32> {
    let folder = std::fs::read_dir("/proc/self/fdinfo").expect("procfs");
    let mut ids: Vec<u32> = folder
        .filter_map(|entry| std::fs::read_to_string(entry.ok()?.path()).ok())
        .filter_map(|text| text.lines().find_map(|line| line.strip_prefix(key)?.trim().parse().ok()))
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Told of every event before it is kept.
pub(crate) type Watch = Box<dyn FnMut(&Event<'_>, &mut Skips) + Send>;

struct Keeper {
    captured: Captured,
    ring: u32,
    watch: Option<Watch>,
}

impl Worker for Keeper {
    fn event(&mut self, event: Event<'_>, skips: &mut Skips) {
        if let Some(watch) = &mut self.watch {
            watch(&event, skips);
        }
        self.captured.keep(event, self.ring);
    }

    fn tick(&mut self, skips: &mut Skips) {
        self.captured.refused_skips += skips.take_refused();
    }

    fn malformed(&mut self) {
        self.captured.malformed += 1;
    }

    fn inside(&mut self, counts: InsideCounts) {
        assert_eq!(counts.evicted, 0, "no test has so many sockets");
    }
}

/// A capture whose events nobody takes yet.
pub(crate) struct Idle {
    capture: Capture,
}

/// A running capture.
pub(crate) struct Session {
    capture: Capture,
    workers: Vec<JoinHandle<Captured>>,
    stop: Arc<AtomicBool>,
}

/// Settings of a capture of processes.
pub(crate) fn processes(backend: Backend, processes: &[u32]) -> Settings {
    let scope = Scope { processes: processes.to_vec(), ..Scope::default() };
    // Large: the worker of an unoptimised build is slower than the traffic.
    Settings { backend: Some(backend), scope, ring_bytes: 32 << 20, ..Settings::default() }
}

impl Idle {
    /// Takes the events, those that have come and those that come.
    pub(crate) fn work(self) -> Session {
        self.watched(|| None)
    }

    fn watched(mut self, watch: impl Fn() -> Option<Watch>) -> Session {
        let stop = Arc::new(AtomicBool::new(false));
        let rings = self.capture.rings().expect("rings");
        let workers = rings
            .into_iter()
            .zip(0..)
            .map(|(ring, index)| {
                let mut keeper = Keeper { captured: Captured::default(), ring: index, watch: watch() };
                let stop = Arc::clone(&stop);
                std::thread::spawn(move || {
                    ring.run(&mut keeper, &stop);
                    keeper.captured
                })
            })
            .collect();
        Session { capture: self.capture, workers, stop }
    }
}

impl Session {
    /// Starts a capture.
    pub(crate) fn start(settings: &Settings) -> Self {
        Self::watched(settings, || None)
    }

    /// Starts a capture whose events are also shown to a watch, one a ring.
    pub(crate) fn watched(settings: &Settings, watch: impl Fn() -> Option<Watch>) -> Self {
        Self::idle(settings).watched(watch)
    }

    /// Starts a capture whose events stay in its rings.
    pub(crate) fn idle(settings: &Settings) -> Idle {
        Idle { capture: Capture::start(settings).unwrap_or_else(|error| panic!("{error}")) }
    }

    /// A handle that changes what is captured.
    pub(crate) fn scope_control(&self) -> ScopeControl {
        self.capture.scope_control().expect("maps that can be opened twice")
    }

    /// What probes TLS libraries.
    pub(crate) fn tls_probes(&self) -> TlsProbes {
        self.capture.tls_probes().unwrap_or_else(|error| panic!("{error}")).expect("asked for")
    }

    /// Ends the capture and gives what it saw.
    pub(crate) fn finish(self) -> Captured {
        self.stop.store(true, Ordering::Release);
        let mut all = Captured::default();
        for worker in self.workers {
            all.merge(worker.join().expect("a worker that ends"));
        }
        let counters = self.capture.counters().expect("counters");
        all.counters = COUNTERS.map(|kind| (kind as u32, counters.plain(kind).expect("a counter"))).into();
        all.gaps = counters.gaps().expect("counters").into_iter().collect();
        assert_eq!(all.malformed, 0, "malformed records");
        all.missed = counters.programs().iter().map(|program| program.recursion_misses).sum();
        if all.missed > 0 {
            println!("the kernel left out {} runs of the programs", all.missed);
        }
        all
    }
}
