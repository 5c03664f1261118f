//! Log lines of the kernel programs, for people who debug them.

use aya::Ebpf;
use aya_log::EbpfLogger;
use log::{Log, Metadata, Record};
use tokio::io::unix::AsyncFd;

/// Hands lines of the programs to the agent's own log.
struct ToTracing;

impl Log for ToTracing {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        tracing::info!(target: "telltale::ebpf", "{}", record.args());
    }

    fn flush(&self) {}
}

/// Reads the lines on the current runtime until the capture ends.
pub(super) fn start(ebpf: &mut Ebpf) -> std::io::Result<()> {
    let logger = EbpfLogger::init_with_logger(ebpf, ToTracing).map_err(std::io::Error::other)?;
    let mut logger = AsyncFd::register(logger)?;
    tokio::spawn(async move {
        while let Ok(mut ready) = logger.readable_mut().await {
            ready.get_inner_mut().flush();
            ready.clear_ready();
        }
    });
    Ok(())
}
