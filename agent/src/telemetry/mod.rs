//! [`Exchange`](crate::exchange::Exchange) x plan -> metrics, spans and access-log records.
//!
//! A [`Recorder`] belongs to one worker. It reads each exchange once into [`Facts`], from which the three signals are made.

pub mod access_log;
pub mod authorization;
pub mod calls;
pub mod cost;
mod facts;
pub mod grpc;
mod host;
pub mod method;
pub mod metrics;
pub mod names;
mod recorder;
mod sampler;
pub mod span;
mod subject;
pub mod summary;
#[cfg(test)]
pub(crate) mod test_support;
pub mod trace_context;

pub use facts::{ErrorType, Facts, Target};
pub use method::KnownMethods;
pub use recorder::{LogSink, OpenOutlets, Outlets, Recorder, Settings, SpanSink};
pub use sampler::Sampler;
pub use subject::{ConnectionSubject, ExchangeSubject};
