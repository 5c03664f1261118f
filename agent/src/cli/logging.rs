//! Telltale's own lines, on stderr.

use std::io::{IsTerminal as _, stderr};

use tracing_subscriber::{EnvFilter, filter::LevelFilter, layer::SubscriberExt as _};

use crate::admin::LogBridge;

/// Starts logging to stderr. `RUST_LOG` decides where it is set, else the flags.
pub(super) fn start(verbose: u8, quiet: bool) {
    let level = match (quiet, verbose) {
        (true, _) => LevelFilter::WARN,
        (false, 0) => LevelFilter::INFO,
        (false, 1) => LevelFilter::DEBUG,
        (false, _) => LevelFilter::TRACE,
    };
    // Libraries say more than anyone asked for: only Telltale's own lines follow the flags.
    // The Kubernetes client says of every try that it failed; what matters of it is told once, by us.
    let default = if verbose > 2 { level.to_string() } else { format!("warn,kube_client=off,telltale={level}") };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal())
        .with_target(verbose > 0)
        .without_time()
        .finish()
        // Also to the collector, once one is known.
        .with(LogBridge);
    // A second start in one process (tests) keeps the first.
    let _ = tracing::subscriber::set_global_default(subscriber);
}
