//! The thread that keeps probes where they belong while processes come and go.

use std::{
    collections::HashSet,
    io,
    os::fd::AsFd as _,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use agent_common::tls::Function;
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::eventfd::{EfdFlags, EventFd},
};

use super::{
    discovery::{Counts, Discovery, Limits, Prober, RefusedBecause},
    prepare::Surroundings,
    processes::{Members, System},
    targets::{Targets, layouts},
    trial::{self, TrialError},
    turns::Cause,
};
use crate::{
    admin::{Counter, Gauge, Health, table},
    capture::kernel::{Attached, Notice, Notices, TlsError, TlsProbes},
};

/// Connections that wait at once. One more is counted, and its process told of again with its next one.
const CONNECTIONS: usize = 1024;
/// How long it is waited for the thread when it is to end. What it looks at may be a file system that does not answer.
const END: Duration = Duration::from_secs(5);
/// How long it is waited at the start until all have been looked at who are there.
const START: Duration = Duration::from_secs(10);
/// How long it is waited at the start for the thread, which may have met a file system that does not answer.
const READY: Duration = Duration::from_secs(15);
/// How far apart all are looked at again because notices were lost.
const LOST: Duration = Duration::from_secs(10);
/// How long nothing is done after notices of which none was a reason to look: whoever calls what tells of libraries all the time shall not cost as
/// much as it can.
const PAUSE: Duration = Duration::from_millis(2);
/// Notices that are taken before requests are looked at.
const NOTICES: usize = 256;
/// Programs of which is remembered that what they need was looked for.
const PROGRAMS: usize = 4096;
/// For tests, in builds with debug assertions only: `refuse` has the start refused, `panic` has the thread panic when it has looked at who is there.
#[cfg(debug_assertions)]
const FAIL: &str = "TELLTALE_TEST_TLS";

/// Whose TLS libraries get probes.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// Who is in scope, as far as it can be asked for.
    pub members: Members,
    /// Processes that are in scope beside them.
    pub processes: Vec<u32>,
    /// What is going to be executed, if that is known. Then what a new program may need gets its probes before that is mapped.
    pub command: Option<Vec<std::ffi::OsString>>,
}

/// What the thread has been told and has not done yet. Nobody who tells it waits for it.
#[derive(Debug, Default)]
struct Told {
    /// These are in scope from now on; what was told before that does not matter any more.
    members: Mutex<Option<Members>>,
    stop: AtomicBool,
    /// It panicked.
    failed: AtomicBool,
}

impl Told {
    fn members(&self) -> MutexGuard<'_, Option<Members>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells the thread. Clones tell the same one.
#[derive(Clone, Debug)]
pub struct FollowerHandle {
    told: Arc<Told>,
    /// Processes that have a connection in scope.
    connections: SyncSender<u32>,
    /// Of these, those for which there was no room.
    refused: Counter,
    wake: Arc<EventFd>,
}

impl FollowerHandle {
    /// These are in scope from now on. Does not wait.
    pub fn set_members(&self, members: Members) {
        *self.told.members() = Some(members);
        let _ = self.wake.write(1);
    }

    /// This process has a connection in scope. Does not wait: whether there was room for that. Where there is none it is counted.
    pub fn connection(&self, pid: u32) -> bool {
        let is_told = self.connections.try_send(pid).is_ok();
        if is_told {
            let _ = self.wake.write(1);
        } else {
            self.refused.add(1);
        }
        is_told
    }

    /// The thread panicked: nothing has probes any more.
    pub fn has_failed(&self) -> bool {
        self.told.failed.load(Ordering::Acquire)
    }
}

/// The thread. Dropping it takes all probes out.
#[derive(Debug)]
pub struct Follower {
    handle: FollowerHandle,
    thread: Option<JoinHandle<()>>,
    /// Closed when the thread has ended.
    ended: Receiver<()>,
}

impl Follower {
    /// Attaches to what processes in scope execute, and to what the command will, then follows them. `lost` says how many notices were lost so far.
    ///
    /// # Errors
    /// The kernel side refuses the layouts, or there can be no thread.
    pub fn start(
        mut probes: TlsProbes,
        targets: Targets,
        scope: Scope,
        lost: Box<dyn Fn() -> u64 + Send>,
        health: &Health,
    ) -> Result<Self, StartError> {
        #[cfg(debug_assertions)]
        if is_wanted("refuse") {
            return Err(io::Error::other("a test refuses").into());
        }
        trial::run(&mut probes)?;
        probes.set_layouts(&layouts())?;
        let notices = probes.take_notices()?.ok_or(TlsError::Over)?;
        let source = System { scope: scope.members };
        let discovery = Discovery::new(probes, source, targets, Limits::default());
        let (connections, received) = sync_channel(CONNECTIONS);
        let refused = health.counter(&table::TLS_REFUSED, &[RefusedBecause::Processes.word()]);
        let told = Arc::new(Told::default());
        let wake = EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC).map_err(io::Error::from)?;
        let wake = Arc::new(wake);
        let mut work = Work {
            discovery,
            notices,
            told: Arc::clone(&told),
            connections: received,
            wake: Arc::clone(&wake),
            around: scope.command.as_ref().map(|_| Surroundings::of_this_process()),
            programs: HashSet::new(),
            lost: Lost { count: lost, known: 0, is_due: false, next: Duration::ZERO },
            metrics: Metrics::new(health),
            begin: Instant::now(),
        };
        let (end, ended) = sync_channel(1);
        let (ready, is_ready) = sync_channel(1);
        let alarm =
            Alarm { told: Arc::clone(&told), gauges: [work.metrics.files.clone(), work.metrics.processes.clone()] };
        let thread = std::thread::Builder::new().name("telltale-tls".to_owned()).spawn(move || {
            let _end = end;
            let _alarm = alarm;
            let is_done = work.begin(&scope.processes, scope.command.as_deref().unwrap_or_default());
            // Nobody waits for it any more, perhaps.
            let _ = ready.send(is_done);
            work.run();
        })?;
        // Who is told that it captures may rely on it, also of what runs already.
        if matches!(is_ready.recv_timeout(READY), Ok(false) | Err(RecvTimeoutError::Timeout)) {
            tracing::warn!("TLS libraries are still looked for: what is inside TLS is not read of all processes yet");
        }
        Ok(Self { handle: FollowerHandle { told, connections, refused, wake }, thread: Some(thread), ended })
    }

    /// To tell it.
    pub fn handle(&self) -> FollowerHandle {
        self.handle.clone()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.handle.told.stop.store(true, Ordering::Release);
        let _ = self.handle.wake.write(1);
        if self.ended.recv_timeout(END) == Err(RecvTimeoutError::Timeout) {
            return tracing::warn!(
                "what looks for TLS libraries does not answer: its probes are taken out when this program ends"
            );
        }
        if let Some(thread) = self.thread.take() {
            // Its panic is in the log, and nothing depends on it.
            let _ = thread.join();
        }
    }
}

/// Tells that the thread panicked, with which all its probes went.
struct Alarm {
    told: Arc<Told>,
    /// What it had.
    gauges: [Gauge; 2],
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!("what looks for TLS libraries panicked: nothing more is read inside TLS");
            self.told.failed.store(true, Ordering::Release);
            self.gauges.iter().for_each(|gauge| gauge.set(0));
        }
    }
}

#[cfg(debug_assertions)]
fn is_wanted(failure: &str) -> bool {
    std::env::var_os(FAIL).is_some_and(|wanted| wanted == failure)
}

/// Why what is inside TLS is not read.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The kernel side refuses.
    #[error(transparent)]
    Probes(#[from] TlsError),
    /// Probes do not work here, or do harm.
    #[error(transparent)]
    Trial(#[from] TrialError),
    /// The system refuses.
    #[error("cannot follow processes: {0}")]
    Io(#[from] io::Error),
}

impl Prober for TlsProbes {
    type Attached = Attached;

    fn attach(&mut self, path: &Path, functions: &[(Function, u64)]) -> Result<Attached, String> {
        Self::attach(self, path, functions).map_err(|error| error.to_string())
    }

    fn attach_linker(&mut self, path: &Path, offset: u64) -> Result<Attached, String> {
        Self::attach_linker(self, path, offset).map_err(|error| error.to_string())
    }

    fn detach(&mut self, attached: Attached) {
        drop(attached);
    }
}

struct Work {
    discovery: Discovery<TlsProbes, System>,
    notices: Notices,
    told: Arc<Told>,
    connections: Receiver<u32>,
    wake: Arc<EventFd>,
    /// There is a command, whose programs are looked at as soon as they start.
    around: Option<Surroundings>,
    programs: HashSet<PathBuf>,
    lost: Lost,
    metrics: Metrics,
    begin: Instant,
}

/// Notices that were lost, which is made good by a look at everybody.
struct Lost {
    count: Box<dyn Fn() -> u64 + Send>,
    known: u64,
    /// Some were since everybody was looked at.
    is_due: bool,
    /// When that may be next.
    next: Duration,
}

impl Lost {
    /// Whether everybody is to be looked at now.
    fn take(&mut self, now: Duration) -> bool {
        let count = (self.count)();
        self.is_due |= count != self.known;
        self.known = count;
        let is_now = self.is_due && self.next <= now;
        if is_now {
            (self.is_due, self.next) = (false, now + LOST);
        }
        is_now
    }

    /// How long it is until then; nothing if none were lost.
    fn wait(&self, now: Duration) -> Option<Duration> {
        self.is_due.then(|| self.next.saturating_sub(now))
    }
}

impl Work {
    /// Whether all were looked at.
    fn begin(&mut self, processes: &[u32], command: &[std::ffi::OsString]) -> bool {
        let files = self.around.as_ref().map(|around| around.files_of(command)).unwrap_or_default();
        let now = self.now();
        for file in files {
            self.discovery.pin(&file, now);
        }
        for &pid in processes {
            self.discovery.look(pid, Cause::Start, now);
        }
        self.discovery.rescan(now);
        // As far as it goes: nobody's files keep it from starting.
        let mut is_left = true;
        while is_left && self.now() < now + START {
            is_left = self.discovery.work(self.now());
        }
        self.metrics.tell(&self.discovery);
        #[cfg(debug_assertions)]
        assert!(!is_wanted("panic"), "a test wants it");
        !is_left
    }

    /// Until it is told to stop.
    fn run(mut self) {
        loop {
            let now = self.now();
            // Ends of times are rounded up, so that it does not wake before them.
            let next = self.discovery.next_tick(now);
            let timeout = self.lost.wait(now).map_or(next, |lost| lost.min(next)) + Duration::from_millis(1);
            let timeout = PollTimeout::try_from(timeout).unwrap_or(PollTimeout::MAX);
            let mut fds = [
                PollFd::new(self.notices.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.wake.as_fd(), PollFlags::POLLIN),
            ];
            // An interruption is as good as a wake-up.
            let _ = poll(&mut fds, timeout);
            let _ = self.wake.read();
            if self.take_notices() {
                std::thread::sleep(PAUSE);
            }
            if self.take_requests() {
                return;
            }
            let now = self.now();
            if self.lost.take(now) {
                self.discovery.rescan_all(now);
            }
            self.discovery.tick(now);
            self.metrics.tell(&self.discovery);
        }
    }

    /// Whether there were some, and none was a reason to look at once.
    fn take_notices(&mut self) -> bool {
        let mut told: Vec<(u32, Cause)> = Vec::new();
        for _ in 0..NOTICES {
            let Some(notice) = self.notices.take() else { break };
            let (pid, cause) = match notice {
                Notice::Exec { pid } => (pid, Cause::Exec),
                Notice::Libraries { pid } => (pid, Cause::Libraries),
            };
            if cause == Cause::Exec {
                // Before the linker has mapped what the program needs, if it can be.
                self.prepare(pid);
            }
            // A linker tells before and after, and one look at the end of it all is enough.
            match told.iter_mut().find(|(known, _)| *known == pid) {
                Some(known) => known.1 = cause,
                None => told.push((pid, cause)),
            }
        }
        let mut is_idle = !told.is_empty();
        for (pid, cause) in told {
            is_idle &= !self.discovery.look(pid, cause, self.begin.elapsed());
        }
        is_idle
    }

    /// Whether it is to stop.
    fn take_requests(&mut self) -> bool {
        if self.told.stop.load(Ordering::Acquire) {
            return true;
        }
        let members = self.told.members().take();
        if let Some(members) = members {
            self.discovery.source().scope = members;
            self.discovery.rescan(self.now());
        }
        for _ in 0..CONNECTIONS {
            let Ok(pid) = self.connections.try_recv() else { break };
            if !self.discovery.knows(pid) {
                self.discovery.look(pid, Cause::Connection, self.now());
            }
        }
        false
    }

    /// A program of the command: what it needs gets its probes before it is mapped.
    fn prepare(&mut self, pid: u32) {
        let Some(around) = &self.around else { return };
        let process = Path::new("/proc").join(pid.to_string());
        let Ok(program) = std::fs::read_link(process.join("exe")) else { return };
        // In a container the path means another file.
        let is_here = |name: &str| {
            std::fs::read_link(process.join(name)).ok() == std::fs::read_link(Path::new("/proc/self").join(name)).ok()
        };
        if !is_here("ns/mnt") || !is_here("root") {
            return;
        }
        if self.programs.len() < PROGRAMS && self.programs.insert(program.clone()) {
            let now = self.begin.elapsed();
            for file in around.files_of_program(&program) {
                self.discovery.pin(&file, now);
            }
        }
    }

    fn now(&self) -> Duration {
        self.begin.elapsed()
    }
}

/// What of it is among the agent's own metrics.
struct Metrics {
    files: Gauge,
    attached: Counter,
    detached: Counter,
    evicted: Counter,
    looks: [Counter; Cause::ALL.len()],
    refused: [Counter; RefusedBecause::ALL.len()],
    processes: Gauge,
    told: Counts,
}

impl Metrics {
    fn new(health: &Health) -> Self {
        Self {
            files: health.gauge(&table::TLS_FILES, &[]),
            attached: health.counter(&table::TLS_FILES_ATTACHED, &[]),
            detached: health.counter(&table::TLS_FILES_DETACHED, &[]),
            evicted: health.counter(&table::TLS_FILES_EVICTED, &[]),
            looks: Cause::ALL.map(|cause| health.counter(&table::TLS_LOOKS, &[cause.word()])),
            refused: RefusedBecause::ALL.map(|because| health.counter(&table::TLS_REFUSED, &[because.word()])),
            processes: health.gauge(&table::TLS_PROCESSES, &[]),
            told: Counts::default(),
        }
    }

    fn tell(&mut self, discovery: &Discovery<TlsProbes, System>) {
        let counts = discovery.counts();
        self.files.set((counts.attached - counts.detached) as i64);
        self.processes.set(discovery.processes() as i64);
        self.attached.add(counts.attached - self.told.attached);
        self.detached.add(counts.detached - self.told.detached);
        self.evicted.add(counts.evicted - self.told.evicted);
        for (index, counter) in self.looks.iter().enumerate() {
            counter.add(counts.looks[index] - self.told.looks[index]);
        }
        for (index, counter) in self.refused.iter().enumerate() {
            counter.add(counts.refused[index] - self.told.refused[index]);
        }
        self.told = counts;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;

    #[test]
    fn lost_notices_are_made_good_at_a_bounded_rate() {
        let count = Arc::new(AtomicU64::new(0));
        let kernel = Arc::clone(&count);
        let mut lost = Lost {
            count: Box::new(move || kernel.load(Ordering::Relaxed)),
            known: 0,
            is_due: false,
            next: Duration::ZERO,
        };
        let second = Duration::from_secs;
        assert!(!lost.take(second(1)) && lost.wait(second(1)).is_none());
        count.store(5, Ordering::Relaxed);
        assert!(lost.take(second(2)) && !lost.take(second(3)));
        count.store(6, Ordering::Relaxed);
        // Too early; it is remembered.
        assert!(!lost.take(second(4)) && !lost.take(second(11)));
        assert_eq!(lost.wait(second(11)), Some(second(1)));
        assert!(lost.take(second(12)) && !lost.take(second(100)));
    }

    #[test]
    fn a_panic_is_told_of() {
        let health = Health::new();
        let told = Arc::new(Told::default());
        let gauge = |row| {
            let gauge = health.gauge(row, &[]);
            gauge.set(7);
            gauge
        };
        let gauges = [gauge(&table::TLS_FILES), gauge(&table::TLS_PROCESSES)];
        let alarm = Alarm { told: Arc::clone(&told), gauges };
        let (connections, _) = sync_channel(1);
        let wake = Arc::new(EventFd::from_flags(EfdFlags::EFD_NONBLOCK).unwrap());
        let handle =
            FollowerHandle { told, connections, refused: health.counter(&table::TLS_REFUSED, &["processes"]), wake };
        assert!(!handle.has_failed());
        let thread = std::thread::spawn(move || {
            let _alarm = alarm;
            panic!("as a damaged file may do it");
        });
        thread.join().unwrap_err();
        assert!(handle.has_failed());
        assert_eq!([&table::TLS_FILES, &table::TLS_PROCESSES].map(|row| health.value(row, &[])), [0, 0]);
    }

    #[test]
    fn who_tells_does_not_wait() {
        let (connections, received) = sync_channel(1);
        let wake = Arc::new(EventFd::from_flags(EfdFlags::EFD_NONBLOCK).unwrap());
        let refused = Health::new().counter(&table::TLS_REFUSED, &["processes"]);
        let handle = FollowerHandle { told: Arc::default(), connections, refused, wake };
        // Nobody takes anything.
        for pid in 0..3 {
            assert_eq!(handle.connection(pid), pid == 0);
            handle.set_members(Members::Cgroups { included: vec![pid.to_string().into()], excluded: Vec::new() });
        }
        let latest = Members::Cgroups { included: vec!["2".into()], excluded: Vec::new() };
        assert_eq!(*handle.told.members(), Some(latest));
        assert_eq!((received.try_recv(), received.try_recv().is_err()), (Ok(0), true));
        assert_ne!(handle.wake.read().unwrap(), 0);
        assert_eq!(handle.refused.get(), 2);
    }
}
