//! OTLP to a collector: one client per endpoint, gRPC or HTTP/protobuf, for requests that hold many resources.

mod config;
mod exporter;
mod exporters;
pub(crate) mod grpc;
mod guard;
pub(crate) mod http;
mod metrics;
mod queue;
mod record;
mod retry;
mod sender;
mod transport;

pub use config::{
    BatchConfig, Choice, Compression, ConfigError, EnvironmentResource, OtlpConfig, Protocol, Signal,
    environment_resource, metric_interval,
};
pub use exporter::{OtlpExporter, RecordSender};
pub use exporters::{ExporterSettings, Exporters, MAX_EXPORTERS, ReceiverSink};
pub use metrics::MetricsExporter;
pub use record::ExportRecord;
pub use retry::{MAX_ASKED, RetryPolicy};
pub use transport::{Request, SendError, Transport, TransportError};
