//! An OTLP receiver that answers as it is told, for what a real one does not do on request.

use std::{
    collections::VecDeque,
    io::Read as _,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
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
    trace_service_server::{TraceService, TraceServiceServer},
};
use prost::Message as _;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig, server::TlsStream};
use tonic_types::{ErrorDetails, StatusExt as _};

/// What it got, and the statuses that it still has to give before it accepts.
#[derive(Clone, Default)]
pub(crate) struct Receiver(Arc<Mutex<Received>>);

#[derive(Default)]
struct Received {
    refusals: VecDeque<u16>,
    rejected: i64,
    message: String,
    /// Seconds that its refusals ask for, one after the other.
    asks: VecDeque<u64>,
    requests: Vec<(HeaderMap, ExportTraceServiceRequest)>,
}

impl Receiver {
    /// Answers the first requests with these statuses, the others with success, of which so many spans are rejected.
    pub(crate) async fn start(refusals: &[u16], rejected: i64) -> (Self, SocketAddr) {
        let receiver = Self(Arc::new(Mutex::new(Received {
            refusals: refusals.iter().copied().collect(),
            rejected,
            ..Received::default()
        })));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = receiver.router();
        tokio::spawn(async move { axum::serve(listener, router).await });
        (receiver, address)
    }

    /// Accepts everything, inside TLS.
    pub(crate) async fn start_tls(config: ServerConfig) -> (Self, SocketAddr) {
        let receiver = Self::default();
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = tcp.local_addr().unwrap();
        let listener = TlsListener { tcp, acceptor: TlsAcceptor::from(Arc::new(config)) };
        let router = receiver.router();
        tokio::spawn(async move { axum::serve(listener, router).await });
        (receiver, address)
    }

    /// Both protocols of OTLP at their paths.
    fn router(&self) -> Router {
        Router::new()
            .route("/v1/traces", post(take))
            .route_service(
                "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
                TraceServiceServer::new(self.clone()),
            )
            .with_state(self.clone())
    }

    /// What it says about the spans that it rejects.
    pub(crate) fn say(&self, message: String) {
        self.0.lock().unwrap().message = message;
    }

    /// Its first refusals ask to be left alone for so many seconds, the others for none.
    pub(crate) fn ask(&self, seconds: &[u64]) {
        self.0.lock().unwrap().asks = seconds.iter().copied().collect();
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
        let asked = state.asks.pop_front().unwrap_or_default();
        let retry_after = [(HeaderName::from_static("retry-after"), asked.to_string())];
        return (StatusCode::from_u16(status).unwrap(), retry_after).into_response();
    }
    let partial = ExportTracePartialSuccess { rejected_spans: state.rejected, error_message: state.message.clone() };
    ExportTraceServiceResponse { partial_success: (state.rejected > 0).then_some(partial) }
        .encode_to_vec()
        .into_response()
}

#[tonic::async_trait]
impl TraceService for Receiver {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        let (metadata, _, body) = request.into_parts();
        let mut state = self.0.lock().unwrap();
        state.requests.push((metadata.into_headers(), body));
        if state.refusals.pop_front().is_some() {
            let asked = Duration::from_secs(state.asks.pop_front().unwrap_or_default());
            let details = ErrorDetails::with_retry_info(Some(asked));
            return Err(tonic::Status::with_error_details(tonic::Code::Unavailable, "busy", details));
        }
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

/// Connections whose handshake succeeded.
struct TlsListener {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

impl axum::serve::Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = self.tcp.accept().await.unwrap();
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}
