//! The HTTP server of `/metrics`, `/healthz` and `/readyz`.

use std::{
    io,
    net::{SocketAddr, ToSocketAddrs as _},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use tokio::{
    net::TcpListener,
    sync::{Mutex, oneshot},
    task::{JoinHandle, spawn_blocking},
};

use super::{Exposition, Format};

/// Where metrics are served if nobody says otherwise (OpenTelemetry's default for Prometheus exporters).
pub const DEFAULT_ADDRESS: &str = "127.0.0.1:9464";

/// The default address with `OTEL_EXPORTER_PROMETHEUS_HOST` and `OTEL_EXPORTER_PROMETHEUS_PORT` in it.
pub fn default_address(lookup: &dyn Fn(&str) -> Option<String>) -> String {
    let value = |name| lookup(name).filter(|value| !value.is_empty());
    let host = value("OTEL_EXPORTER_PROMETHEUS_HOST").unwrap_or_else(|| "127.0.0.1".to_owned());
    let port = value("OTEL_EXPORTER_PROMETHEUS_PORT").unwrap_or_else(|| "9464".to_owned());
    if host.contains(':') && !host.starts_with('[') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// The server could not be started.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is not one.
    #[error("{address:?} is not an address to serve metrics on: {source}; give HOST:PORT, such as {DEFAULT_ADDRESS}")]
    Address {
        /// What was given.
        address: String,
        /// Why not.
        source: io::Error,
    },
    /// Somebody else has it.
    #[error(
        "cannot serve metrics on {address}: the port is in use; choose another with --metrics-addr (port 0 picks a free one)"
    )]
    InUse {
        /// What was tried.
        address: SocketAddr,
    },
    /// The system refuses.
    #[error("cannot serve metrics on {address}: {source}")]
    Bind {
        /// What was tried.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
}

/// What `/readyz` says.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// From now on ready, or not.
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Relaxed);
    }
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<io::Result<()>>,
}

#[derive(Clone)]
struct Shared {
    exposition: Arc<Exposition>,
    /// One scrape at a time is rendered; the others wait for it without a thread.
    turn: Arc<Mutex<()>>,
    readiness: Readiness,
}

impl Server {
    /// Listens on `HOST:PORT` and serves on the current tokio runtime. Port 0 picks a free one: see [`Self::address`].
    pub async fn start(address: &str, exposition: Arc<Exposition>, readiness: Readiness) -> Result<Self, ServeError> {
        let resolved = address
            .to_socket_addrs()
            .and_then(|mut all| all.next().ok_or_else(|| io::Error::other("it has no address")))
            .map_err(|source| ServeError::Address { address: address.to_owned(), source })?;
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => ServeError::InUse { address: resolved },
            _ => ServeError::Bind { address: resolved, source },
        };
        let listener = TcpListener::bind(resolved).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let router = Router::new()
            .route("/metrics", get(metrics))
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/readyz", get(ready))
            .with_state(Shared { exposition, turn: Arc::default(), readiness });
        let (stop, stopped) = oneshot::channel::<()>();
        let serve = axum::serve(listener, router).with_graceful_shutdown(async {
            let _ = stopped.await;
        });
        let task = tokio::spawn(async move { serve.await });
        Ok(Self { address, stop: Some(stop), task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets running scrapes end, for at most this long, and stops.
    pub async fn stop(mut self, deadline: std::time::Duration) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if tokio::time::timeout(deadline, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

async fn metrics(State(shared): State<Shared>, headers: HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let format = Format::negotiate(accept);
    let turn = shared.turn.lock_owned().await;
    // Many series take long to read, and exporters share this thread.
    let rendered = spawn_blocking(move || {
        let text = shared.exposition.render(format);
        // Also if the scraper has gone in the meantime, the next one starts only now.
        drop(turn);
        text
    });
    match rendered.await {
        Ok(text) => ([(header::CONTENT_TYPE, format.content_type())], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn ready(State(shared): State<Shared>) -> (StatusCode, &'static str) {
    if shared.readiness.0.load(Ordering::Relaxed) {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not capturing yet\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environment_changes_the_default() {
        assert_eq!(default_address(&|_| None), DEFAULT_ADDRESS);
        let lookup = |name: &str| Some(if name.ends_with("HOST") { "::1" } else { "1" }.to_owned());
        assert_eq!(default_address(&lookup), "[::1]:1");
    }
}
