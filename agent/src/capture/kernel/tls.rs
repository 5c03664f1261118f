//! Attaches the probes to the files of TLS libraries. Which files, others say.

use std::{
    os::fd::{AsFd, BorrowedFd},
    path::Path,
    sync::mpsc::{Sender, channel},
};

use agent_common::tls::{self, FILES, Function, LAYOUTS, NOTICE_EXEC, ObjectLayout};
use aya::{
    Ebpf, Pod,
    maps::{Array, Map, MapData, MapError, RingBuf},
    programs::{
        BtfTracePoint, ProgramError, UProbe,
        uprobe::{UProbeAttachPoint, UProbeLink, UProbeScope},
    },
};
use nix::{
    errno::Errno,
    sys::resource::{Resource, getrlimit, setrlimit},
    time::{ClockId, clock_gettime},
};

use super::loader::{Programs, share};

/// Why what is inside TLS cannot be seen, or not in this file.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A program cannot be loaded or attached.
    #[error("{step}: {reason}")]
    Program {
        /// What was tried.
        step: String,
        /// What the system said.
        reason: String,
    },
    /// A map is not as expected.
    #[error("cannot open a map of the kernel programs: {0}")]
    Map(#[from] MapError),
    /// More files than the table holds.
    #[error("too many files with TLS libraries at once: at most {FILES}")]
    TooMany,
    /// The capture is over.
    #[error("the capture is over")]
    Over,
}

/// Entries of the tables in the kernel that what is inside TLS needs, by their names in the object; without it they are as small as can be.
pub(super) fn tables(on: bool) -> [(&'static str, u32); 4] {
    let entries = |entries| if on { entries } else { 1 };
    [
        ("TLS_OBJECTS", entries(tls::OBJECTS)),
        ("TLS_CONNECTIONS", entries(tls::OBJECTS)),
        ("HELLOS", entries(tls::HELLOS)),
        ("NOTICES", if on { tls::NOTICE_BYTES } else { 4096 }),
    ]
}

#[derive(Clone, Copy)]
#[repr(transparent)]
struct LayoutRow(ObjectLayout);

// SAFETY: four integers without padding; any bytes are a value.
unsafe impl Pod for LayoutRow {}

/// The programs that see what is inside TLS, and where they are attached.
pub struct TlsProbes {
    programs: Programs,
    files: Array<MapData, u64>,
    layouts: Array<MapData, LayoutRow>,
    notices: Option<Notices>,
    /// Indices of the table of files that are free.
    free: Vec<u32>,
    /// To the thread that detaches: for each probe the kernel waits until all CPUs are done with it, tens of milliseconds, and for no two at
    /// once. It ends by itself when nothing is left; the process may end before.
    detaching: Sender<Vec<UProbeLink>>,
}

/// The probes of one file. They are detached in the background when it is dropped; [`TlsProbes::detach`] also lets their place be used again.
pub struct Attached {
    links: Vec<UProbeLink>,
    file: Option<u32>,
    detaching: Sender<Vec<UProbeLink>>,
}

impl Drop for Attached {
    fn drop(&mut self) {
        // Without the thread they are detached here.
        let _ = self.detaching.send(std::mem::take(&mut self.links));
    }
}

impl Attached {
    /// Number of probes.
    pub fn probes(&self) -> usize {
        self.links.len()
    }
}

impl TlsProbes {
    pub(super) fn open(programs: &Programs) -> Result<Self, TlsError> {
        raise_open_files();
        let opened = programs.with(|ebpf| {
            let types = aya::Btf::from_sys_fs().map_err(|error| failed("read the kernel's types", &error))?;
            for name in [BEGIN, END, FREE, LIBRARIES] {
                let step = format!("load {name}");
                uprobe(ebpf, name)?.load().map_err(|error| failed(&step, &error))?;
            }
            let notices = ebpf.take_map("NOTICES").ok_or_else(|| MapError::InvalidName { name: "NOTICES".into() })?;
            let exec: &mut BtfTracePoint = ebpf
                .program_mut("process_exec")
                .ok_or(ProgramError::NotLoaded)
                .and_then(TryInto::try_into)
                .map_err(|error| failed("find process_exec", &error))?;
            exec.load("sched_process_exec", &types)
                .and_then(|()| exec.attach())
                .map_err(|error| failed("attach tp_btf sched_process_exec", &error))?;
            Ok::<_, TlsError>(Self {
                programs: programs.clone(),
                files: Array::try_from(Map::Array(share(ebpf, "TLS_FILES")?))?,
                layouts: Array::try_from(Map::Array(share(ebpf, "TLS_LAYOUTS")?))?,
                notices: Some(Notices { records: RingBuf::try_from(notices)? }),
                free: (0..FILES).rev().collect(),
                detaching: detacher(),
            })
        });
        opened.ok_or(TlsError::Over)?
    }

    /// The layouts of objects that are known, at most [`LAYOUTS`]; more are not used.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn set_layouts(&mut self, layouts: &[ObjectLayout]) -> Result<(), TlsError> {
        for index in 0..LAYOUTS {
            let row = layouts.get(index as usize).map(|layout| ObjectLayout { used: 1, ..*layout });
            self.layouts.set(index, LayoutRow(row.unwrap_or_default()), 0)?;
        }
        Ok(())
    }

    /// Attaches to these functions of a file, given by their offsets in it; to all or to none.
    ///
    /// # Errors
    /// The file cannot be opened or probed, or there are too many.
    pub fn attach(&mut self, path: &Path, functions: &[(Function, u64)]) -> Result<Attached, TlsError> {
        let file = self.free.pop().ok_or(TlsError::TooMany)?;
        match self.attach_as(file, path, functions) {
            Ok(links) => Ok(Attached { links, file: Some(file), detaching: self.detaching.clone() }),
            Err(error) => {
                self.free.push(file);
                Err(error)
            }
        }
    }

    fn attach_as(
        &mut self,
        file: u32,
        path: &Path,
        functions: &[(Function, u64)],
    ) -> Result<Vec<UProbeLink>, TlsError> {
        let mut links = Vec::new();
        for &(function, offset) in functions {
            let cookie = Some(tls::probe(file, function));
            let programs: &[&str] = if function == Function::Free { &[FREE] } else { &[END, BEGIN] };
            for name in programs {
                links.push(self.attach_program(name, path, offset, cookie, function.symbol())?);
            }
        }
        // From now on nothing is missed.
        self.files.set(file, boot_time(), 0)?;
        Ok(links)
    }

    /// Attaches to the function of a dynamic linker that it calls when it has mapped libraries (`_dl_debug_state`).
    ///
    /// # Errors
    /// As [`Self::attach`].
    pub fn attach_linker(&mut self, path: &Path, offset: u64) -> Result<Attached, TlsError> {
        let link = self.attach_program(LIBRARIES, path, offset, None, "_dl_debug_state")?;
        Ok(Attached { links: vec![link], file: None, detaching: self.detaching.clone() })
    }

    fn attach_program(
        &self,
        name: &str,
        path: &Path,
        offset: u64,
        cookie: Option<u64>,
        symbol: &str,
    ) -> Result<UProbeLink, TlsError> {
        let attached = self.programs.with(|ebpf| {
            let program = uprobe(ebpf, name)?;
            let point = UProbeAttachPoint { location: offset.into(), cookie };
            let attached = program.attach(point, path, UProbeScope::AllProcesses);
            attached
                .and_then(|id| program.take_link(id))
                .map_err(|error| failed(&format!("attach to {symbol} of {}", path.display()), &error))
        });
        attached.ok_or(TlsError::Over)?
    }

    /// Detaches the probes of a file.
    pub fn detach(&mut self, mut attached: Attached) {
        if let Some(file) = attached.file.take() {
            // A refusal leaves a time behind that the next file replaces.
            let _ = self.files.set(file, 0, 0);
            self.free.push(file);
        }
    }

    /// What tells of processes that may map other files now; once.
    pub fn take_notices(&mut self) -> Option<Notices> {
        self.notices.take()
    }
}

const BEGIN: &str = "tls_begin";
const END: &str = "tls_end";
const FREE: &str = "tls_free";
const LIBRARIES: &str = "libraries";

/// Starts what detaches the probes that it is sent.
fn detacher() -> Sender<Vec<UProbeLink>> {
    let (sender, links) = channel();
    let thread = std::thread::Builder::new().name("telltale-detach".to_owned());
    if let Err(error) = thread.spawn(move || links.into_iter().for_each(drop)) {
        tracing::debug!("probes are detached without a thread: {error}");
    }
    sender
}

fn uprobe<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut UProbe, TlsError> {
    let program = ebpf.program_mut(name).ok_or(ProgramError::NotLoaded).and_then(TryInto::try_into);
    program.map_err(|error| failed(&format!("find {name}"), &error))
}

fn failed(step: &str, error: &(dyn std::error::Error + 'static)) -> TlsError {
    let reason = super::loader::errno_of(error)
        .map_or_else(|| error.to_string(), |errno: Errno| format!("{} ({errno:?})", errno.desc()));
    TlsError::Program { step: step.to_owned(), reason }
}

/// `CLOCK_BOOTTIME`, nanoseconds.
fn boot_time() -> u64 {
    clock_gettime(ClockId::CLOCK_BOOTTIME)
        .map_or(0, |time| time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64)
}

/// Each probe is an open file, and the limit that shells give is low.
fn raise_open_files() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, hard.min(65_536).max(soft), hard)
    {
        tracing::debug!("the limit of open files stays {soft}: {error}");
    }
}

/// A process may map files that it did not before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// It executes another program.
    Exec {
        /// Which process.
        pid: u32,
    },
    /// Its dynamic linker mapped libraries.
    Libraries {
        /// Which process.
        pid: u32,
    },
}

/// The notices of the kernel side. Readable (`poll`) when there are some.
pub struct Notices {
    records: RingBuf<MapData>,
}

impl AsFd for Notices {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.records.as_fd()
    }
}

impl Notices {
    /// The next one, if there is one.
    pub fn take(&mut self) -> Option<Notice> {
        let record = self.records.next()?;
        let word = |at: usize| record.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes);
        let pid = word(0)?;
        Some(if word(4)? == NOTICE_EXEC { Notice::Exec { pid } } else { Notice::Libraries { pid } })
    }
}
