//! Loads the kernel programs with the best backend that this kernel allows, by trying.

use agent_common::{
    layout::{ABSENT, Layout},
    limits::SCRATCH_SLOTS,
};
use aya::{
    Ebpf, EbpfError, EbpfLoader,
    maps::MapError,
    programs::{BtfTracePoint, FEntry, FExit, ProgramError},
    util::KernelVersion,
};
use nix::errno::Errno;

use super::{
    Backend, Ring, Scope, ScopeControl, ScopeError,
    backend::{Attachment, COMMON, Hook, Need, PROCESS},
    btf::{Btf, BtfError},
    clock::Clock,
    handles::{descriptor, errno_of, fdinfo},
    layout,
    loaded::Programs,
    probe_error::TlsError,
    scope,
    sizes::{Failpoints, Sizes},
    tls::TlsProbes,
    uprobe_multi::UprobeMulti,
    uprobes,
};
use crate::capture::Hierarchy;

/// The programs, built by `build.rs`.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/telltale-ebpf"));

/// What to capture and with what.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Only this backend; `None` takes the first that works.
    pub backend: Option<Backend>,
    /// What to capture.
    pub scope: Scope,
    /// Rings, and so workers: 1 to [`agent_common::limits::RINGS`].
    pub workers: u32,
    /// Bytes of each ring, a power of two and at least a page.
    pub ring_bytes: u32,
    /// Sizes of the tables in the kernel.
    pub sizes: Sizes,
    /// What tests take away.
    pub failpoints: Failpoints,
    /// Lets the programs tell of connections: see [`Capture::debug_log`].
    pub debug: bool,
    /// Lets what is inside TLS be captured: see [`Capture::tls_probes`].
    pub tls: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            backend: None,
            scope: Scope::default(),
            workers: 1,
            ring_bytes: 4 << 20,
            sizes: Sizes::default(),
            failpoints: Failpoints::default(),
            debug: false,
            tls: false,
        }
    }
}

/// Why a backend was not taken.
#[derive(Debug)]
pub struct Refusal {
    /// Which.
    pub backend: Backend,
    /// What was tried: `attach fentry tcp_recvmsg`.
    pub step: String,
    /// What the system said.
    pub reason: String,
    /// Its error number, where there was one.
    pub errno: Option<Errno>,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}: {}: {}", self.backend.name(), self.step, self.reason)
    }
}

/// Why capture cannot start.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// Not privileged.
    #[error("capturing needs root, or the capabilities BPF and PERFMON; run it with sudo")]
    Privilege,
    /// The agent's process ids are not the kernel's.
    #[error(
        "this process is in a PID namespace of its own, so it cannot tell its own sockets from others'; \
         run it in the host's (a pod: hostPID: true)"
    )]
    PidNamespace,
    /// The kernel is not laid out as the programs need.
    #[error(transparent)]
    Layout(#[from] BtfError),
    /// What to capture makes no sense.
    #[error(transparent)]
    Scope(#[from] ScopeError),
    /// The object cannot be loaded.
    #[error("cannot load the kernel programs: {0}")]
    Load(#[from] EbpfError),
    /// A map is not as expected.
    #[error("cannot open a map of the kernel programs: {0}")]
    Map(#[from] MapError),
    /// The clocks cannot be read.
    #[error("cannot read the clocks: {0}")]
    Clock(Errno),
    /// Every backend was refused.
    #[error(
        "no capture backend works on this kernel:{}\nrun `telltale check` for what to do",
        lines(.0)
    )]
    NoBackend(Vec<Refusal>),
}

fn lines(refusals: &[Refusal]) -> String {
    refusals.iter().fold(String::new(), |text, refusal| text + "\n  " + &refusal.to_string())
}

/// A running capture. Dropping it detaches every program.
#[derive(Debug)]
pub struct Capture {
    programs: Programs,
    tls: bool,
    backend: Backend,
    refusals: Vec<Refusal>,
    clock: Clock,
    workers: u32,
    sizes: Sizes,
    scope: Scope,
}

impl Capture {
    /// Loads the programs, writes the scope and attaches.
    pub fn start(settings: &Settings) -> Result<Self, CaptureError> {
        let clock = Clock::start().map_err(CaptureError::Clock)?;
        if !pid_namespace_is_initial() {
            return Err(CaptureError::PidNamespace);
        }
        let kernel = Btf::of_kernel()?;
        let layout = complete(layout::resolve(&kernel)?, settings, &kernel)?;
        let types = aya::Btf::from_sys_fs().map_err(EbpfError::BtfError)?;
        let candidates = settings.backend.map_or_else(|| Backend::ALL.to_vec(), |backend| vec![backend]);
        let mut refusals = Vec::new();
        for backend in candidates {
            match attach(backend, settings, &layout, &kernel, &types) {
                Ok(ebpf) => {
                    drop((types, kernel));
                    let uprobe_multi = uprobe_multi(settings, &ebpf);
                    let programs = Programs::new(ebpf, uprobe_multi);
                    super::memory::give_back();
                    return Ok(Self {
                        programs,
                        tls: settings.tls,
                        backend,
                        refusals,
                        clock,
                        workers: settings.workers,
                        sizes: settings.sizes,
                        scope: settings.scope.clone(),
                    });
                }
                Err(Attempt::Refused(refusal)) => refusals.push(refusal),
                Err(Attempt::Failed(error)) => return Err(error),
            }
        }
        Err(CaptureError::NoBackend(refusals))
    }

    /// The backend that was taken.
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// The backends before it, and why they were not taken.
    pub fn refusals(&self) -> &[Refusal] {
        &self.refusals
    }

    /// Writes the log lines of the programs to the agent's own log, on the current tokio runtime.
    /// [`Settings::debug`] lets them write any.
    pub fn debug_log(&mut self) -> Result<(), aya_log::Error> {
        self.with(super::debug_log::start)
    }

    /// A handle that changes what is captured. There should be one.
    pub fn scope_control(&self) -> Result<ScopeControl, ScopeError> {
        self.with(|ebpf| ScopeControl::open(ebpf, &self.scope, self.sizes, FIRST_GENERATION))
    }

    /// Takes everything out of scope at once: from now on only what was in the rings is left to come, but for ends of connections, one each. To
    /// detach first would take longer, and calls of which only one half is hooked would be told of meanwhile.
    ///
    /// # Errors
    /// The kernel refuses: capture goes on.
    pub fn close_scope(&mut self) -> Result<(), ScopeError> {
        self.with(scope::close)
    }

    /// One ring for each worker.
    pub fn rings(&mut self) -> Result<Vec<Ring>, CaptureError> {
        let ring = |index| self.with(|ebpf| Ring::open(ebpf, index, self.clock, self.tls));
        (0..self.workers).map(|index| Ok(ring(index)?)).collect()
    }

    /// What probes TLS libraries; `None` where [`Settings::tls`] is off. There should be one.
    ///
    /// # Errors
    /// This kernel cannot do it, and says why; everything else goes on.
    pub fn tls_probes(&self) -> Result<Option<TlsProbes>, TlsError> {
        if !self.tls {
            return Ok(None);
        }
        TlsProbes::open(&self.programs).map(Some)
    }

    /// Captures the processes that `start` starts, from their first instruction, and all that they start later. The scope must
    /// have [`Scope::descendants`].
    pub fn following<T>(&mut self, start: impl FnOnce() -> T) -> Result<T, ScopeError> {
        // The agent itself is never captured, so that being in the set only makes its children be.
        let own = std::process::id();
        self.with(|ebpf| scope::insert_process(ebpf, own, self.sizes))?;
        let started = start();
        self.with(|ebpf| scope::remove_process(ebpf, own))?;
        Ok(started)
    }

    /// Memory that the maps hold in the kernel, in bytes, as the kernel accounts it. Sockets' and threads' storage is not in it.
    pub fn map_memory(&self) -> u64 {
        self.with(|ebpf| ebpf.maps().filter_map(|(_, map)| fdinfo(descriptor(map)?, "memlock:")).sum())
    }

    /// What the kernel side counted, readable from any thread.
    pub fn counters(&self) -> Result<super::KernelCounters, CaptureError> {
        Ok(self.with(|ebpf| super::KernelCounters::open(ebpf, self.programs.uprobe_multi()))?)
    }

    /// The programs are there as long as this is.
    fn with<T>(&self, act: impl FnOnce(&mut Ebpf) -> T) -> T {
        self.programs.with(act).expect("only dropping the capture unloads them")
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.programs.unload();
    }
}

pub(super) fn pid_namespace_is_initial() -> bool {
    // PROC_PID_INIT_INO of the kernel.
    const INITIAL: &str = "pid:[4026531836]";
    std::fs::read_link("/proc/self/ns/pid").is_ok_and(|link| link.as_os_str() == INITIAL)
}

fn complete(mut layout: Layout, settings: &Settings, kernel: &Btf) -> Result<Layout, CaptureError> {
    layout.own_pid = std::process::id();
    layout.rings = settings.workers;
    // `bpf_get_func_ret` and `bpf_loop` came with 5.17.
    let has_helpers = KernelVersion::current().is_ok_and(|version| version >= KernelVersion::new(5, 17, 0));
    layout.use_func_ret = u32::from(has_helpers && !settings.failpoints.without_new_helpers);
    layout.use_loop = layout.use_func_ret;
    layout.scratch_slots = settings.sizes.scratch_slots.min(SCRATCH_SLOTS);
    layout.tls = u32::from(settings.tls);
    layout.no_thread_state = u32::from(settings.failpoints.without_thread_state);
    layout.cgroup_subsystem = match settings.scope.hierarchy()? {
        Hierarchy::Unified => ABSENT,
        Hierarchy::Controller(name) => {
            // The controller `blkio` is `io` inside the kernel.
            let name = if name == "blkio" { "io" } else { &name };
            let name = format!("{name}_cgrp_id");
            kernel.enumerator(&name).ok_or(BtfError::NoType { kind: "enum value", name })?
        }
    };
    Ok(layout)
}

/// Of the scope that is written at the start.
const FIRST_GENERATION: u32 = 1;

enum Attempt {
    Refused(Refusal),
    Failed(CaptureError),
}

impl<E: Into<CaptureError>> From<E> for Attempt {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

fn attach(
    backend: Backend,
    settings: &Settings,
    layout: &Layout,
    kernel: &Btf,
    types: &aya::Btf,
) -> Result<Ebpf, Attempt> {
    let mut ebpf = load(settings, layout, types)
        .map_err(|error| if is_permission(&error) { CaptureError::Privilege } else { CaptureError::Load(error) })?;
    scope::write(&mut ebpf, &settings.scope, settings.sizes, FIRST_GENERATION)?;
    let follows = settings.scope.follows_processes();
    let hooks = COMMON.iter().chain(if follows { PROCESS } else { &[] }).chain(backend.hooks());
    for hook in hooks {
        let step = format!("attach {} {}", hook.attachment.name(), hook.target);
        if let Need::Without(better) = hook.need
            && kernel.has_tracepoint(better)
        {
            continue;
        }
        if !hook.is_present(kernel) {
            if hook.need == Need::IfPresent {
                continue;
            }
            let reason = format!("this kernel has no {} `{}`", hook.attachment.what(), hook.target);
            return Err(Attempt::Refused(Refusal { backend, step, reason, errno: None }));
        }
        if let Err(error) = attach_hook(&mut ebpf, hook, types) {
            let errno = errno_of(&error);
            return Err(Attempt::Refused(Refusal { backend, step, reason: describe(&error, errno), errno }));
        }
    }
    Ok(ebpf)
}

fn load(settings: &Settings, layout: &Layout, types: &aya::Btf) -> Result<Ebpf, EbpfError> {
    // SAFETY: `Layout` is `repr(C)` and made of `u32` alone, so it is an array of them.
    let words = unsafe {
        std::slice::from_raw_parts(std::ptr::from_ref(layout).cast::<u32>(), size_of::<Layout>() / size_of::<u32>())
    };
    let mut loader = EbpfLoader::new();
    let level = if settings.debug { aya_log::Level::Debug as u8 } else { 0 };
    loader
        .btf(Some(types))
        .override_global("LAYOUT", words, true)
        .override_global("AYA_LOG_LEVEL", &level, true)
        .allow_unsupported_maps();
    if !settings.debug {
        loader.map_max_entries("AYA_LOGS", 4096);
    }
    for (name, entries) in settings.sizes.tables() {
        loader.map_max_entries(name, entries);
    }
    for (name, entries) in super::tls::tables(settings.tls) {
        loader.map_max_entries(name, entries);
    }
    for (index, name) in super::ring::NAMES.into_iter().enumerate() {
        if (index as u32) < settings.workers {
            loader.map_max_entries(name, settings.ring_bytes);
        }
    }
    loader.load(OBJECT)
}

/// Those for links that aya does not know, where they are wanted and the kernel has such links.
fn uprobe_multi(settings: &Settings, ebpf: &Ebpf) -> Option<UprobeMulti> {
    if !settings.tls || settings.failpoints.without_uprobe_multi {
        return None;
    }
    let loaded = UprobeMulti::load(OBJECT, ebpf, &uprobes::PROGRAMS);
    loaded.inspect_err(|error| tracing::debug!("{error}; probes are perf events")).ok()
}

fn attach_hook(ebpf: &mut Ebpf, hook: &Hook, types: &aya::Btf) -> Result<(), ProgramError> {
    // The object and the table are of one build; a name that is not there is reported as a program not loaded.
    let program = ebpf.program_mut(hook.program).ok_or(ProgramError::NotLoaded)?;
    match hook.attachment {
        Attachment::Fentry => {
            let program: &mut FEntry = program.try_into()?;
            program.load(hook.target, types)?;
            program.attach()?;
        }
        Attachment::Fexit => {
            let program: &mut FExit = program.try_into()?;
            program.load(hook.target, types)?;
            program.attach()?;
        }
        Attachment::TracePoint => {
            let program: &mut BtfTracePoint = program.try_into()?;
            program.load(hook.target, types)?;
            program.attach()?;
        }
    }
    Ok(())
}

impl Attachment {
    /// As the kernel's documentation calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fentry => "fentry",
            Self::Fexit => "fexit",
            Self::TracePoint => "tp_btf",
        }
    }

    const fn what(self) -> &'static str {
        match self {
            Self::Fentry | Self::Fexit => "function",
            Self::TracePoint => "tracepoint",
        }
    }
}

fn is_permission(error: &EbpfError) -> bool {
    errno_of(error) == Some(Errno::EPERM)
}

/// One line: the error number's meaning, or the last line of what the verifier says.
fn describe(error: &ProgramError, errno: Option<Errno>) -> String {
    if let ProgramError::LoadError { verifier_log, .. } = error {
        let log = verifier_log.to_string();
        let statistics = ["processed ", "stack depth ", "verification time "];
        let told =
            log.lines().rev().find(|line| !line.is_empty() && !statistics.iter().any(|start| line.starts_with(start)));
        if let Some(line) = told {
            tracing::debug!("verifier log:\n{log}");
            return format!("refused by the verifier: {line}");
        }
    }
    errno.map_or_else(|| error.to_string(), |errno| format!("{} ({errno:?})", errno.desc()))
}
