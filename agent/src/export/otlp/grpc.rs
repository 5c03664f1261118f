//! OTLP/gRPC.

use std::{error::Error as _, time::Duration};

use opentelemetry_proto::tonic::collector::{
    logs::v1::logs_service_client::LogsServiceClient, metrics::v1::metrics_service_client::MetricsServiceClient,
    trace::v1::trace_service_client::TraceServiceClient,
};
use tonic::{
    Code, Status,
    codec::CompressionEncoding,
    metadata::{MetadataKey, MetadataMap, MetadataValue},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};
use tonic_types::StatusExt as _;

use super::{
    Compression, OtlpConfig, SendError, TransportError,
    guard::{Connector, is_refused},
    transport::{Accepted, Request, chain, invalid, is_tls, read_pem},
};

/// A lazily connected channel, which reconnects by itself.
#[derive(Debug)]
pub(super) struct GrpcClient {
    channel: Channel,
    metadata: MetadataMap,
    gzip: bool,
}

impl GrpcClient {
    pub(super) fn new(config: &OtlpConfig) -> Result<Self, TransportError> {
        let gzip = config.compression == Compression::Gzip;
        Ok(Self { channel: channel(config)?, metadata: metadata(config)?, gzip })
    }

    pub(super) async fn send(&self, request: &Request) -> Result<Accepted, SendError> {
        match request {
            Request::Traces(traces) => {
                let mut client = TraceServiceClient::new(self.channel.clone());
                if self.gzip {
                    client = client.send_compressed(CompressionEncoding::Gzip);
                }
                let answer = client.export(self.request(traces.clone())).await.map_err(|status| error(&status))?;
                let partial = answer.into_inner().partial_success.unwrap_or_default();
                Ok(Accepted { rejected: partial.rejected_spans.max(0) as u64, message: partial.error_message })
            }
            Request::Metrics(metrics) => {
                let mut client = MetricsServiceClient::new(self.channel.clone());
                if self.gzip {
                    client = client.send_compressed(CompressionEncoding::Gzip);
                }
                let answer = client.export(self.request(metrics.clone())).await.map_err(|status| error(&status))?;
                let partial = answer.into_inner().partial_success.unwrap_or_default();
                Ok(Accepted { rejected: partial.rejected_data_points.max(0) as u64, message: partial.error_message })
            }
            Request::Logs(logs) => {
                let mut client = LogsServiceClient::new(self.channel.clone());
                if self.gzip {
                    client = client.send_compressed(CompressionEncoding::Gzip);
                }
                let answer = client.export(self.request(logs.clone())).await.map_err(|status| error(&status))?;
                let partial = answer.into_inner().partial_success.unwrap_or_default();
                Ok(Accepted { rejected: partial.rejected_log_records.max(0) as u64, message: partial.error_message })
            }
        }
    }

    fn request<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        *request.metadata_mut() = self.metadata.clone();
        request
    }
}

/// The channel of an endpoint, not connected yet. Needs a tokio runtime.
pub(crate) fn channel(config: &OtlpConfig) -> Result<Channel, TransportError> {
    let mut endpoint = Endpoint::from_shared(config.endpoint.clone())
        .and_then(|endpoint| endpoint.user_agent(crate::export::user_agent()))
        .map_err(|error| invalid(config, chain(&error)))?
        .timeout(config.timeout)
        .connect_timeout(config.timeout);
    if config.endpoint.starts_with("https://") {
        let mut tls = match &config.certificate {
            Some(path) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read_pem(path)?)),
            None => ClientTlsConfig::new().with_native_roots(),
        };
        if let Some(name) = &config.server_name {
            tls = tls.domain_name(name.as_str());
        }
        if let Some((certificate, key)) = &config.client {
            tls = tls.identity(Identity::from_pem(read_pem(certificate)?, read_pem(key)?));
        }
        endpoint = endpoint.tls_config(tls).map_err(|error| invalid(config, chain(&error)))?;
    }
    if config.reach.is_restricted() {
        return Ok(endpoint.connect_with_connector_lazy(Connector(config.reach.clone())));
    }
    Ok(endpoint.connect_lazy())
}

/// The configured header fields.
pub(crate) fn metadata(config: &OtlpConfig) -> Result<MetadataMap, TransportError> {
    let mut metadata = MetadataMap::new();
    for (key, value) in &config.headers {
        let name = MetadataKey::from_bytes(key.as_bytes());
        match (name, MetadataValue::try_from(value.as_str())) {
            (Ok(name), Ok(mut value)) => {
                value.set_sensitive(true);
                metadata.insert(name, value);
            }
            _ => return Err(invalid(config, format!("{key:?} is not a header that can be sent"))),
        }
    }
    Ok(metadata)
}

/// Which codes may be retried: the table of the OTLP specification. `RESOURCE_EXHAUSTED` only where the receiver says when.
fn error(status: &Status) -> SendError {
    let message = chain(status);
    if matches!(status.source(), Some(cause) if cause.is::<tonic::transport::Error>()) {
        // The channel made this status, for which it has few codes: no receiver refused anything.
        let reason = match status {
            status if is_refused(status) => "refused_address",
            status if is_tls(status) => "tls",
            _ => "unreachable",
        };
        return SendError { retryable: true, retry_after: None, reason: reason.to_owned(), message };
    }
    let retry_after = status.get_details_retry_info().and_then(|info| info.retry_delay);
    let retryable = match status.code() {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => true,
        Code::ResourceExhausted => retry_after.is_some(),
        _ => false,
    };
    // RetryInfo of zero means: at once, but the backoff still holds.
    let retry_after = retry_after.filter(|wait| *wait > Duration::ZERO);
    SendError { retryable, retry_after, reason: format!("{:?}", status.code()), message }
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn retryable_codes() {
        assert!(error(&Status::unavailable("x")).retryable);
        assert!(error(&Status::aborted("x")).retryable);
        assert!(!error(&Status::invalid_argument("x")).retryable);
        assert!(!error(&Status::unauthenticated("x")).retryable);
        assert!(!error(&Status::resource_exhausted("x")).retryable);
        let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(7)));
        let throttled = error(&Status::with_error_details(Code::ResourceExhausted, "x", details));
        assert_eq!((throttled.retryable, throttled.retry_after), (true, Some(Duration::from_secs(7))));
    }
}
