//! Attaches the probes to the files of TLS libraries. Which files, others say.

use std::{
    os::fd::{AsFd, BorrowedFd},
    path::Path,
    sync::mpsc::{Receiver, Sender, channel},
};

use agent_common::tls::{self, FILES, Function, LAYOUTS, NOTICE_EXEC, ObjectLayout};
use aya::{
    Ebpf, Pod,
    maps::{Array, Map, MapData, MapError, RingBuf},
    programs::{BtfTracePoint, ProgramError, tp_btf::BtfTracePointLink},
};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::{
    clock::boot_time,
    handles::share,
    loaded::Programs,
    probe_error::{TlsError, failed},
    uprobe_multi::Point,
    uprobes::{BEGIN, Detaching, END, FREE, LIBRARIES, Probes, Uprobes},
};

/// Entries of the tables in the kernel that what is inside TLS needs, by their names in the object; without it they are as small as can be.
pub(super) fn tables(on: bool) -> [(&'static str, u32); 5] {
    let entries = |entries| if on { entries } else { 1 };
    [
        ("TLS_OBJECTS", entries(tls::OBJECTS)),
        ("TLS_CONNECTIONS", entries(tls::OBJECTS)),
        ("HELLOS", entries(tls::HELLOS)),
        ("TLS_TRIES", entries(tls::TRIES)),
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
    uprobes: Uprobes,
    programs: Programs,
    files: Array<MapData, u64>,
    layouts: Array<MapData, LayoutRow>,
    notices: Option<RingBuf<MapData>>,
    /// Indices of the table of files that are free.
    free: Vec<u32>,
    /// Those that were of files whose probes are out by now.
    freed: (Sender<u32>, Receiver<u32>),
}

/// The probes of one file. They are detached in the background when it is dropped; then their place may be used again.
pub struct Attached(Probes);

impl Attached {
    /// Number of probes.
    pub fn probes(&self) -> usize {
        self.0.places()
    }

    /// Number of links that hold them, each of which takes a descriptor and a wait of the kernel when it is closed.
    pub fn links(&self) -> usize {
        self.0.links()
    }
}

impl TlsProbes {
    pub(super) fn open(programs: &Programs) -> Result<Self, TlsError> {
        raise_open_files();
        let uprobes = Uprobes::new(programs)?;
        let opened = programs.with(|ebpf| {
            let types = aya::Btf::from_sys_fs().map_err(|error| failed("read the kernel's types", &error))?;
            let notices = ebpf.take_map("NOTICES").ok_or_else(|| MapError::InvalidName { name: "NOTICES".into() })?;
            let exec: &mut BtfTracePoint = ebpf
                .program_mut("process_exec")
                .ok_or(ProgramError::NotLoaded)
                .and_then(TryInto::try_into)
                .map_err(|error| failed("find process_exec", &error))?;
            exec.load("sched_process_exec", &types)
                .map_err(|error| failed("load tp_btf sched_process_exec", &error))?;
            Ok::<_, TlsError>(Self {
                uprobes,
                programs: programs.clone(),
                files: Array::try_from(Map::Array(share(ebpf, "TLS_FILES")?))?,
                layouts: Array::try_from(Map::Array(share(ebpf, "TLS_LAYOUTS")?))?,
                notices: Some(RingBuf::try_from(notices)?),
                free: (0..FILES).rev().collect(),
                freed: channel(),
            })
        });
        opened.ok_or(TlsError::Over)?
    }

    /// What attaches the probes: links of the kind `uprobe_multi` (Linux 6.6), or a `perf_event` each.
    pub fn means(&self) -> &'static str {
        self.uprobes.means()
    }

    /// What waits until the probes are out that were let go of, for the end.
    pub fn detaching(&self) -> Detaching {
        self.uprobes.detaching()
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
        self.free.extend(self.freed.1.try_iter());
        let file = self.free.pop().ok_or(TlsError::TooMany)?;
        match self.attach_as(file, path, functions) {
            Ok(mut probes) => {
                probes.tell(self.freed.0.clone(), file);
                Ok(Attached(probes))
            }
            Err(error) => {
                self.free.push(file);
                Err(error)
            }
        }
    }

    fn attach_as(&mut self, file: u32, path: &Path, functions: &[(Function, u64)]) -> Result<Probes, TlsError> {
        let points = |frees: bool| -> Vec<Point> {
            let which = functions.iter().filter(|(function, _)| (*function == Function::Free) == frees);
            which.map(|&(function, offset)| Point { offset, cookie: tls::probe(file, function) }).collect()
        };
        // That of the file that was here before would be taken for this one's until all of its probes are there.
        self.files.set(file, 0, 0)?;
        let calls = points(false);
        let of = functions.iter().map(|(function, _)| function.symbol()).collect::<Vec<_>>().join(", ");
        // The end first, so that no call has only its begin seen.
        let probes = self.uprobes.attach(path, &of, &[(END, calls.clone()), (BEGIN, calls), (FREE, points(true))])?;
        // From now on nothing is missed.
        self.files.set(file, boot_time().unwrap_or(0), 0)?;
        Ok(probes)
    }

    /// Attaches to the function of a dynamic linker that it calls when it has mapped libraries (`_dl_debug_state`).
    ///
    /// # Errors
    /// As [`Self::attach`].
    pub fn attach_linker(&mut self, path: &Path, offset: u64) -> Result<Attached, TlsError> {
        let points = vec![Point { offset, cookie: 0 }];
        Ok(Attached(self.uprobes.attach(path, "_dl_debug_state", &[(LIBRARIES, points)])?))
    }

    /// What tells of processes that may map other files now; once. It is attached only now: where nobody reads notices, none are lost.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn take_notices(&mut self) -> Result<Option<Notices>, TlsError> {
        let Some(records) = self.notices.take() else { return Ok(None) };
        let attach = |ebpf: &mut Ebpf| {
            let exec: &mut BtfTracePoint =
                ebpf.program_mut("process_exec").ok_or(ProgramError::NotLoaded)?.try_into()?;
            exec.attach().and_then(|id| exec.take_link(id))
        };
        let exec = self.programs.with(attach).ok_or(TlsError::Over)?;
        let exec = exec.map_err(|error| failed("attach tp_btf sched_process_exec", &error))?;
        Ok(Some(Notices { records, _exec: exec }))
    }
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
    /// What tells of programs that are executed, while somebody reads it.
    _exec: BtfTracePointLink,
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
