//! Log lines of the kernel programs, for people who debug them.

use std::time::Duration;

use aya::Ebpf;
use aya_log::EbpfLogger;
use log::{Log, Metadata, Record};

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

/// Between two looks at the lines.
const PAUSE: Duration = Duration::from_millis(50);

/// Reads the lines on the current runtime until the capture ends.
pub(super) fn start(ebpf: &mut Ebpf) -> Result<(), aya_log::Error> {
    let mut logger = EbpfLogger::init_with_logger(ebpf, ToTracing)?;
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(PAUSE);
        loop {
            ticks.tick().await;
            logger.flush();
        }
    });
    Ok(())
}
