//! An OTLP/HTTP receiver that answers as it is told, for what a real one does not do on request.

use std::{
    collections::VecDeque,
    io::Read as _,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, HeaderName, StatusCode},
    response::IntoResponse,
    routing::post,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message as _;

/// What it got, and the statuses that it still has to give before it accepts.
#[derive(Clone, Default)]
pub(crate) struct Receiver(Arc<Mutex<Received>>);

#[derive(Default)]
struct Received {
    refusals: VecDeque<u16>,
    rejected: i64,
    requests: Vec<(HeaderMap, ExportTraceServiceRequest)>,
}

impl Receiver {
    /// Answers the first requests with these statuses, the others with success, of which so many spans are rejected.
    pub(crate) async fn start(refusals: &[u16], rejected: i64) -> (Self, SocketAddr) {
        let receiver = Self(Arc::new(Mutex::new(Received {
            refusals: refusals.iter().copied().collect(),
            rejected,
            requests: Vec::new(),
        })));
        let router = Router::new().route("/v1/traces", post(take)).with_state(receiver.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        (receiver, address)
    }

    /// Header fields and bodies of all requests, the refused ones too.
    pub(crate) fn requests(&self) -> Vec<(HeaderMap, ExportTraceServiceRequest)> {
        self.0.lock().unwrap().requests.clone()
    }
}

async fn take(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> impl IntoResponse {
    let body = if headers.get("content-encoding").is_some_and(|value| value == "gzip") {
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(&*body).read_to_end(&mut plain).unwrap();
        plain
    } else {
        body.to_vec()
    };
    let mut state = receiver.0.lock().unwrap();
    state.requests.push((headers, ExportTraceServiceRequest::decode(&*body).unwrap()));
    if let Some(status) = state.refusals.pop_front() {
        let retry_after = [(HeaderName::from_static("retry-after"), "0")];
        return (StatusCode::from_u16(status).unwrap(), retry_after).into_response();
    }
    let partial = ExportTracePartialSuccess { rejected_spans: state.rejected, error_message: String::new() };
    ExportTraceServiceResponse { partial_success: (state.rejected > 0).then_some(partial) }
        .encode_to_vec()
        .into_response()
}
