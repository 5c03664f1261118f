//! Capture under way: the kernel side, its rings, and a worker for each.

mod worker;

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use agent_common::counter::Counter;
use anyhow::Context as _;
use tokio::{runtime::Runtime, sync::Notify};

use self::worker::{CaptureWorker, Connections};
use super::{exit::Failure, health, outputs::Outputs};
use crate::{
    admin::{
        live::{BackendRefusal, CaptureState, LiveState},
        table,
    },
    capture::{
        kernel::{Backend, Capture, Detaching, Refusal, Settings},
        recording,
        tls::{
            follower::{Follower, FollowerHandle, Scope as TlsScope, StartError},
            targets::Targets,
        },
    },
    exchange::mcp::Correlator,
    pipeline::{self, MAX_CONNECTIONS, Pipeline},
    telemetry::summary::Summary,
    workload::Source,
};

/// For tests, in builds with debug assertions only: set, workers panic at their first event.
#[cfg(debug_assertions)]
const PANIC: &str = "TELLTALE_TEST_PANIC";

/// Tells the run that a worker panicked, so that nothing stays attached that nobody reads.
struct Alarm(Arc<Notify>);

impl Drop for Alarm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!("a worker panicked: nothing more is captured");
            self.0.notify_one();
        }
    }
}

/// What was captured when all is over.
pub(super) struct Captured {
    /// What the workers saw.
    pub(super) summary: Summary,
    /// One of them panicked: its last telemetry is lost.
    pub(super) panicked: bool,
    /// Probes may be detached still: what was captured need not wait for that, but the end of the program does, since the kernel would close them one by one.
    pub(super) _detaching: Option<Detaching>,
}

/// How it is looked inside TLS.
pub(super) struct InsideTls {
    /// What is looked for.
    pub(super) targets: Targets,
    /// Whose libraries get probes.
    pub(super) scope: TlsScope,
    /// Whether a process is in scope, with what is inside its TLS, as soon as it has a connection that is.
    pub(super) by_connections: bool,
}

/// The kernel side with its workers.
pub(super) struct Capturing {
    /// Ends before what its probes are of.
    tls: Option<Follower>,
    tls_refused: Option<StartError>,
    detaching: Option<Detaching>,
    capture: Option<Capture>,
    workers: Vec<JoinHandle<CaptureWorker>>,
    stop: Arc<AtomicBool>,
    panicked: Arc<Notify>,
}

impl Capturing {
    /// Attaches, and starts the workers, which `live` shows from then on. Where it cannot be looked inside TLS, all else is captured.
    ///
    /// # Errors
    /// This kernel cannot be captured from, or a thread cannot be started.
    pub(super) fn start(
        settings: &Settings,
        inside_tls: Option<InsideTls>,
        outputs: &Outputs,
        recorder: Option<&recording::Recorder>,
        live: &LiveState,
        runtime: &Runtime,
    ) -> Result<Self, Failure> {
        debug_assert_eq!(settings.tls, inside_tls.is_some());
        let mut capture = Capture::start(settings).map_err(anyhow::Error::from)?;
        if settings.debug {
            let _entered = runtime.enter();
            capture.debug_log().context("cannot read the log of the kernel programs")?;
        }
        live.set_capture(capture_state(&capture));
        for refusal in capture.refusals() {
            tracing::debug!("backend {refusal}");
        }
        let rings = capture.rings().map_err(anyhow::Error::from)?;
        let by_connections = inside_tls.as_ref().is_some_and(|inside| inside.by_connections);
        let (started, tls_refused) = match follow_tls(&capture, inside_tls, outputs) {
            Ok(started) => (started, None),
            Err(error) => {
                tracing::warn!("what is inside TLS is not read: {error}");
                (None, Some(error))
            }
        };
        let (tls, detaching) = started.unzip();
        // With the programs that look inside TLS.
        health::register(&outputs.health, &capture).map_err(anyhow::Error::from)?;
        let connections = tls.as_ref().filter(|_| by_connections).map(Follower::handle);
        let mut capturing = Self {
            tls,
            tls_refused,
            detaching,
            capture: Some(capture),
            workers: Vec::new(),
            stop: Arc::default(),
            panicked: Arc::default(),
        };
        let correlator = Correlator::default();
        for (index, ring) in rings.into_iter().enumerate() {
            let settings = pipeline::Settings {
                plans: Arc::clone(&outputs.plans),
                source: Source::System,
                attribution: outputs.attribution.clone(),
                providers: Arc::clone(&outputs.providers),
                correlator: correlator.clone(),
                connections: MAX_CONNECTIONS,
                tree: outputs.tree,
            };
            let name = format!("telltale-{index}");
            let mut worker = CaptureWorker {
                probe: live.worker(&name),
                pipeline: Pipeline::new(settings, outputs.recorder(), &outputs.health),
                recorder: recorder.map(recording::Recorder::handle),
                malformed: outputs.health.counter(&table::KERNEL_DROPS, &["malformed"]),
                refused: outputs.health.counter(&table::SKIPS_REFUSED, &[]),
                sockets_evicted: outputs.health.counter(&table::TLS_SOCKETS_EVICTED, &[]),
                rejoined: outputs.health.counter(&table::TLS_REJOINED, &[]),
                tls: connections.clone().map(|follower| Connections { follower, told: HashSet::default() }),
                #[cfg(debug_assertions)]
                panics: std::env::var_os(PANIC).is_some(),
            };
            let stop = Arc::clone(&capturing.stop);
            let alarm = Alarm(Arc::clone(&capturing.panicked));
            let thread = std::thread::Builder::new()
                .name(name)
                .spawn(move || {
                    let _alarm = alarm;
                    ring.run(&mut worker, &stop);
                    worker
                })
                .context("cannot start a worker")?;
            capturing.workers.push(thread);
        }
        Ok(capturing)
    }

    /// What is told of who is in scope, if it is looked inside TLS.
    pub(super) fn tls(&self) -> Option<FollowerHandle> {
        self.tls.as_ref().map(Follower::handle)
    }

    /// Why it is not, although it was to be.
    pub(super) const fn tls_refused(&self) -> Option<&StartError> {
        self.tls_refused.as_ref()
    }

    /// The kernel side, until it is detached.
    pub(super) fn capture(&mut self) -> Option<&mut Capture> {
        self.capture.as_mut()
    }

    /// Whether everything is to end.
    pub(super) fn stopping(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stop)
    }

    /// Told when a worker panicked, so that nothing stays attached that nobody reads.
    pub(super) fn panicked(&self) -> Arc<Notify> {
        Arc::clone(&self.panicked)
    }

    /// Detaches at once; the workers go on without anything to read.
    pub(super) fn detach(&mut self) {
        drop(self.tls.take());
        drop(self.capture.take());
    }

    /// Ends capture, reads what the rings hold, and detaches.
    pub(super) fn stop(mut self) -> Captured {
        self.stop.store(true, Ordering::Release);
        // Else the workers of a busy machine would find more for as long as they look.
        if let Some(Err(error)) = self.capture.as_mut().map(Capture::close_scope) {
            tracing::debug!("{error}; capture goes on until it is detached");
        }
        let mut captured = Captured { summary: Summary::default(), panicked: false, _detaching: self.detaching.take() };
        for thread in std::mem::take(&mut self.workers) {
            match thread.join() {
                Ok(mut worker) => captured.summary.merge(&worker.pipeline.finish()),
                Err(_) => captured.panicked = true,
            }
        }
        captured
    }
}

fn follow_tls(
    capture: &Capture,
    inside: Option<InsideTls>,
    outputs: &Outputs,
) -> Result<Option<(Follower, Detaching)>, StartError> {
    let Some(inside) = inside else { return Ok(None) };
    let Some(probes) = capture.tls_probes()? else { return Ok(None) };
    let detaching = probes.detaching();
    let counters = capture.counters().ok();
    let lost = move || counters.as_ref().and_then(|all| all.plain(Counter::NoticesLost).ok()).unwrap_or(0);
    let follower = Follower::start(probes, inside.targets, inside.scope, Box::new(lost), &outputs.health)?;
    Ok(Some((follower, detaching)))
}

/// How it captures, for who looks.
fn capture_state(capture: &Capture) -> CaptureState {
    let refusal = |refusal: &Refusal| BackendRefusal {
        backend: refusal.backend.name().to_owned(),
        step: refusal.step.clone(),
        reason: refusal.reason.clone(),
    };
    let release = nix::sys::utsname::uname().map(|name| name.release().to_string_lossy().into_owned());
    CaptureState {
        kernel: release.unwrap_or_default(),
        backend: capture.backend().name().to_owned(),
        refusals: capture.refusals().iter().map(refusal).collect(),
    }
}

impl Drop for Capturing {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}

/// The backend that `--backend` names.
///
/// # Errors
/// There is no such backend.
pub(super) fn backend(name: Option<&str>) -> Result<Option<Backend>, Failure> {
    let Some(name) = name else { return Ok(None) };
    let known = || Backend::ALL.iter().map(|backend| backend.name()).collect::<Vec<_>>().join(", ");
    let backend = Backend::from_name(name);
    let backend = backend
        .ok_or_else(|| Failure::Usage(format!("--backend {name}: there is no such backend; one of {}", known())));
    backend.map(Some)
}

/// One worker for every four CPUs: one alone handles more than a small machine can send.
pub(super) fn workers() -> u32 {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from) as u32;
    (cpus / 4).clamp(1, agent_common::limits::RINGS)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_worker_that_panics_is_told_of() {
        let told = Arc::new(Notify::new());
        let alarm = Alarm(Arc::clone(&told));
        let worker = std::thread::spawn(move || {
            let _alarm = alarm;
            panic!("as a worker would");
        });
        worker.join().unwrap_err();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let waiting = async { tokio::time::timeout(Duration::from_mins(1), told.notified()).await };
        runtime.block_on(waiting).expect("the alarm");
    }
}
