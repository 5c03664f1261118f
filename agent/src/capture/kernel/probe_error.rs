//! What can go wrong with probes in files.

use agent_common::tls::FILES;
use aya::maps::MapError;

use super::handles::errno_of;

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

/// That of a program, in the words of the error number where there is one.
pub(super) fn failed(step: &str, error: &(dyn std::error::Error + 'static)) -> TlsError {
    let reason = errno_of(error).map_or_else(|| error.to_string(), |errno| format!("{} ({errno:?})", errno.desc()));
    TlsError::Program { step: step.to_owned(), reason }
}
