//! What the kernel side counted: its own counters, and the kernel's of each program.

use std::{
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
    time::Duration,
};

use agent_common::{
    counter::{self, Counter},
    gap::GapReason,
};
use aya::{
    Ebpf,
    maps::{Map, MapData, MapError, PerCpuArray},
};

use super::{
    handles::{fdinfo, share},
    uprobe_multi::UprobeMulti,
};

/// Reads the counters; may be used from any thread.
pub struct KernelCounters {
    map: PerCpuArray<MapData, u64>,
    programs: Vec<(String, OwnedFd)>,
}

/// What one program cost and missed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramCost {
    /// Its name.
    pub program: String,
    /// Time spent in it; zero unless `kernel.bpf_stats_enabled` is on.
    pub time: Duration,
    /// Runs, likewise.
    pub runs: u64,
    /// Runs that the kernel left out because the program was already running on that CPU.
    pub recursion_misses: u64,
}

impl KernelCounters {
    pub(super) fn open(ebpf: &Ebpf, uprobe_multi: Option<&UprobeMulti>) -> Result<Self, MapError> {
        let map = PerCpuArray::try_from(Map::PerCpuArray(share(ebpf, "COUNTERS")?))?;
        let by_aya = ebpf.programs().filter_map(|(name, program)| Some((name, program.fd().ok()?.as_fd())));
        let ours = uprobe_multi.into_iter().flat_map(UprobeMulti::programs);
        let programs = by_aya
            .chain(ours.map(|(name, fd)| (name, fd.as_fd())))
            // By its id the kernel would open it for SYS_ADMIN only.
            .filter_map(|(name, fd)| Some((name.to_owned(), fd.try_clone_to_owned().ok()?)))
            .collect();
        Ok(Self { map, programs })
    }

    /// One counter, summed over CPUs.
    pub fn plain(&self, counter: Counter) -> Result<u64, MapError> {
        self.sum(counter as u32)
    }

    /// Calls that ended as a gap, by reason.
    pub fn gaps(&self) -> Result<Vec<(GapReason, u64)>, MapError> {
        GapReason::ALL.iter().map(|reason| Ok((*reason, self.sum(counter::gap(*reason))?))).collect()
    }

    /// The kernel's own account of each program.
    pub fn programs(&self) -> Vec<ProgramCost> {
        self.programs
            .iter()
            .map(|(name, fd)| {
                let field = |key| fdinfo(fd.as_raw_fd(), key).unwrap_or(0);
                ProgramCost {
                    program: name.clone(),
                    time: Duration::from_nanos(field("run_time_ns:")),
                    runs: field("run_cnt:"),
                    recursion_misses: field("recursion_misses:"),
                }
            })
            .collect()
    }

    fn sum(&self, index: u32) -> Result<u64, MapError> {
        Ok(self.map.get(&index, 0)?.iter().sum())
    }
}
