//! Tries probes on this program before any other gets some.

use std::{io, path::Path};

use agent_common::tls::Function;

use super::maps;
use crate::capture::kernel::{TlsError, TlsProbes, confined};

/// Why no other program may get probes.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// The system refuses them.
    #[error(transparent)]
    Probes(#[from] TlsError),
    /// What was to be tried could not be.
    #[error("cannot try a probe on this program: {0}")]
    Io(#[from] io::Error),
    /// From Linux 6.11 on a function returns from a probe on x86-64 by a system call. Filters that were older than that refused it, as those of containers did,
    /// and their programs crashed, until the kernel let it past all filters.
    #[error(
        "on this kernel a probe makes programs in containers crash; Linux 6.14 and later updates of 6.12 and 6.13 do not"
    )]
    Harmful,
}

/// Calls a function with probes in a process of its own that is confined as those of containers are.
///
/// # Errors
/// There can be no probes, or they do harm.
pub(super) fn run(probes: &mut TlsProbes) -> Result<(), TrialError> {
    let offset = offset_of(probed as *const () as u64)?;
    let attached = probes.attach(Path::new("/proc/self/exe"), &[(Function::Read, offset)])?;
    let survived = confined::survives(probed);
    drop(attached);
    if survived? { Ok(()) } else { Err(TrialError::Harmful) }
}

/// What is probed. Nobody else calls it.
#[inline(never)]
extern "C" fn probed() {
    std::hint::black_box(());
}

/// Where the code at an address of this process is in its file.
fn offset_of(address: u64) -> io::Result<u64> {
    let mapped = maps::of_task(std::process::id())?;
    let own = mapped.files.iter().find(|mapping| (mapping.start..mapping.end).contains(&address));
    let own = own.ok_or_else(|| io::Error::other("the program does not find its own code"))?;
    Ok(address - own.start + own.offset)
}
