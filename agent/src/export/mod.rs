//! Where telemetry goes: Prometheus, OTLP, standard output and files.

mod line_sink;
mod log_file;
mod log_sinks;
pub mod otlp;
mod output;
pub mod prometheus;
mod rate_limit;
mod span_file;
mod user_agent;

pub use line_sink::{ACCESS_LOG, LineQueue, LineSender, LineSink, LineWriter, SPAN_FILE};
#[cfg(unix)]
pub use log_file::LogDirectory;
pub use log_file::{LogFile, Place, Reopen};
pub use log_sinks::{ACCESS_LOG_FILE, LogExporters, LogSettings, LogSinks, MAX_FILES};
pub use output::{Output, OutputError};
pub use rate_limit::{DEFAULT_LINES_PER_SECOND, Limited, RateLimit};
pub use span_file::SpanFile;
pub use user_agent::{is_telltale_user_agent, user_agent};
