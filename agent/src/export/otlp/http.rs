//! OTLP/HTTP with protobuf bodies.

use std::{
    io::Write as _,
    sync::Arc,
    time::{Duration, SystemTime},
};

use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::{
    logs::v1::ExportLogsServiceResponse, metrics::v1::ExportMetricsServiceResponse,
    trace::v1::ExportTraceServiceResponse,
};
use prost::Message as _;
use reqwest::{
    Certificate, Client, Identity, Response, StatusCode, Url,
    header::{CONTENT_ENCODING, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER},
    redirect::Policy,
};

use super::{
    Compression, OtlpConfig, SendError, TransportError,
    guard::{Resolver, check_literal, is_refused},
    transport::{Accepted, Request, chain, invalid, is_tls, read_pem},
};
use crate::policy::{Reach, Refused};

/// Longest answer that is read (protocol/exporter.md: 4 MiB).
const MAX_RESPONSE: usize = 4 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct HttpClient {
    client: Client,
    headers: HeaderMap,
    url: Url,
    reach: Reach,
    gzip: bool,
}

impl HttpClient {
    pub(super) fn new(config: &OtlpConfig) -> Result<Self, TransportError> {
        let mut headers = HeaderMap::new();
        for (key, value) in &config.headers {
            match (HeaderName::from_bytes(key.as_bytes()), HeaderValue::from_str(value)) {
                (Ok(name), Ok(mut value)) => {
                    value.set_sensitive(true);
                    headers.insert(name, value);
                }
                _ => return Err(invalid(config, format!("{key:?} is not a header that can be sent"))),
            }
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        let gzip = config.compression == Compression::Gzip;
        if gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        let mut url = Url::parse(&config.endpoint).map_err(|error| invalid(config, error.to_string()))?;
        if let Some(name) = &config.server_name {
            // TLS asks for the name in the URL. The resolver knows the host that is meant, and so does the receiver.
            let authority = url.authority().to_owned();
            headers.insert(HOST, HeaderValue::from_str(&authority).map_err(|error| invalid(config, chain(&error)))?);
            url.set_host(Some(name)).map_err(|error| invalid(config, error.to_string()))?;
        }
        let reach = config.reach.clone();
        Ok(Self { client: plain_client(config)?, headers, url, reach, gzip })
    }

    pub(super) async fn send(&self, request: &Request) -> Result<Accepted, SendError> {
        check_literal(&self.reach, &self.url).map_err(|error| refused_address(&error))?;
        let body = match request {
            Request::Traces(traces) => traces.encode_to_vec(),
            Request::Metrics(metrics) => metrics.encode_to_vec(),
            Request::Logs(logs) => logs.encode_to_vec(),
        };
        let body = if self.gzip { compress(&body) } else { body };
        let answer = self
            .client
            .post(self.url.clone())
            .headers(self.headers.clone())
            .body(body)
            .send()
            .await
            .map_err(|error| unreachable_error(&error))?;
        let status = answer.status();
        if !status.is_success() {
            return Err(refused(status, answer.headers()));
        }
        let bytes = read_limited(answer).await?;
        // An answer that is not protobuf is still a success: many receivers answer with nothing or JSON.
        let (rejected, message) = match request {
            Request::Traces(_) => ExportTraceServiceResponse::decode(&*bytes)
                .ok()
                .and_then(|answer| answer.partial_success)
                .map(|partial| (partial.rejected_spans, partial.error_message)),
            Request::Metrics(_) => ExportMetricsServiceResponse::decode(&*bytes)
                .ok()
                .and_then(|answer| answer.partial_success)
                .map(|partial| (partial.rejected_data_points, partial.error_message)),
            Request::Logs(_) => ExportLogsServiceResponse::decode(&*bytes)
                .ok()
                .and_then(|answer| answer.partial_success)
                .map(|partial| (partial.rejected_log_records, partial.error_message)),
        }
        .unwrap_or_default();
        Ok(Accepted { rejected: rejected.max(0) as u64, message })
    }
}

/// A client with the TLS settings, timeout and name of this configuration, without its header fields.
pub(crate) fn plain_client(config: &OtlpConfig) -> Result<Client, TransportError> {
    // Whoever was first has installed a provider; that one is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder()
        .user_agent(crate::export::user_agent())
        .timeout(config.timeout)
        // Nothing is called that is not configured.
        .redirect(Policy::none());
    if config.reach.is_restricted() {
        // A proxy would resolve names by itself.
        builder = builder.no_proxy();
    }
    if config.reach.is_restricted() || config.server_name.is_some() {
        let host = Url::parse(&config.endpoint).map_err(|error| invalid(config, error.to_string()))?;
        let host = host.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').into();
        builder = builder.dns_resolver(Arc::new(Resolver { reach: config.reach.clone(), host }));
    }
    if let Some(path) = &config.certificate {
        let certificates =
            Certificate::from_pem_bundle(&read_pem(path)?).map_err(|error| invalid(config, chain(&error)))?;
        builder = builder.tls_certs_only(certificates);
    } else if config.endpoint.starts_with("http://") {
        // Without this a machine that has no certificates could not even speak plain HTTP.
        builder = builder.tls_certs_only([]);
    }
    if let Some((certificate, key)) = &config.client {
        let mut pem = read_pem(certificate)?;
        pem.push(b'\n');
        pem.extend(read_pem(key)?);
        builder = builder.identity(Identity::from_pem(&pem).map_err(|error| invalid(config, chain(&error)))?);
    }
    builder.build().map_err(|error| invalid(config, chain(&error)))
}

fn compress(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), flate2::Compression::fast());
    // Writing to a Vec cannot fail.
    let _ = encoder.write_all(body);
    encoder.finish().unwrap_or_default()
}

async fn read_limited(mut answer: Response) -> Result<Vec<u8>, SendError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| unreachable_error(&error))? {
        if bytes.len() + chunk.len() > MAX_RESPONSE {
            return Ok(Vec::new());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn unreachable_error(error: &reqwest::Error) -> SendError {
    let reason = match error {
        _ if error.is_timeout() => "timeout",
        _ if is_refused(error) => "refused_address",
        _ if is_tls(error) => "tls",
        _ => "unreachable",
    };
    SendError { retryable: true, retry_after: None, reason: reason.to_owned(), message: chain(error) }
}

/// It is tried again: the addresses of nodes change.
fn refused_address(error: &Refused) -> SendError {
    let reason = "refused_address".to_owned();
    SendError { retryable: true, retry_after: None, reason, message: error.to_string() }
}

/// Which statuses may be retried: the table of the OTLP specification.
fn refused(status: StatusCode, headers: &HeaderMap) -> SendError {
    let retryable = matches!(status.as_u16(), 429 | 502 | 503 | 504);
    let retry_after = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()).and_then(retry_after);
    SendError {
        retryable,
        retry_after: retry_after.filter(|_| retryable),
        reason: status.as_u16().to_string(),
        message: format!("the receiver answered {status}"),
    }
}

/// Seconds or an HTTP date (RFC 9110 section 10.2.3).
fn retry_after(value: &str) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let date = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
    SystemTime::from(date).duration_since(SystemTime::now()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retryable_statuses() {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_static("7"));
        let throttled = refused(StatusCode::TOO_MANY_REQUESTS, &headers);
        assert_eq!((throttled.retryable, throttled.retry_after), (true, Some(Duration::from_secs(7))));
        for (status, retryable) in [(400, false), (401, false), (500, false), (502, true), (503, true), (504, true)] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(refused(status, &HeaderMap::new()).retryable, retryable, "{status}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(retry_after("120"), Some(Duration::from_mins(2)));
        assert!(retry_after("Tue, 31 Dec 2199 23:59:59 GMT").is_some_and(|wait| wait > Duration::from_hours(24)));
        assert_eq!(retry_after("Fri, 31 Dec 1999 23:59:59 GMT"), None);
        assert_eq!(retry_after("soon"), None);
        assert_eq!(retry_after(""), None);
        assert_eq!(retry_after("99999999999999999999999"), Some(Duration::from_secs(u64::MAX)));
    }

    #[test]
    fn compressed_bodies_are_gzip() {
        use std::io::Read as _;
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(&*compress(b"abc")).read_to_end(&mut plain).unwrap();
        assert_eq!(plain, b"abc");
    }
}
