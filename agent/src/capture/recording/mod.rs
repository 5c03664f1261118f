//! Recordings: events as JSON Lines, written by `run --record` and read by `replay` (docs/recording.md).
//!
//! A recording is the one place that holds traffic as it was. [`Writer`] creates it readable by its owner only;
//! [`scrub`] overwrites the secrets in it at equal length.

mod line;
mod reader;
pub mod scrub;
mod writer;

pub use line::{FieldError, MAX_LINE};
pub use reader::{ReadError, Reader};
pub use writer::{Recorder, RecorderHandle, RecorderReport, Writer, create};
