//! The running cluster.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

use crate::kubectl::Kubectl;

/// A cluster that somebody else started and ends.
pub(crate) struct Cluster {
    pub(crate) kubectl: Kubectl,
}

impl Cluster {
    /// The one that is named; `None`, with a line that says so, if none is.
    pub(crate) fn named() -> Option<Self> {
        let Some(state) = std::env::var_os("TELLTALE_TEST_NODE").map(PathBuf::from) else {
            // Past the harness's capture, so that a skipped test is seen.
            let _ = writeln!(std::io::stderr(), "skipped: no node; `cargo xtask cluster test` makes one");
            return None;
        };
        Some(Self { kubectl: Kubectl::new(vec![state.join("kubectl")], &kubeconfig(&state)) })
    }
}

fn kubeconfig(state: &Path) -> PathBuf {
    state.join("pki/admin.kubeconfig")
}
