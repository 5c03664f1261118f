//! Where telemetry goes: Prometheus, OTLP, standard output and files.

mod line_sink;
pub mod otlp;
mod output;
pub mod prometheus;
mod span_file;
mod user_agent;

pub use line_sink::{LineQueue, LineSender, LineSink, LineWriter};
pub use output::{Output, OutputError};
pub use span_file::SpanFile;
pub use user_agent::{is_telltale_user_agent, user_agent};
