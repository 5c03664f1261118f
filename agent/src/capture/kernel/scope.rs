//! What to capture, written into the kernel's sets.

use std::{
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use agent_common::scope;
use aya::{
    Ebpf, Pod,
    maps::{Array, HashMap, MapError},
};

use super::Sizes;
use crate::capture::Hierarchy;

/// What is in scope. Kinds add up: a socket is captured if any one holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Every process of the machine but the agent.
    pub all: bool,
    /// Processes, with the children they start from now on.
    pub processes: Vec<u32>,
    /// Processes that the agent starts while [`Capture::following`](super::Capture::following) holds, with their children.
    pub descendants: bool,
    /// Folders of cgroups, with all below them.
    pub cgroups: Vec<PathBuf>,
    /// Ports, of either end.
    pub ports: Vec<u16>,
    /// The hierarchy of cgroups that come later ([`ScopeControl`](super::ScopeControl)); absent, it is that of [`Self::cgroups`].
    pub hierarchy: Option<Hierarchy>,
}

/// Why a scope cannot be set.
#[derive(Debug, thiserror::Error)]
pub enum ScopeError {
    /// The folder of a cgroup cannot be read.
    #[error("cannot read cgroup {path}: {source}")]
    Cgroup {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The folder is not one of a cgroup file system.
    #[error("{path} is not a cgroup: give a folder below a mounted cgroup file system")]
    NotACgroup {
        /// The folder.
        path: PathBuf,
    },
    /// Cgroups of different hierarchies were given.
    #[error("cgroups of one scope must be of one hierarchy; {path} is of another")]
    MixedHierarchies {
        /// The odd one.
        path: PathBuf,
    },
    /// More than the kernel's table holds.
    #[error("too many {what} to capture: at most {most}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there can be.
        most: u32,
    },
    /// No such process.
    #[error("no process {0}")]
    NoProcess(u32),
    /// The kernel refused.
    #[error("cannot write the scope into the kernel: {0}")]
    Map(#[from] MapError),
}

impl Scope {
    /// The bits of [`agent_common::scope`].
    pub fn kinds(&self) -> u32 {
        let bit = |on: bool, kind: u32| if on { kind } else { 0 };
        bit(self.all, scope::ALL)
            | bit(self.follows_processes(), scope::PROCESS)
            | bit(!self.cgroups.is_empty(), scope::CGROUP)
            | bit(!self.ports.is_empty(), scope::PORT)
    }

    /// Whether processes are followed as they start and end.
    pub fn follows_processes(&self) -> bool {
        self.descendants || !self.processes.is_empty()
    }

    /// The hierarchy of the cgroups; v2 if nothing tells.
    pub fn hierarchy(&self) -> Result<Hierarchy, ScopeError> {
        let mut found = self.hierarchy.clone();
        for path in &self.cgroups {
            let own = hierarchy_of(path)?;
            match &found {
                Some(first) if *first != own => return Err(ScopeError::MixedHierarchies { path: path.clone() }),
                _ => found = Some(own),
            }
        }
        Ok(found.unwrap_or(Hierarchy::Unified))
    }
}

/// The hierarchy that a cgroup folder is of.
fn hierarchy_of(path: &Path) -> Result<Hierarchy, ScopeError> {
    let found = Hierarchy::of(path).map_err(|source| ScopeError::Cgroup { path: path.into(), source })?;
    found.ok_or_else(|| ScopeError::NotACgroup { path: path.into() })
}

#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct Control(pub(super) scope::Scope);

// SAFETY: two integers without padding; any bytes are a value.
unsafe impl Pod for Control {}

/// Writes a scope. `generation` must differ from the last one written; it makes every socket be looked up anew.
pub(super) fn write(ebpf: &mut Ebpf, scope: &Scope, sizes: Sizes, generation: u32) -> Result<(), ScopeError> {
    for process in &scope.processes {
        if !Path::new("/proc").join(process.to_string()).exists() {
            return Err(ScopeError::NoProcess(*process));
        }
        insert_process(ebpf, *process, sizes)?;
    }
    {
        let mut cgroups: HashMap<_, u64, u8> = HashMap::try_from(existing(ebpf, "SCOPE_CGROUPS")?)?;
        for path in &scope.cgroups {
            let metadata =
                std::fs::metadata(path).map_err(|source| ScopeError::Cgroup { path: path.clone(), source })?;
            // The inode of a cgroup's folder is the id that the kernel side reads.
            cgroups.insert(metadata.ino(), scope::INCLUDED, 0).map_err(refused("cgroups", sizes.cgroups))?;
        }
    }
    {
        let mut ports: HashMap<_, u16, u8> = HashMap::try_from(existing(ebpf, "SCOPE_PORTS")?)?;
        for port in &scope.ports {
            ports.insert(port, 1, 0).map_err(refused("ports", sizes.ports))?;
        }
    }
    let mut control: Array<_, Control> = Array::try_from(existing(ebpf, "SCOPE")?)?;
    control.set(0, Control(scope::Scope { generation, kinds: scope.kinds() }), 0)?;
    Ok(())
}

/// Takes everything out of scope: generation 0 is that of a kernel side that was not told anything yet.
pub(super) fn close(ebpf: &mut Ebpf) -> Result<(), ScopeError> {
    let mut control: Array<_, Control> = Array::try_from(existing(ebpf, "SCOPE")?)?;
    Ok(control.set(0, Control(scope::Scope::default()), 0)?)
}

/// Puts a process into scope; its children follow from now on.
pub(super) fn insert_process(ebpf: &mut Ebpf, process: u32, sizes: Sizes) -> Result<(), ScopeError> {
    let mut processes: HashMap<_, u32, u8> = HashMap::try_from(existing(ebpf, "SCOPE_PROCESSES")?)?;
    processes.insert(process, 1, 0).map_err(refused("processes", sizes.processes))
}

/// Why a table did not take an entry.
pub(super) fn refused(what: &'static str, most: u32) -> impl FnOnce(MapError) -> ScopeError {
    move |error| match &error {
        MapError::SyscallError(call) if call.io_error.raw_os_error() == Some(libc::E2BIG) => {
            ScopeError::TooMany { what, most }
        }
        _ => error.into(),
    }
}

/// Takes a process out of scope; children that it started stay.
pub(super) fn remove_process(ebpf: &mut Ebpf, process: u32) -> Result<(), ScopeError> {
    let mut processes: HashMap<_, u32, u8> = HashMap::try_from(existing(ebpf, "SCOPE_PROCESSES")?)?;
    match processes.remove(&process) {
        Ok(()) | Err(MapError::KeyNotFound) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn existing<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut aya::maps::Map, MapError> {
    ebpf.map_mut(name).ok_or_else(|| MapError::InvalidName { name: name.to_owned() })
}
