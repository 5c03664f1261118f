//! One client to one endpoint.

use std::{path::PathBuf, time::Duration};

use opentelemetry_proto::tonic::collector::{
    logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest,
};

use super::{OtlpConfig, Protocol, grpc::GrpcClient, http::HttpClient};

/// A client cannot be made of this configuration.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// A certificate or key file cannot be read.
    #[error("cannot read {path:?}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The endpoint, a header or a certificate is not valid.
    #[error("cannot make an OTLP client for {endpoint}: {problem}")]
    Invalid {
        /// For which endpoint.
        endpoint: String,
        /// What is wrong.
        problem: String,
    },
}

/// A request was not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendError {
    /// Whether the same request may be sent again.
    pub retryable: bool,
    /// How long the receiver wants to be left alone.
    pub retry_after: Option<Duration>,
    /// For the metric's attribute: `unreachable`, `tls`, `timeout`, or the status.
    pub reason: String,
    /// For a person.
    pub message: String,
}

/// A request was accepted, perhaps in part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Accepted {
    /// Spans, data points or log records that the receiver rejected.
    pub rejected: u64,
    /// Its reason or warning.
    pub message: String,
}

/// What is sent.
#[derive(Clone, Debug)]
pub enum Request {
    /// Spans.
    Traces(ExportTraceServiceRequest),
    /// Metrics.
    Metrics(ExportMetricsServiceRequest),
    /// Log records.
    Logs(ExportLogsServiceRequest),
}

/// A client to one endpoint.
#[derive(Debug)]
pub struct Transport(Client);

#[derive(Debug)]
enum Client {
    Grpc(GrpcClient),
    Http(HttpClient),
}

impl Transport {
    /// Makes the client; nothing is sent yet. Needs a tokio runtime.
    pub fn new(config: &OtlpConfig) -> Result<Self, TransportError> {
        Ok(Self(match config.protocol {
            Protocol::Grpc => Client::Grpc(GrpcClient::new(config)?),
            Protocol::HttpProtobuf => Client::Http(HttpClient::new(config)?),
        }))
    }

    /// Sends once.
    pub(super) async fn send(&self, request: &Request) -> Result<Accepted, SendError> {
        match &self.0 {
            Client::Grpc(client) => client.send(request).await,
            Client::Http(client) => client.send(request).await,
        }
    }
}

/// Reads a PEM file of the configuration.
pub(super) fn read_pem(path: &PathBuf) -> Result<Vec<u8>, TransportError> {
    std::fs::read(path).map_err(|source| TransportError::File { path: path.clone(), source })
}

pub(super) fn invalid(config: &OtlpConfig, problem: impl Into<String>) -> TransportError {
    TransportError::Invalid { endpoint: config.endpoint.clone(), problem: problem.into() }
}

/// The error with what caused it: `reqwest` and `tonic` hide the cause ("connection refused") behind their own words.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// Whether the two ends could not agree on TLS: a certificate that is not trusted, has expired or is missing, or no common version.
pub(super) fn is_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<rustls::Error>() {
            return true;
        }
        let io = error.downcast_ref::<std::io::Error>();
        // Of a refusal that comes after the handshake (TLS 1.3), HTTP/2 keeps the words and this kind, which nothing else has.
        if io.is_some_and(|io| io.kind() == std::io::ErrorKind::InvalidData) {
            return true;
        }
        // An I/O error leaves out what it wraps: its source is that error's source.
        next = io.and_then(std::io::Error::get_ref).map_or_else(|| error.source(), |wrapped| Some(wrapped));
    }
    false
}
